"""Upstreams' responses answers as events: streams, whole bodies, and what is broken."""

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.protocols.responses.speaking import RESPONSES, body_events, events_of, read, response

from headgate.model.content import Foreign, ToolKind
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
from headgate.protocols.openai_responses import tables

Json = dict[str, Any]
STARTED = Started("resp_up", "up", 7)
URL = {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}
SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
USAGE = {
    "input_tokens": 10,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 1},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 15,
}
SEEN = UsageSeen(Reported(Usage(input=5, cache_read=4, cache_write_5m=1, output=5, reasoning=3)))
REASONING = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "ab"}, {"type": "summary_text", "text": "c"}],
    "encrypted_content": "gAAA",
}
MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [
        {"type": "output_text", "text": "Hello", "annotations": [URL], "logprobs": []},
        {"type": "refusal", "refusal": "No"},
    ],
}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": '{"a":1}'}
CUSTOM = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c2", "name": "g", "input": "free"}


def say(kind: str, **members: Any) -> Json:
    return {"type": f"response.{kind}", "sequence_number": 0, **members}


def added(index: int, item: Json, **empty: Any) -> Json:
    return say("output_item.added", output_index=index, item={**item, **empty})


def done(index: int, item: Json) -> Json:
    return say("output_item.done", output_index=index, item=item)


def completed(*output: Json, **members: Any) -> Json:
    return say("completed", response=response(*output, **members))


CREATED = say("created", response=response(status="in_progress"))

FRAMES = [
    CREATED,
    say("in_progress", response=response(status="in_progress")),
    added(0, REASONING, summary=[], encrypted_content="g"),
    say("reasoning_summary_part.added", output_index=0, summary_index=0, part={"type": "summary_text", "text": ""}),
    say("reasoning_summary_text.delta", output_index=0, summary_index=0, delta="a"),
    say("reasoning_summary_text.delta", output_index=0, summary_index=0, delta="b", obfuscation="x"),
    say("reasoning_summary_text.done", output_index=0, summary_index=0, text="ab"),
    say("reasoning_summary_text.delta", output_index=0, summary_index=1, delta="c"),
    done(0, REASONING),
    added(1, SEARCH),
    say("web_search_call.searching", output_index=1, item_id="ws_1"),
    done(1, SEARCH),
    added(2, MESSAGE, content=[]),
    say("content_part.added", output_index=2, content_index=0, part={"type": "output_text", "text": ""}),
    say("output_text.delta", output_index=2, content_index=0, delta="Hel", logprobs=[]),
    say("output_text.delta", output_index=2, content_index=0, delta="lo", logprobs=[]),
    say("output_text.annotation.added", output_index=2, content_index=0, annotation_index=0, annotation=URL),
    say("output_text.done", output_index=2, content_index=0, text="Hello", logprobs=[]),
    say("content_part.done", output_index=2, content_index=0, part=MESSAGE["content"][0]),
    say("refusal.delta", output_index=2, content_index=1, delta="No"),
    say("refusal.done", output_index=2, content_index=1, refusal="No"),
    done(2, MESSAGE),
    added(3, CALL, arguments=""),
    say("function_call_arguments.delta", output_index=3, delta='{"a"'),
    added(4, CUSTOM, input=""),
    say("custom_tool_call_input.delta", output_index=4, delta="free"),
    say("function_call_arguments.delta", output_index=3, delta=":1}"),
    say("function_call_arguments.done", output_index=3, arguments='{"a":1}'),
    done(3, CALL),
    say("custom_tool_call_input.done", output_index=4, input="free"),
    done(4, CUSTOM),
    completed(REASONING, SEARCH, MESSAGE, CALL, CUSTOM, usage=USAGE),
]
WHOLE = Whole(1, Foreign(Dialect.OPENAI_RESPONSES, "web_search_call", msgspec.Raw(msgspec.json.encode(SEARCH))))
CITED = CitationSeen(2, msgspec.Raw(msgspec.json.encode(URL)))


def joined(events: list[Event]) -> list[str]:
    """Return what the blocks of an answer said, however they were cut and in whatever order they began."""
    blocks: dict[int, Any] = {}
    for event in events:
        if (block := getattr(event, "block", None)) is None:
            continue
        said = blocks.setdefault(block, {})
        if isinstance(event, TextDelta | RefusalDelta | ToolArguments):
            said[type(event)] = said.get(type(event), "") + event.text
        elif isinstance(event, ThinkingDelta):
            said.setdefault(event.part, [""])[0] += event.text
        else:
            said.setdefault("others", []).append(msgspec.structs.replace(event, block=0))
    return sorted(
        msgspec.json.encode({str(name): value for name, value in said.items()}, order="deterministic").decode()
        for said in blocks.values()
    )


