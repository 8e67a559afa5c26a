"""One choice of an answer for a chat client: what its events are as deltas of a stream, or as one message."""

from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Raw

from headgate.model.content import RedactedThinking, ToolKind
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
    Whole,
)
from headgate.model.losses import Lost
from headgate.protocols.canonical import Reply
from headgate.protocols.openai_chat import tables
from headgate.protocols.openai_chat.annotations import annotation_of
from headgate.protocols.openai_chat.thinking import BETWEEN, ENCRYPTED, TEXT
from headgate.protocols.signatures import Signed, wrap

_OUTPUTS: Final = frozenset({"audio", "images"})
"""Whole blocks of this dialect's own that have a member of the message."""

_encode: Final = msgspec.json.Encoder().encode


class _Tool:
    __slots__ = ("arguments", "id", "kind", "name", "number")

    def __init__(self, number: int, started: ToolStarted, call_id: str) -> None:
        self.number = number
        self.id = call_id
        self.name = started.name
        self.kind = started.kind
        self.arguments: list[str] = []


class _Thought:
    __slots__ = ("number", "part", "said", "signature", "texts")

    def __init__(self, number: int) -> None:
        self.number = number
        self.part = 0
        self.said = False
        self.signature = ""
        self.texts: list[str] = []

    def detail(self) -> dict[str, object]:
        """Return the block whole, as `reasoning_details` has it."""
        return {"type": TEXT, "text": "".join(self.texts), "index": self.number, "signature": self.signature}


