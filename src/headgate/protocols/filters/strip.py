"""What models leak into their answers and nobody wants to read: thinking, and the marks of their templates."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from headgate.model.content import RedactedThinking
from headgate.model.events import BlockEnded, Event, SignatureSeen, ThinkingDelta, Whole
from headgate.protocols.filters.base import Call, Filter, Scrubber

THINK_TAGS: Final = ("think", "thinking", "thought", "reasoning")
STOP_MARKERS: Final = (
    "<|im_end|>",
    "<|im_start|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|begin_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|endoftext|>",
    "<|end|>",
    "<|end_of_turn|>",
    "<end_of_turn>",
    "<start_of_turn>",
    "<\uff5cend\u2581of\u2581sentence\uff5c>",
    "<|return|>",
    "</s>",
    "[/INST]",
)
"""Ends and starts of turns in the chat templates of ChatML, Llama 3, Gemma, Phi, DeepSeek, gpt-oss and Mistral."""


def held_tail(text: str, marks: Iterable[str]) -> int:
    """Return how many characters at the end of `text` may be the beginning of a mark."""
    longest = max(len(mark) for mark in marks) - 1
    for size in range(min(longest, len(text)), 0, -1):
        tail = text[-size:]
        if any(mark.startswith(tail) for mark in marks):
            return size
    return 0


class StopMarkers(Scrubber):
    """Leaves stop markers out, wherever they stand."""

    _FOUND = re.compile("|".join(map(re.escape, STOP_MARKERS)))

    def __init__(self) -> None:
        self._held = ""

    def feed(self, text: str) -> Sequence[str]:
        text = self._FOUND.sub("", self._held + text)
        size = held_tail(text, STOP_MARKERS)
        self._held = text[len(text) - size :]
        return [text[: len(text) - size]]

    def end(self) -> Sequence[str]:
        rest, self._held = self._held, ""
        return [rest]


class ThinkTags(Scrubber):
    """Leaves out what stands between `<think>` and `</think>`, the tags with it, and the blank lines after them.

    Thinking that is never closed is thinking to the end. A closing tag alone is left out.
    """

    _OPEN = tuple(f"<{tag}>" for tag in THINK_TAGS)
    _CLOSE = tuple(f"</{tag}>" for tag in THINK_TAGS)
    _TAG = re.compile("|".join(map(re.escape, _OPEN + _CLOSE)))

    def __init__(self) -> None:
        self._held = ""
        self._inside = ""
        self._after = False

    def feed(self, text: str) -> Sequence[str | Call]:
        text = self._held + text
        given: list[str] = []
        at = 0
        for tag in self._TAG.finditer(text):
            if self._inside:
                if tag[0] != self._inside:
                    continue
                self._inside, self._after = "", True
            else:
                self._give(text[at : tag.start()], given)
                if tag[0] in self._OPEN:
                    self._inside = f"</{tag[0][1:]}"
                else:
                    self._after = True
            at = tag.end()
        marks = (self._inside,) if self._inside else self._OPEN + self._CLOSE
        end = max(at, len(text) - held_tail(text, marks))
        if not self._inside:
            self._give(text[at:end], given)
        self._held = text[end:]
        return given

    def end(self) -> Sequence[str | Call]:
        given: list[str] = []
        if not self._inside:
            self._give(self._held, given)
        self._held = ""
        return given

    def _give(self, text: str, given: list[str]) -> None:
        if self._after:
            text = text.lstrip()
        if text:
            self._after = False
            given.append(text)


class ThinkingBlocks(Filter):
    """Leaves out the blocks that a dialect itself marks as thinking."""

    def __init__(self) -> None:
        self._left_out: set[tuple[int, int]] = set()

    def feed(self, events: Iterable[Event]) -> list[Event]:
        given: list[Event] = []
        for event in events:
            if isinstance(event, ThinkingDelta | SignatureSeen) or (
                isinstance(event, Whole) and isinstance(event.content, RedactedThinking)
            ):
                self._left_out.add((event.choice, event.block))
            elif isinstance(event, BlockEnded) and (event.choice, event.block) in self._left_out:
                self._left_out.discard((event.choice, event.block))
            else:
                given.append(event)
        return given
