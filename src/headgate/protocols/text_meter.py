"""How much text a stream has said, without a parse of each of its frames.

The frames of a stream are alike but for their text and for numbers and padding. One that was parsed becomes a pattern:
the bytes around what varies. A frame that has the same bytes there says what stands between them, and nothing else.
"""

import json
import re
from collections.abc import Callable, Iterator
from enum import Enum, auto
from typing import Any, Final

import msgspec

from headgate.protocols.json_object import decode_object
from headgate.protocols.sse import parse_frame

LEAST: Final = 2
"""The bytes that a frame with text counts at least: a token, at the safe default of a token per two bytes."""
CALL_BYTES: Final = 64
"""What a model writes around a tool call, beside its name and arguments, counts as so many bytes of text."""
UNPAID: Final = 32 * 1024
PAID: Final = 8
"""Bytes of frames unlike any pattern that are parsed: so many, and a part in PAID of all. The rest counts as text."""
FRAME_LIMIT: Final = 1024 * 1024
"""A larger frame is like no pattern."""

_USAGE: Final = b',"usage":{'
"""Begins the end of a frame on which usage rides, as on every one of some servers: it has no text, and differs."""
_BACKSLASH: Final = 92
_PATTERNS: Final = 4
_VARYING: Final = re.compile(rb'"(?:sequence_number|token_id)": ?(\d+)(?=[,}])|"obfuscation": ?"([^"\\]*)"')
"""Members beside the text that differ from frame to frame: OpenAI's numbers and padding, Together's ids of tokens."""
_ASCII: Final = json.JSONEncoder().encode
_encode: Final = msgspec.json.Encoder().encode


class Again(Enum):
    """Whether a frame may repeat what others have said since the last item ended."""

    NO = auto()
    PART = auto()
    ITEM = auto()  # repeats all of an item, and ends it


Said = tuple[int, Again]
"""Bytes of text."""
TextsIn = Callable[[dict[str, Any]], Iterator[object]]
Says = Callable[[dict[str, Any]], Said | None]
Measure = Callable[[bytes], int]
"""Returns the bytes of text in a frame that is like the pattern, at least LEAST, and -1 for any other."""


class TextMeter:
    """Tells an upper bound of the text in each content frame of one stream, given in their order.

    `texts_in` yields what the model said in a message, `says` returns how much that is, with what the model may have
    written besides, and None where it cannot tell: such a frame counts as text from end to end.
    `measure` is for the frames that are like the last ones.
    """

    __slots__ = ("_item", "_parsed", "_patterns", "_says", "_texts_in", "measure")

    def __init__(self, texts_in: TextsIn, says: Says) -> None:
        self._item = 0  # the text before the item that is open
        self._parsed = 0
        self._patterns: list[Measure] = []
        self._says = says
        self._texts_in = texts_in
        self.measure: Measure = _unlike

    def take(self, frame: bytes, before: int, streamed: int, is_plain: Callable[[bytes], bool]) -> int:
        """Return the bytes of text in a frame. `before`: those of all before it; `streamed`: of whole frames so far.

        A frame becomes a pattern only if it is plain: others like it are then forwarded without a look.
        """
        end = frame.rfind(_USAGE)
        if end > 0 and frame.find(b'"choices":', 0, end) > 0:
            frame = frame[:end] + b"}\n\n"
        for at, measure in enumerate(self._patterns):
            said = measure(frame)
            if said >= 0:
                if at:
                    self._prefer(self._patterns.pop(at))
                return said
        data = parse_frame(frame)[1]
        if not data:
            return 0
        if self._parsed + len(frame) > UNPAID + streamed // PAID:
            return len(frame)
        self._parsed += len(frame)
        message = decode_object(data)
        try:
            told = None if message is None else self._says(message)
        except RecursionError:
            told = None
        if message is None or told is None:
            return len(frame)
        said, again = told
        if again is Again.NO:
            found = self._pattern(frame, message, said) if is_plain(frame) else None
            if found is not None:
                self._prefer(found)
            return max(said, LEAST) if said else 0
        more = max(0, self._item + said - before)
        if again is Again.ITEM:
            self._item = before + more
        return more

    def certain(self, frame: bytes) -> int:
        """Return the bytes of text that a frame holds for certain, which takes a parse: a lower bound."""
        message = decode_object(parse_frame(frame)[1])
        texts = () if message is None else self._texts_in(message)
        return sum(size_of(text) for text in texts if isinstance(text, str))

    def _prefer(self, pattern: Measure) -> None:
        self.measure = pattern
        self._patterns.insert(0, pattern)
        del self._patterns[_PATTERNS:]

    def _pattern(self, frame: bytes, message: dict[str, Any], said: int) -> Measure | None:
        """Return the pattern of a frame, None where it is not certain what varies in it."""
        text = next((text for text in self._texts_in(message) if text), None)
        if not isinstance(text, str):
            return None
        spans = _spans(frame, text)
        if not spans:
            return None
        bounds = [0, *(at for start, end, _ in spans for at in (start, end)), len(frame)]
        if bounds != sorted(bounds):
            return None
        fixed = [frame[bounds[at] : bounds[at + 1]] for at in range(0, len(bounds), 2)]
        kinds = [is_text for _, _, is_text in spans]
        measure = _quick(fixed, kinds)
        other = decode_object(parse_frame(_filled(fixed, kinds))[1])
        same = other is not None and self._says(other) == (len(_OTHER), Again.NO)
        return measure if same and measure(frame) >= said and measure(_filled(fixed, kinds)) >= 0 else None


