"""Hostile bytes: the goldens' requests, answers and streams, changed in every way a network or an attacker may."""

import json
import re
from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any, Final

from tests.goldens.composing import at, leaves
from tests.goldens.files import CLIENT, UPSTREAM, answer_files, load, request_files, upstream_stream
from tests.goldens.matrix import compact

WORDS: Final = (
    b"null", b"true", b"-1", b"0", b"1e400", b"99999999999999999999", b"0.5", b'""', b"[]", b"{}", b"[[[[[[[[",
    b'{"a":', b'"\\ud800"', b'"\\u0000"', b"\xff\xfe", b"\xed\xa0\x80", b"NaN", b'"type"', b'"index"', b"\x00",
    b"data:", b"event:", b": comment\n", b"\n\n", b"\r", b"\r\n\r\n", b"\xef\xbb\xbf", b"[DONE]", b'"error"',
    b'"hg1.W10"', b"\xe2\x80\xa8",
)  # fmt: skip
ODD_VALUES: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 1.5, 2**70, -(2**70), "", "x", "\x00", "hg1.", "hg1.W10", [], {}, [None], [[]],
    {"": None}, "data:", "data:image/png;base64,", "null", "[DONE]", {"type": None}, {"type": "text"},
    [{"type": "tool_use"}],
)  # fmt: skip
ODD_LINES: Final = (b": x", b":", b"id: 1", b"retry: 1", b"x", b"data")
_DATA: Final = re.compile(rb"^data: (.*)$", re.MULTILINE)
_DEEP: Final = 2_000


@cache
def requests_of(name: str) -> list[bytes]:
    return [compact(load(path)[CLIENT]) for path in request_files() if path.stem == name]


@cache
def answers_of(name: str) -> list[bytes]:
    return [compact(load(path)[UPSTREAM]) for path in answer_files(".json") if path.stem == name]


@cache
def streams_of(name: str) -> list[bytes]:
    return [upstream_stream(path) for path in answer_files(".sse") if path.stem == name]


@cache
def _strings() -> list[str]:
    """Return the short strings of all goldens: the words of all dialects."""
    found: set[str] = set()
    for path in (*request_files(), *answer_files(".json")):
        held = load(path)
        value = held.get(CLIENT, held.get(UPSTREAM))
        found.update(text for leaf in leaves(value) if isinstance(text := at(value, leaf), str) and len(text) < 40)
        found.update(step for leaf in leaves(value) for step in leaf if isinstance(step, str))
    return sorted(found)


