"""Events as answers for clients of this dialect, by the SDK's own accumulator and types."""

import json
from typing import Any

import pytest
from msgspec import Raw
from tests.protocols import transcripts
from tests.protocols.messages.client import BOX, DONE, OWN, STARTED, TRANSLATOR, both, streamed, tool, writer
from tests.protocols.messages.samples import BASE, read
from tests.protocols.messages.validating import accumulated, frames_of

from headgate.model.content import Foreign, RedactedThinking, Thinking, ToolKind
from headgate.model.dialect import Dialect
from headgate.model.events import (
    BlockEnded,
    CitationSeen,
    Failed,
    Finish,
    Finished,
    RefusalDelta,
    SignatureSeen,
    TextDelta,
    ThinkingDelta,
    ToolStarted,
    UnknownSeen,
    UsageSeen,
    Whole,
)
from headgate.model.losses import Lost
from headgate.model.usage import Reported, Usage
from headgate.protocols.canonical import Target
from headgate.protocols.signatures import Signed, unwrap


def test_an_answer_of_everything() -> None:
    content, message, lost = both(
        STARTED,
        ThinkingDelta(0, "Hm"),
        ThinkingDelta(0, "."),
        SignatureSeen(0, "sig", item="rs_1"),
        BlockEnded(0),
        TextDelta(1, "It is "),
        TextDelta(1, "so."),
        BlockEnded(1),
        *tool(2, '{"a"', ": 1}"),
        UsageSeen(Reported(Usage(input=5, cache_read=7, cache_write_5m=2, cache_write_1h=1, output=9, reasoning=4))),
        Finished(Finish.TOOL_USE),
    )
    assert [block["type"] for block in content] == ["thinking", "text", "tool_use"]
    assert unwrap(content[0]["signature"]) == Signed(BOX, "rs_1", "sig")
    assert content[1]["text"] == "It is so."
    assert content[2] == {"type": "tool_use", "id": "call_2", "name": "f", "input": {"a": 1}}
    assert (message.id, message.model, message.stop_reason) == ("msg_call_1", "gpt-x", "tool_use")
    assert message.usage.input_tokens == 5
    assert message.usage.cache_read_input_tokens == 7
    assert message.usage.cache_creation_input_tokens == 3
    assert message.usage.output_tokens == 9
    assert message.usage.output_tokens_details.thinking_tokens == 4
    assert message.usage.service_tier == "standard"
    last = json.loads(frames_of(streamed(UsageSeen(Reported(Usage(input=1, cache_write_1h=2, output=3))))[0])[-2][1])
    assert last["usage"]["cache_creation"] == {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 2}
    assert not lost


def test_the_frames_stand_in_the_apis_order() -> None:
    stream, _ = streamed(STARTED, TextDelta(0, "a"), BlockEnded(0), DONE)
    assert [name for name, _ in frames_of(stream)] == [
        b"message_start",
        b"content_block_start",
        b"content_block_delta",
        b"content_block_stop",
        b"message_delta",
        b"message_stop",
    ]


def test_an_answer_of_nothing_is_an_answer() -> None:
    content, message, _ = both()
    assert (content, message.stop_reason, message.usage.output_tokens) == ([], "end_turn", 0)


def test_usage_known_at_the_start_is_in_the_start() -> None:
    stream, _ = streamed(UsageSeen(Reported(Usage(input=5, output=1))), STARTED, DONE)
    start = json.loads(frames_of(stream)[0][1])
    assert start["message"]["usage"]["input_tokens"] == 5


def test_audio_counts_as_text() -> None:
    heard = Usage(input=1, input_audio=2, cache_read=3, cache_read_audio=4, output=5, output_audio=6)
    usage = both(STARTED, UsageSeen(Reported(heard)), DONE)[1].usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (3, 7, 11)


# -- thinking -----------------------------------------------------------------------------------------