_OTHER: Final = b"z~q"


def _filled(fixed: list[bytes], kinds: list[bool]) -> bytes:
    """Return the frame with another text."""
    parts = [fixed[0]]
    for is_text, rest in zip(kinds, fixed[1:], strict=True):
        parts += (_OTHER if is_text else b"" if rest.startswith(b'"') else b"7", rest)
    return b"".join(parts)


def _spans(frame: bytes, text: str) -> list[tuple[int, int, bool]]:
    """Return where the text stands in a frame, and what varies besides, in order."""
    spans = [(*match.span(match.lastindex or 0), False) for match in _VARYING.finditer(frame)]
    for written in (_encode(text), _ASCII(text).encode()):
        found = [match.start() for match in re.finditer(rb"(?<=[: ])" + re.escape(written), frame)]
        if found:
            spans += [(start + 1, start + len(written) - 1, True) for start in found]
            return sorted(spans)
    return []


def _measure(fixed: list[bytes], kinds: list[bool]) -> Measure:
    """Return a pattern: `fixed` are the bytes around what varies, `kinds` says which of that is text.

    Nothing that varies may have a quote in it that is not escaped, so nothing of JSON can hide there.
    """
    lead, size = fixed[0], len(fixed[0])
    steps = [(part[:1], part, len(part), is_text) for part, is_text in zip(fixed[1:], kinds, strict=True)]

    def measure(frame: bytes) -> int:
        if not frame.startswith(lead) or len(frame) > FRAME_LIMIT:
            return -1
        at, said = size, -1
        for stop, part, part_size, is_text in steps:
            end = frame.find(stop, at)
            if not frame.startswith(part, end) and (not is_text or (end := _escaped(frame, part, at)) < 0):
                return -1
            if is_text:
                if said >= 0 and said != end - at:
                    return -1
                said = end - at
            at = end + part_size
        if at != len(frame):
            return -1
        return max(said, LEAST)

    return measure


def _escaped(frame: bytes, part: bytes, start: int) -> int:
    """Return where a text with quotes in it ends, at `part`, and -1 where more than a text stands before that."""
    end = frame.find(part, start)
    return end if end > 0 and frame.count(b'"', start, end) == frame.count(b'\\"', start, end) else -1


def _quick(fixed: list[bytes], kinds: list[bool]) -> Measure:
    """Return a pattern as `_measure`, in few steps where a number at most varies before the text, and padding after it.

    A hundred bytes are looked at in a dozen steps of the interpreter: this runs for every frame of most streams.
    """
    measure = _measure(fixed, kinds)
    numbered = not kinds[0]
    padded = len(fixed) - numbered > 2
    if kinds != [False] * numbered + [True] + [False] * padded:
        return measure
    lead, last, after = fixed[0], fixed[-1], fixed[1 + numbered]
    after_size, last_size = len(after), len(last)
    middle = fixed[1]
    middle_size = len(middle) if numbered else 0
    begin, start = len(lead), len(lead) + middle_size

    def quick(frame: bytes) -> int:
        nonlocal begin, start
        if not (frame.startswith(lead) and frame.endswith(last)):
            return -1
        if numbered and not frame.startswith(middle, begin):  # the number has as many digits as before, mostly
            begin = frame.find(middle[:1], len(lead))
            if not frame.startswith(middle, begin):
                return -1
            start = begin + middle_size
        end = frame.find(b'"', start)
        stop = len(frame) - last_size
        if padded:
            if not frame.startswith(after, end) or frame.find(b'"', end + after_size) != stop:
                return measure(frame)
        elif end != stop:
            if frame[end - 1] != _BACKSLASH or frame.count(b'"', start, stop) != frame.count(b'\\"', start, stop):
                return -1
            end = stop
        said = end - start
        if said < LEAST or stop > FRAME_LIMIT:
            return measure(frame)
        return said

    return quick


def _unlike(frame: bytes) -> int:  # noqa: ARG001 - as every Measure
    return -1


def size_of(value: object) -> int:
    """Return the bytes of a member's text, of JSON as it is written; a number or nothing is none."""
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode(errors="replace"))
    return len(_encode(value)) if value and isinstance(value, dict | list) else 0


def size_but(members: dict[str, Any], about: frozenset[str]) -> int:
    """Return the bytes of text in all members but those that `about` names: they tell of it and are none."""
    return sum(size_of(value) for name, value in members.items() if name not in about)
