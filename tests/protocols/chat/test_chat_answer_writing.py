"""Answers for chat clients: what the SDK reads from a stream and from a body is what the events said."""

from typing import Any

import msgspec
import pytest
from msgspec import Raw
from openai.types.chat import ChatCompletion
from tests.protocols.chat.translating import (
    ASKING,
    CLAUDE,
    accumulated,
    answered,
    frames_of,
    head_of,
    read,
    streamed,
    writer,
)

from headgate.model.content import Foreign, RedactedThinking, Signer, Thinking, ToolKind
from headgate.model.dialect import Dialect, Endpoint
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
from headgate.protocols.codec import codec_for
from headgate.protocols.openai_chat.codec import read_usage
from headgate.protocols.openai_chat.usage_writer import usage_object
from headgate.protocols.signatures import Signed, unwrap

USAGE = Usage(input=6, cache_read=3, cache_write_5m=1, output=5, reasoning=2)
STOP = Finished(Finish.STOP)
URL = Raw(b'{"type":"url_citation","url_citation":{"url":"u","title":"t","start_index":1,"end_index":2}}')
WEB = Raw(b'{"type":"web_search_result_location","url":"u","title":null,"cited_text":"c","encrypted_index":"e"}')
FLAT = Raw(b'{"type":"url_citation","url":"u","title":"t","start_index":0,"end_index":1}')

ANSWERS: dict[str, list[Event]] = {
    "nothing": [],
    "text": [Started("msg_1", "claude-x"), TextDelta(0, "Hel"), TextDelta(0, 'lo "you"\n\u2028é'), BlockEnded(0), STOP],
    "texts": [TextDelta(0, "a"), BlockEnded(0), TextDelta(1, "b"), BlockEnded(1), STOP],
    "tools": [
        TextDelta(0, "Let me see."), BlockEnded(0),
        ToolStarted(1, "t1", "f"), ToolArguments(1, '{"x"'), ToolArguments(1, ': "é"}'), BlockEnded(1),
        ToolStarted(2, "t2", "g"), ToolArguments(2, ""), BlockEnded(2),
        Finished(Finish.TOOL_USE),
    ],
    "tools at once": [
        ToolStarted(0, "t1", "f"), ToolStarted(1, "", "g"), ToolArguments(1, "{}"), ToolArguments(0, "{}"),
        BlockEnded(1), BlockEnded(0), Finished(Finish.TOOL_USE),
    ],
    "thinking": [
        ThinkingDelta(0, "2 +"), ThinkingDelta(0, " 2"), SignatureSeen(0, "Eq="), BlockEnded(0),
        Whole(1, RedactedThinking("Zz=")), BlockEnded(1),
        ThinkingDelta(2, "more"), ThinkingDelta(2, "parts", part=1), SignatureSeen(2, "gA=", item="rs_1"),
        BlockEnded(2),
        ThinkingDelta(3, ""), SignatureSeen(3, "silent="), BlockEnded(3),
        TextDelta(4, "4"), BlockEnded(4), STOP,
    ],
    "unsigned thinking": [ThinkingDelta(0, "hm"), BlockEnded(0), ThinkingDelta(1, "so"), TextDelta(2, "4"), STOP],
    "refusal": [RefusalDelta(0, "I "), RefusalDelta(0, "won't."), BlockEnded(0), Finished(Finish.REFUSAL)],
    "citations": [
        TextDelta(0, "So: "), BlockEnded(0), TextDelta(1, "it is"), CitationSeen(1, WEB), CitationSeen(1, FLAT),
        BlockEnded(1), CitationSeen(1, URL), STOP,
    ],
    "choices": [TextDelta(0, "a", 0), TextDelta(0, "b", 1), Finished(Finish.LENGTH, 1), STOP],
}  # fmt: skip


def core(answer: ChatCompletion | dict[str, Any]) -> list[dict[str, Any]]:
    """Return the choices without what stands for nothing."""
    choices = answer["choices"] if isinstance(answer, dict) else answer.to_dict()["choices"]
    assert isinstance(choices, list)
    return [cleaned(choice) for choice in choices]


