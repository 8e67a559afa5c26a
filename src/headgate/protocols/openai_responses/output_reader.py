"""The items of an upstream's answer, told apart by their output_index, as events."""

import itertools
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Raw

from headgate.model.events import Event, TextDelta
from headgate.protocols.openai_responses import tables
from headgate.protocols.openai_responses.frames import Frame, OutputItem, Part, read_as, said
from headgate.protocols.openai_responses.item_blocks import CallItem, ForeignItem, MessageItem, ReasoningItem
from headgate.protocols.openai_responses.namespaces import Namespaces

MAX_ITEMS: Final = 4_096
"""Items of one answer; no answer has a tenth of it."""

_NO_LOGPROBS: Final = frozenset({b"", b"[]", b"null"})

_Item = MessageItem | ReasoningItem | CallItem | ForeignItem


class OutputReader:
    """Reads what frames say of items. `called` and `refused`: an item is a call, a part is a refusal.

    Methods for frames append to `events` and return False where the frame is of no use.
    """

    __slots__ = ("_ids", "_items", "_last", "_namespaces", "_new_block", "called", "refused")

    def __init__(self, namespaces: Namespaces) -> None:
        self._namespaces = namespaces
        self._items: dict[int, _Item | None] = {}
        """None: the item has ended."""
        self._ids: set[str] = set()
        self._last = 0
        self._new_block = itertools.count().__next__
        self.called = False
        self.refused = False

    def plain(self, frame: Frame) -> TextDelta | None:
        """Return the event of a frame that holds a text and nothing else, None for all others."""
        if not frame.delta or bytes(frame.logprobs) not in _NO_LOGPROBS:
            return None
        item = self._items.get(self._index(frame))
        if type(item) is not MessageItem:
            return None
        part = item.parts.get(frame.content_index or 0)
        return TextDelta(part.block, frame.delta) if part is not None and part.said and part.open else None

    def read(self, kind: str, frame: Frame, events: list[Event]) -> bool | None:
        """Read a frame of an item; None for every other frame."""
        handler = _HANDLERS.get(kind)
        return None if handler is None else handler(self, frame, events)

    def complete(self, output: Sequence[Raw], events: list[Event]) -> None:
        """Say what a whole output has beyond what was said, and end all items."""
        for index, raw in enumerate(output[:MAX_ITEMS]):
            if index not in self._items or self._items[index] is not None:
                item = read_as(OutputItem, raw)
                if item is not None and (item.id is None or item.id not in self._ids or index in self._items):
                    self._complete(index, item, raw, events)
        self.close(events)

    def close(self, events: list[Event]) -> None:
        """End all items."""
        for index in self._items:
            self._end_item(index, events)

    def _index(self, frame: Frame) -> int:
        return self._last if frame.output_index is None else frame.output_index

    def _new_item(self, index: int, kind: str) -> _Item | None:
        if len(self._items) >= MAX_ITEMS and index not in self._items:
            return None
        item: _Item
        if kind == "message":
            item = MessageItem(self._new_block)
        elif kind == "reasoning":
            item = ReasoningItem(self._new_block)
        elif kind in tables.CALL_READ:
            self.called = True
            item = CallItem(tables.CALL_READ[kind], self._new_block, self._namespaces)
        else:
            item = ForeignItem(kind, self._new_block)
        self._items[index] = item
        self._last = index
        return item

    def on_added(self, frame: Frame, events: list[Event]) -> bool:
        added = read_as(OutputItem, frame.item)
        if added is None or added.type is None:
            return False
        index = len(self._items) if frame.output_index is None else frame.output_index
        self._end_item(index, events)
        item = self._new_item(index, added.type)
        if item is None:
            return False
        if added.id is not None:
            self._ids.add(added.id)
        if isinstance(item, CallItem):
            item.added(added, events)
        return True

    def on_done(self, frame: Frame, events: list[Event]) -> bool:
        item = read_as(OutputItem, frame.item)
        index = self._index(frame)
        if item is None or item.type is None or (index in self._items and self._items[index] is None):
            return False
        return self._complete(index, item, frame.item, events)

    def _complete(self, index: int, item: OutputItem, raw: Raw, events: list[Event]) -> bool:
        """Say what of an item was not said yet, and end it."""
        opened = self._items.get(index) or self._new_item(index, item.type or "")
        if opened is None:
            return False
        if item.id is not None and len(self._ids) < MAX_ITEMS:
            self._ids.add(item.id)
        if isinstance(opened, ForeignItem):
            opened.whole(raw, events)
        else:
            opened.done(item, events)
            self.refused = self.refused or (isinstance(opened, MessageItem) and opened.refused)
        self._items[index] = None
        return True

    def _end_item(self, index: int, events: list[Event]) -> None:
        item = self._items.get(index)
        if item is not None:
            item.end(events)
            self.refused = self.refused or (isinstance(item, MessageItem) and item.refused)
            self._items[index] = None

    def _message(self, frame: Frame) -> MessageItem | None:
        """Return the message that a frame is of; one that was never announced begins with it."""
        index = self._index(frame)
        item = self._items.get(index)
        if item is None and index not in self._items:
            item = self._new_item(index, "message")
        return item if isinstance(item, MessageItem) else None

    def _thought(self, frame: Frame) -> ReasoningItem | None:
        index = self._index(frame)
        item = self._items.get(index)
        if item is None and index not in self._items:
            item = self._new_item(index, "reasoning")
        return item if isinstance(item, ReasoningItem) else None

    def _call(self, frame: Frame) -> CallItem | None:
        item = self._items.get(self._index(frame))
        return item if isinstance(item, CallItem) else None

    # -- frames of items: each returns False where it is of no use ---------------------------------

    def on_text(self, frame: Frame, events: list[Event]) -> bool:
        item = self._message(frame)
        return item is not None and item.text(frame.content_index or 0, frame.delta or "", frame.logprobs, events)

    def on_refusal(self, frame: Frame, events: list[Event]) -> bool:
        item = self._message(frame)
        return item is not None and item.refusal(frame.content_index or 0, frame.delta or "", events)

    def on_text_done(self, frame: Frame, events: list[Event]) -> bool:
        """Say a text or refusal of which no piece came; its part ends later, as citations may follow."""
        item, index = self._message(frame), frame.content_index or 0
        if item is None or item.said(index):
            return item is not None
        if frame.refusal:
            return item.refusal(index, frame.refusal, events)
        return item.text(index, frame.text or "", frame.logprobs, events)

    def on_part_done(self, frame: Frame, events: list[Event]) -> bool:
        part = read_as(Part, frame.part)
        if part is None or part.type == "reasoning_text":
            return part is not None
        item = self._message(frame)
        if item is not None:
            item.part_done(frame.content_index or 0, part, events)
        return item is not None

    def on_annotation(self, frame: Frame, events: list[Event]) -> bool:
        item = self._message(frame)
        return (
            item is not None
            and said(frame.annotation)
            and item.cite(frame.content_index or 0, frame.annotation, events)
        )

    def on_summary(self, frame: Frame, events: list[Event]) -> bool:
        item = self._thought(frame)
        if item is not None:
            item.think(frame.summary_index or 0, frame.delta or "", events, raw_text=False)
        return item is not None

    def on_summary_done(self, frame: Frame, events: list[Event]) -> bool:
        item = self._thought(frame)
        if item is not None:
            item.whole(frame.summary_index or 0, frame.text or "", events, raw_text=False)
        return item is not None

    def on_reasoning(self, frame: Frame, events: list[Event]) -> bool:
        item = self._thought(frame)
        if item is not None:
            item.think(frame.content_index or 0, frame.delta or "", events, raw_text=True)
        return item is not None

    def on_reasoning_done(self, frame: Frame, events: list[Event]) -> bool:
        item = self._thought(frame)
        if item is not None:
            item.whole(frame.content_index or 0, frame.text or "", events, raw_text=True)
        return item is not None

    def on_arguments(self, frame: Frame, events: list[Event]) -> bool:
        item = self._call(frame)
        return item is not None and item.argue(frame.delta or "", events)

    def on_arguments_done(self, frame: Frame, events: list[Event]) -> bool:  # noqa: ARG002 - one form for all handlers
        item = self._call(frame)
        if item is not None:
            item.whole(frame.arguments or frame.input or "")
        return item is not None

    def on_nothing(self, frame: Frame, events: list[Event]) -> bool:  # noqa: ARG002 - one form for all handlers
        """Take a frame that says nothing which another does not."""
        return True


