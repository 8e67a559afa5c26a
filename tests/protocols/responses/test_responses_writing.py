"""Events as responses answers, checked by the SDK's types and by its own accumulator."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.protocols.responses.speaking import (
    CLAUDE,
    accumulated,
    answered,
    body_events,
    events_of,
    frames_of,
    read_items,
    response,
    streamed,
    writer,
)

from headgate.model.content import Foreign, RedactedThinking, Signer, Thinking, ToolKind
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
from headgate.model.losses import Lost
from headgate.model.usage import Reported, Usage
from headgate.protocols.openai_responses import tables
from headgate.protocols.signatures import Signed, unwrap, wrap

Json = dict[str, Any]
STARTED = Started("msg_1", "claude-x", 5, "standard")
USAGE = UsageSeen(Reported(Usage(input=5, cache_read=3, cache_write_5m=2, output=7, reasoning=4)))
TEXT: list[Event] = [TextDelta(0, "Hel"), TextDelta(0, "lo"), BlockEnded(0)]
ANSWER: list[Event] = [
    STARTED,
    ThinkingDelta(0, "a"),
    ThinkingDelta(0, "b"),
    ThinkingDelta(0, "c", part=1),
    SignatureSeen(0, "sig"),
    BlockEnded(0),
    Whole(1, RedactedThinking("sealed")),
    BlockEnded(1),
    TextDelta(2, "Hel"),
    TextDelta(2, "lo"),
    BlockEnded(2),
    TextDelta(3, " you"),
    CitationSeen(3, msgspec.Raw(b'{"type":"web_search_result_location","url":"u","title":null,"cited_text":"x"}')),
    BlockEnded(3),
    ToolStarted(4, "toolu_1", "f"),
    ToolArguments(4, '{"a"'),
    ToolArguments(4, ":1}"),
    BlockEnded(4),
    ToolStarted(5, "toolu_2", "g", kind=ToolKind.CUSTOM),
    ToolArguments(5, "free"),
    BlockEnded(5),
    USAGE,
    Finished(Finish.TOOL_USE),
]
OUTPUT = [
    {
        "id": "rs_call_1a2b_0",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "ab"}, {"type": "summary_text", "text": "c"}],
        "encrypted_content": wrap(Signed(CLAUDE, None, "sig")),
    },
    {
        "id": "rs_call_1a2b_1",
        "type": "reasoning",
        "summary": [],
        "encrypted_content": wrap(Signed(CLAUDE, tables.REDACTED, "sealed")),
    },
    {
        "id": "msg_call_1a2b_2",
        "type": "message",
        "status": "completed",
        "content": [
            {"type": "output_text", "annotations": [], "logprobs": [], "text": "Hello"},
            {
                "type": "output_text",
                "annotations": [{"type": "url_citation", "start_index": 0, "end_index": 4, "url": "u", "title": ""}],
                "logprobs": [],
                "text": " you",
            },
        ],
        "role": "assistant",
    },
    {
        "id": "fc_call_1a2b_3",
        "type": "function_call",
        "status": "completed",
        "call_id": "toolu_1",
        "name": "f",
        "arguments": '{"a":1}',
    },
    {
        "id": "ctc_call_1a2b_4",
        "type": "custom_tool_call",
        "status": "completed",
        "call_id": "toolu_2",
        "name": "g",
        "input": "free",
    },
]


def kinds_of(stream: bytes) -> list[str]:
    return [frame["type"].removeprefix("response.") for frame in frames_of(stream)]


def last_of(stream: bytes) -> Json:
    return dict(frames_of(stream)[-1]["response"])


def test_a_stream_holds_the_whole_sequence_of_events() -> None:
    assert kinds_of(streamed(ANSWER)) == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "content_part.added",
        "output_text.delta",
        "output_text.annotation.added",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "output_item.added",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
        "output_item.done",
        "completed",
    ]


def test_the_sdk_accumulates_the_stream_to_what_the_whole_answer_is() -> None:
    final = accumulated(streamed(ANSWER))
    assert final.output_text == "Hello you"
    assert last_of(streamed(ANSWER)) == answered(ANSWER)
    assert answered(ANSWER)["output"] == OUTPUT


def test_the_response_echoes_what_the_client_asked_for() -> None:
    request: Json = {
        "instructions": "Be brief.",
        "tools": [{"type": "function", "name": "f", "parameters": {"maximum": 1}, "strict": False}],
        "tool_choice": {"type": "function", "name": "f"},
        "temperature": 0.5,
        "top_p": None,
        "metadata": {"a": "b"},
        "reasoning": {"effort": "low"},
        "text": {"format": {"type": "json_object"}},
        "max_output_tokens": 9,
        "store": True,
        "user": "u",
    }
    answer = answered(ANSWER, request)
    for name in request.keys() - {"top_p", "store"}:
        assert answer[name] == request[name]
    assert (answer["id"], answer["object"], answer["created_at"]) == ("resp_call_1a2b", "response", 1_700_000_000)
    assert (answer["model"], answer["service_tier"], answer["top_p"]) == ("claude-x", "default", 1.0)
    assert (answer["status"], answer["error"], answer["incomplete_details"]) == ("completed", None, None)
    assert answer["store"] is False  # nobody can ask Headgate for the answer again
    assert answered([], {"instructions": None})["parallel_tool_calls"] is True


def test_usage_counts_cached_tokens_as_input_and_reasoning_as_output() -> None:
    usage = {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 4},
        "total_tokens": 17,
    }
    assert answered(ANSWER)["usage"] == usage
    assert last_of(streamed(ANSWER))["usage"] == usage
    assert answered([STARTED])["usage"] is None


def test_thinking_comes_back_to_who_signed_it() -> None:
    first, second = answered(ANSWER)["output"][:2]
    (turn,) = read_items(first, second).turns
    assert turn.blocks == (Thinking(("ab", "c"), "sig", CLAUDE), RedactedThinking("sealed", CLAUDE))


def test_unsigned_thinking_is_known_as_unsigned_when_it_comes_back() -> None:
    (item,) = answered([STARTED, ThinkingDelta(0, "hm"), BlockEnded(0)])["output"]
    assert unwrap(item["encrypted_content"]) == Signed(CLAUDE, None, "")
    assert read_items(item).turns[0].blocks == (Thinking(("hm",), None, CLAUDE),)


def test_raw_reasoning_is_content_and_no_summary() -> None:
    stream = streamed([ThinkingDelta(0, "h", raw_text=True), ThinkingDelta(0, "m", raw_text=True), BlockEnded(0)])
    assert kinds_of(stream)[2:-1] == [
        "output_item.added",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
    ]
    (item,) = last_of(stream)["output"]
    assert (item["summary"], item["content"]) == ([], [{"type": "reasoning_text", "text": "hm"}])
    accumulated(stream)


def test_a_signature_without_words_is_a_reasoning_without_a_summary() -> None:
    events: list[Event] = [
        ThinkingDelta(0, ""),
        SignatureSeen(0, "sig"),
        BlockEnded(0),
        *(ToolStarted(1, "c", "f"), BlockEnded(1)),
    ]
    reasoning, call = answered(events)["output"]
    assert reasoning["summary"] == []
    assert call["arguments"] == ""


def test_blocks_may_overlap() -> None:
    events: list[Event] = [
        STARTED,
        TextDelta(0, "a"),
        ToolStarted(1, "c1", "f"),
        ToolStarted(2, "c2", "g"),
        ToolArguments(2, "2"),
        TextDelta(0, "b"),
        ToolArguments(1, "1"),
        BlockEnded(2),
        BlockEnded(1),
        BlockEnded(0),
        TextDelta(3, "c"),
        BlockEnded(3),
        Finished(Finish.TOOL_USE),
    ]
    final = accumulated(streamed(events))
    assert [item.type for item in final.output] == ["message", "function_call", "function_call", "message"]
    assert final.output_text == "abc"


def test_a_refusal_is_a_part() -> None:
    events: list[Event] = [RefusalDelta(0, "N"), RefusalDelta(0, "o"), BlockEnded(0), Finished(Finish.REFUSAL)]
    stream = streamed(events)
    assert "refusal.delta" in kinds_of(stream)
    assert "refusal.done" in kinds_of(stream)
    assert last_of(stream)["status"] == "completed"
    assert answered(events)["output"][0]["content"] == [{"type": "refusal", "refusal": "No"}]
    accumulated(stream)


@pytest.mark.parametrize(
    ("finish", "status", "reason"),
    [
        (Finish.STOP, "completed", None),
        (Finish.LENGTH, "incomplete", "max_output_tokens"),
        (Finish.CONTENT_FILTER, "incomplete", "content_filter"),
        (Finish.REFUSAL, "incomplete", "content_filter"),
        (Finish.PAUSE, "incomplete", "max_output_tokens"),
    ],
)
def test_how_an_answer_ends(finish: Finish, status: str, reason: str | None) -> None:
    events: list[Event] = [STARTED, TextDelta(0, "Hel"), Finished(finish)]
    last = last_of(streamed(events))
    assert last == answered(events)
    assert kinds_of(streamed(events))[-1] == status
    assert last["status"] == last["output"][0]["status"] == status
    assert last["incomplete_details"] == (None if reason is None else {"reason": reason})


def test_a_failure_ends_as_one() -> None:
    events: list[Event] = [STARTED, TextDelta(0, "Hel"), Failed("Busy", "rate_limit_error")]
    stream = streamed(events)
    assert kinds_of(stream)[-1] == "failed"
    assert last_of(stream)["error"] == {"code": "rate_limit_exceeded", "message": "Busy"}
    assert answered([Failed("Oh", "x")])["error"] == {"code": "server_error", "message": "Oh"}


def test_an_answer_of_nothing_is_a_response_without_output() -> None:
    assert kinds_of(streamed([])) == ["created", "in_progress", "completed"]
    assert answered([])["output"] == []


def test_logprobs_are_in_the_delta_and_in_the_item() -> None:
    raw = msgspec.Raw(b'[{"token":"\xc3\xa4","logprob":-0.5,"bytes":null,"top_logprobs":[{"token":"b","logprob":-1}]}]')
    stream = streamed(
        [TextDelta(0, "ä", logprobs=raw), TextDelta(0, "x"), BlockEnded(0)], {"include": [tables.LOGPROBS]}
    )
    token = {
        "token": "ä",
        "logprob": -0.5,
        "bytes": [195, 164],
        "top_logprobs": [{"token": "b", "logprob": -1, "bytes": [98]}],
    }
    deltas = [frame for frame in frames_of(stream) if frame["type"] == "response.output_text.delta"]
    assert [delta["logprobs"] for delta in deltas] == [[token], []]
    assert last_of(stream)["output"][0]["content"][0]["logprobs"] == [token]
    accumulated(stream)


@pytest.mark.parametrize(
    ("citation", "annotation"),
    [
        (
            {"type": "url_citation", "url_citation": {"url": "u", "title": "t", "start_index": 1, "end_index": 2}},
            {"type": "url_citation", "url": "u", "title": "t", "start_index": 1, "end_index": 2},
        ),
        (
            {"type": "url_citation", "url": "u", "title": "t", "start_index": 1, "end_index": 2},
            {"type": "url_citation", "url": "u", "title": "t", "start_index": 1, "end_index": 2},
        ),
        (
            {"type": "file_citation", "file_id": "f", "filename": "n", "index": 0},
            {"type": "file_citation", "file_id": "f", "filename": "n", "index": 0},
        ),
        ({"type": "char_location", "document_index": 0}, None),
        ([], None),
    ],
)
def test_citations(citation: Any, annotation: Json | None) -> None:
    raw = msgspec.Raw(msgspec.json.encode(citation))
    written = writer()
    events: list[Event] = [TextDelta(0, "abc"), CitationSeen(0, raw), BlockEnded(0)]
    (item,) = msgspec.json.decode(written.body(events))["output"]
    assert item["content"][0]["annotations"] == ([] if annotation is None else [annotation])
    assert written.lost == (set() if annotation is not None else {Lost.CITATIONS})
    accumulated(streamed(events))


def test_what_another_dialect_alone_has_is_named_and_the_own_kept() -> None:
    written = writer()
    action = b'{"type":"search","query":"x"}'
    raw = msgspec.Raw(b'{"type":"web_search_call","id":"ws_1","status":"completed","action":%b}' % action)
    written.frames(
        [Whole(0, Foreign(Dialect.ANTHROPIC_MESSAGES, "server_tool_use", msgspec.Raw(b"{}"))), BlockEnded(0)]
    )
    assert written.lost == {Lost.FOREIGN}
    own = answered([Whole(0, Foreign(Dialect.OPENAI_RESPONSES, "web_search_call", raw)), BlockEnded(0)])
    assert own["output"] == [msgspec.json.decode(raw)]


def test_calls_without_an_id_get_one_that_is_the_same_each_time() -> None:
    events: list[Event] = [ToolStarted(0, "", "f"), BlockEnded(0), ToolStarted(1, "", "f"), BlockEnded(1)]
    first, second = answered(events)["output"]
    assert first["call_id"] != second["call_id"]
    assert answered(events)["output"] == [first, second]


def test_the_next_number_is_that_of_an_event_to_append() -> None:
    written = writer()
    assert written.next_sequence() == 0
    frames = frames_of(written.frames([STARTED, TextDelta(0, "x")]))
    assert written.next_sequence() == len(frames)


def test_an_answer_of_this_dialect_read_and_written_keeps_its_words() -> None:
    own = Signer("openai", Dialect.OPENAI_RESPONSES)
    answer = response(
        {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "a"}], "encrypted_content": "g"},
        {"type": "message", "id": "m", "role": "assistant", "status": "completed",
         "content": [{"type": "output_text", "text": "Hi", "annotations": [], "logprobs": []}]},
    )  # fmt: skip
    reasoning, message = answered(body_events(answer), signer=own)["output"]
    assert unwrap(reasoning["encrypted_content"]) == Signed(own, "rs", "g")
    assert message["content"] == answer["output"][1]["content"]
    frames = frames_of(streamed(ANSWER))
    again = [event for event in events_of(*frames) if isinstance(event, TextDelta | ToolArguments)]
    assert [event.text for event in again] == ["Hel", "lo", " you", '{"a"', ":1}", "free"]


BLOCK = st.integers(0, 3)
WORD = st.sampled_from(["", "a", "é\n"])
RAW = st.sampled_from([b"[]", b'{"type":"url_citation","url":"u"}', b'[{"token":"a","logprob":-1}]', b"7"]).map(
    msgspec.Raw
)
EVENT: st.SearchStrategy[Event] = st.one_of(
    st.builds(TextDelta, BLOCK, WORD, st.just(0), st.none() | RAW),
    st.builds(RefusalDelta, BLOCK, WORD),
    st.builds(ThinkingDelta, BLOCK, WORD, st.just(0), st.integers(0, 2), st.booleans()),
    st.builds(SignatureSeen, BLOCK, WORD),
    st.builds(ToolStarted, BLOCK, WORD, WORD, st.just(0), st.sampled_from(ToolKind)),
    st.builds(ToolArguments, BLOCK, WORD),
    st.builds(CitationSeen, BLOCK, RAW),
    st.builds(BlockEnded, BLOCK),
    st.builds(TextDelta, BLOCK, WORD, st.just(1)),
    st.just(Whole(9, RedactedThinking("x"))),
    st.just(UnknownSeen("x", b"x")),
    st.builds(Finished, st.sampled_from(Finish)),
    st.just(STARTED),
    st.just(USAGE),
)


@settings(deadline=None, max_examples=300)
@given(st.lists(EVENT, max_size=25))
def test_any_events_are_a_stream_that_the_sdk_accumulates(events: list[Event]) -> None:
    stream = streamed(events)
    frames = frames_of(stream)
    assert frames[0]["type"] == "response.created"
    opened = [frame["output_index"] for frame in frames if frame["type"] == "response.output_item.added"]
    assert opened == list(range(len(opened)))
    accumulated(stream)
    assert last_of(stream) == msgspec.json.decode(writer({"stream": True}).body(events))
