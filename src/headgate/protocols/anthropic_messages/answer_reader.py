"""An upstream's answer in this dialect as events.

Events as in the anthropic SDK's RawMessageStreamEvent; what compatible servers do otherwise (text, input or a signature
in the start of a block, blocks that never start or stop, a second message_start) is read as it is meant.
"""

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Raw

from headgate.model.content import RedactedThinking, ToolKind
from headgate.model.conversation import Request, Tool
from headgate.model.events import (
    BlockEnded,
    CitationSeen,
    Event,
    Failed,
    Finish,
    Finished,
    RefusalDelta,
    SignatureSeen,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolArguments,
    ToolStarted,
    UnknownSeen,
    UsageSeen,
    Whole,
)
from headgate.protocols import counts
from headgate.protocols.anthropic_messages.codec import read_usage
from headgate.protocols.anthropic_messages.foreign_block import ForeignBlock
from headgate.protocols.anthropic_messages.frames import (
    Content,
    Delta,
    Frame,
    Message,
    content_of,
    frame_of,
    message_of,
    named,
    there,
)
from headgate.protocols.anthropic_messages.tables import FINISH
from headgate.protocols.anthropic_messages.tool_input import free_text_of
from headgate.protocols.canonical import AnswerReader
from headgate.protocols.failure_text import failure_text

_UNREADABLE: Final = (ValueError, RecursionError)
_MAX_KIND: Final = 100
_NO_CONTENT: Final = Content()


class _Open:
    """A block that has begun: its number among the events, its type, and what of it waits for its end."""

    __slots__ = ("arguments", "custom", "foreign", "kind", "number", "whole_input")

    def __init__(self, number: int, kind: str) -> None:
        self.number = number
        self.kind = kind
        self.custom = False
        self.arguments: list[str] | None = None  # of a custom tool; else [] once some were seen
        self.whole_input = ""
        self.foreign: ForeignBlock | None = None


