"""One choice of an upstream's chat answer as events: where its blocks begin and end is told by what comes next.

A chat has no blocks: text, refusal and thinking end where something else begins. Tool calls may interleave by their
index, so one ends early only where another begins and its own arguments are whole.
"""

from typing import Any, Final

import msgspec
from msgspec import Raw

from headgate.model.content import Foreign, RedactedThinking, ToolKind
from headgate.model.dialect import Dialect
from headgate.model.events import (
    BlockEnded,
    CitationSeen,
    Event,
    Finish,
    Finished,
    RefusalDelta,
    SignatureSeen,
    TextDelta,
    ThinkingDelta,
    ToolArguments,
    ToolStarted,
    UnknownSeen,
    Whole,
)
from headgate.protocols.json_object import is_object
from headgate.protocols.openai_chat.chunk import Choice, Delta, FunctionDelta, ToolDelta, is_list, more_than_text, said
from headgate.protocols.openai_chat.tables import FINISH_READ
from headgate.protocols.openai_chat.thinking import ENCRYPTED, EXTRA_CONTENT, MEMBER_OF, TOOL_CALL

MAX_TOOLS: Final = 1_024
"""Tool calls of one choice; no answer has a tenth of it."""

_encode: Final = msgspec.json.Encoder().encode
_LEGACY: Final = -1
"""The index of `function_call`, the one call that answers of old could hold."""


class _Tool:
    """A tool call under way, begun once its name is known. `pieces` of its arguments wait for what shows them whole."""

    __slots__ = ("block", "id", "kind", "name", "open", "pieces", "started")

    def __init__(self, call_id: str, kind: ToolKind) -> None:
        self.block = -1
        self.id = call_id
        self.kind = kind
        self.name = ""
        self.pieces: list[str] = []
        self.started = False
        self.open = True


