"""Upstreams' answers in this dialect as events."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from tests.protocols import transcripts
from tests.protocols.messages.foreign import asking
from tests.protocols.messages.validating import frames_of

from headgate.model.content import Foreign, RedactedThinking, ToolKind
from headgate.model.conversation import Tool
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
from headgate.model.usage import Reported, Usage
from headgate.protocols.anthropic_messages import MessagesTranslator
from headgate.protocols.sse import FrameSplitter, parse_frame

OWN = Dialect.ANTHROPIC_MESSAGES
TRANSLATOR = MessagesTranslator()


def reader(**members: Any) -> Any:
    return TRANSLATOR.answer_reader(asking(**members))


def events_of(*messages: dict[str, Any], **members: Any) -> list[Event]:
    reading = reader(**members)
    events: list[Event] = []
    for message in messages:
        events += reading.frame(message["type"].encode(), json.dumps(message).encode())
    return [*events, *reading.end()]


def begin(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, kind: str, **members: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **members}}


def stop(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


START: dict[str, Any] = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [],
        "usage": {"input_tokens": 5, "cache_read_input_tokens": 7, "output_tokens": 1, "service_tier": "standard"},
    },
}


def end(reason: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "message_delta",
        "delta": {"stop_reason": reason, "stop_sequence": None, **more},
        "usage": {"output_tokens": 9},
    }


def test_a_stream_of_everything() -> None:
    citation = {"type": "char_location", "cited_text": "x"}
    events = events_of(
        START,
        {"type": "ping"},
        begin(0, type="thinking", thinking="", signature=""),
        delta(0, "thinking_delta", thinking="Hm."),
        delta(0, "signature_delta", signature="EqQB/+=="),
        stop(0),
        begin(1, type="redacted_thinking", data="EmwK"),
        stop(1),
        begin(2, type="text", text=""),
        delta(2, "text_delta", text="It is "),
        delta(2, "text_delta", text="so."),
        delta(2, "citations_delta", citation=citation),
        stop(2),
        begin(3, type="tool_use", id="toolu_1", name="f", input={}),
        delta(3, "input_json_delta", partial_json=""),
        delta(3, "input_json_delta", partial_json='{"a": '),
        delta(3, "input_json_delta", partial_json="1}"),
        stop(3),
        end("tool_use"),
        {"type": "message_stop"},
    )
    assert events == [
        UsageSeen(Reported(Usage(input=5, cache_read=7, output=1))),
        Started("msg_1", "claude-x", 0, "standard"),
        ThinkingDelta(0, "Hm."),
        SignatureSeen(0, "EqQB/+=="),
        BlockEnded(0),
        Whole(1, RedactedThinking("EmwK")),
        BlockEnded(1),
        TextDelta(2, "It is "),
        TextDelta(2, "so."),
        CitationSeen(2, Raw(json.dumps(citation).encode())),
        BlockEnded(2),
        ToolStarted(3, "toolu_1", "f"),
        ToolArguments(3, '{"a": '),
        ToolArguments(3, "1}"),
        BlockEnded(3),
        UsageSeen(Reported(Usage(input=5, cache_read=7, output=9))),
        Finished(Finish.TOOL_USE, 0, None, "tool_use"),
    ]


def test_a_tool_without_arguments_has_an_empty_object() -> None:
    events = events_of(begin(0, type="tool_use", id="t", name="f", input={}), stop(0))
    assert events == [ToolStarted(0, "t", "f"), ToolArguments(0, "{}"), BlockEnded(0)]


def test_input_in_the_start_of_a_block_is_its_arguments() -> None:
    events = events_of(begin(0, type="tool_use", id="t", name="f", input={"a": 1}), stop(0))
    assert events[1] == ToolArguments(0, '{"a": 1}')


def test_what_a_custom_tool_is_given_is_its_text() -> None:
    custom = (Tool("p", kind=ToolKind.CUSTOM),)
    events = events_of(
        begin(0, type="tool_use", id="t", name="p", input={}),
        delta(0, "input_json_delta", partial_json='{"input": "a\\n'),
        delta(0, "input_json_delta", partial_json='b"}'),
        stop(0),
        begin(1, type="tool_use", id="u", name="p", input={"odd": 1}),
        stop(1),
        tools=custom,
    )
    assert events == [
        ToolStarted(0, "t", "p", kind=ToolKind.CUSTOM),
        ToolArguments(0, "a\nb"),
        BlockEnded(0),
        ToolStarted(1, "u", "p", kind=ToolKind.CUSTOM),
        ToolArguments(1, '{"odd": 1}'),
        BlockEnded(1),
    ]


def test_blocks_that_only_this_dialect_has_come_whole() -> None:
    events = events_of(
        begin(0, type="server_tool_use", id="s", name="web_search", input={}),
        delta(0, "input_json_delta", partial_json='{"query":'),
        delta(0, "input_json_delta", partial_json=' "x"}'),
        stop(0),
        begin(1, type="web_search_tool_result", tool_use_id="s", content=[]),
        stop(1),
        begin(2, type="compaction", content=None),
        delta(2, "compaction_delta", content="In "),
        delta(2, "compaction_delta", content="short.", encrypted_content={"a": 1}),
        stop(2),
    )
    wholes = [event.content for event in events if isinstance(event, Whole)]
    assert [whole.name for whole in wholes if isinstance(whole, Foreign)] == [
        "server_tool_use",
        "web_search_tool_result",
        "compaction",
    ]
    assert [json.loads(bytes(whole.raw)) for whole in wholes if isinstance(whole, Foreign)] == [
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
        {"type": "compaction", "content": "In short.", "encrypted_content": {"a": 1}},
    ]


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", Finish.STOP),
        ("max_tokens", Finish.LENGTH),
        ("stop_sequence", Finish.STOP_SEQUENCE),
        ("pause_turn", Finish.PAUSE),
        ("refusal", Finish.REFUSAL),
        ("model_context_window_exceeded", Finish.CONTEXT),
        ("boredom", Finish.UNKNOWN),
    ],
)
def test_stop_reasons(reason: str, finish: Finish) -> None:
    assert events_of(end(reason))[-1] == Finished(finish, 0, None, reason)


def test_a_stop_sequence_is_named() -> None:
    assert events_of(end("stop_sequence", stop_sequence="END"))[-1] == Finished(
        Finish.STOP_SEQUENCE, 0, "END", "stop_sequence"
    )


def test_the_explanation_of_a_refusal_is_its_text() -> None:
    details = {"type": "refusal", "category": "bio", "explanation": "Not this."}
    assert events_of(end("refusal", stop_details=details))[-3:] == [
        RefusalDelta(0, "Not this."),
        BlockEnded(0),
        Finished(Finish.REFUSAL, 0, None, "refusal"),
    ]


def test_an_error_inside_an_answer() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    assert events_of(error) == [Failed("Overloaded", "overloaded_error")]
    assert reader().frame(b"error", b'{"message":"no"}') == (Failed("no", ""),)
    assert reader().body(json.dumps(error).encode()) == (Failed("Overloaded", "overloaded_error"),)


# -- out of order ------------------------------------------------------------------------------------


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
