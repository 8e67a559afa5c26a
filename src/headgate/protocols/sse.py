"""Server-sent events as bytes: frames are cut out of the stream without changing any of them.

Grammar: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

import re
from typing import Final

MAX_FRAME: Final = 16 * 1024 * 1024
"""The largest frame taken, in bytes."""

BOM: Final = b"\xef\xbb\xbf"
_CR: Final = 13
_LF: Final = 10
_BLANK_LINE: Final = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_FIELDS: Final = frozenset({b"data", b"event", b"id", b"retry"})


class FrameTooLarge(ValueError):
    """A frame is larger than the limit; the stream cannot be read on."""


class FrameSplitter:
    """Cuts a stream, however it was chunked, into whole frames, each as it came with its blank line.

    A line end where a frame would begin is a frame of its own, so the frames do not depend on the chunks.
    Memory: at most `limit` bytes and one chunk.
    """

    __slots__ = ("_buffer", "_limit", "_returns", "_scanned")

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self._buffer = bytearray()
        self._limit = limit
        self._scanned = 0
        self._returns = False

    @property
    def pending(self) -> bool:
        """Whether a part of a frame waits for its end."""
        return bool(self._buffer)

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the frames that `chunk` completes. Raises FrameTooLarge."""
        buffer = self._buffer
        buffer += chunk
        self._returns = self._returns or b"\r" in chunk
        frames: list[bytes] = []
        start = 0
        while (end := self._end_of_frame(start)) > 0:
            if end - start > self._limit:
                raise FrameTooLarge(f"a frame of the stream is larger than {self._limit} bytes")
            frames.append(bytes(buffer[start:end]))
            start = self._scanned = end
        if start:
            del buffer[:start]
        self._scanned = len(buffer)
        if not buffer:
            self._returns = False
        elif len(buffer) > self._limit:
            raise FrameTooLarge(f"a frame of the stream is larger than {self._limit} bytes")
        return frames

    def rest(self) -> bytes:
        """Return what is left when the stream has ended, and forget it."""
        left = bytes(self._buffer)
        self._buffer.clear()
        self._scanned = 0
        self._returns = False
        return left

    def _end_of_frame(self, start: int) -> int:
        """Return the end of the frame that begins at `start`, or 0 while it is not known."""
        buffer = self._buffer
        if start == len(buffer):
            return 0
        first = buffer[start]
        if first == _LF:
            return start + 1
        if not self._returns:
            found = buffer.find(b"\n\n", max(start, self._scanned - 1))
            return found + 2 if found >= 0 else 0
        if first == _CR:
            if start + 1 == len(buffer):
                return 0  # a line feed may follow
            return start + 2 if buffer[start + 1] == _LF else start + 1
        match = _BLANK_LINE.search(buffer, max(start, self._scanned - 2))
        if match is None:
            return 0
        end = match.end()
        # A final CR may be half of a CRLF.
        return 0 if end == len(buffer) and buffer[-1] == _CR else end


def frames_of(chunk: bytes) -> list[bytes]:
    """Return the frames of a chunk that ends with a blank line, LF LF, as FrameSplitter does. Raises FrameTooLarge."""
    if b"\r" in chunk or b"\n\n\n" in chunk or chunk.startswith(b"\n"):
        return FrameSplitter().feed(chunk)
    return [part + b"\n\n" for part in chunk[:-2].split(b"\n\n")]


def parse_frame(frame: bytes) -> tuple[bytes | None, bytes]:
    """Return the event name (None: not named) and the data of one frame, data lines joined by a line feed."""
    event: bytes | None = None
    data: list[bytes] = []
    for line in _LINE_END.split(frame.removeprefix(BOM)):
        name, colon, value = line.partition(b":")
        if colon and value.startswith(b" "):
            value = value[1:]
        if name == b"data":
            data.append(value)
        elif name == b"event":
            event = value
    return event, b"\n".join(data)


def one_line(data: bytes) -> bytes:
    """Return a frame's JSON on one line, so that parts of it can go into other frames."""
    return data.replace(b"\n", b" ") if b"\n" in data else data


def is_frame(frame: bytes, *, cut: bool = False) -> bool:
    """Tell whether every line is blank, a comment or one of the four fields that the format knows.

    With `cut` the last line may be the beginning of such a line.
    """
    lines = _LINE_END.split(frame.removeprefix(BOM))
    if cut and any(field.startswith(lines[-1]) for field in _FIELDS):
        lines.pop()
    return all(not line or line.startswith(b":") or line.partition(b":")[0] in _FIELDS for line in lines)


def encode_frame(data: bytes, event: bytes | None = None) -> bytes:
    """Return one frame; `data` is a single line."""
    head = b"event: " + event + b"\n" if event is not None else b""
    return head + b"data: " + data + b"\n\n"