def noise(random: Random) -> bytes:
    """Return bytes of no form at all, or of JSON's and SSE's characters alone."""
    length = random.choice((0, 1, 10, 100, 1000))
    if random.random() < 0.3:
        return random.randbytes(length)
    return b"".join(random.choice((*WORDS, b"{", b"}", b":", b",", b'"', b" ")) for _ in range(length // 4))


def mutated_json(random: Random, body: bytes) -> bytes:
    """Return a JSON text with some of its values changed; now and then its bytes too."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):  # it was changed before
        return mutated_bytes(random, body)
    if random.random() < 0.1:
        return mutated_bytes(random, body)
    for _ in range(random.choice((1, 1, 2, 4))):
        value = _changed(random, value, 0)
    text = json.dumps(value, ensure_ascii=random.random() < 0.5).encode("utf-8", "surrogatepass")
    return mutated_bytes(random, text) if random.random() < 0.1 else text


def _changed(random: Random, value: Any, depth: int) -> Any:
    """Return a value with a change somewhere in it."""
    if isinstance(value, dict) and value and (depth == 0 or random.random() < 0.8):
        copy = dict(value)
        name = random.choice(list(copy))
        match random.randrange(8):
            case 0:
                del copy[name]
            case 1:
                copy[random.choice(_strings())] = copy.pop(name)
            case 2:
                copy[random.choice(_strings())] = _odd(random)
            case _:
                copy[name] = _changed(random, copy[name], depth + 1)
        return copy
    if isinstance(value, list) and value and random.random() < 0.85:
        items = list(value)
        where = random.randrange(len(items))
        match random.randrange(6):
            case 0:
                del items[where]
            case 1:
                items.insert(random.randrange(len(items) + 1), items[where])
            case 2:
                random.shuffle(items)
            case _:
                items[where] = _changed(random, items[where], depth + 1)
        return items
    if isinstance(value, int) and random.random() < 0.5:
        return value + random.choice((-1, 1, 2, 1000))
    return _odd(random)


def _odd(random: Random) -> Any:
    match random.randrange(10):
        case 0 | 1 | 2:
            return random.choice(_strings())
        case 3:
            return _nested(random.choice((3, 50, 400)))
        case 4:
            return "x" * random.choice((100, 70_000))
        case _:
            return random.choice(ODD_VALUES)


def _nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def mutated_bytes(random: Random, body: bytes) -> bytes:
    """Return bytes with some cut, doubled, replaced or added."""
    changed = bytearray(body)
    for _ in range(random.choice((1, 1, 2, 8))):
        start = random.randrange(len(changed) + 1)
        end = min(len(changed), start + random.choice((0, 1, 2, 8, 100)))
        match random.randrange(6):
            case 0:
                del changed[start:end]
            case 1:
                changed[start:start] = changed[start:end]
            case 2 | 3:
                changed[start:end] = random.choice(WORDS)
            case 4:
                changed[start:end] = random.randbytes(end - start)
            case _:
                changed[start:start] = random.choice((b"[", b'{"a":', b'{"content":[')) * _DEEP
    return bytes(changed[: random.randrange(len(changed) + 1)] if random.random() < 0.1 else changed)


def mutated_stream(random: Random, stream: bytes) -> bytes:
    """Return a stream with its frames changed, moved, doubled or left out, in another spelling."""
    frames = [frame for frame in stream.split(b"\n\n") if frame]
    for _ in range(random.choice((0, 1, 2, 5))):
        random.choice(FRAMES)(random, frames)
    text = b"\n\n".join(frames) + b"\n\n"
    if random.random() < 0.2:
        text = mutated_bytes(random, text)
    if random.random() < 0.1:
        text = b"\xef\xbb\xbf" + text
    return text.replace(b"\n", random.choice((b"\n", b"\n", b"\r\n", b"\r")))


def _drop(random: Random, frames: list[bytes]) -> None:
    if frames:
        del frames[random.randrange(len(frames))]


def _double(random: Random, frames: list[bytes]) -> None:
    if frames:
        frames.insert(random.randrange(len(frames) + 1), random.choice(frames))


def _shuffle(random: Random, frames: list[bytes]) -> None:
    random.shuffle(frames)


def _change(random: Random, frames: list[bytes]) -> None:
    if frames:
        where = random.randrange(len(frames))
        found = _DATA.search(frames[where])
        if found is not None and found[1].startswith(b"{"):
            data = mutated_json(random, found[1])
            frames[where] = frames[where].replace(found[1], data)


def _comment(random: Random, frames: list[bytes]) -> None:
    frames.insert(random.randrange(len(frames) + 1), random.choice(ODD_LINES))


def _lines(random: Random, frames: list[bytes]) -> None:
    """Spread one frame's data over several lines."""
    if frames:
        where = random.randrange(len(frames))
        frames[where] = frames[where].replace(b',"', b',\ndata:"')


def _rename(random: Random, frames: list[bytes]) -> None:
    if frames:
        where = random.randrange(len(frames))
        frames[where] = re.sub(rb"^event: .*\n", random.choice((b"", b"event: error\n", b"event: \n")), frames[where])


def _large(random: Random, frames: list[bytes]) -> None:
    frames.insert(random.randrange(len(frames) + 1), b"data: " + b"x" * random.choice((10_000, 300_000)))


FRAMES: Final[tuple[Callable[[Random, list[bytes]], None], ...]] = (
    _drop, _double, _shuffle, _change, _change, _change, _comment, _lines, _rename, _large,
)  # fmt: skip
