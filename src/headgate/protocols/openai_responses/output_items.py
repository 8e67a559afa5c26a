"""The items of an answer for a responses client, as they grow: what a stream says of them and what they are in the end.

Forms: openai.types.responses.response_output_message, response_reasoning_item, response_function_tool_call,
response_custom_tool_call and their events. A `Said` is an event's type and its members but for the sequence number.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from headgate.model.content import ToolKind
from headgate.model.events import CitationSeen, TextDelta, ThinkingDelta, ToolStarted
from headgate.model.losses import Lost
from headgate.protocols.openai_responses import tables
from headgate.protocols.openai_responses.annotations import annotation_of
from headgate.protocols.openai_responses.logprobs import item_form
from headgate.protocols.openai_responses.namespaces import NAMESPACE, Origin

Said = tuple[bytes, bytes]

COMPLETED: Final = "completed"

_encode: Final = msgspec.json.Encoder().encode


def added(index: int, item: object) -> Said:
    """Return the event that begins an item."""
    return b"response.output_item.added", b'"output_index":%d,"item":%b' % (index, _encode(item))


def done(index: int, item: object) -> Said:
    """Return the event that ends an item."""
    return b"response.output_item.done", b'"output_index":%d,"item":%b' % (index, _encode(item))


class TextPart:
    """A text or refusal. `head` are the members of its deltas up to their text; `message` is its item's index."""

    __slots__ = ("_annotations", "_citations", "_logprobs", "_place", "head", "message", "open", "refusal", "texts")

    def __init__(self, message: "MessageOut", *, refusal: bool) -> None:
        self.message = message.index
        self.refusal = refusal
        self.open = True
        self.texts: list[str] = []
        self._citations: list[CitationSeen] = []
        self._annotations: list[dict[str, object]] = []
        self._logprobs: list[dict[str, Any]] = []
        place = b'"item_id":%b,"output_index":%d,"content_index":%d'
        self._place = place % (_encode(message.id), message.index, len(message.parts))
        self.head = self._place + b',"delta":'

    def begin(self) -> Said:
        return b"response.content_part.added", b'%b,"part":%b' % (self._place, _encode(self.part()))

    def say(self, text: str) -> Said:
        self.texts.append(text)
        if self.refusal:
            return b"response.refusal.delta", self.head + _encode(text)
        return b"response.output_text.delta", self.head + _encode(text) + b',"logprobs":[]'

    def say_with_logprobs(self, event: TextDelta) -> Said:
        self.texts.append(event.text)
        tokens = [] if event.logprobs is None else item_form(event.logprobs)
        self._logprobs += tokens
        return b"response.output_text.delta", b'%b%b,"logprobs":%b' % (self.head, _encode(event.text), _encode(tokens))

    def cite(self, event: CitationSeen) -> None:
        self._citations.append(event)

    def end(self, lost: set[Lost]) -> Iterator[Said]:
        """Yield the end of the part; citations come with it, as some cite for all of the text."""
        self.open = False
        text = "".join(self.texts)
        self.texts = [text]
        for citation in self._citations:
            annotation = annotation_of(citation.raw, len(text))
            if annotation is None:
                lost.add(Lost.CITATIONS)
                continue
            at = b'%b,"annotation_index":%d' % (self._place, len(self._annotations))
            yield b"response.output_text.annotation.added", b'%b,"annotation":%b' % (at, _encode(annotation))
            self._annotations.append(annotation)
        if self.refusal:
            yield b"response.refusal.done", b'%b,"refusal":%b' % (self._place, _encode(text))
        else:
            said = b'%b,"text":%b,"logprobs":%b' % (self._place, _encode(text), _encode(self._logprobs))
            yield b"response.output_text.done", said
        yield b"response.content_part.done", b'%b,"part":%b' % (self._place, _encode(self.part()))

    def part(self) -> dict[str, object]:
        text = "".join(self.texts)
        if self.refusal:
            return {"type": "refusal", "refusal": text}
        return {"type": "output_text", "annotations": self._annotations, "logprobs": self._logprobs, "text": text}


class MessageOut:
    __slots__ = ("id", "index", "parts")

    def __init__(self, index: int, identity: str) -> None:
        self.index = index
        self.id = identity
        self.parts: list[TextPart] = []

    def begin(self) -> Said:
        return added(self.index, self.item("in_progress"))

    def new_part(self, *, refusal: bool) -> TextPart:
        part = TextPart(self, refusal=refusal)
        self.parts.append(part)
        return part

    def item(self, status: str) -> dict[str, object]:
        content = [part.part() for part in self.parts]
        return {"id": self.id, "type": "message", "status": status, "content": content, "role": "assistant"}