def test_a_stream_is_read_event_by_event() -> None:
    assert events_of(*FRAMES) == [
        STARTED,
        ThinkingDelta(0, "a"),
        ThinkingDelta(0, "b"),
        ThinkingDelta(0, "c", part=1),
        SignatureSeen(0, "gAAA", item="rs_1"),
        BlockEnded(0),
        WHOLE,
        BlockEnded(1),
        TextDelta(2, "Hel"),
        TextDelta(2, "lo"),
        CITED,
        BlockEnded(2),
        RefusalDelta(3, "No"),
        BlockEnded(3),
        ToolStarted(4, "c1", "f", item="fc_1"),
        ToolArguments(4, '{"a"'),
        ToolStarted(5, "c2", "g", kind=ToolKind.CUSTOM, item="ctc_1"),
        ToolArguments(5, "free"),
        ToolArguments(4, ":1}"),
        BlockEnded(4),
        BlockEnded(5),
        SEEN,
        Finished(Finish.TOOL_USE, word="completed"),
    ]


def test_a_whole_answer_says_what_its_stream_says() -> None:
    events = list(body_events(response(REASONING, SEARCH, MESSAGE, CALL, CUSTOM, usage=USAGE)))
    assert joined(events) == joined(events_of(*FRAMES))
    assert events[0] == STARTED
    assert events[-2:] == [SEEN, Finished(Finish.TOOL_USE, word="completed")]


def without(*kinds: str) -> list[Json]:
    return [frame for frame in FRAMES if not any(kind in frame["type"] for kind in kinds)]


@pytest.mark.parametrize(
    "frames",
    [
        without(".delta"),
        without(".done"),
        without(".delta", "_text.done", "arguments.done", "input.done"),
        without("annotation.added", "part"),
        without("output_item.added", "arguments.delta", "input.delta"),
        without("output_item", "content_part", ".delta", ".done", "annotation"),
    ],
    ids=["no deltas", "no ends", "only items", "no parts", "items unannounced", "only the end"],
)
def test_what_some_servers_leave_out_comes_from_what_they_send(frames: list[Json]) -> None:
    events = events_of(*frames)
    assert joined(events) == joined(events_of(*FRAMES))
    unknown = {event.name for event in events if isinstance(event, UnknownSeen)}
    assert unknown <= {"response.function_call_arguments.done", "response.custom_tool_call_input.done"}


def test_raw_reasoning_is_told_from_a_summary_and_unsigned_one_is_marked() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
    expected = [
        ThinkingDelta(0, "hm", raw_text=True),
        SignatureSeen(0, tables.UNSIGNED_TEXT, item="rs_1"),
        BlockEnded(0),
    ]
    delta = say("reasoning_text.delta", output_index=0, content_index=0, delta="hm")
    assert events_of(added(0, item, content=[]), delta, done(0, item)) == expected
    assert list(body_events(response(item)))[1:-1] == expected


def test_encrypted_reasoning_without_words_is_a_block() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "g"}
    assert events_of(added(0, item, encrypted_content=None), done(0, item)) == [
        ThinkingDelta(0, ""),
        SignatureSeen(0, "g", item="rs_1"),
        BlockEnded(0),
    ]
    assert events_of(done(0, {"type": "reasoning", "id": "rs_1", "summary": []})) == []


def test_logprobs_come_in_chats_form() -> None:
    token = {"token": "a", "logprob": -0.5, "top_logprobs": [{"token": "b", "logprob": -1}]}
    frame = say("output_text.delta", output_index=0, content_index=0, delta="a", logprobs=[token])
    (event, _) = events_of(frame)
    assert isinstance(event, TextDelta)
    assert event.logprobs is not None
    assert msgspec.json.decode(event.logprobs) == [
        {**token, "bytes": None, "top_logprobs": [{"token": "b", "logprob": -1, "bytes": None}]}
    ]


@pytest.mark.parametrize(
    ("members", "finish", "word"),
    [
        ({"status": "completed"}, Finish.STOP, "completed"),
        ({"incomplete_details": {"reason": "max_output_tokens"}}, Finish.LENGTH, "max_output_tokens"),
        ({"incomplete_details": {"reason": "content_filter"}}, Finish.CONTENT_FILTER, "content_filter"),
        ({"incomplete_details": {"reason": "steered"}}, Finish.PAUSE, "steered"),
        ({"incomplete_details": {"reason": "tired"}}, Finish.UNKNOWN, "tired"),
        ({"status": "cancelled"}, Finish.UNKNOWN, "cancelled"),
        ({"status": 7, "incomplete_details": 7, "usage": 7, "created_at": "x"}, Finish.STOP, ""),
    ],
)
def test_why_an_answer_ended(members: Json, finish: Finish, word: str) -> None:
    for events in (events_of(say("incomplete", response=response(**members))), body_events(response(**members))):
        assert events[-1] == Finished(finish, word=word)


def test_a_refusal_ends_as_one() -> None:
    item = {**MESSAGE, "content": [{"type": "refusal", "refusal": "No"}]}
    assert body_events(response(item))[-1] == Finished(Finish.REFUSAL, word="completed")
    assert events_of(done(0, item), completed(item))[-1] == Finished(Finish.REFUSAL, word="completed")


