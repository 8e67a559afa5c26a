"""What upstreams' chat answers say: OpenAI's and those of servers that speak as it does, each with its own ways."""

from typing import Any

import msgspec
import pytest
from msgspec import Raw
from tests.protocols.chat.translating import (
    CHAT,
    body_events,
    chunk,
    events_of,
    read_messages,
    whole,
)

from headgate.model.content import Foreign, RedactedThinking, ToolKind
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
from headgate.protocols.openai_chat.answer_reader import MAX_CHOICES
from headgate.protocols.openai_chat.choice_reader import MAX_TOOLS

STARTED = Started("chatcmpl-1", "up", 7)
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "prompt_tokens_details": {"cached_tokens": 4}}
SEEN = UsageSeen(Reported(Usage(input=6, cache_read=4, output=5)))


def tool(index: int | None = None, **members: Any) -> dict[str, Any]:
    call = {name: value for name, value in (("index", index), ("id", members.pop("id", None))) if value is not None}
    return {"tool_calls": [{**call, "function": members}]}


def after_start(*frames: dict[str, Any] | bytes) -> list[Event]:
    first, *rest = events_of(*frames)
    assert first == STARTED
    return rest


def test_text_and_usage() -> None:
    assert events_of(
        chunk({"role": "assistant", "content": "", "refusal": None}),
        chunk({"content": "Hel"}),
        chunk({"content": "lo"}),
        chunk({}, "stop"),
        chunk({}, usage=USAGE) | {"choices": []},
        b"[DONE]",
    ) == [STARTED, TextDelta(0, "Hel"), TextDelta(0, "lo"), SEEN, BlockEnded(0), Finished(Finish.STOP, word="stop")]


def test_parallel_tool_calls() -> None:
    assert after_start(
        chunk({"role": "assistant", "content": None}),
        chunk(tool(0, id="a", name="f", arguments="")),
        chunk(tool(0, arguments='{"x"')),
        chunk(tool(0, arguments=":1}")),
        chunk(tool(1, id="b", name="g", arguments="{}")),
        chunk({}, "tool_calls"),
    ) == [
        ToolStarted(0, "a", "f"),
        ToolArguments(0, '{"x"'),
        ToolArguments(0, ":1}"),
        BlockEnded(0),
        ToolStarted(1, "b", "g"),
        ToolArguments(1, "{}"),
        BlockEnded(1),
        Finished(Finish.TOOL_USE, word="tool_calls"),
    ]


def test_interleaved_tool_calls_stay_apart() -> None:
    events = after_start(
        chunk(tool(0, id="a", name="f")),
        chunk(tool(1, id="b", name="g")),
        chunk(tool(0, arguments='{"x":')),
        chunk(tool(1, arguments="{}")),
        chunk(tool(0, arguments="1}")),
        chunk({}, "tool_calls"),
    )
    said = {0: "", 1: ""}
    for event in events:
        if isinstance(event, ToolArguments):
            said[event.block] += event.text
    assert said == {0: '{"x":1}', 1: "{}"}
    assert events.index(BlockEnded(0)) > events.index(ToolArguments(0, "1}"))


