import pytest

from headgate.protocols.sse import FrameSplitter, FrameTooLarge, is_frame, parse_frame


def cut(*chunks: bytes) -> list[bytes]:
    splitter = FrameSplitter()
    return [frame for chunk in chunks for frame in splitter.feed(chunk)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_frames_come_as_they_are_with_any_line_end(end: bytes) -> None:
    first = b"event: a" + end + b"data: 1" + end + end
    second = b": note" + end + end
    splitter = FrameSplitter()
    frames = splitter.feed(first + second + b"x")
    assert frames == [first, second]
    assert splitter.rest() == b"x"


def test_mixed_line_ends_end_a_frame() -> None:
    assert cut(b"data: 1\r\n\ndata: 2\n\r\ndata: 3\r\n\r\n", b"data: 4\n\n") == [
        b"data: 1\r\n\n",
        b"data: 2\n\r\n",
        b"data: 3\r\n\r\n",
        b"data: 4\n\n",
    ]


def test_a_carriage_return_at_the_end_waits_for_its_line_feed() -> None:
    assert cut(b"data: 1\r\n\r") == []
    assert cut(b"data: 1\r\n\r", b"\ndata: 2\n\n") == [b"data: 1\r\n\r\n", b"data: 2\n\n"]


def test_superfluous_blank_lines_are_frames_of_their_own() -> None:
    assert cut(b"\n\ndata: 1\n\n\n", b"\r\n") == [b"\n", b"\n", b"data: 1\n\n", b"\n", b"\r\n"]


def test_one_byte_at_a_time() -> None:
    stream = b"data: 1\r\n\r\nevent: x\ndata: 2\n\n"
    assert cut(*(stream[i : i + 1] for i in range(len(stream)))) == [b"data: 1\r\n\r\n", b"event: x\ndata: 2\n\n"]


def test_a_frame_beyond_the_limit_is_an_error_whole_or_in_parts() -> None:
    with pytest.raises(FrameTooLarge):
        FrameSplitter(limit=20).feed(b"data: " + b"x" * 20 + b"\n\n")
    splitter = FrameSplitter(limit=20)
    with pytest.raises(FrameTooLarge):
        list(map(splitter.feed, [b"x"] * 30))


def test_many_small_frames_pass_a_limit_that_each_keeps() -> None:
    assert len(FrameSplitter(limit=20).feed(b"data: 1\n\n" * 100)) == 100


def test_parsing_follows_the_format() -> None:
    frame = b"\xef\xbb\xbf: hi\nevent:delta\nid: 7\ndata: a\ndata\ndata:  b\n\n"
    assert parse_frame(frame) == (b"delta", b"a\n\n b")
    assert parse_frame(b": ping\n\n") == (None, b"")
    assert parse_frame(b"\r\n") == (None, b"")


@pytest.mark.parametrize("frame", [b"data: x\n\n", b": c\n\n", b"\xef\xbb\xbfretry: 1\nid\n\n", b"\n"])
def test_frames_are_told(frame: bytes) -> None:
    assert is_frame(frame)


@pytest.mark.parametrize("frame", [b"<html>\n\n", b'{"error": "x"}', b"data: x\nother: y\n\n"])
def test_what_is_no_frame_is_told(frame: bytes) -> None:
    assert not is_frame(frame)