@pytest.mark.parametrize(
    ("frame", "failed"),
    [
        (
            say("failed", response=response(status="failed", error={"code": "server_error", "message": "Oh no"})),
            Failed("Oh no", "server_error"),
        ),
        (
            {"type": "error", "code": "rate_limit_exceeded", "message": "Slow down"},
            Failed("Slow down", "rate_limit_exceeded"),
        ),
        ({"type": "error", "error": {"type": "overloaded", "message": "Busy"}}, Failed("Busy", "overloaded")),
        ({"error": {"message": "Bad", "code": None, "type": "x"}}, Failed("Bad", "x")),
        (say("failed"), Failed("")),
    ],
)
def test_failures(frame: Json, failed: Failed) -> None:
    assert events_of(CREATED, frame, *FRAMES) == [STARTED, failed]


def test_a_body_that_failed_or_is_none() -> None:
    assert body_events(response(status="failed", error={"code": "x", "message": "Oh"})) == (Failed("Oh", "x"),)
    assert body_events({"error": {"message": "Oh", "type": "x"}}) == (Failed("Oh", "x"),)
    for body in (b"", b"[]", b"{}", b'"x"', b"{", b"\xff", b"[" * 100_000):
        assert RESPONSES.answer_reader(read({})).body(body) == (UnknownSeen("", body),)


def test_a_stream_that_stops_ends_its_blocks_and_does_not_finish() -> None:
    events = events_of(*FRAMES[:16], *FRAMES[22:24])
    assert events[-2:] == [BlockEnded(2), BlockEnded(3)]
    assert not any(isinstance(event, Finished) for event in events)


def test_what_follows_the_end_is_nobodys() -> None:
    assert events_of(*FRAMES, *FRAMES) == events_of(*FRAMES)


@pytest.mark.parametrize(
    "frame",
    [
        b"not JSON",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"type":"response.hologram.delta"}',
        b"{}",
        b'{"type":"response.output_item.added"}',
        b'{"type":"response.output_item.added","item":{"type":7}}',
        b'{"type":"response.output_item.done","output_index":0,"item":null}',
        b'{"type":"response.function_call_arguments.delta","output_index":9,"delta":"x"}',
        b'{"type":"response.output_text.annotation.added","output_index":0}',
    ],
)
def test_frames_of_no_use_are_kept_as_unknown(frame: bytes) -> None:
    (event,) = events_of(frame)
    assert isinstance(event, UnknownSeen)
    assert event.raw == frame


def test_members_of_a_wrong_type_are_left_out_and_all_others_read() -> None:
    frame = say("output_text.delta", output_index="0", content_index=None, delta="x", logprobs=7, error=[1])
    assert events_of(frame) == [TextDelta(0, "x"), BlockEnded(0)]


def test_duplicate_indexes_begin_anew_and_late_deltas_are_unknown() -> None:
    late = say("output_text.delta", output_index=2, content_index=0, delta="late")
    events = events_of(*FRAMES[12:16], added(2, MESSAGE, content=[]), late, done(2, {**MESSAGE, "content": []}), late)
    assert events[:-1] == [
        TextDelta(0, "Hel"),
        TextDelta(0, "lo"),
        BlockEnded(0),
        TextDelta(1, "late"),
        BlockEnded(1),
    ]
    assert isinstance(events[-1], UnknownSeen)


def test_an_endless_answer_is_bounded() -> None:
    reader = RESPONSES.answer_reader(read({}))
    frames = [msgspec.json.encode(added(index, CALL, id=f"fc_{index}")) for index in range(5_000)]
    events = [event for frame in frames for event in reader.frame(None, frame)]
    assert sum(isinstance(event, ToolStarted) for event in events) == 4_096


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["type", "text", "id", "content", "summary", "refusal", "output"]), inner)
    ),
    max_leaves=6,
)
FRAME = st.one_of(
    st.sampled_from(FRAMES),
    st.builds(
        lambda frame, changes: {**frame, **changes},
        st.sampled_from(FRAMES),
        st.dictionaries(
            st.sampled_from(["output_index", "content_index", "delta", "item", "part", "response", "text", "type"]),
            JSON | st.integers(0, 3),
            max_size=2,
        ),
    ),
)


@settings(deadline=None, max_examples=400)
@given(st.lists(FRAME, max_size=12), st.booleans())
def test_frames_in_any_order_give_events_in_order(frames: list[Json], ended: bool) -> None:
    events = events_of(*frames, ended=ended)
    begun: set[int] = set()
    over: set[int] = set()
    for event in events:
        block = getattr(event, "block", None)
        if block is None:
            continue
        assert block not in over
        if isinstance(event, BlockEnded):
            assert block in begun
            over.add(block)
        begun.add(block)
    assert begun == set(range(len(begun)))
    assert not ended or over == begun
    assert sum(isinstance(event, Finished | Failed) for event in events) <= 1


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=60) | JSON.map(msgspec.json.encode))
def test_any_bytes_are_read(data: bytes) -> None:
    reader = RESPONSES.answer_reader(read({}))
    list(reader.frame(b"error" if len(data) % 2 else None, data))
    list(reader.end())
    list(RESPONSES.answer_reader(read({})).body(data))


def test_cut_frames_are_read() -> None:
    rng = random.Random(4)
    for frame in FRAMES:
        data = msgspec.json.encode(frame)
        list(RESPONSES.answer_reader(read({})).frame(None, data[: rng.randrange(len(data))]))
