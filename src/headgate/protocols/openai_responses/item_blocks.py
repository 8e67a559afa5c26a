"""One output item of an upstream's answer as events: a message, a reasoning, a call, or what no other dialect has."""

from collections.abc import Callable
from typing import Final

from msgspec import Raw

from headgate.model.content import Foreign, ToolKind
from headgate.model.dialect import Dialect
from headgate.model.events import (
    BlockEnded,
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
from headgate.protocols.openai_responses import tables
from headgate.protocols.openai_responses.frames import OutputItem, Part, said
from headgate.protocols.openai_responses.logprobs import chat_form
from headgate.protocols.openai_responses.namespaces import Namespaces

MAX_PARTS: Final = 1_024
"""Parts of one item; no answer has a tenth of it."""


class _Open:
    """A part of a message that has become a block."""

    __slots__ = ("block", "citations", "open", "said")

    def __init__(self, block: int) -> None:
        self.block = block
        self.citations = 0
        self.open = True
        self.said = False


class MessageItem:
    """A message: each part of it is a block, which begins with its first word.

    `new_block` numbers blocks. Every method appends to `events`; what was said already is not said again by `done`.
    """

    __slots__ = ("_new_block", "parts", "refused")

    def __init__(self, new_block: Callable[[], int]) -> None:
        self._new_block = new_block
        self.parts: dict[int, _Open] = {}
        self.refused = False

    def text(self, index: int, text: str, logprobs: Raw, events: list[Event]) -> bool:
        """Say a piece of text; False where its part has ended."""
        tokens = chat_form(logprobs) if said(logprobs) else None
        if not text and tokens is None:
            return True
        part = self._part(index)
        if part is None:
            return False
        part.said = True
        events.append(TextDelta(part.block, text, 0, tokens))
        return True

    def refusal(self, index: int, text: str, events: list[Event]) -> bool:
        if not text:
            return True
        part = self._part(index)
        if part is None:
            return False
        self.refused = part.said = True
        events.append(RefusalDelta(part.block, text))
        return True

    def cite(self, index: int, annotation: Raw, events: list[Event]) -> bool:
        part = self._part(index)
        if part is None:
            return False
        part.citations += 1
        events.append(CitationSeen(part.block, annotation))
        return True

    def said(self, index: int) -> bool:
        """Tell whether a part has words already."""
        part = self.parts.get(index)
        return part is not None and part.said

    def part_done(self, index: int, part: Part, events: list[Event]) -> None:
        """Say what of a part was not said yet, and end it."""
        if not self.said(index):
            if part.refusal:
                self.refusal(index, part.refusal, events)
            else:
                self.text(index, part.text or "", part.logprobs, events)
        opened = self.parts.get(index)
        if opened is None or not opened.open:
            return
        left = (part.annotations or ())[opened.citations :]
        events += [CitationSeen(opened.block, annotation) for annotation in left]
        opened.open = False
        events.append(BlockEnded(opened.block))

    def done(self, item: OutputItem, events: list[Event]) -> None:
        for index, part in enumerate((item.content or ())[:MAX_PARTS]):
            self.part_done(index, part, events)
        self.end(events)

    def end(self, events: list[Event]) -> None:
        for part in self.parts.values():
            if part.open:
                part.open = False
                events.append(BlockEnded(part.block))

    def _part(self, index: int) -> _Open | None:
        part = self.parts.get(index)
        if part is None and len(self.parts) < MAX_PARTS:
            part = self.parts[index] = _Open(self._new_block())
        return part if part is not None and part.open else None


class ReasoningItem:
    """A reasoning: one block. Of both a summary and the text itself, what comes first is said."""

    __slots__ = ("_block", "_new_block", "_raw_text", "_said")

    def __init__(self, new_block: Callable[[], int]) -> None:
        self._new_block = new_block
        self._raw_text = False
        self._said: set[int] = set()
        self._block = -1

    def think(self, part: int, text: str, events: list[Event], *, raw_text: bool) -> None:
        if not text or len(self._said) > MAX_PARTS:
            return
        if self._block < 0:
            self._raw_text = raw_text
            self._block = self._new_block()
        if raw_text is self._raw_text:
            self._said.add(part)
            events.append(ThinkingDelta(self._block, text, 0, part, raw_text))

    def whole(self, part: int, text: str, events: list[Event], *, raw_text: bool) -> None:
        """Say a part of which no piece came."""
        if part not in self._said:
            self.think(part, text, events, raw_text=raw_text)

    def done(self, item: OutputItem, events: list[Event]) -> None:
        raw_text = not item.summary if self._block < 0 else self._raw_text
        for index, part in enumerate((item.content if raw_text else item.summary) or ()):
            self.whole(index, part.text or "", events, raw_text=raw_text)
        signature = item.encrypted_content or (tables.UNSIGNED_TEXT if self._raw_text else "")
        if signature and self._block < 0:
            self._block = self._new_block()
            events.append(ThinkingDelta(self._block, ""))
        if signature:
            events.append(SignatureSeen(self._block, signature, 0, item.id))
        self.end(events)

    def end(self, events: list[Event]) -> None:
        if self._block >= 0:
            events.append(BlockEnded(self._block))


class CallItem:
    """A call of a function or a custom tool; it begins when its name is known."""

    __slots__ = ("_block", "_kind", "_late", "_namespaces", "_new_block", "_said")

    def __init__(self, kind: ToolKind, new_block: Callable[[], int], namespaces: Namespaces) -> None:
        self._namespaces = namespaces
        self._new_block = new_block
        self._kind = kind
        self._block = -1
        self._said = False
        self._late = ""

    def added(self, item: OutputItem, events: list[Event]) -> None:
        self._late = self._arguments(item) or self._late
        if item.name and self._block < 0:
            self._block = self._new_block()
            name = item.name if item.namespace is None else self._namespaces.name(item.namespace, item.name)
            events.append(ToolStarted(self._block, item.call_id or item.id or "", name, 0, self._kind, item.id))

    def argue(self, text: str, events: list[Event]) -> bool:
        """Say a piece of the arguments; False where the call has not begun."""
        if self._block < 0:
            return False
        if text:
            self._said = True
            events.append(ToolArguments(self._block, text))
        return True

    def whole(self, text: str) -> None:
        """Take the arguments whole, for the case that no piece of them came."""
        self._late = text or self._late

    def done(self, item: OutputItem, events: list[Event]) -> None:
        self.added(item, events)
        self.end(events)

    def end(self, events: list[Event]) -> None:
        if self._block < 0:
            return
        if not self._said:
            self.argue(self._late, events)
        events.append(BlockEnded(self._block))

    def _arguments(self, item: OutputItem) -> str:
        return (item.arguments if self._kind is ToolKind.FUNCTION else item.input) or ""


class ForeignItem:
    """An item that no other dialect has: it comes whole, at its end."""

    __slots__ = ("_name", "_new_block")

    def __init__(self, name: str, new_block: Callable[[], int]) -> None:
        self._name = name
        self._new_block = new_block

    def whole(self, raw: Raw, events: list[Event]) -> None:
        block = self._new_block()
        events += (Whole(block, Foreign(Dialect.OPENAI_RESPONSES, self._name, raw)), BlockEnded(block))

    def end(self, events: list[Event]) -> None:
        """Say nothing: what did not come whole is no item."""