class ReasoningOut:
    """A reasoning: parts of a summary, or texts of the reasoning itself."""

    __slots__ = ("_content", "_open", "_part", "_place", "_raw_text", "_summary", "_texts", "id", "index", "sealed")

    def __init__(self, index: int, identity: str) -> None:
        self.index = index
        self.id = identity
        self.sealed: str | None = None
        self._summary: list[dict[str, str]] = []
        self._content: list[dict[str, str]] = []
        self._texts: list[str] = []
        self._open = False
        self._raw_text = False
        self._part = 0
        self._place = b""

    def begin(self) -> Said:
        return added(self.index, self.item())

    def think(self, event: ThinkingDelta) -> Iterator[Said]:
        if not event.text:
            return
        if self._open and (event.part != self._part or event.raw_text is not self._raw_text):
            yield from self._end_part()
        if not self._open:
            yield self._begin_part(event)
        self._texts.append(event.text)
        name = b"response.reasoning_text.delta" if self._raw_text else b"response.reasoning_summary_text.delta"
        yield name, b'%b,"delta":%b' % (self._place, _encode(event.text))

    def end(self) -> Iterator[Said]:
        if self._open:
            yield from self._end_part()
        yield done(self.index, self.item())

    def item(self) -> dict[str, object]:
        item: dict[str, object] = {"id": self.id, "type": "reasoning", "summary": self._summary}
        if self._content:
            item["content"] = self._content
        if self.sealed is not None:
            item["encrypted_content"] = self.sealed
        return item

    def _begin_part(self, event: ThinkingDelta) -> Said:
        self._open, self._part, self._raw_text, self._texts = True, event.part, event.raw_text, []
        if self._raw_text:
            name, index = b"content_index", len(self._content)
        else:
            name, index = b"summary_index", len(self._summary)
        self._place = b'"item_id":%b,"output_index":%d,"%b":%d' % (_encode(self.id), self.index, name, index)
        kind = b"response.content_part.added" if self._raw_text else b"response.reasoning_summary_part.added"
        return kind, b'%b,"part":%b' % (self._place, _encode(self._said("")))

    def _end_part(self) -> Iterator[Said]:
        self._open = False
        text = "".join(self._texts)
        members = b'%b,"text":%b' % (self._place, _encode(text))
        part = b'%b,"part":%b' % (self._place, _encode(self._said(text)))
        if self._raw_text:
            self._content.append(self._said(text))
            yield b"response.reasoning_text.done", members
            yield b"response.content_part.done", part
        else:
            self._summary.append(self._said(text))
            yield b"response.reasoning_summary_text.done", members
            yield b"response.reasoning_summary_part.done", part

    def _said(self, text: str) -> dict[str, str]:
        return {"type": "reasoning_text" if self._raw_text else "summary_text", "text": text}


class CallOut:
    """A call of a function or a custom tool; `origin` of one in a namespace."""

    __slots__ = ("_event", "_head", "_member", "_named", "_texts", "call_id", "id", "index", "kind")

    def __init__(self, index: int, identity: str, call_id: str, started: ToolStarted, origin: Origin | None) -> None:
        self.index = index
        self.id = identity
        self.call_id = call_id
        self._named = {"name": started.name} if origin is None else {"name": origin[1], NAMESPACE: origin[0]}
        self.kind = started.kind
        self._texts: list[str] = []
        self._member = tables.ARGUMENTS[started.kind]
        function = started.kind is ToolKind.FUNCTION
        self._event = b"response.function_call_arguments" if function else b"response.custom_tool_call_input"
        self._head = b'"item_id":%b,"output_index":%d' % (_encode(identity), index)

    def begin(self) -> Said:
        return added(self.index, self.item("in_progress"))

    def argue(self, text: str) -> Said:
        self._texts.append(text)
        return self._event + b".delta", b'%b,"delta":%b' % (self._head, _encode(text))

    def end(self, status: str) -> Iterator[Said]:
        text = "".join(self._texts)
        self._texts = [text]
        yield self._event + b".done", b'%b,"%b":%b' % (self._head, self._member.encode(), _encode(text))
        yield done(self.index, self.item(status))

    def item(self, status: str) -> dict[str, object]:
        return {
            "id": self.id,
            "type": tables.CALL_TYPE[self.kind],
            "status": status,
            "call_id": self.call_id,
            **self._named,
            self._member: "".join(self._texts),
        }