@pytest.mark.parametrize(
    "deltas",
    [
        pytest.param([tool(id="a", name="f", arguments="{}"), tool(id="b", name="g", arguments="{}")], id="no index"),
        pytest.param([tool(name="f", arguments="{}"), tool(name="g", arguments="{}")], id="neither index nor id"),
        pytest.param(
            [tool(0, id="a", name="f", arguments="{}"), tool(0, id="b", name="g", arguments="{}")], id="all 0"
        ),
        pytest.param(
            [tool(id="a", name="f"), tool(arguments="{}"), tool(id="b", name="g"), tool(arguments="{}")], id="last"
        ),
        pytest.param(
            [
                tool(0, id="a", name="f"),
                tool(0, id="a", name="f", arguments="{}"),
                tool(1, id="b", name="g"),
                tool(1, id="b", name="g", arguments="{}"),
            ],
            id="repeated",
        ),
        pytest.param(
            [
                tool(0, id="a"),
                tool(0, arguments="{"),
                tool(0, name="f"),
                tool(0, arguments="}"),
                tool(1, id="b", arguments="{}"),
                tool(1, name="g"),
            ],
            id="the name comes late",
        ),
        pytest.param(
            [
                {
                    "tool_calls": [
                        tool(0, id="a", name="f", arguments="{}")["tool_calls"][0],
                        tool(1, id="b", name="g", arguments="{}")["tool_calls"][0],
                    ]
                }
            ],
            id="one frame",
        ),
        pytest.param(
            [tool(5, id="a", name="f", arguments="{}"), tool(3, id="b", name="g", arguments="{}")], id="odd numbers"
        ),
        pytest.param(
            [
                {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": {}}}]},
                {"tool_calls": [{"index": 1, "id": "b", "function": {"name": "g", "arguments": {}}}]},
            ],
            id="objects",
        ),
        pytest.param(
            [
                {"tool_calls": [{"index": "x", "id": "a", "function": {"name": "f", "arguments": "{}"}}, 7]},
                {"tool_calls": [{"index": None, "id": "b", "function": {"name": "g", "arguments": "{}"}}]},
            ],
            id="odd",
        ),
    ],
)
def test_each_servers_way_of_two_calls(deltas: list[dict[str, Any]]) -> None:
    events = after_start(*(chunk(delta) for delta in deltas), chunk({}, "stop"))
    started = [event for event in events if isinstance(event, ToolStarted)]
    assert [(event.name, event.id in ("", "ab"[at])) for at, event in enumerate(started)] == [("f", True), ("g", True)]
    for event in started:
        arguments = [each.text for each in events if isinstance(each, ToolArguments) and each.block == event.block]
        assert "".join(arguments) == "{}"
        assert events.count(BlockEnded(event.block)) == 1
    assert events[-1] == Finished(Finish.TOOL_USE, word="stop")


def test_arguments_after_a_whole_call_are_not_added_to_it() -> None:
    events = after_start(
        chunk(tool(0, id="a", name="f", arguments="{}")),
        chunk(tool(1, id="b", name="g", arguments="{}")),
        chunk(tool(0, arguments="\n")),
        chunk(tool(0, arguments="{}")),
    )
    assert UnknownSeen("tool_calls", b"{}") in events
    assert [event for event in events if isinstance(event, ToolArguments)] == [
        ToolArguments(0, "{}"), ToolArguments(1, "{}")
    ]  # fmt: skip


def test_a_custom_tool_and_a_function_of_old() -> None:
    custom = {"index": 0, "id": "a", "type": "custom", "custom": {"name": "sh", "input": "l"}}
    assert after_start(
        chunk({"tool_calls": [custom]}), chunk({"tool_calls": [{"index": 0, "custom": {"input": "s"}}]})
    ) == [
        ToolStarted(0, "a", "sh", kind=ToolKind.CUSTOM),
        ToolArguments(0, "l"),
        ToolArguments(0, "s"),
        BlockEnded(0),
    ]
    assert after_start(
        chunk({"function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": "{}"}}, "function_call"),
    ) == [
        ToolStarted(0, "", "f"),
        ToolArguments(0, "{}"),
        BlockEnded(0),
        Finished(Finish.TOOL_USE, word="function_call"),
    ]


