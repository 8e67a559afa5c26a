"""Upstreams' answers in this dialect as events."""

import json

import pytest
from msgspec import Raw
from tests.protocols.messages.upstream import START, begin, delta, end, events_of, reader, stop

from headgate.model.content import Foreign, RedactedThinking, ToolKind
from headgate.model.conversation import Tool
from headgate.model.dialect import Dialect
from headgate.model.events import (
    BlockEnded,
    CitationSeen,
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
    UsageSeen,
    Whole,
)
from headgate.model.usage import Reported, Usage

OWN = Dialect.ANTHROPIC_MESSAGES


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