class ChoiceReader:
    """Reads the deltas of one choice; `whole`: its one message instead. Every method appends to `events`."""

    def __init__(self, index: int, *, whole: bool) -> None:
        self._index = index
        self._whole = whole
        self._blocks = 0
        self._text = self._refusal = self._thinking = -1  # the open block of each kind
        self._detail: dict[str, Any] | None = None
        self._detail_key: object = None
        self._tools: list[_Tool] = []
        self._by_index: dict[int, _Tool] = {}
        self._by_id: dict[str, _Tool] = {}
        self._last: _Tool | None = None
        self._word = ""
        self._sequence: str | None = None
        self._events: list[Event] = []

    def read(self, choice: Choice, events: list[Event]) -> None:
        """Read what a frame says of this choice."""
        self._events = events
        delta = choice.delta or choice.message
        if delta is not None:
            logprobs = choice.logprobs.content if choice.logprobs is not None else None
            content = delta.content
            if content and type(content) is str and self._text >= 0 and logprobs is None and not more_than_text(delta):
                events.append(TextDelta(self._text, content, self._index))
            else:
                self._read(delta, logprobs if logprobs is not None and is_list(logprobs) else None)
        if choice.finish_reason:
            self._word = choice.finish_reason
            stop = choice.stop_reason if choice.stop_reason is not None else choice.matched_stop
            self._sequence = stop if isinstance(stop, str) else None

    def end(self, events: list[Event]) -> None:
        """End all blocks, and the choice where its finish reason came."""
        self._events = events
        self._end_texts()
        for tool in self._tools:
            if not tool.started:
                self._start(tool)
            if tool.open:
                self._end_tool(tool)
        if self._word:
            finish = FINISH_READ.get(self._word, Finish.UNKNOWN)
            if finish is Finish.STOP and self._tools:
                finish = Finish.TOOL_USE  # a call of a named tool ends with "stop" (OpenAI), some servers always do
            elif finish is Finish.STOP and self._sequence is not None:
                finish = Finish.STOP_SEQUENCE
            events.append(Finished(finish, self._index, self._sequence, self._word))
            self._word = ""

    def _read(self, delta: Delta, logprobs: Raw | None) -> None:
        if delta.reasoning_details:
            self._read_details(delta.reasoning_details)
        elif thought := delta.reasoning_content or delta.reasoning:
            self._think(thought, None)
        if isinstance(delta.content, list):
            self._read_parts(delta.content)
        elif delta.content or logprobs is not None:
            self._say(delta.content or "", logprobs)
        if delta.refusal:
            self._refuse(delta.refusal)
        for name, raw in (("audio", delta.audio), ("images", delta.images)):
            if said(raw):
                self._whole_block(Foreign(Dialect.OPENAI_CHAT, name, raw))
        for citation in delta.annotations or ():
            if self._text < 0:
                self._say("", None)
            self._events.append(CitationSeen(self._text, citation, self._index))
        for tool in delta.tool_calls or ():
            self._read_tool(tool)
        if delta.function_call is not None:
            self._read_tool(ToolDelta(index=_LEGACY, function=delta.function_call))

    def _new_block(self) -> int:
        self._blocks += 1
        return self._blocks - 1

    def _end_texts(self) -> None:
        """End the open text, refusal or thinking; no two of them are open at once."""
        if self._thinking >= 0:
            self._end_thinking()
        for block in (self._text, self._refusal):
            if block >= 0:
                self._events.append(BlockEnded(block, self._index))
        self._text = self._refusal = -1

    def _say(self, text: str, logprobs: Raw | None) -> None:
        if self._text < 0:
            self._end_texts()
            self._text = self._new_block()
        self._events.append(TextDelta(self._text, text, self._index, logprobs))

    def _refuse(self, text: str) -> None:
        if self._refusal < 0:
            self._end_texts()
            self._refusal = self._new_block()
        self._events.append(RefusalDelta(self._refusal, text, self._index))

    def _whole_block(self, content: RedactedThinking | Foreign) -> None:
        self._end_texts()
        block = self._new_block()
        self._events += (Whole(block, content, self._index), BlockEnded(block, self._index))

    def _think(self, text: str, key: object) -> None:
        if self._thinking < 0 or key != self._detail_key:
            self._end_texts()
            self._thinking = self._new_block()
            self._detail_key = key
        self._events.append(ThinkingDelta(self._thinking, text, self._index))

    def _end_thinking(self) -> None:
        if self._detail is not None:
            signature = _encode(self._detail).decode()
            self._events.append(SignatureSeen(self._thinking, signature, self._index))
        self._events.append(BlockEnded(self._thinking, self._index))
        self._thinking = -1
        self._detail = self._detail_key = None

    def _read_details(self, details: list[dict[str, Any]]) -> None:
        for at, entry in enumerate(details):
            kind = entry.get("type")
            name = MEMBER_OF.get(kind) if isinstance(kind, str) else None
            if name is None:
                if kind == ENCRYPTED:
                    self._whole_block(RedactedThinking(_encode(entry).decode()))
                else:
                    self._events.append(UnknownSeen("reasoning_details", _encode(entry)))
                continue
            text = entry.pop(name, None)
            key = (kind, entry.get("index"), at if self._whole else 0)
            self._think(text if isinstance(text, str) else "", key)
            signature = (self._detail or {}).get("signature")
            self._detail = {
                **(self._detail or {}),
                **{name: value for name, value in entry.items() if value is not None},
            }
            if isinstance(signature, str) and isinstance(more := entry.get("signature"), str):
                self._detail["signature"] = signature + more

    def _read_parts(self, parts: list[Any]) -> None:
        """Read content that is an array: Mistral's `thinking` parts hold texts themselves."""
        for part in parts:
            kind = part.get("type") if isinstance(part, dict) else None
            if kind == "text" and isinstance(part.get("text"), str):
                self._say(part["text"], None)
            elif kind == "thinking":
                inner = part.get("thinking")
                texts = [inner] if isinstance(inner, str) else inner if isinstance(inner, list) else []
                for each in texts:
                    text = each.get("text") if isinstance(each, dict) else each
                    if isinstance(text, str):
                        self._think(text, None)
            else:
                self._whole_block(Foreign(Dialect.OPENAI_CHAT, str(kind or "content")[:100], Raw(_encode(part))))

    def _read_tool(self, delta: ToolDelta) -> None:
        function = delta.function or FunctionDelta()
        name = function.name if delta.custom is None else delta.custom.name
        tool = self._tool_of(delta, name)
        if tool is None:
            tool = self._new_tool(delta)
            if tool is None:
                return
        self._last = tool
        tool.name = tool.name or name or ""
        tool.id = tool.id or delta.id or ""
        if not tool.started and tool.name:
            self._start(tool)
        arguments = function.arguments if delta.custom is None else delta.custom.input
        if arguments is not None and not isinstance(arguments, str):
            arguments = _encode(arguments).decode()
        if arguments:
            self._argue(tool, arguments)

    def _tool_of(self, delta: ToolDelta, name: str | None) -> _Tool | None:
        """Return the call that a delta goes on with, None for a new one.

        Not every server numbers them: then an id or a name that is new begins one. Some give all calls the index 0.
        """
        if self._whole:
            return None
        if delta.index is not None:
            tool = self._by_index.get(delta.index)
            other = tool is not None and delta.id and tool.id and delta.id != tool.id and name
            return None if other else tool
        if delta.id:
            return self._by_id.get(delta.id)
        return None if name and self._last is not None and self._last.name else self._last

    def _new_tool(self, delta: ToolDelta) -> _Tool | None:
        if len(self._tools) >= MAX_TOOLS:
            self._events.append(UnknownSeen("tool_calls", b""))
            return None
        self._end_texts()
        last = self._last
        if last is not None and last.open and last.kind is ToolKind.FUNCTION and last.started:
            arguments = "".join(last.pieces)
            if is_object(arguments.encode()):
                self._end_tool(last)
        if said(delta.extra_content):
            self._sign(delta)
        tool = _Tool(delta.id or "", ToolKind.FUNCTION if delta.custom is None else ToolKind.CUSTOM)
        self._tools.append(tool)
        if delta.index is not None:
            self._by_index[delta.index] = tool
        if delta.id:
            self._by_id[delta.id] = tool
        return tool

    def _sign(self, delta: ToolDelta) -> None:
        """Say a tool call's own thought signature as a thinking block before it, which other dialects can carry."""
        block = self._new_block()
        signature = _encode({TOOL_CALL: delta.id or "", EXTRA_CONTENT: delta.extra_content}).decode()
        self._events += (
            ThinkingDelta(block, "", self._index),
            SignatureSeen(block, signature, self._index),
            BlockEnded(block, self._index),
        )

    def _start(self, tool: _Tool) -> None:
        tool.started = True
        tool.block = self._new_block()
        self._events.append(ToolStarted(tool.block, tool.id, tool.name, self._index, tool.kind))
        self._events += [ToolArguments(tool.block, piece, self._index) for piece in tool.pieces]

    def _argue(self, tool: _Tool, text: str) -> None:
        if not tool.open:
            if not text.isspace():
                self._events.append(UnknownSeen("tool_calls", text.encode()))
            return
        tool.pieces.append(text)
        if tool.started:
            self._events.append(ToolArguments(tool.block, text, self._index))

    def _end_tool(self, tool: _Tool) -> None:
        tool.open = False
        tool.pieces.clear()
        self._events.append(BlockEnded(tool.block, self._index))