def test_blocks_end_where_another_begins() -> None:
    assert after_start(
        chunk({"reasoning_content": "hm", "content": ""}),
        chunk({"content": "So"}),
        chunk(tool(0, id="a", name="f")),
        chunk({"content": "and"}),
        chunk({"refusal": "No."}),
    ) == [
        ThinkingDelta(0, "hm"),
        BlockEnded(0),
        TextDelta(1, "So"),
        BlockEnded(1),
        ToolStarted(2, "a", "f"),
        TextDelta(3, "and"),
        BlockEnded(3),
        RefusalDelta(4, "No."),
        BlockEnded(4),
        BlockEnded(2),
    ]


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_thinking_without_details(name: str) -> None:
    assert after_start(chunk({name: "a"}), chunk({name: "b", "content": None}), chunk({"content": "c"})) == [
        ThinkingDelta(0, "a"), ThinkingDelta(0, "b"), BlockEnded(0), TextDelta(1, "c"), BlockEnded(1)
    ]  # fmt: skip


def detail(**members: Any) -> dict[str, Any]:
    return {"reasoning": members.get("text"), "reasoning_details": [members]}


def test_thinking_with_details_keeps_what_its_provider_wants_back() -> None:
    text = {"type": "reasoning.text", "index": 0, "format": "anthropic-claude-v1"}
    events = after_start(
        chunk(detail(**text, text="a")),
        chunk(detail(**text, text="b")),
        chunk(detail(**text, signature="s=", text=None)),
        chunk(detail(type="reasoning.encrypted", data="d", id="rs", index=1)),
        chunk({"content": "c"}),
    )
    assert events[:2] == [ThinkingDelta(0, "a"), ThinkingDelta(0, "b")]
    signature = next(event.signature for event in events if isinstance(event, SignatureSeen))
    assert msgspec.json.decode(signature) == {**text, "signature": "s="}
    redacted = next(event.content for event in events if isinstance(event, Whole))
    assert isinstance(redacted, RedactedThinking)
    assert msgspec.json.decode(redacted.data) == {"type": "reasoning.encrypted", "data": "d", "id": "rs", "index": 1}
    assert "".join(event.text for event in events if isinstance(event, ThinkingDelta)) == "ab"


def test_details_of_another_index_are_another_block() -> None:
    events = after_start(
        chunk(detail(type="reasoning.summary", summary="a", index=0)),
        chunk(detail(type="reasoning.summary", summary="b", index=1)),
        chunk(detail(type="reasoning.future", x=1)),
    )
    assert [event for event in events if isinstance(event, ThinkingDelta)] == [
        ThinkingDelta(0, "a"),
        ThinkingDelta(1, "b"),
    ]
    assert UnknownSeen("reasoning_details", b'{"type":"reasoning.future","x":1}') in events


def test_geminis_signature_of_a_call_is_a_thought_before_it() -> None:
    google = {"google": {"thought_signature": "g="}}
    call = {"index": 0, "id": "a", "extra_content": google, "function": {"name": "f", "arguments": "{}"}}
    events = after_start(chunk({"tool_calls": [call]}))
    assert [type(event) for event in events] == [
        ThinkingDelta, SignatureSeen, BlockEnded, ToolStarted, ToolArguments, BlockEnded
    ]  # fmt: skip
    assert isinstance(events[1], SignatureSeen)
    assert msgspec.json.decode(events[1].signature) == {"tool_call": "a", "extra_content": google}


def test_mistrals_content_is_a_list() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    assert after_start(
        chunk({"content": [thinking]}), chunk({"content": [{"type": "text", "text": "So"}, {"type": "x"}]})
    ) == [
        ThinkingDelta(0, "hm"),
        BlockEnded(0),
        TextDelta(1, "So"),
        BlockEnded(1),
        Whole(2, Foreign(Dialect.OPENAI_CHAT, "x", Raw(b'{"type":"x"}'))),
        BlockEnded(2),
    ]