def cleaned(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {name: cleaned(each) for name, each in value.items() if each not in (None, "", [])}
        return {name: each for name, each in kept.items() if name not in ("parsed", "parsed_arguments")}
    return (
        [each if not isinstance(each, dict) else cleaned(each) for each in value] if isinstance(value, list) else value
    )


@pytest.mark.parametrize("case", ANSWERS)
def test_the_sdk_reads_the_same_from_stream_and_body(case: str) -> None:
    from_stream = core(accumulated(streamed(ANSWERS[case])))
    for choice in from_stream:
        for call in choice["message"].get("tool_calls", ()):
            call.pop("index", None)
    assert from_stream == core(answered(ANSWERS[case]))


@pytest.mark.parametrize("case", ANSWERS)
def test_the_frames_do_not_depend_on_how_events_come(case: str) -> None:
    one_by_one = streamed(ANSWERS[case])
    at_once = writer(ASKING)
    assert at_once.frames(ANSWERS[case]) + at_once.end() == one_by_one


def test_the_frames_of_a_stream() -> None:
    started = Started("msg_1", "claude-x", service_tier="standard")
    events: list[Event] = [started, TextDelta(0, "Hi"), BlockEnded(0), STOP, UsageSeen(Reported(USAGE))]
    envelope = {
        "id": "chatcmpl-call_1a2b", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "claude-x",
        "service_tier": "default",
    }  # fmt: skip

    def frame(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**envelope, "choices": [choice], "usage": None}

    assert frames_of(streamed(events)) == [
        frame({"role": "assistant", "content": "", "refusal": None}),
        frame({"content": "Hi"}),
        frame({}, "stop"),
        {**envelope, "choices": [], "usage": usage_object(USAGE)},
    ]


def test_usage_comes_only_where_it_was_asked_for() -> None:
    events: list[Event] = [TextDelta(0, "Hi"), STOP, UsageSeen(Reported(USAGE))]
    assert b"usage" not in streamed(events, {"stream": True, "stream_options": None})
    assert b'"usage":{' not in streamed(events[:2])
    assert answered(events)["usage"] == usage_object(USAGE)


@pytest.mark.parametrize(
    "usage",
    [
        USAGE,
        Usage(input=1, output=1),
        Usage(input=5, cache_read=7, cache_write_5m=9, output=3, reasoning=3),
        Usage(input=5, input_audio=2, output=3, output_audio=4),
    ],
)
def test_usage_is_read_back_as_it_was(usage: Usage) -> None:
    assert read_usage({"usage": usage_object(usage)}) == Reported(usage)


@pytest.mark.parametrize(
    ("finish", "word"),
    [
        (Finish.STOP, "stop"),
        (Finish.STOP_SEQUENCE, "stop"),
        (Finish.LENGTH, "length"),
        (Finish.CONTEXT, "length"),
        (Finish.TOOL_USE, "stop"),
        (Finish.REFUSAL, "content_filter"),
        (Finish.CONTENT_FILTER, "content_filter"),
        (Finish.PAUSE, "length"),
        (Finish.UNKNOWN, "stop"),
    ],
)
def test_finish_reasons(finish: Finish, word: str) -> None:
    events: list[Event] = [TextDelta(0, "a"), Finished(finish)]
    assert answered(events)["choices"][0]["finish_reason"] == word
    assert frames_of(streamed(events))[-1]["choices"][0]["finish_reason"] == word


@pytest.mark.parametrize("finish", [Finish.STOP, Finish.TOOL_USE])
def test_an_answer_with_calls_ends_in_tool_calls(finish: Finish) -> None:
    events: list[Event] = [ToolStarted(0, "t", "f"), ToolArguments(0, "{}"), Finished(finish)]
    assert answered(events)["choices"][0]["finish_reason"] == "tool_calls"


def test_a_call_without_an_id_gets_one() -> None:
    message = answered(ANSWERS["tools at once"])["choices"][0]["message"]
    assert [call["id"] for call in message["tool_calls"]] == ["t1", "call_1a2b_0_1"]


def test_thinking_is_shown_and_comes_back_signed() -> None:
    message = answered(ANSWERS["thinking"])["choices"][0]["message"]
    assert message["reasoning_content"] == "2 + 2\n\nmore\n\nparts"
    details = message["reasoning_details"]
    assert [each["index"] for each in details] == [0, 1, 2, 3]
    assert unwrap(details[0]["signature"]) == Signed(CLAUDE, None, "Eq=")
    streamed_message = accumulated(streamed(ANSWERS["thinking"])).choices[0].message.to_dict()
    for each in (message, streamed_message):
        (turn,) = read({"messages": [each]}).turns
        assert turn.blocks[:4] == (
            Thinking(("2 + 2",), "Eq=", CLAUDE),
            RedactedThinking("Zz=", CLAUDE),
            Thinking(("more\n\nparts",), "gA=", CLAUDE, "rs_1"),
            Thinking(("",), "silent=", CLAUDE),
        )
        assert len(turn.blocks) == 5


def test_unsigned_thinking_is_known_as_its_providers() -> None:
    seek = Signer("seek", Dialect.OPENAI_CHAT)
    message = answered(ANSWERS["unsigned thinking"], signer=seek)["choices"][0]["message"]
    (turn,) = read({"messages": [message]}).turns
    assert turn.blocks[:2] == (Thinking(("hm",), None, seek), Thinking(("so",), None, seek))


def test_citations_point_into_the_whole_content() -> None:
    message = answered(ANSWERS["citations"])["choices"][0]["message"]
    spans = [
        (each["url_citation"]["start_index"], each["url_citation"]["end_index"]) for each in message["annotations"]
    ]
    assert spans == [(4, 9), (4, 5), (1, 2)]
    assert message["annotations"][0]["url_citation"]["title"] == ""


@pytest.mark.parametrize(
    ("event", "lost"),
    [
        (CitationSeen(0, Raw(b'{"type":"char_location","cited_text":"x"}')), {Lost.CITATIONS}),
        (CitationSeen(0, Raw(b"7")), {Lost.CITATIONS}),
        (Whole(1, Foreign(Dialect.ANTHROPIC_MESSAGES, "server_tool_use", Raw(b"{}"))), {Lost.FOREIGN}),
        (Whole(1, Foreign(Dialect.OPENAI_CHAT, "x", Raw(b"{}"))), {Lost.FOREIGN}),
        (UnknownSeen("x", b""), set()),
        (Failed("no"), set()),
        (ToolArguments(9, "{}"), set()),
        (BlockEnded(9), set()),
    ],
)
def test_what_a_chat_cannot_say_is_named(event: Event, lost: set[Lost]) -> None:
    events: list[Event] = [TextDelta(0, "a"), event, STOP]
    for written in (writer(ASKING), writer()):
        if written.reply.head.stream:
            written.frames(events)
            frames_of(written.frames([]) + written.end())
        else:
            written.body(events)
        assert written.lost == lost


def test_audio_and_images_of_a_chat_pass() -> None:
    audio = Raw(b'{"id":"a","data":"","expires_at":1,"transcript":"t"}')
    events: list[Event] = [Whole(0, Foreign(Dialect.OPENAI_CHAT, "audio", audio)), BlockEnded(0), STOP]
    assert answered(events)["choices"][0]["message"]["audio"]["transcript"] == "t"
    assert frames_of(streamed(events))[1]["choices"][0]["delta"] == {"audio": msgspec.json.decode(audio)}


def test_custom_tools() -> None:
    events: list[Event] = [
        ToolStarted(0, "c", "sh", kind=ToolKind.CUSTOM),
        ToolArguments(0, "l"),
        ToolArguments(0, "s"),
        BlockEnded(0),
        Finished(Finish.TOOL_USE),
    ]
    expected = {"id": "c", "type": "custom", "custom": {"name": "sh", "input": "ls"}}
    assert answered(events)["choices"][0]["message"]["tool_calls"] == [expected]
    (call,) = core(accumulated(streamed(events)))[0]["message"]["tool_calls"]
    assert {name: value for name, value in call.items() if name != "index"} == expected


def test_a_client_of_old_functions_gets_one_function_call() -> None:
    offered = {"functions": [{"name": "f"}, {"name": "g"}]}
    choice = answered(ANSWERS["tools"], offered)["choices"][0]
    assert choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"] == {"name": "f", "arguments": '{"x": "é"}'}
    assert "tool_calls" not in choice["message"]
    stream = accumulated(streamed(ANSWERS["tools"], offered)).choices[0]
    assert stream.message.function_call is not None
    assert (stream.message.function_call.name, stream.message.function_call.arguments) == ("f", '{"x": "é"}')
    written = writer(offered)
    written.body(ANSWERS["tools"])
    assert written.lost == {Lost.TOOL}


def test_logprobs_stay_beside_their_text() -> None:
    probs = [Raw(b'[{"token":"a","logprob":-0.1,"bytes":[97],"top_logprobs":[]}]'), Raw(b"[ ]"),
             Raw(b'[{"token":"b","logprob":-0.2,"bytes":null,"top_logprobs":[]}]')]  # fmt: skip
    events: list[Event] = [TextDelta(0, text, logprobs=each) for text, each in zip("acb", probs, strict=True)]
    body = answered([*events, STOP])["choices"][0]["logprobs"]
    assert [each["token"] for each in body["content"]] == ["a", "b"]
    stream = accumulated(streamed([*events, STOP])).choices[0].logprobs
    assert stream is not None
    assert stream.content is not None
    assert [each.token for each in stream.content] == ["a", "b"]


def test_a_model_nobody_named_is_the_one_asked_for() -> None:
    assert answered([TextDelta(0, "a"), STOP], {"model": "fast"})["model"] == "fast"


def test_headgates_own_scanner_reads_the_stream() -> None:
    head = head_of({"messages": [], **ASKING})
    scanner = codec_for(Endpoint.CHAT).scanner(head)
    scanner.feed(streamed([*ANSWERS["tools"], UsageSeen(Reported(USAGE))]))
    assert scanner.terminal_seen
    assert scanner.finish_reason == "tool_calls"
    assert scanner.reported() == Reported(USAGE)