class MessagesReader(AnswerReader):
    """Reader of messages streams and whole messages."""

    def __init__(self, request: Request) -> None:
        self._custom = frozenset(
            tool.name for tool in request.tools if isinstance(tool, Tool) and tool.kind is ToolKind.CUSTOM
        )
        self._open: dict[int, _Open] = {}
        self._next = 0
        self._started = False
        self._finished = False
        self._usage: dict[str, Any] = {}

    def frame(self, event: bytes | None, data: bytes) -> Sequence[Event]:
        try:
            frame = frame_of(data)
        except _UNREADABLE:
            return self._unread(event, data)
        kind = frame.type
        if kind == "content_block_delta":
            delta = frame.delta
            return () if delta is None else self._delta(frame.index, delta, data)
        if kind == "content_block_start":
            return self._start(frame.index, frame.content_block, data)
        if kind == "content_block_stop":
            block = self._open.pop(frame.index, None)
            return () if block is None else self._ended(block)
        return self._of_the_message(frame, event, data)

    def body(self, body: bytes) -> Sequence[Event]:
        try:
            message = message_of(body)
        except _UNREADABLE:
            return self._unread(None, body)
        if message.content is None and there(message.error):
            return self._failed(message.error, body)
        return [*self._opening(message), *self._all(message), *self._finish(message)]

    def end(self) -> Sequence[Event]:
        events: list[Event] = []
        for block in self._open.values():
            events += self._ended(block)
        self._open.clear()
        return events

    def _of_the_message(self, frame: Frame, event: bytes | None, data: bytes) -> Sequence[Event]:
        match frame.type:
            case "message_delta":
                return self._message_delta(frame.delta, frame.usage)
            case "message_start":
                return self._message_start(frame.message, data)
            case "message_stop":
                return self.end()
            case "ping":
                return ()
            case kind:
                failed = kind == "error" or event == b"error"
                return self._failed(frame.error, data) if failed else self._unread(event, data)

    def _message_start(self, raw: Raw, data: bytes) -> Sequence[Event]:
        if self._started:
            return ()
        try:
            message = message_of(raw)
        except _UNREADABLE:
            return self._unread(b"message_start", data)
        events = [*self._opening(message), *self._all(message)]
        return [*events, *self._finish(message)] if message.stop_reason else events

    def _opening(self, message: Message) -> list[Event]:
        self._started = True
        started = Started(message.id or "", message.model or "", 0, named(message.usage).service_tier)
        return [*self._used(message.usage), started]  # a client of this dialect is told the usage in the start

    def _all(self, message: Message) -> list[Event]:
        """Return the blocks that stand in a message whole."""
        events: list[Event] = []
        for raw in message.content or ():
            events += self._begun(-1, raw)
            block = self._open.pop(-1, None)
            if block is not None:
                events += self._ended(block)
        return events

    def _finish(self, said: Message | Delta) -> list[Event]:
        if self._finished or said.stop_reason is None:
            return []
        self._finished = True
        events = list(self.end())
        explanation = named(said.stop_details).explanation
        if explanation:
            number = self._numbered()
            events += (RefusalDelta(number, explanation), BlockEnded(number))
        word = said.stop_reason
        events.append(Finished(FINISH.get(word, Finish.UNKNOWN), 0, said.stop_sequence, word))
        return events

    def _message_delta(self, delta: Delta | None, usage: Raw) -> Sequence[Event]:
        used = self._used(usage)
        return used if delta is None else [*used, *self._finish(delta)]

    def _used(self, usage: Raw) -> list[Event]:
        """Return the usage so far: counts are cumulative, and a zero after a number is one that was not repeated."""
        if not there(usage):
            return []
        self._usage.update(
            {
                name: value
                for name, value in counts.decode_exact(usage).items()
                if value is not None and (value or name not in self._usage)
            }
        )
        reported = read_usage(self._usage)
        return [] if reported is None else [UsageSeen(reported)]

    def _start(self, index: int, raw: Raw, data: bytes) -> Sequence[Event]:
        before = self._open.pop(index, None)
        events = [] if before is None else self._ended(before)
        if not there(raw):
            return [*events, *self._unread(b"content_block_start", data)]
        return [*events, *self._begun(index, raw)]

    def _begun(self, index: int, raw: Raw) -> list[Event]:
        try:
            content = content_of(raw)
        except _UNREADABLE:
            content = _NO_CONTENT
        if not content.type:
            return list(self._unread(b"content_block_start", bytes(raw)))
        block = self._open[index] = _Open(self._numbered(), content.type)
        return self._first(block, content, raw)

    def _first(self, block: _Open, content: Content, raw: Raw) -> list[Event]:
        """Return what the start of a block holds of it."""
        number = block.number
        events: list[Event] = []
        match block.kind:
            case "text":
                if content.text:
                    events.append(TextDelta(number, content.text))
                events += (CitationSeen(number, citation) for citation in content.citations or ())
            case "thinking":
                if content.thinking:
                    events.append(ThinkingDelta(number, content.thinking))
                if content.signature:
                    events.append(SignatureSeen(number, content.signature))
            case "redacted_thinking" if content.data is not None:
                events.append(Whole(number, RedactedThinking(content.data)))
            case "tool_use" if content.name is not None:
                block.custom = content.name in self._custom
                block.whole_input = bytes(content.input).decode("utf-8", "replace") if there(content.input) else ""
                kind = ToolKind.CUSTOM if block.custom else ToolKind.FUNCTION
                events.append(ToolStarted(number, content.id or "", content.name, kind=kind))
            case _:
                block.foreign = ForeignBlock(content.type, raw)
        return events

    def _delta(self, index: int, delta: Delta, data: bytes) -> Sequence[Event]:
        block = self._open.get(index)
        if block is None:
            block = self._implied(index, delta.type)
            if block is None:
                return self._unread(b"content_block_delta", data)
        if block.foreign is not None:
            block.foreign.add(data)
            return ()
        kind = delta.type
        if kind == "text_delta" and block.kind == "text":
            return (TextDelta(block.number, delta.text),) if delta.text else ()
        if kind == "input_json_delta" and block.kind == "tool_use":
            return self._arguments(block, delta.partial_json or "")
        if kind == "thinking_delta" and block.kind == "thinking":
            return (ThinkingDelta(block.number, delta.thinking),) if delta.thinking else ()
        if kind == "signature_delta" and block.kind == "thinking":
            return (SignatureSeen(block.number, delta.signature),) if delta.signature else ()
        if kind == "citations_delta" and block.kind == "text" and there(delta.citation):
            return (CitationSeen(block.number, delta.citation),)
        return self._unread(b"content_block_delta", data)

    def _implied(self, index: int, delta: str) -> _Open | None:
        """Return a block for a delta of one that never started, where the delta says what it is."""
        kind = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "thinking"}.get(delta)
        if kind is None:
            return None
        block = self._open[index] = _Open(self._numbered(), kind)
        return block

    def _arguments(self, block: _Open, text: str) -> Sequence[Event]:
        if not text:
            return ()
        if block.arguments is None:
            block.arguments = []
        if block.custom:
            block.arguments.append(text)
            return ()
        return (ToolArguments(block.number, text),)

    def _ended(self, block: _Open) -> list[Event]:
        events: list[Event] = []
        number = block.number
        if block.foreign is not None:
            events.append(Whole(number, block.foreign.whole()))
        elif block.kind == "tool_use":
            if block.custom:
                text = "".join(block.arguments) if block.arguments else block.whole_input
                events.append(ToolArguments(number, free_text_of(text)))
            elif block.arguments is None:
                events.append(ToolArguments(number, block.whole_input or "{}"))
        events.append(BlockEnded(number))
        return events

    def _failed(self, error: Raw, data: bytes) -> Sequence[Event]:
        return (Failed(failure_text(data), (named(error).type or "")[:_MAX_KIND]),)

    def _unread(self, event: bytes | None, data: bytes) -> Sequence[Event]:
        name = (event or b"").decode("utf-8", "replace")[:_MAX_KIND]
        return (UnknownSeen(name, data),)

    def _numbered(self) -> int:
        number = self._next
        self._next += 1
        return number
