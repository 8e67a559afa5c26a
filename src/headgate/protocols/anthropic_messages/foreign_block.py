"""A streamed block of a kind that no other dialect has, gathered until it is whole."""

from typing import Any, Final

import msgspec
from msgspec import Raw

from headgate.model.content import Foreign
from headgate.model.dialect import Dialect
from headgate.protocols.json_object import is_object, members_of


class _Delta(msgspec.Struct):
    delta: dict[str, Raw] = {}


_delta: Final = msgspec.json.Decoder(_Delta)
_text: Final = msgspec.json.Decoder(str)
_encode: Final = msgspec.json.encode


class ForeignBlock:
    """`server_tool_use`, results of server tools, `compaction` and whatever comes after them.

    A delta's text lengthens the member of its name, anything else replaces it; `partial_json` makes `input`.
    """

    __slots__ = ("_input", "_members", "_name", "_raw", "_texts")

    def __init__(self, name: str, raw: Raw) -> None:
        self._name = name
        self._raw = raw
        self._members: dict[str, Any] = {}
        self._texts: dict[str, list[str]] = {}
        self._input: list[str] = []

    def add(self, data: bytes) -> None:
        """Take a frame with a delta; one that cannot be read is left out."""
        try:
            members = _delta.decode(data).delta
        except (ValueError, RecursionError):
            return
        for name, value in members.items():
            if name == "type":
                continue
            try:
                text = _text.decode(value)
            except ValueError:
                self._members[name] = value
                continue
            parts = self._input if name == "partial_json" else self._texts.setdefault(name, [])
            parts.append(text)

    def whole(self) -> Foreign:
        """Return the block with all that was added to it."""
        dialect = Dialect.ANTHROPIC_MESSAGES
        if not (self._members or self._texts or self._input):
            return Foreign(dialect, self._name, self._raw)
        members: dict[str, Any] = dict(members_of(bytes(self._raw)) or {})
        members |= self._members
        for name, parts in self._texts.items():
            members[name] = _beginning(members.get(name)) + "".join(parts)
        given = "".join(self._input).encode("utf-8", "replace")
        if is_object(given):
            members["input"] = Raw(given)
        return Foreign(dialect, self._name, Raw(_encode(members)))


def _beginning(value: Any) -> str:
    try:
        return _text.decode(value) if isinstance(value, Raw) else ""
    except ValueError:
        return ""