def test_citations_logprobs_audio_and_images() -> None:
    citation = {"type": "url_citation", "url_citation": {"url": "u"}}
    logprobs = {"content": [{"token": "a", "logprob": -0.1}], "refusal": None}
    told = chunk({"content": "a"})
    told["choices"][0]["logprobs"] = logprobs
    events = after_start(told, chunk({"annotations": [citation]}), chunk({"audio": {"id": "x"}, "images": [1]}))
    assert events == [
        TextDelta(0, "a", logprobs=Raw(b'[{"token":"a","logprob":-0.1}]')),
        CitationSeen(0, Raw(msgspec.json.encode(citation))),
        BlockEnded(0),
        Whole(1, Foreign(Dialect.OPENAI_CHAT, "audio", Raw(b'{"id":"x"}'))),
        BlockEnded(1),
        Whole(2, Foreign(Dialect.OPENAI_CHAT, "images", Raw(b"[1]"))),
        BlockEnded(2),
    ]


@pytest.mark.parametrize("content", [{"a": 1}, "[", 7, None])
def test_logprobs_of_another_form_are_left_out(content: object) -> None:
    told = chunk({"content": "a"})
    told["choices"][0]["logprobs"] = {"content": content}
    assert after_start(told)[0] == TextDelta(0, "a")


def test_choices_are_told_apart() -> None:
    assert after_start(
        chunk({"content": "a"}), chunk({"content": "b"}, index=1), chunk({}, "length", index=1), chunk({}, "stop")
    ) == [
        TextDelta(0, "a"),
        TextDelta(0, "b", 1),
        BlockEnded(0),
        Finished(Finish.STOP, word="stop"),
        BlockEnded(0, 1),
        Finished(Finish.LENGTH, 1, word="length"),
    ]


@pytest.mark.parametrize(
    ("word", "finish"),
    [
        ("stop", Finish.STOP),
        ("length", Finish.LENGTH),
        ("content_filter", Finish.CONTENT_FILTER),
        ("eos_token", Finish.STOP),
        ("model_length", Finish.CONTEXT),
        ("insufficient_system_resource", Finish.UNKNOWN),
    ],
)
def test_finish_reasons(word: str, finish: Finish) -> None:
    assert after_start(chunk({}, word)) == [Finished(finish, word=word)]


@pytest.mark.parametrize("name", ["stop_reason", "matched_stop"])
def test_the_stop_sequence_of_servers_that_say_it(name: str) -> None:
    frame = chunk({}, "stop")
    frame["choices"][0][name] = "END"
    assert after_start(frame) == [Finished(Finish.STOP_SEQUENCE, sequence="END", word="stop")]
    frame["choices"][0][name] = 128_009
    assert after_start(frame) == [Finished(Finish.STOP, word="stop")]


def test_a_finish_reason_on_every_frame_ends_nothing_early() -> None:
    assert after_start(
        chunk({"content": "a"}, "stop"), chunk({"content": "b"}, "stop"), b"[DONE]", chunk({"content": "c"})
    ) == [TextDelta(0, "a"), TextDelta(0, "b"), BlockEnded(0), Finished(Finish.STOP, word="stop")]


def test_usage_on_every_frame_is_said_once() -> None:
    later = {**USAGE, "completion_tokens": 6, "total_tokens": 16}
    events = after_start(chunk({"content": "a"}, usage=USAGE), chunk({"content": "b"}, "stop", usage=later))
    assert [event for event in events if isinstance(event, UsageSeen)] == [
        UsageSeen(Reported(Usage(input=6, cache_read=4, output=6)))
    ]


def test_groqs_usage() -> None:
    assert after_start(chunk({}, "stop", x_groq={"id": "r", "usage": USAGE}))[-1] == SEEN


