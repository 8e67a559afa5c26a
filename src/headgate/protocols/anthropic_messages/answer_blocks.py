"""Frames of one block each, written one after the other: the dialect's blocks never overlap."""

from typing import Any, Final

import msgspec

from headgate.model.content import Foreign, RedactedThinking, Signer, ToolKind
from headgate.model.dialect import Dialect
from headgate.model.events import (
    CitationSeen,
    Event,
    RefusalDelta,
    SignatureSeen,
    TextDelta,
    ThinkingDelta,
    ToolArguments,
    ToolStarted,
    Whole,
)
from headgate.model.losses import Lost
from headgate.protocols.anthropic_messages.for_clients import citation_for, signature_for
from headgate.protocols.anthropic_messages.tool_input import object_of

PART: Final = "\n\n"
"""What stands between the parts of a summary: here it is one text."""

_encode: Final = msgspec.json.Encoder().encode
_OWN: Final = Dialect.ANTHROPIC_MESSAGES


def started(index: int, block: bytes) -> bytes:
    """Return the frame that begins a block; `block` as JSON."""
    head = b'event: content_block_start\ndata: {"type":"content_block_start","index":%d,"content_block":' % index
    return head + block + b"}\n\n"


def delta(index: int, kind: bytes, member: bytes, value: bytes) -> bytes:
    """Return the frame of a delta; `value` as JSON."""
    return (
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"%b","%b":%b}}\n\n'
        % (index, kind, member, value)
    )


def stopped(index: int) -> bytes:
    """Return the frame that ends a block."""
    return b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n' % index


class TextBlock:
    """The open text block; `lead` and TAIL stand around a delta's text."""

    TAIL: Final = b"}}\n\n"
    TAKES: Final = (TextDelta, RefusalDelta, CitationSeen)

    __slots__ = ("index", "lead", "number", "signer")

    def __init__(self, number: int, index: int, signer: Signer) -> None:
        self.number = number
        self.index = index
        self.signer = signer
        self.lead = (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
            b'"delta":{"type":"text_delta","text":' % index
        )

    def begin(self) -> bytes:
        return started(self.index, b'{"type":"text","text":""}')

    def add(self, event: Event, lost: set[Lost]) -> bytes:
        if isinstance(event, TextDelta | RefusalDelta):
            return self.lead + _encode(event.text) + self.TAIL if event.text else b""
        if isinstance(event, CitationSeen):
            citation = citation_for(event.raw, self.signer)
            if citation is not None:
                return delta(self.index, b"citations_delta", b"citation", citation)
            lost.add(Lost.CITATIONS)
        return b""

    def end(self, lost: set[Lost]) -> bytes:  # noqa: ARG002 - the surface of all blocks
        return stopped(self.index)


class ThinkingBlock:
    """The open thinking block."""

    TAKES: Final = (ThinkingDelta, SignatureSeen)

    __slots__ = ("_part", "_signed", "index", "number", "signer")

    def __init__(self, number: int, index: int, signer: Signer) -> None:
        self.number = number
        self.index = index
        self.signer = signer
        self._part: int | None = None
        self._signed = False

    def begin(self) -> bytes:
        return started(self.index, b'{"type":"thinking","thinking":"","signature":""}')

    def add(self, event: Event, lost: set[Lost]) -> bytes:  # noqa: ARG002 - the surface of all blocks
        if isinstance(event, ThinkingDelta) and event.text:
            text = event.text if self._part in (None, event.part) else PART + event.text
            self._part = event.part
            return delta(self.index, b"thinking_delta", b"thinking", _encode(text))
        if isinstance(event, SignatureSeen):
            return self._sign(event.signature, event.item)
        return b""

    def end(self, lost: set[Lost]) -> bytes:  # noqa: ARG002 - the surface of all blocks
        signature = b"" if self._signed or self.signer.dialect is _OWN else self._sign("", None)
        return signature + stopped(self.index)

    def _sign(self, signature: str, item: str | None) -> bytes:
        self._signed = True
        written = signature_for(signature, item, self.signer)
        return delta(self.index, b"signature_delta", b"signature", _encode(written))


class ToolBlock:
    """The open tool use. Arguments that begin like an object go on as they come, all others wait for their end."""

    TAKES: Final = (ToolArguments,)

    __slots__ = ("_held", "_name", "_streams", "_tool_id", "custom", "index", "number")

    def __init__(self, event: ToolStarted, index: int, tool_id: str) -> None:
        self.number = event.block
        self.index = index
        self.custom = event.kind is ToolKind.CUSTOM
        self._tool_id = tool_id
        self._name = event.name
        self._held: list[str] = []
        self._streams = False

    def begin(self) -> bytes:
        block: dict[str, Any] = {"type": "tool_use", "id": self._tool_id, "name": self._name, "input": {}}
        return started(self.index, _encode(block))

    def add(self, event: Event, lost: set[Lost]) -> bytes:  # noqa: ARG002 - the surface of all blocks
        if not isinstance(event, ToolArguments) or not event.text:
            return b""
        if self._streams:
            return self._written(event.text)
        text = event.text if self._held else event.text.lstrip()
        if not text:
            return b""
        if self.custom or self._held or not text.startswith("{"):
            self._held.append(event.text)
            return b""
        self._streams = True
        return self._written(text)

    def end(self, lost: set[Lost]) -> bytes:
        if self._streams:
            return stopped(self.index)
        kind = ToolKind.CUSTOM if self.custom else ToolKind.FUNCTION
        arguments, whole = object_of("".join(self._held), kind)
        if not whole:
            lost.add(Lost.TOOL_ARGUMENTS)
        return self._written(bytes(arguments).decode()) + stopped(self.index)

    def _written(self, text: str) -> bytes:
        return delta(self.index, b"input_json_delta", b"partial_json", _encode(text))


OpenBlock = TextBlock | ThinkingBlock | ToolBlock


def whole_block(event: Whole, signer: Signer) -> bytes | None:
    """Return a block that comes in one piece as JSON, None for one that the client's dialect has no like of."""
    content = event.content
    if isinstance(content, Foreign):
        return bytes(content.raw) if content.dialect is _OWN else None
    return redacted(content, signer)


def redacted(content: RedactedThinking, signer: Signer) -> bytes:
    """Return a redacted thinking block as JSON."""
    return _encode({"type": "redacted_thinking", "data": signature_for(content.data, None, signer)})
