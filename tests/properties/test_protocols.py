"""What must hold of the codecs for any bytes and any split of a stream."""

import json
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.protocols import transcripts
from tests.protocols.scanning import ASKING, scan, scanner_for

from headgate.model.dialect import Endpoint
from headgate.model.errors import HeadgateError
from headgate.model.usage import Reported
from headgate.protocols.codec import FrameTooLarge, MalformedStream, codec_for
from headgate.protocols.failure_text import failure_text
from headgate.protocols.json_object import READ, is_object, read_object, splice
from headgate.protocols.sse import FrameSplitter

STREAMS = {
    "chat": (Endpoint.CHAT, transcripts.CHAT_TEXT),
    "tools": (Endpoint.CHAT, transcripts.CHAT_TOOLS),
    "usage on each frame": (Endpoint.CHAT, transcripts.CHAT_EACH),
    "messages": (Endpoint.MESSAGES, transcripts.MESSAGES),
    "responses": (Endpoint.RESPONSES, transcripts.RESPONSES),
}
STREAMED = [Endpoint.CHAT, Endpoint.COMPLETIONS, Endpoint.MESSAGES, Endpoint.RESPONSES]

scalars = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(["model", "stream", "a", "é", '"', "\\", "\n", "/", "\x7f", "\x00", "\U0001f600"]) | st.text(
    max_size=5
)
space = st.sampled_from(["", " ", "\n", "\t\r "])


def split(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[a:b] for a, b in pairwise(edges)]


@st.composite
def objects(draw: st.DrawFn) -> tuple[bytes, list[tuple[str, Any]]]:
    """A JSON object as text, with any spelling of keys and any white space, and its members."""
    members = draw(st.lists(st.tuples(keys, values), max_size=6))
    parts: list[str] = []
    for key, value in members:
        spelled = json.dumps(key, ensure_ascii=draw(st.booleans()))
        if draw(st.booleans()):
            spelled = '"' + "".join(f"\\u{ord(c):04x}" if ord(c) < 128 else json.dumps(c)[1:-1] for c in key) + '"'
        text = json.dumps(value, ensure_ascii=draw(st.booleans()))
        parts.append(f"{draw(space)}{spelled}{draw(space)}:{draw(space)}{text}{draw(space)}")
    body = f"{draw(space)}{{{','.join(parts) or draw(space)}}}{draw(space)}"
    return body.encode(), members


@settings(deadline=None)
@given(objects())
def test_reading_an_object_agrees_with_the_standard_library(drawn: tuple[bytes, list[tuple[str, Any]]]) -> None:
    body, _ = drawn
    pairs = json.loads(body, object_pairs_hook=lambda pairs: pairs)
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        with pytest.raises(HeadgateError, match="twice"):
            read_object(body)
        return
    fields = read_object(body)
    assert list(fields) == names
    whole = json.loads(body)
    for name, raw in fields.items():
        assert bytes(raw) in body
        assert json.loads(bytes(raw)) == whole[name]


@settings(deadline=None)
@given(objects(), keys, values)
def test_splicing_changes_one_value_and_no_other_byte_of_a_value(
    drawn: tuple[bytes, list[tuple[str, Any]]], key: str, value: Any
) -> None:
    body, members = drawn
    if len({name for name, _ in members}) < len(members):
        return
    fields = read_object(body)
    text = json.dumps(value).encode()
    edited = read_object(splice(body, fields, {key: text}))
    assert bytes(edited.pop(key)) == text
    assert {name: bytes(raw) for name, raw in edited.items()} == {
        name: bytes(raw) for name, raw in fields.items() if name != key
    }
    assert key not in read_object(splice(body, fields, {key: None}))


@settings(deadline=None)
@given(st.text(max_size=20).filter(lambda key: key.casefold() not in READ))
def test_a_key_is_never_written_longer_than_it_came(key: str) -> None:
    for spelled in (json.dumps(key, ensure_ascii=False), json.dumps(key)):
        body = f"{{{spelled}:1}}".encode()
        assert len(splice(body, read_object(body), {key: b"1"})) <= len(body)


@settings(deadline=None)
@given(st.binary(max_size=200) | st.text(alphabet='{}[]",:\\u0019ae \n', max_size=40).map(str.encode))
def test_reading_any_bytes_raises_only_the_typed_error(body: bytes) -> None:
    for endpoint in Endpoint:
        codec = codec_for(endpoint)
        for hostile in (body, b'{"model":"m","stream":true,"x":' + body + b"}"):
            try:
                head = codec.read_head(endpoint, hostile)
            except HeadgateError:
                continue
            assert is_object(codec.outgoing(head, "other", 5))


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@settings(deadline=None)
@given(cuts=st.lists(st.integers(0, 1 << 16), max_size=12), cut_at=st.none() | st.integers(0, 1 << 16))
def test_any_split_gives_the_same_pieces_and_usage(name: str, end: str, cuts: list[int], cut_at: int | None) -> None:
    endpoint, frames = STREAMS[name]
    stream = b"".join(frames).replace(b"\n", end.encode())
    if cut_at is not None:
        stream = stream[: cut_at % len(stream)]
    whole, parts = scanner_for(endpoint), scanner_for(endpoint)
    assert scan(parts, split(stream, cuts)) == scan(whole, [stream])
    assert parts.reported() == whole.reported()
    bytes_ = ("streamed_output_bytes", "streamed_text_bytes")
    for attribute in ("complete", "content_seen", "terminal_seen", "finish_reason", *bytes_):
        assert getattr(parts, attribute) == getattr(whole, attribute)
    assert parts.next_sequence() == whole.next_sequence()