class ChoiceWriter:
    """`deltas` turns events into the members of deltas, as JSON without braces; `message` is for whole answers.

    With `keep` all is kept for `message`, else only open blocks, calls and citations. `legacy`: the client offered
    functions and no tools, so it knows one `function_call` only.
    """

    def __init__(self, index: int, reply: Reply, lost: set[Lost], *, legacy: bool, keep: bool) -> None:
        self.index = index
        self.started = False
        self.logprobs: list[Raw] = []
        self._reply = reply
        self._lost = lost
        self._legacy = legacy
        self._keep = keep
        self._length = 0  # of the content so far, in characters
        self._texts: list[str] = []
        self._refusal: list[str] = []
        self._refused = False
        self._spans: dict[int, tuple[int, int]] = {}
        self._citations: list[CitationSeen] = []
        self._cited: set[int] = set()
        self._tools: dict[int, _Tool] = {}
        self._thoughts: dict[int, _Thought] = {}
        self._numbers = 0  # of `reasoning_details`
        self._thought = False
        self._redacted: dict[int, dict[str, object]] = {}
        self._outputs: dict[str, Raw] = {}
        self._finish: Finished | None = None

    def text(self, event: TextDelta) -> bytes:
        """Take a text and return its delta."""
        text = event.text
        start, _ = self._spans.get(event.block) or (self._length, 0)
        self._length += len(text)
        self._spans[event.block] = (start, self._length)
        if self._keep:
            self._texts.append(text)
            if event.logprobs is not None:
                self.logprobs.append(event.logprobs)
        return b'"content":' + _encode(text)

    def deltas(self, event: Event) -> Iterator[bytes]:
        """Take an event and yield its deltas."""
        match event:
            case ThinkingDelta():
                yield from self._think(event)
            case ToolArguments():
                yield from self._argue(event)
            case ToolStarted():
                yield from self._start(event)
            case RefusalDelta():
                self._refused = True
                if self._keep:
                    self._refusal.append(event.text)
                yield b'"refusal":' + _encode(event.text)
            case SignatureSeen():
                yield self._sign(event.block, event.signature, event.item)
            case BlockEnded():
                yield from self._end(event.block)
            case Whole():
                yield from self._whole(event)
            case CitationSeen():
                self._citations.append(event)
                self._cited.add(event.block)
            case Finished():
                self._finish = event
            case _:
                pass

    def last_deltas(self) -> Iterator[bytes]:
        """Yield what is left to say before the choice finishes."""
        for block in list(self._thoughts):
            yield from self._end(block)
        annotations = self._annotations()
        if annotations:
            # In one piece: the SDK takes a second one for an error, since annotations have no index.
            yield b'"annotations":' + _encode(annotations)

    def finish_reason(self) -> str:
        """Return the word for why the choice ended."""
        finish = Finish.UNKNOWN if self._finish is None else self._finish.finish
        if finish in (Finish.STOP, Finish.TOOL_USE, Finish.UNKNOWN) and self._tools:
            return "function_call" if self._legacy else "tool_calls"
        if finish is Finish.TOOL_USE or (finish is Finish.REFUSAL and self._refused):
            return "stop"
        return tables.FINISH_WRITTEN[finish]

    def message(self) -> dict[str, object]:
        """Return the message of a whole answer; call it after `last_deltas`.

        Where nothing was said its content is an empty text, as a stream's role frame has it: only a message that holds
        something else has none.
        """
        something_else = bool(self._refused or self._tools or self._outputs)
        message: dict[str, object] = {
            "role": "assistant",
            "content": "".join(self._texts) if self._texts or not something_else else None,
            "refusal": "".join(self._refusal) if self._refused else None,
            "annotations": self._annotations(),
            **self._outputs,
        }
        texts = ["".join(thought.texts) for thought in self._thoughts.values() if thought.said]
        if texts:
            message["reasoning_content"] = BETWEEN.join(texts)
        details = {thought.number: thought.detail() for thought in self._thoughts.values()} | self._redacted
        if details:
            message["reasoning_details"] = [details[number] for number in sorted(details)]
        calls = [_call(tool) for tool in self._tools.values()]
        if calls and self._legacy:
            message["function_call"] = calls[0]["function"]
        elif calls:
            message["tool_calls"] = calls
        return message

    def _think(self, event: ThinkingDelta) -> Iterator[bytes]:
        thought = self._thoughts.get(event.block) or self._new_thought(event.block)
        text = event.text
        if event.part != thought.part and thought.said:
            text = BETWEEN + text
        thought.part = event.part
        if not text:
            return
        said = text
        if self._thought and not thought.said:
            said = BETWEEN + text  # blocks are told apart in `reasoning_details` alone
        thought.said = self._thought = True
        if self._keep:
            thought.texts.append(text)
        detail = b'{"type":"%b","text":%b,"index":%d}' % (TEXT.encode(), _encode(text), thought.number)
        yield b'"reasoning_content":%b,"reasoning_details":[%b]' % (_encode(said), detail)

    def _new_thought(self, block: int) -> _Thought:
        thought = self._thoughts[block] = _Thought(self._numbers)
        self._numbers += 1
        return thought

    def _sign(self, block: int, signature: str, item: str | None) -> bytes:
        """Return who made a thinking block and how it is signed; an unsigned one finds its way back too."""
        thought = self._thoughts.get(block) or self._new_thought(block)
        thought.signature = wrap(Signed(self._reply.signer, item, signature))
        signed = {"type": TEXT, "signature": thought.signature, "index": thought.number}
        return b'"reasoning_details":' + _encode([signed])

    def _end(self, block: int) -> Iterator[bytes]:
        thought = self._thoughts.get(block)
        if thought is not None and not thought.signature:
            yield self._sign(block, "", None)
        if not self._keep:
            self._thoughts.pop(block, None)
            if block not in self._cited:
                self._spans.pop(block, None)

    def _whole(self, event: Whole) -> Iterator[bytes]:
        content = event.content
        if isinstance(content, RedactedThinking):
            data = wrap(Signed(self._reply.signer, None, content.data))
            detail: dict[str, object] = {"type": ENCRYPTED, "data": data, "index": self._numbers}
            if self._keep:
                self._redacted[self._numbers] = detail
            self._numbers += 1
            yield b'"reasoning_details":' + _encode([detail])
        elif content.dialect is Dialect.OPENAI_CHAT and content.name in _OUTPUTS:
            if self._keep:
                self._outputs[content.name] = content.raw
            yield _encode({content.name: content.raw})[1:-1]
        else:
            self._lost.add(Lost.FOREIGN)

    def _start(self, event: ToolStarted) -> Iterator[bytes]:
        if self._legacy and self._tools:
            self._lost.add(Lost.TOOL)
            return
        number = len(self._tools)
        tool = _Tool(number, event, event.id or f"{self._reply.id}_{self.index}_{number}")
        self._tools[event.block] = tool
        if self._legacy:
            yield b'"function_call":{"name":%b,"arguments":""}' % _encode(tool.name)
        else:
            yield b'"tool_calls":[{"index":%d,%b]' % (number, _encode(_call(tool))[1:])

    def _argue(self, event: ToolArguments) -> Iterator[bytes]:
        tool = self._tools.get(event.block)
        if tool is None or not event.text:
            return
        if self._keep:
            tool.arguments.append(event.text)
        text = _encode(event.text)
        if self._legacy:
            yield b'"function_call":{"arguments":%b}' % text
        elif tool.kind is ToolKind.FUNCTION:
            yield b'"tool_calls":[{"index":%d,"function":{"arguments":%b}}]' % (tool.number, text)
        else:
            yield b'"tool_calls":[{"index":%d,"custom":{"input":%b}}]' % (tool.number, text)

    def _annotations(self) -> list[dict[str, object]]:
        annotations = []
        for citation in self._citations:
            annotation = annotation_of(citation.raw, *self._spans.get(citation.block, (self._length, self._length)))
            if annotation is None:
                self._lost.add(Lost.CITATIONS)
            else:
                annotations.append(annotation)
        return annotations


def _call(tool: _Tool) -> dict[str, object]:
    word = tables.TOOL_KIND_WRITTEN[tool.kind]
    member = "arguments" if tool.kind is ToolKind.FUNCTION else "input"
    return {"id": tool.id, "type": word, word: {"name": tool.name, member: "".join(tool.arguments)}}
