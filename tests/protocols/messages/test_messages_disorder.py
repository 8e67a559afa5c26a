"""Upstreams' frames that come out of order, twice, never, or as nobody knows them."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.protocols import transcripts
from tests.protocols.messages.upstream import START, begin, delta, end, events_of, reader, stop
from tests.protocols.messages.validating import frames_of

from headgate.model.dialect import Dialect
from headgate.model.events import (
    BlockEnded,
    CitationSeen,
    Event,
    Failed,
    Finish,
    Finished,
    RefusalDelta,
    SignatureSeen,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolArguments,
    ToolStarted,
    UnknownSeen,
    UsageSeen,
    Whole,
)
from headgate.protocols.sse import FrameSplitter, parse_frame

OWN = Dialect.ANTHROPIC_MESSAGES


def test_deltas_of_a_block_that_never_started_begin_it() -> None:
    events = events_of(delta(4, "text_delta", text="a"), delta(5, "thinking_delta", thinking="b"))
    assert events == [TextDelta(0, "a"), ThinkingDelta(1, "b"), BlockEnded(0), BlockEnded(1)]


def test_a_block_that_starts_again_is_another_one() -> None:
    events = events_of(begin(0, type="text", text="a"), begin(0, type="text", text="b"), stop(0), stop(0))
    assert events == [TextDelta(0, "a"), BlockEnded(0), TextDelta(1, "b"), BlockEnded(1)]


def test_blocks_that_are_open_at_the_end_end_there() -> None:
    events = events_of(begin(0, type="tool_use", id="t", name="f", input={}), end("max_tokens"))
    assert events[:3] == [ToolStarted(0, "t", "f"), ToolArguments(0, "{}"), BlockEnded(0)]


def test_a_second_start_and_a_second_end_say_nothing() -> None:
    events = events_of(START, START, end("end_turn"), end("max_tokens"))
    assert [type(event) for event in events] == [UsageSeen, Started, UsageSeen, Finished, UsageSeen]


def test_content_in_the_start_of_a_message_is_read() -> None:
    message = {
        **START["message"],
        "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}],
        "stop_reason": "tool_use",
    }
    events = events_of({"type": "message_start", "message": message}, {"type": "message_stop"})
    assert events[2:] == [
        ToolStarted(0, "t", "f"),
        ToolArguments(0, '{"a": 1}'),
        BlockEnded(0),
        Finished(Finish.TOOL_USE, 0, None, "tool_use"),
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"type":5}',
        b'{"type":"content_block_delta","index":"0","delta":{"type":"text_delta","text":"x"}}',
        b'{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"x"}}',
        b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":5}}',
        b'{"type":"content_block_start","index":0}',
        b'{"type":"content_block_start","index":0,"content_block":{}}',
        b'{"type":"content_block_start","index":0,"content_block":{"type":"text","text":[]}}',
        b'{"type":"message_start","message":5}',
        b'{"type":"hologram"}',
        b'{"type":"x","a":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b"\xff\xfe",
    ],
)
def test_what_nobody_understands_is_kept_and_decides_nothing(data: bytes) -> None:
    reading = reader()
    events = [*reading.frame(None, data), *reading.end()]
    assert [type(event) for event in events] == [UnknownSeen]


def test_a_whole_answer_says_what_its_stream_says() -> None:
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "s"},
            {"type": "text", "text": "So.", "citations": [{"type": "char_location"}]},
            {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 4},
    }
    events = reader().body(json.dumps(message).encode())
    assert [type(event) for event in events] == [
        UsageSeen,
        Started,
        ThinkingDelta,
        SignatureSeen,
        BlockEnded,
        TextDelta,
        CitationSeen,
        BlockEnded,
        ToolStarted,
        ToolArguments,
        BlockEnded,
        Whole,
        BlockEnded,
        Finished,
    ]
    assert [type(event) for event in reader().body(b"<html>")] == [UnknownSeen]


# -- properties --------------------------------------------------------------------------------------

numbers = st.integers(0, 2)
text = st.text(max_size=3)
block = st.sampled_from(
    [
        {"type": "text", "text": "x"},
        {"type": "thinking", "thinking": "", "signature": "s"},
        {"type": "tool_use", "id": "t", "name": "f", "input": {}},
        {"type": "server_tool_use", "id": "s", "name": "w", "input": {}},
        {"type": "redacted_thinking", "data": "d"},
        {"type": "redacted_thinking"},
        {"type": "tool_use"},
        {},
    ]
)
frame = st.one_of(
    st.builds(begin, numbers).flatmap(lambda start: st.builds(lambda b: {**start, "content_block": b}, block)),
    st.builds(lambda i, t: delta(i, "text_delta", text=t), numbers, text),
    st.builds(lambda i, t: delta(i, "thinking_delta", thinking=t), numbers, text),
    st.builds(lambda i, t: delta(i, "signature_delta", signature=t), numbers, text),
    st.builds(lambda i, t: delta(i, "input_json_delta", partial_json=t), numbers, text),
    st.builds(stop, numbers),
    st.just(START),
    st.just(end("end_turn")),
    st.just({"type": "message_stop"}),
)
BLOCK_EVENTS = (TextDelta, ThinkingDelta, SignatureSeen, ToolStarted, ToolArguments, Whole, CitationSeen, RefusalDelta)


@settings(deadline=None)
@given(st.lists(frame, max_size=25))
def test_any_order_of_frames_gives_blocks_that_begin_and_end_once(frames: list[dict[str, Any]]) -> None:
    events = events_of(*frames)
    ended: set[int] = set()
    for event in events:
        if isinstance(event, BLOCK_EVENTS):
            assert event.block not in ended
        elif isinstance(event, BlockEnded):
            assert event.block not in ended
            ended.add(event.block)
    assert ended >= {event.block for event in events if isinstance(event, BLOCK_EVENTS)}
    assert sum(isinstance(event, Finished) for event in events) <= 1
    assert sum(isinstance(event, Started) for event in events) <= 1


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 10_000), max_size=6))
def test_events_do_not_depend_on_how_the_stream_was_cut(cuts: list[int]) -> None:
    stream = b"".join(transcripts.MESSAGES)
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    splitter, reading = FrameSplitter(), reader()
    events: list[Event] = []
    for start, stop_at in pairwise(edges):
        for each in splitter.feed(stream[start:stop_at]):
            events += reading.frame(*parse_frame(each))
    once = reader()
    assert events == [event for name, data in frames_of(stream) for event in once.frame(name, data)]


@given(st.binary(max_size=60))
def test_random_bytes_do_no_harm(data: bytes) -> None:
    reading = reader()
    assert all(isinstance(event, UnknownSeen | Failed) for event in reading.frame(None, data))
    assert isinstance(list(reader().body(data)), list)