def test_a_stream_that_was_cut_does_not_finish() -> None:
    assert after_start(chunk({"content": "a"}), chunk(tool(0, id="x", arguments="{"))) == [
        TextDelta(0, "a"), BlockEnded(0), ToolStarted(1, "x", ""), ToolArguments(1, "{"), BlockEnded(1)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("frame", "message", "kind"),
    [
        ({"error": {"message": "too many", "type": "rate_limit", "code": 429}}, "too many", "rate_limit"),
        ({"error": {"message": "too many", "code": 429}}, "too many", "429"),
        ({"error": "no"}, "no", ""),
        ({"object": "error", "message": "no", "type": "BadRequest"}, "no", "BadRequest"),
        ({**chunk({"content": ""}, "error"), "error": {"message": "gone", "code": 502}}, "gone", "502"),
    ],
)
def test_errors_inside_a_stream(frame: dict[str, Any], message: str, kind: str) -> None:
    assert events_of(frame, chunk({"content": "x"})) == [Failed(message, kind)]
    assert CHAT.answer_reader(read_messages()).frame(b"error", b'{"message":"x"}') == (Failed("x", ""),)


@pytest.mark.parametrize("error", [None, {}, "", False])
def test_no_error_is_no_error(error: object) -> None:
    assert after_start(chunk({"content": "a"}, error=error))[0] == TextDelta(0, "a")


def test_what_is_not_understood_decides_nothing() -> None:
    assert events_of(b"not JSON", {"object": "ping", "x": 1}, b"[1]", b'{"choices":5,"id":7}') == [
        UnknownSeen("", b"not JSON"),
        UnknownSeen("ping", b'{"object":"ping","x":1}'),
        UnknownSeen("", b"[1]"),
        UnknownSeen("", b'{"choices":5,"id":7}'),
    ]


def test_azures_first_frame_starts_nothing() -> None:
    azure = {"id": "", "model": "", "choices": [], "prompt_filter_results": []}
    assert events_of(azure, chunk({"content": "a"}))[0] == STARTED


def test_too_many_choices_and_calls_are_left_out() -> None:
    assert UnknownSeen("choices", b"") in after_start(chunk({}), chunk({"content": "a"}, index=MAX_CHOICES))
    assert UnknownSeen("choices", b"") in after_start(chunk({}), chunk({"content": "a"}, index=-1))
    events = after_start(*(chunk(tool(at, id=f"c{at}", name="f")) for at in range(MAX_TOOLS + 5)))
    assert sum(isinstance(event, ToolStarted) for event in events) == MAX_TOOLS


def test_a_whole_answer_is_its_streams_events() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    answer = whole(
        {"content": "So", "refusal": None, "reasoning_content": "hm", "tool_calls": [call, {**call, "id": "b"}],
         "annotations": []},
        "tool_calls", usage=USAGE, service_tier="flex",
    )  # fmt: skip
    assert list(body_events(answer)) == [
        Started("chatcmpl-1", "up", 7, "flex"),
        ThinkingDelta(0, "hm"),
        BlockEnded(0),
        TextDelta(1, "So"),
        BlockEnded(1),
        ToolStarted(2, "a", "f"),
        ToolArguments(2, "{}"),
        BlockEnded(2),
        ToolStarted(3, "b", "f"),
        ToolArguments(3, "{}"),
        BlockEnded(3),
        Finished(Finish.TOOL_USE, word="tool_calls"),
        SEEN,
    ]


def test_details_of_a_whole_answer_are_a_block_each() -> None:
    details = [{"type": "reasoning.text", "text": "a", "signature": "s"}, {"type": "reasoning.text", "text": "b"}]
    events = body_events(whole({"content": None, "reasoning": "ab", "reasoning_details": details}))
    assert [event for event in events if isinstance(event, ThinkingDelta)] == [
        ThinkingDelta(0, "a"),
        ThinkingDelta(1, "b"),
    ]
    assert [msgspec.json.decode(event.signature) for event in events if isinstance(event, SignatureSeen)] == [
        {"type": "reasoning.text", "signature": "s"}, {"type": "reasoning.text"}
    ]  # fmt: skip


def test_a_body_that_is_an_error() -> None:
    assert list(body_events({"error": {"message": "no", "type": "t"}})) == [Failed("no", "t")]
    assert CHAT.answer_reader(read_messages()).body(b"<html>") == (UnknownSeen("", b"<html>"),)