@settings(deadline=None)
@given(st.lists(st.integers(0, 1 << 16), max_size=12))
def test_a_client_that_asked_gets_every_byte(cuts: list[int]) -> None:
    stream = b"".join(transcripts.CHAT_TEXT)
    pieces = scan(scanner_for(Endpoint.CHAT, ASKING), split(stream, cuts))
    assert b"".join(data for _, data in pieces) == stream


lines = st.sampled_from(
    [
        b"data: {}",
        b"data: [DONE]",
        b'data: {"error":{}}',
        b'data: {"choices":[{"delta":{"content":"x"}}]}',
        b'data: {"choices":[{"delta":{"content":"x"}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}',
        b'data: {"choices":[{"finish_reason":"stop"}]}',
        b'data: {"choices":[],"usage":{"prompt_tokens":-1}}',
        b'data: {"type":"message_stop"}',
        b'data: {"type":"content_block_delta","delta":{"text":"x"}}',
        b'data: {"type":"response.completed"}',
        b"event: x",
        b"event: error",
        b": c",
        b"",
        b"\r",
        b"<p>",
        b"\xff",
    ]
)
noise = st.lists(lines | st.binary(max_size=12), max_size=12).map(b"\n".join) | st.binary(max_size=100)


@pytest.mark.parametrize("endpoint", STREAMED)
@settings(deadline=None)
@given(stream=noise, cuts=st.lists(st.integers(0, 1 << 16), max_size=6))
def test_any_bytes_raise_only_the_typed_errors_and_split_alike(
    endpoint: Endpoint, stream: bytes, cuts: list[int]
) -> None:
    def run(chunks: list[bytes]) -> object:
        scanner = scanner_for(endpoint)
        try:
            pieces = scan(scanner, chunks)
        except MalformedStream as error:
            assert not scanner.content_seen
            return str(error)
        scanner.partial()
        return pieces, scanner.reported()

    assert run(split(stream, cuts)) == run([stream])


@pytest.mark.parametrize("endpoint", STREAMED)
@settings(deadline=None)
@given(body=st.binary(max_size=60) | values.map(lambda value: json.dumps({"usage": value}).encode()))
def test_usage_of_any_body_never_raises_nor_goes_below_zero(endpoint: Endpoint, body: bytes) -> None:
    codec = codec_for(endpoint)
    check_sane(codec.usage_of(body))
    assert len(codec.failure_message(body)) <= 300
    assert codec.failure_message(body).isprintable()
    assert failure_text(body) == codec.failure_message(body)


amounts = st.integers(-5, 2**54) | st.none() | st.text(max_size=3) | st.floats(0, 9) | st.booleans()
names = st.sampled_from(
    [
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "input_tokens",
        "output_tokens",
        "cached_tokens",
        "reasoning_tokens",
        "audio_tokens",
        "cache_write_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "ephemeral_1h_input_tokens",
        "ephemeral_5m_input_tokens",
        "thinking_tokens",
        "cost",
        "prompt_cache_hit_tokens",
    ]
)
details = st.sampled_from(
    [
        "prompt_tokens_details",
        "completion_tokens_details",
        "input_tokens_details",
        "output_tokens_details",
        "cache_creation",
    ]
)


@pytest.mark.parametrize("endpoint", STREAMED)
@settings(deadline=None)
@given(
    counts=st.dictionaries(names, amounts, max_size=12),
    parts=st.dictionaries(details, st.dictionaries(names, amounts, max_size=5) | amounts, max_size=3),
)
def test_contradictory_counts_stay_sane(endpoint: Endpoint, counts: dict[str, Any], parts: dict[str, Any]) -> None:
    check_sane(codec_for(endpoint).usage_of(msgspec.json.encode({"usage": {**counts, **parts}})))


def check_sane(reported: Reported | None) -> None:
    """Assert that what is reported is sane: whole, not negative, reasoning within output, something counted."""
    if reported is None:
        return
    numbers = msgspec.structs.astuple(reported.usage)
    assert all(isinstance(number, int) and 0 <= number < 2**60 for number in numbers)
    assert reported.usage.reasoning <= reported.usage.output
    assert any(numbers)
    assert reported.cost_nano is None or reported.cost_nano >= 0


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=40))
def test_the_splitter_keeps_no_more_than_its_limit_and_loses_nothing(chunks: list[bytes]) -> None:
    splitter = FrameSplitter(limit=64)
    frames: list[bytes] = []
    try:
        for chunk in chunks:
            frames += splitter.feed(chunk)
            assert all(len(frame) <= 64 for frame in frames)
    except FrameTooLarge:
        return
    rest = splitter.rest()
    assert len(rest) <= 64
    assert b"".join(frames) + rest == b"".join(chunks)


@pytest.mark.parametrize("endpoint", STREAMED)
def test_an_endless_frame_ends_in_the_typed_error(endpoint: Endpoint) -> None:
    scanner = scanner_for(endpoint)
    with pytest.raises(FrameTooLarge):
        list(map(scanner.feed, [b"data: " + b"x" * 65536] * 300))
