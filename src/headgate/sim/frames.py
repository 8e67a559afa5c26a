"""Frames of a stream: what each holds, and its bytes."""

from collections.abc import Iterator
from enum import Enum, auto
from itertools import islice
from typing import Any

import msgspec

from headgate.sim.ask import Json

DONE = msgspec.Raw(b"[DONE]")

X_SIM = msgspec.Raw(b'{"n": 1.0, "e": 1E+2, "u": "\\u00e9\\/", "big": 12345678901234567890, "z": null}')
"""A field no client knows, in a spelling that is lost as soon as anyone parses and writes it again."""


class FrameKind(Enum):
    PREAMBLE = auto()  # before any content: role, message_start, pings
    CONTENT = auto()  # carries what the model said
    CLOSING = auto()  # after the last content: finish reason, usage, block ends
    TERMINAL = auto()  # the end that the client waits for


class Frame(msgspec.Struct, frozen=True):
    """One SSE event; `tokens` are the output tokens that are charged once it is sent."""

    payload: Json | msgspec.Raw
    kind: FrameKind
    event: str | None = None
    tokens: int = 0


class UsageMode(Enum):
    """Where a stream puts its usage."""

    USUAL = auto()
    NONE = auto()
    ON_LAST = auto()
    EVERY = auto()


def encode(frame: Frame, newline: bytes = b"\n") -> bytes:
    """Return the frame as it goes over the wire, its blank line included."""
    data = b"data: " + msgspec.json.encode(frame.payload) + newline + newline
    return data if frame.event is None else b"event: " + frame.event.encode() + newline + data


def grouped(parts: list[Any], size: int) -> Iterator[list[Any]]:
    """Yield the parts in runs of `size`, the last may be shorter."""
    source = iter(parts)
    while run := list(islice(source, size)):
        yield run
