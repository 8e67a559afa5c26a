"""What a request written for one of OpenAI's dialects could not carry, gathered while it is written."""

from typing import Final

from msgspec import Raw

from headgate.model.content import NO_EXTRA
from headgate.model.conversation import Request
from headgate.model.dialect import Dialect
from headgate.model.losses import Lost
from headgate.protocols.members import is_null

MESSAGES: Final[dict[Dialect, str]] = {
    Dialect.OPENAI_CHAT: "messages",
    Dialect.OPENAI_RESPONSES: "input",
    Dialect.ANTHROPIC_MESSAGES: "messages",
}
"""Where a client's own dialect has its turns."""


class Losses:
    """`own`: the client speaks the dialect that is written, so its extras go back where they were.

    `turns` is the path of the client's turns in its own words.
    """

    __slots__ = ("lost", "own", "turns", "unknown")

    def __init__(self, request: Request, written: Dialect) -> None:
        self.own: Final = request.dialect is written
        self.turns: Final = MESSAGES[request.dialect]
        self.lost: set[Lost] = set()
        self.unknown: set[str] = set()

    def extras(self, extra: dict[str, Raw], path: str = "") -> dict[str, Raw]:
        """Return the extras to write; those of another dialect are named instead, but for null, which says nothing."""
        if self.own or not extra:
            return extra
        before = f"{path}." if path else ""
        self.unknown.update(before + name for name, value in extra.items() if not is_null(value))
        return NO_EXTRA
