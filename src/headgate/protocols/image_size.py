"""The size of an image in pixels, from the first bytes of a PNG, JPEG, GIF or WebP; read as hostile input.

Formats: https://www.w3.org/TR/png-3/ (IHDR), ITU-T T.81 annex B (SOF), https://www.w3.org/Graphics/GIF/spec-gif89a.txt,
https://developers.google.com/speed/webp/docs/riff_container (VP8, VP8L, VP8X).
"""

from struct import Struct, error
from typing import Final

_BIG: Final = Struct(">II")
_JPEG: Final = Struct(">HxHH")
_PAIR: Final = Struct("<HH")
_FRAME: Final = Struct("<HHHHB")
_START_OF_FRAME: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers of JPEG that no length follows."""


def size_of(data: bytes) -> tuple[int, int] | None:
    """Return (width, height) in pixels, None where `data`, an image's beginning, does not say it."""
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            size = _BIG.unpack_from(data, 16) if data[12:16] == b"IHDR" else None
        elif data.startswith(b"\xff\xd8"):
            size = _jpeg(data)
        elif data.startswith((b"GIF87a", b"GIF89a")):
            size = _gif(data)
        elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            size = _webp(data)
        else:
            size = None
    except (error, IndexError):  # it ends before its size
        return None
    return size if size is not None and size[0] > 0 and size[1] > 0 else None


def _jpeg(data: bytes) -> tuple[int, int] | None:
    position = 2
    while data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # fill
            position += 1
        elif marker in _BARE:
            position += 2
        elif marker in _START_OF_FRAME:
            _, height, width = _JPEG.unpack_from(data, position + 2)
            return width, height
        else:
            length = int.from_bytes(data[position + 2 : position + 4], "big")
            if length < 2:
                return None
            position += 2 + length
    return None


def _gif(data: bytes) -> tuple[int, int] | None:
    """Return what holds both the screen and the first frame, which may be larger."""
    width, height = _PAIR.unpack_from(data, 6)
    position = 13 + _colours(data[10])
    while data[position] == 0x21:  # an extension: blocks, the last of them empty
        position += 2
        while data[position]:
            position += 1 + data[position]
        position += 1
    if data[position] != 0x2C:
        return None
    left, top, frame_width, frame_height, _ = _FRAME.unpack_from(data, position + 1)
    return max(width, left + frame_width), max(height, top + frame_height)


def _colours(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _webp(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8X":
        wide, high = data[24:27], data[27:30]
        return (int.from_bytes(wide, "little") + 1, int.from_bytes(high, "little") + 1) if len(high) == 3 else None
    if kind == b"VP8L" and data[20] == 0x2F:
        bits = int.from_bytes(data[21:25], "little")
        return ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1) if len(data) >= 25 else None
    if kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = _PAIR.unpack_from(data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None
