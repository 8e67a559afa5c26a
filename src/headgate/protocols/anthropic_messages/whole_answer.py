"""The content of an answer that is no stream, out of its events."""

from collections.abc import Iterable
from typing import Any, Final

from msgspec import Raw

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
from headgate.protocols.anthropic_messages.answer_blocks import PART, whole_block
from headgate.protocols.anthropic_messages.for_clients import citation_for, signature_for
from headgate.protocols.anthropic_messages.tool_input import object_of
from headgate.protocols.canonical import Reply


class _Text:
    __slots__ = ("citations", "texts")

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.citations: list[Raw] = []


class _Thinking:
    __slots__ = ("item", "part", "signature", "texts")

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.part: int | None = None
        self.signature = ""
        self.item: str | None = None


class _Tool:
    __slots__ = ("started", "texts")

    def __init__(self, started: ToolStarted) -> None:
        self.started = started
        self.texts: list[str] = []


_Gathered = _Text | _Thinking | _Tool | Whole
_FIRST: Final[dict[type[Event], type[_Text] | type[_Thinking]]] = {
    TextDelta: _Text,
    RefusalDelta: _Text,
    CitationSeen: _Text,
    ThinkingDelta: _Thinking,
    SignatureSeen: _Thinking,
}


def content_of(events: Iterable[Event], reply: Reply, lost: set[Lost]) -> list[dict[str, Any] | Raw]:
    """Return the content blocks in the order they began; `events` are those of blocks alone."""
    gathered: dict[int, _Gathered] = {}
    for event in events:
        _gather(gathered, event)
    written = (_written(block, index, reply, lost) for index, block in enumerate(gathered.values()))
    return [block for block in written if block is not None]


def _gather(gathered: dict[int, _Gathered], event: Event) -> None:
    """Add an event to its block; one of another kind than its block's is nobody's."""
    match event:
        case ToolStarted():
            gathered.setdefault(event.block, _Tool(event))
        case Whole():
            gathered.setdefault(event.block, event)
        case ToolArguments():
            if isinstance(tool := gathered.get(event.block), _Tool):
                tool.texts.append(event.text)
        case TextDelta() | RefusalDelta() | CitationSeen() | ThinkingDelta() | SignatureSeen():
            _add(gathered.setdefault(event.block, _FIRST[type(event)]()), event)
        case _:
            pass


def _add(block: _Gathered, event: TextDelta | RefusalDelta | CitationSeen | ThinkingDelta | SignatureSeen) -> None:
    if isinstance(block, _Text):
        if isinstance(event, TextDelta | RefusalDelta):
            block.texts.append(event.text)
        elif isinstance(event, CitationSeen):
            block.citations.append(event.raw)
    elif isinstance(block, _Thinking):
        if isinstance(event, SignatureSeen):
            block.signature, block.item = event.signature, event.item
        elif isinstance(event, ThinkingDelta) and event.text:
            if block.part not in (None, event.part):
                block.texts.append(PART)
            block.part = event.part
            block.texts.append(event.text)


def _written(block: _Gathered, index: int, reply: Reply, lost: set[Lost]) -> dict[str, Any] | Raw | None:
    match block:
        case _Text():
            return _text(block, reply, lost)
        case _Thinking():
            signature = signature_for(block.signature, block.item, reply.signer)
            return {"type": "thinking", "thinking": "".join(block.texts), "signature": signature}
        case _Tool():
            return _tool(block, index, reply, lost)
        case Whole():
            whole = whole_block(block, reply.signer)
            if whole is None:
                lost.add(Lost.FOREIGN)
            return None if whole is None else Raw(whole)


def _text(block: _Text, reply: Reply, lost: set[Lost]) -> dict[str, Any] | None:
    text = "".join(block.texts)
    citations = [each for raw in block.citations if (each := citation_for(raw, reply.signer)) is not None]
    if len(citations) < len(block.citations):
        lost.add(Lost.CITATIONS)
    if not text and not citations:
        return None
    written: dict[str, Any] = {"type": "text", "text": text}
    if citations:
        written["citations"] = [Raw(each) for each in citations]
    return written


def _tool(block: _Tool, index: int, reply: Reply, lost: set[Lost]) -> dict[str, Any]:
    started = block.started
    arguments, whole = object_of("".join(block.texts), started.kind)
    if not whole:
        lost.add(Lost.TOOL_ARGUMENTS)
    tool_id = started.id or f"toolu_{reply.id}_{index}"
    return {"type": "tool_use", "id": tool_id, "name": started.name, "input": arguments}