def test_thinking_without_a_signature_comes_back_as_unsigned() -> None:
    content, _, _ = both(ThinkingDelta(0, "Hm."), BlockEnded(0), TextDelta(1, "x"), DONE)
    assert unwrap(content[0]["signature"]) == Signed(BOX, None, "")
    back = read({**BASE, "messages": [{"role": "assistant", "content": content}]})
    assert back.turns[0].blocks[0] == Thinking(("Hm.",), None, BOX)


def test_a_signature_of_this_dialect_stays_as_it_is() -> None:
    content, _, _ = both(ThinkingDelta(0, "Hm."), SignatureSeen(0, "EqQB/+=="), DONE, signer=OWN)
    assert content == [{"type": "thinking", "thinking": "Hm.", "signature": "EqQB/+=="}]
    assert both(ThinkingDelta(0, "Hm."), DONE, signer=OWN)[0][0]["signature"] == ""


def test_a_signature_alone_is_a_block() -> None:
    content, _, _ = both(SignatureSeen(0, "sig"), BlockEnded(0), DONE)
    assert content[0]["thinking"] == ""
    assert unwrap(content[0]["signature"]) == Signed(BOX, None, "sig")


def test_the_parts_of_a_summary_are_one_text() -> None:
    content, _, _ = both(ThinkingDelta(0, "a"), ThinkingDelta(0, "b"), ThinkingDelta(0, "c", part=1), DONE)
    assert content[0]["thinking"] == "ab\n\nc"


def test_redacted_thinking_is_wrapped_for_the_way_back() -> None:
    content, _, _ = both(Whole(0, RedactedThinking("secret")), BlockEnded(0), DONE)
    assert unwrap(content[0]["data"]) == Signed(BOX, None, "secret")
    back = read({**BASE, "messages": [{"role": "assistant", "content": content}]})
    assert back.turns[0].blocks[0] == RedactedThinking("secret", BOX)
    assert both(Whole(0, RedactedThinking("d")), DONE, signer=OWN)[0] == [{"type": "redacted_thinking", "data": "d"}]


# -- tools --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "expected", "lost"),
    [
        ([], {}, set()),
        (["", " "], {}, set()),
        ([" ", '\n{"a"', ":1}"], {"a": 1}, set()),
        (["run", " it"], {"arguments": "run it"}, {Lost.TOOL_ARGUMENTS}),
        (["[", "{}]"], {"arguments": "[{}]"}, {Lost.TOOL_ARGUMENTS}),
    ],
)
def test_arguments_become_an_object(parts: list[str], expected: Any, lost: Any) -> None:
    content, _, named = both(*tool(0, *parts), DONE)
    assert content[0]["input"] == expected
    assert named == lost


def test_a_custom_tools_text_becomes_an_object() -> None:
    assert both(*tool(0, '{"a"', " :", kind=ToolKind.CUSTOM), DONE)[0][0]["input"] == {"input": '{"a" :'}


def test_a_tool_without_an_id_gets_one() -> None:
    content, _, _ = both(ToolStarted(0, "", "f"), BlockEnded(0), DONE)
    assert content[0]["id"] == "toolu_call_1_0"


# -- citations, refusals, what has no like ---------------------------------------------------------------

URL = {"type": "url_citation", "url": "https://x.test", "title": "X", "start_index": 0, "end_index": 2}


@pytest.mark.parametrize("raw", [URL, {"type": "url_citation", "url_citation": URL}])
def test_a_cited_url_is_a_search_result_that_no_upstream_is_sent_back(raw: Any) -> None:
    content, _, lost = both(TextDelta(0, "It"), CitationSeen(0, Raw(json.dumps(raw).encode())), BlockEnded(0), DONE)
    citation = content[0]["citations"][0]
    assert (citation["type"], citation["url"], citation["title"]) == ("web_search_result_location", URL["url"], "X")
    assert not lost
    written = TRANSLATOR.write_request(
        read({**BASE, "messages": [{"role": "assistant", "content": content}]}),
        Target("anthropic", "claude-sonnet-4-5"),
    )
    assert "citations" not in json.loads(written.body)["messages"][0]["content"][0]
    assert written.lost == {Lost.CITATIONS}


