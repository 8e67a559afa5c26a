"""Sizes of images, from their first bytes."""

from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.protocols.image_size import size_of

PNG = b"\x89PNG\r\n\x1a\n"


def png(width: int, height: int) -> bytes:
    return PNG + pack(">I", 13) + b"IHDR" + pack(">II", width, height) + b"\x08\x06\x00\x00\x00"


def jpeg(width: int, height: int, before: bytes = b"") -> bytes:
    app0 = b"\xff\xe0" + pack(">H", 16) + b"JFIF\0" + bytes(9)
    return b"\xff\xd8" + app0 + before + b"\xff\xc2" + pack(">HBHH", 17, 8, height, width) + bytes(10)


def gif(screen: tuple[int, int], frame: tuple[int, int], *, colours: bool = True) -> bytes:
    head = b"GIF89a" + pack("<HH", *screen) + (b"\x81\0\0" + bytes(12) if colours else b"\0\0\0")
    extension = b"\x21\xf9\x04\0\0\0\0\0"
    return head + extension + b"\x2c" + pack("<HHHHB", 0, 0, *frame, 0)


def webp(kind: bytes, data: bytes) -> bytes:
    return b"RIFF" + pack("<I", 4 + len(data)) + b"WEBP" + kind + pack("<I", len(data)) + data


@pytest.mark.parametrize(
    "data",
    [
        png(640, 480),
        jpeg(640, 480),
        jpeg(640, 480, before=b"\xff\xe1" + pack(">H", 40_002) + bytes(40_000)),
        jpeg(640, 480, before=b"\xff\xff\xff\xee" + pack(">H", 2)),
        gif((640, 480), (10, 10)),
        gif((640, 480), (640, 480), colours=False),
        webp(b"VP8X", bytes(4) + (639).to_bytes(3, "little") + (479).to_bytes(3, "little")),
        webp(b"VP8L", b"\x2f" + (639 | 479 << 14).to_bytes(4, "little")),
        webp(b"VP8 ", bytes(3) + b"\x9d\x01\x2a" + pack("<HH", 640, 480 | 1 << 14)),
    ],
    ids=["png", "jpeg", "jpeg-thumbnail", "jpeg-fill", "gif", "gif-no-colours", "webp", "webp-lossless", "webp-lossy"],
)
def test_the_size_is_read_from_the_header(data: bytes) -> None:
    assert size_of(data) == (640, 480)
    assert size_of(data + b"more") == (640, 480)


def test_a_size_in_a_thumbnail_is_not_the_images() -> None:
    thumbnail = jpeg(8, 8)
    assert size_of(jpeg(4000, 3000, before=b"\xff\xe1" + pack(">H", len(thumbnail) + 2) + thumbnail)) == (4000, 3000)


def test_a_gif_is_as_large_as_its_frame_where_that_is_larger() -> None:
    assert size_of(gif((1, 1), (5000, 4000))) == (5000, 4000)


@pytest.mark.parametrize(
    "data", [b"", b"text", PNG, png(0, 9), b"\xff\xd8\xff", b"GIF89a", b"RIFF....WEBPVP8X", b"%PDF-"]
)
def test_what_does_not_say_its_size_has_none(data: bytes) -> None:
    assert size_of(data) is None


@given(st.sampled_from([png(3, 4), jpeg(3, 4), gif((3, 4), (3, 4))]), st.integers(0, 60), st.binary(max_size=40))
def test_damaged_images_break_nothing(data: bytes, cut: int, rest: bytes) -> None:
    size = size_of(data[:cut] + rest)
    assert size is None or (size[0] > 0 and size[1] > 0)