_HANDLERS: Final[dict[str, Callable[[OutputReader, Frame, list[Event]], bool]]] = {
    "response.output_item.added": OutputReader.on_added,
    "response.output_item.done": OutputReader.on_done,
    "response.content_part.added": OutputReader.on_nothing,
    "response.content_part.done": OutputReader.on_part_done,
    "response.output_text.delta": OutputReader.on_text,
    "response.output_text.done": OutputReader.on_text_done,
    "response.output_text.annotation.added": OutputReader.on_annotation,
    "response.refusal.delta": OutputReader.on_refusal,
    "response.refusal.done": OutputReader.on_text_done,
    "response.reasoning_summary_part.added": OutputReader.on_nothing,
    "response.reasoning_summary_part.done": OutputReader.on_nothing,
    "response.reasoning_summary_text.delta": OutputReader.on_summary,
    "response.reasoning_summary_text.done": OutputReader.on_summary_done,
    "response.reasoning_text.delta": OutputReader.on_reasoning,
    "response.reasoning_text.done": OutputReader.on_reasoning_done,
    "response.function_call_arguments.delta": OutputReader.on_arguments,
    "response.function_call_arguments.done": OutputReader.on_arguments_done,
    "response.custom_tool_call_input.delta": OutputReader.on_arguments,
    "response.custom_tool_call_input.done": OutputReader.on_arguments_done,
}
"""Frames of items by their type."""