def test_a_citation_of_this_dialect_stays_as_it_is() -> None:
    raw = {
        "type": "char_location",
        "cited_text": "x",
        "document_index": 0,
        "document_title": None,
        "start_char_index": 0,
        "end_char_index": 1,
    }
    content, _, _ = both(TextDelta(0, "It"), CitationSeen(0, Raw(json.dumps(raw).encode())), DONE, signer=OWN)
    assert content[0]["citations"] == [{name: value for name, value in raw.items() if value is not None}]


def test_what_has_no_like_is_left_out_and_named() -> None:
    content, _, lost = both(
        TextDelta(0, "a", logprobs=Raw(b"[]")),
        CitationSeen(0, Raw(b'{"type":"file_citation"}')),
        BlockEnded(0),
        Whole(1, Foreign(Dialect.OPENAI_RESPONSES, "web_search_call", Raw(b"{}"))),
        TextDelta(0, "other", choice=1),
        UnknownSeen("x", b"{}"),
        DONE,
    )
    assert [block["text"] for block in content] == ["a"]
    assert lost == {Lost.CITATIONS, Lost.FOREIGN, Lost.N, Lost.LOGPROBS}


def test_blocks_of_this_dialect_pass_whole() -> None:
    raw = Raw(b'{"type":"server_tool_use","id":"s","name":"web_search","input":{"query":"x"}}')
    content, _, _ = both(Whole(0, Foreign(OWN.dialect, "server_tool_use", raw)), BlockEnded(0), DONE, signer=OWN)
    assert content[0]["input"] == {"query": "x"}


def test_a_refusal_is_text_and_a_stop_reason() -> None:
    content, message, _ = both(RefusalDelta(0, "I "), RefusalDelta(0, "won't."), BlockEnded(0), DONE)
    assert (content[0]["text"], message.stop_reason) == ("I won't.", "refusal")


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        (Finish.STOP, "end_turn"),
        (Finish.LENGTH, "max_tokens"),
        (Finish.CONTEXT, "model_context_window_exceeded"),
        (Finish.CONTENT_FILTER, "refusal"),
        (Finish.PAUSE, "pause_turn"),
        (Finish.UNKNOWN, "end_turn"),
    ],
)
def test_stop_reasons(finish: Finish, reason: str) -> None:
    assert both(TextDelta(0, "a"), Finished(finish))[1].stop_reason == reason


def test_a_stop_sequence_is_named() -> None:
    message = both(TextDelta(0, "a"), Finished(Finish.STOP_SEQUENCE, sequence="END"))[1]
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "END")


def test_an_error_ends_the_stream() -> None:
    stream, _ = streamed(STARTED, TextDelta(0, "a"), Failed("Overloaded", "overloaded_error"), TextDelta(0, "b"), DONE)
    name, data = frames_of(stream)[-1]
    assert name == b"error"
    assert json.loads(data) == {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    assert b'"type":"api_error"' in streamed(Failed("?", "server_error"))[0]


def test_an_answer_of_this_dialect_read_and_written_is_the_same() -> None:
    stream = b"".join(transcripts.MESSAGES)
    reading, writing = TRANSLATOR.answer_reader(read({**BASE, "messages": []})), writer(OWN)
    out = b"".join(writing.frames(reading.frame(*frame)) for frame in frames_of(stream)) + writing.end()
    message = accumulated(out)
    assert [block.type for block in message.content] == ["text", "tool_use"]
    assert message.content[0].to_dict()["text"] == "message_stoperror"
    usage = message.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (12, 1000, 40)
    assert usage.cache_creation is not None
    assert usage.cache_creation.ephemeral_1h_input_tokens == 200
    assert (message.id, message.stop_reason) == ("msg_1", "tool_use")
