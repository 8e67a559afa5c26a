"""What is shared while one request is written: for whom, what was lost, and the tool ids it uses."""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from msgspec import Raw

from headgate.model.content import Signer
from headgate.model.conversation import Request
from headgate.model.dialect import Dialect
from headgate.model.losses import Lost
from headgate.protocols.anthropic_messages.models import Model, model_named
from headgate.protocols.canonical import Target
from headgate.protocols.head_fields import invalid
from headgate.protocols.signatures import goes_to

OWN: Final = Dialect.ANTHROPIC_MESSAGES

ROOT: Final[dict[Dialect, str]] = {
    Dialect.OPENAI_CHAT: "messages",
    Dialect.OPENAI_RESPONSES: "input",
    Dialect.ANTHROPIC_MESSAGES: "messages",
}
"""Where a conversation stands in a client's own words."""
_TOOL_ID: Final = re.compile(r"[a-zA-Z0-9_-]+")
_TOOL_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,128}")
"""platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools: ^[a-zA-Z0-9_-]{1,128}$."""


class Writing:
    """One request on its way to one upstream. `own`: its client speaks this dialect too, so nothing is decided anew."""

    __slots__ = ("_ids", "_used", "lost", "model", "own", "request", "root", "target", "unknown")

    def __init__(self, request: Request, target: Target) -> None:
        self.request = request
        self.target = target
        self.own = request.dialect is OWN
        self.root = ROOT[request.dialect]
        self.model: Model = model_named(target.upstream_name)
        self.lost: set[Lost] = set()
        self.unknown: set[str] = set()
        self._ids: dict[str, str] = {}
        self._used: dict[str, int] = {}

    def extras(self, written: dict[str, Any], extra: Mapping[str, Raw], path: str) -> None:
        """Put members that only the client's dialect knows back, or name them."""
        if not extra:
            return
        if self.own:
            written.update(extra)
        else:
            self.unknown.update(
                f"{path}.{name}" if path else name for name, value in extra.items() if bytes(value) != b"null"
            )

    def may_see(self, signer: Signer | None) -> bool:
        """Tell whether what was signed may go to this upstream."""
        return goes_to(signer, self.request.dialect, self.target.provider, OWN)

    def use_id(self, identity: str) -> str:
        """Return the id of a tool use. The API wants ^[a-zA-Z0-9_-]+$ and each id once.

        One that does not fit is hashed, so that it is the same in every call of a conversation.
        """
        if self.own:
            return identity
        fitting = identity if _TOOL_ID.fullmatch(identity) else f"toolu_{sha256(identity.encode()).hexdigest()[:24]}"
        count = self._used[fitting] = self._used.get(fitting, 0) + 1
        self._ids[identity] = fitting if count == 1 else f"{fitting}_{count}"
        return self._ids[identity]

    def result_id(self, identity: str) -> str:
        """Return the id of the use that a result answers: the last one of that id."""
        if self.own:
            return identity
        return self._ids.get(identity) or self.use_id(identity)

    def tool_name(self, name: str, param: str) -> str:
        """Return a tool's name. Raises HeadgateError (400) for one that the API does not take."""
        if self.own or _TOOL_NAME.fullmatch(name):
            return name
        shown = name if len(name) <= 60 else name[:60] + "…"
        raise invalid(
            param,
            f"the tool name {shown!r} does not fit this model's API: name tools with 1 to 128 letters, digits, _ and -",
        )
