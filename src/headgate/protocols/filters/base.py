"""What filters have in common: a chain of them, and the way from changed text back to numbered blocks."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence

import msgspec

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

Numbered = TextDelta | CitationSeen | RefusalDelta | ThinkingDelta | SignatureSeen | ToolStarted | ToolArguments | Whole


class Call(msgspec.Struct, frozen=True, gc=False):
    """A tool call found in a text; `arguments` is JSON."""

    name: str
    arguments: str


class Scrubber(ABC):
    """Reads the text of one block as it comes. What it holds back is bounded, and given out in order."""

    @abstractmethod
    def feed(self, text: str) -> Sequence[str | Call]:
        """Return what is decided by now."""

    @abstractmethod
    def end(self) -> Sequence[str | Call]:
        """Return the rest, at the end of the block."""


class Filter(ABC):
    """Changes the events of one answer; one per attempt. What it holds back, later events or `end` give out."""

    @abstractmethod
    def feed(self, events: Iterable[Event]) -> list[Event]:
        """Return what can be given out now."""

    def end(self) -> list[Event]:
        """Return what was held back, at the end of the answer."""
        return []


class Chain(Filter):
    """Filters one after the other."""

    def __init__(self, filters: Sequence[Filter]) -> None:
        self._filters = filters

    def feed(self, events: Iterable[Event]) -> list[Event]:
        passing = list(events)
        for each in self._filters:
            passing = each.feed(passing)
        return passing

    def end(self) -> list[Event]:
        passing: list[Event] = []
        for each in self._filters:
            passing = [*each.feed(passing), *each.end()]
        return passing


class TextFilter(Filter):
    """Sends each text block through a scrubber of its own; blocks are numbered anew, for calls take numbers too.

    A choice in whose text calls were found ends for tool use where it would have stopped.
    """

    def __init__(self, scrubber: Callable[[], Scrubber], call: str) -> None:
        self._make = scrubber
        self._id = call
        self._calls = 0
        self._texts: dict[tuple[int, int], Scrubber] = {}
        self._numbers: dict[tuple[int, int], int] = {}
        self._next: dict[int, int] = {}
        self._called: set[int] = set()

    def feed(self, events: Iterable[Event]) -> list[Event]:
        given: list[Event] = []
        for event in events:
            if isinstance(event, TextDelta):
                self._text(event, given)
            elif isinstance(event, BlockEnded):
                self._ended(event, given)
            elif isinstance(event, Finished):
                self._finished(event, given)
            elif isinstance(event, Numbered):
                given.append(msgspec.structs.replace(event, block=self._number(event.choice, event.block)))
            else:
                given.append(event)
        return given

    def end(self) -> list[Event]:
        given: list[Event] = []
        for choice, block in list(self._texts):
            self._ended(BlockEnded(block, choice), given)
        return given

    def _text(self, event: TextDelta, given: list[Event]) -> None:
        key = (event.choice, event.block)
        scrubber = self._texts.get(key)
        if scrubber is None:
            scrubber = self._texts[key] = self._make()
        for found in scrubber.feed(event.text):
            if found == event.text:
                given.append(msgspec.structs.replace(event, block=self._number(*key)))
            else:
                self._give(key, found, given)

    def _ended(self, event: BlockEnded, given: list[Event]) -> None:
        key = (event.choice, event.block)
        scrubber = self._texts.pop(key, None)
        if scrubber is not None:
            for found in scrubber.end():
                self._give(key, found, given)
        number = self._numbers.pop(key, None)
        if number is not None:  # a block of which nothing was left has never begun
            given.append(BlockEnded(number, event.choice))

    def _finished(self, event: Finished, given: list[Event]) -> None:
        for choice, block in [key for key in self._texts if key[0] == event.choice]:
            self._ended(BlockEnded(block, choice), given)
        stopped = event.finish in (Finish.STOP, Finish.UNKNOWN)
        if stopped and event.choice in self._called:
            event = msgspec.structs.replace(event, finish=Finish.TOOL_USE)
        given.append(event)

    def _give(self, key: tuple[int, int], found: str | Call, given: list[Event]) -> None:
        choice = key[0]
        if isinstance(found, str):
            if found:
                given.append(TextDelta(self._number(*key), found, choice))
            return
        before = self._numbers.pop(key, None)
        if before is not None:
            given.append(BlockEnded(before, choice))
        number = self._take(choice)
        self._calls += 1
        self._called.add(choice)
        given += [
            ToolStarted(number, f"call_{self._id}_{self._calls}", found.name, choice),
            ToolArguments(number, found.arguments, choice),
            BlockEnded(number, choice),
        ]

    def _number(self, choice: int, block: int) -> int:
        number = self._numbers.get((choice, block))
        if number is None:
            number = self._numbers[choice, block] = self._take(choice)
        return number

    def _take(self, choice: int) -> int:
        number = self._next.get(choice, 0)
        self._next[choice] = number + 1
        return number
