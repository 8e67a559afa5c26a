"""The bench's answers, its mock upstream over a socket, and what it takes for a right answer."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
from bench import answers, envelopes, load, machine, peers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the bench pins processes")


@pytest.fixture(scope="module")
def mock() -> Iterator[peers.Peer]:
    process = subprocess.Popen([sys.executable, "-m", "bench.mock", "8"], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield peers.Peer("mock", load.Target(int(process.stdout.readline()), "none"), process.pid)
    finally:
        machine.stop(process)
        if process.stdout is not None:
            process.stdout.close()


def rewritten(frames: list[bytes]) -> bytes:
    """The same frames as a peer writes them that parses and builds them anew."""
    bodies = [frame.removeprefix(b"data: ").strip() for frame in frames]
    return b"".join(
        b"data: " + (body if body == b"[DONE]" else json.dumps(json.loads(body), sort_keys=True).encode()) + b"\n\n"
        for body in bodies
    )


def test_the_mock_keeps_every_byte_so_it_passes_its_own_check(mock: peers.Peer) -> None:
    assert peers.check_envelopes(mock) == (True, True)


def test_a_peer_that_answers_with_an_error_is_not_measured(mock: peers.Peer) -> None:
    with pytest.raises(load.BadAnswers, match="unknown"):
        peers.ask(mock, "unknown")


def test_odd_spellings_say_what_the_usual_ones_say_and_are_changed_by_whoever_parses_them() -> None:
    assert envelopes.of_unary(answers.odd()) == envelopes.of_unary(answers.unary())
    assert json.dumps(json.loads(answers.odd()), separators=(",", ":")).encode() != answers.odd()
    usual, odd = answers.frames("odd-stream", 8), answers.odd_frames()
    assert envelopes.of_stream(b"".join(odd)) == envelopes.of_stream(b"".join(usual))
    assert b"".join(odd) != rewritten(odd)


def test_a_stream_written_anew_says_the_same() -> None:
    frames = answers.frames("burst", 12)
    assert load.matches(rewritten(frames), b"".join(frames), whole=True, exact=False)
    assert not load.matches(rewritten(frames), b"".join(frames), whole=True, exact=True)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"word00003", b"word00004"),
        (b'"stop"', b'"length"'),
        (b'"completion_tokens":48', b'"completion_tokens":47'),
        (b"data: [DONE]\n\n", b""),
    ],
)
def test_a_stream_that_says_something_else_is_caught(old: bytes, new: bytes) -> None:
    expected = b"".join(answers.frames("burst", 12))
    changed = expected.replace(old, new)
    assert changed != expected
    assert not load.matches(changed, expected, whole=True, exact=False)
    assert not load.matches(changed, expected, whole=True, exact=True)


@pytest.mark.parametrize("exact", [True, False])
def test_the_beginning_of_a_stream_is_right_until_a_word_differs(exact: bool) -> None:
    expected = b"".join(answers.frames("paced", 12))
    for end in range(0, len(expected), 37):
        assert load.matches(expected[:end], expected, whole=False, exact=exact)
    half = expected[: len(expected) // 2].replace(b"word00001", b"word99999")
    assert not load.matches(half, expected, whole=False, exact=exact)


@pytest.mark.parametrize(("old", "new"), [(b"water", b"wine"), (b'"stop"', b"null"), (b":308", b":309")])
def test_an_answer_that_says_something_else_is_caught(old: bytes, new: bytes) -> None:
    assert envelopes.of_unary(answers.unary().replace(old, new)) != envelopes.of_unary(answers.unary())


@pytest.mark.parametrize("body", [b"", b"{}", b'{"choices":[]}', b'{"choices":[{"message":null}]}', b"<html>"])
def test_what_is_no_answer_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        envelopes.of_unary(body)


def test_a_paced_stream_comes_to_its_end_frame_by_frame(mock: peers.Peer) -> None:
    held = load.Held(mock.target, 3, "paced", 8)

    async def to_the_end(_: load.Held) -> bool:
        return True

    asyncio.run(held.run(to_the_end))
    assert held.frames == 3 * 8


def test_streams_that_are_let_go_of_are_compared_as_far_as_they_came(mock: peers.Peer) -> None:
    held = load.Held(mock.target, 2, "held", answers.HELD_FRAMES)

    async def once_all_flow(held: load.Held) -> bool:
        while not held.flowing:  # noqa: ASYNC110 a protocol counts frames, there is no event
            await asyncio.sleep(0)
        return False

    asyncio.run(held.run(once_all_flow))
    assert 2 <= held.frames < 2 * answers.HELD_FRAMES


def test_changed_frames_of_held_streams_are_caught(mock: peers.Peer) -> None:
    held = load.Held(mock.target, 2, "paced", 9)

    async def to_the_end(_: load.Held) -> bool:
        return True

    with pytest.raises(load.BadAnswers, match="2 of 2 streams"):
        asyncio.run(held.run(to_the_end))


def test_a_length_in_another_header_is_not_the_length_of_the_answer() -> None:
    head = b"HTTP/1.1 200 OK\r\nllm_provider-content-length: 1\r\ncontent-length: 4\r\n\r\n"
    assert not load.complete(head + b"ab")
    assert load.complete(head + b"abcd")
