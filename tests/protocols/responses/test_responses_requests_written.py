"""Canonical requests written for an upstream that speaks Responses: what it is sent, and what is named as lost."""

from typing import Any

import msgspec
import pytest
from tests.protocols.responses.speaking import (
    CLAUDE,
    RESPONSES,
    TARGET,
    body_of,
    foreign,
    read_items,
    valid_params,
)

from headgate.model.content import (
    Audio,
    Cache,
    Document,
    Foreign,
    Image,
    RedactedThinking,
    Refusal,
    Role,
    Signer,
    Source,
    SourceKind,
    Text,
    Thinking,
    ToolKind,
    ToolResult,
    ToolUse,
    Turn,
)
from headgate.model.conversation import (
    ChoiceMode,
    Effort,
    FormatKind,
    OutputFormat,
    Reasoning,
    Sampling,
    ServerTool,
    Tool,
    ToolChoice,
)
from headgate.model.dialect import Dialect
from headgate.model.losses import Lost
from headgate.protocols.canonical import Target, Written
from headgate.protocols.openai_responses import tables

OWN = Signer("upstream", Dialect.OPENAI_RESPONSES)
SCHEMA = msgspec.Raw(b'{"type":"object"}')


def written(*turns: Turn, **members: Any) -> Written:
    """Return a foreign request, written; every body must be of the SDK's types."""
    members.setdefault("dialect", Dialect.ANTHROPIC_MESSAGES)
    result = RESPONSES.write_request(foreign(turns=turns, **members), TARGET)
    valid_params(body_of(result))
    return result


def user(*blocks: Any) -> Turn:
    return Turn(Role.USER, blocks)


def assistant(*blocks: Any) -> Turn:
    return Turn(Role.ASSISTANT, blocks)


# -- reading ----------------------------------------------------------------------------------------


def test_a_conversation_becomes_instructions_and_items() -> None:
    result = written(
        Turn(Role.SYSTEM, (Text("Be brief."), Text("Be kind.")), top=True),
        user(Text("Hi"), Image(Source(SourceKind.BASE64, "AA==", "image/png"))),
        assistant(Text("I "), Text("look."), ToolUse("toolu_1", "f", '{"a": 1}'), ToolUse("toolu_2", "g", "")),
        user(
            ToolResult("toolu_1", (Text("1"),), plain=True),
            ToolResult("toolu_2", (Text("a"), Image(Source(SourceKind.URL, "https://x.example")))),
            Text("Go on"),
        ),
    )
    assert body_of(result) == {
        "model": "m",
        "instructions": "Be brief.\n\nBe kind.",
        "input": [
            {
                "type": "message",
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "Hi"},
                    {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "auto"},
                ],
            },
            {"type": "message", "role": "assistant", "content": "I look."},
            {"type": "function_call", "call_id": "toolu_1", "name": "f", "arguments": '{"a": 1}'},
            {"type": "function_call", "call_id": "toolu_2", "name": "g", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "toolu_1", "output": "1"},
            {
                "type": "function_call_output",
                "call_id": "toolu_2",
                "output": [
                    {"type": "input_text", "text": "a"},
                    {"type": "input_image", "image_url": "https://x.example", "detail": "auto"},
                ],
            },
            {"type": "message", "role": "user", "content": "Go on"},
        ],
        "store": False,
    }
    assert (result.lost, result.unknown) == (frozenset(), frozenset())


def test_documents_are_files_or_text() -> None:
    result = written(
        user(
            Document(Source(SourceKind.BASE64, "AA==", "application/pdf")),
            Document(Source(SourceKind.URL, "https://x.example/a.pdf"), "a.pdf"),
            Document(Source(SourceKind.TEXT, "Once", "text/plain"), "t", "c", citations=True),
        )
    )
    assert body_of(result)["input"][0]["content"] == [
        {"type": "input_file", "file_data": "data:application/pdf;base64,AA==", "filename": "document.pdf"},
        {"type": "input_file", "file_url": "https://x.example/a.pdf", "filename": "a.pdf"},
        {"type": "input_text", "text": "Once"},
    ]
    assert result.lost == {Lost.DOCUMENT_TITLE, Lost.DOCUMENT_CONTEXT, Lost.DOCUMENT_CITATIONS}


def test_files_are_shared_by_openais_dialects_alone() -> None:
    turn = user(Text("x"), Document(Source(SourceKind.FILE, "file-1")), Image(Source(SourceKind.FILE, "file-2")))
    assert written(turn).lost == {Lost.DOCUMENT, Lost.IMAGE}
    result = written(turn, dialect=Dialect.OPENAI_CHAT)
    assert {"type": "input_file", "file_id": "file-1"} in body_of(result)["input"][0]["content"]
    assert result.lost == frozenset()


def test_what_has_no_place_is_named() -> None:
    cached = Text("x", (msgspec.Raw(b"{}"),), Cache("1h"), {"foo": msgspec.Raw(b"1"), "nil": msgspec.Raw(b"null")})
    result = written(
        Turn(Role.USER, (cached, Audio(Source(SourceKind.BASE64, "AA==", "audio/wav"))), name="Bo"),
        assistant(Foreign(Dialect.ANTHROPIC_MESSAGES, "server_tool_use", SCHEMA), Audio(None, "audio_1"), Text("y")),
        user(ToolResult("c", (Text("no"),), is_error=True)),
    )
    assert result.lost == {Lost.CITATIONS, Lost.CACHE, Lost.AUDIO, Lost.NAME, Lost.FOREIGN, Lost.TOOL_RESULT_ERROR}
    assert result.unknown == {"messages.content.foo"}


def test_a_refusal_is_an_output_message() -> None:
    (item,) = body_of(written(assistant(Refusal("No"))))["input"]
    assert item["content"] == [{"type": "refusal", "refusal": "No"}]
    assert item["id"].startswith("msg_")


def test_long_ids_are_shortened_alike_for_the_call_and_its_result() -> None:
    items = body_of(written(assistant(ToolUse("x" * 65, "f", "{}")), user(ToolResult("x" * 65, (Text("1"),)))))["input"]
    assert items[0]["call_id"] == items[1]["call_id"]
    assert len(items[0]["call_id"]) <= 64


def test_signed_thinking_goes_back_to_its_signer_byte_for_byte() -> None:
    turn = assistant(
        Thinking(("a", "b"), "gAAA", OWN, "rs_1"),
        Thinking(("raw",), tables.UNSIGNED_TEXT, OWN, "rs_2"),
        Thinking(("c",), "sig", CLAUDE),
        Thinking(("d",), None, OWN),
        RedactedThinking("x", CLAUDE),
        ToolUse("c", "f", "{}"),
    )
    result = written(turn)
    assert body_of(result)["input"][:-1] == [
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}],
            "encrypted_content": "gAAA",
        },
        {"type": "reasoning", "id": "rs_2", "summary": [], "content": [{"type": "reasoning_text", "text": "raw"}]},
    ]
    assert result.lost == {Lost.THINKING, Lost.REDACTED_THINKING}


def test_tools_of_other_dialects_are_lenient_unless_they_say_otherwise() -> None:
    grammar = msgspec.Raw(b'{"type":"grammar","grammar":{"syntax":"lark","definition":"a"}}')
    result = written(
        user(Text("x")),
        dialect=Dialect.OPENAI_CHAT,
        tools=(
            Tool("f", "d", SCHEMA),
            Tool("g", strict=True, cache=Cache()),
            Tool("h", kind=ToolKind.CUSTOM, format=grammar),
            ServerTool(Dialect.ANTHROPIC_MESSAGES, "web_search_20250305", SCHEMA),
        ),
        choice=ToolChoice(ChoiceMode.REQUIRED, allowed=("f", "h")),
        parallel_tools=False,
    )
    body = body_of(result)
    assert body["tools"] == [
        {
            "type": "function",
            "name": "f",
            "description": "d",
            "parameters": {"type": "object", "properties": {}},
            "strict": False,
        },
        {"type": "function", "name": "g", "parameters": {"type": "object", "properties": {}}, "strict": True},
        {"type": "custom", "name": "h", "format": {"type": "grammar", "syntax": "lark", "definition": "a"}},
    ]
    assert body["tool_choice"] == {
        "type": "allowed_tools",
        "mode": "required",
        "tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "h"}],
    }
    assert body["parallel_tool_calls"] is False
    assert result.lost == {Lost.CACHE, Lost.SERVER_TOOL}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice(ChoiceMode.NAMED, "f"), {"type": "function", "name": "f"}),
        (ToolChoice(ChoiceMode.NAMED, "f", ToolKind.CUSTOM), {"type": "custom", "name": "f"}),
        (ToolChoice(ChoiceMode.NONE, allowed=("f",)), "none"),
        (ToolChoice(ChoiceMode.AUTO), "auto"),
        (ToolChoice(ChoiceMode.FOREIGN, raw=SCHEMA), None),
    ],
)
def test_choices(choice: ToolChoice, expected: object) -> None:
    result = written(user(Text("x")), tools=(Tool("f", schema=SCHEMA),), choice=choice)
    assert body_of(result).get("tool_choice") == expected
    assert (Lost.TOOL_CHOICE in result.lost) is (expected is None)


def test_sampling_that_the_api_lacks_is_named_unless_it_is_the_default() -> None:
    raw = msgspec.Raw
    said = Sampling(
        raw(b"0.5"), raw(b"1"), raw(b"4"), raw(b"7"), raw(b"0"), raw(b"0.1"), raw(b"{}"), True, 3, 2, ("a",)
    )
    result = written(user(Text("x")), dialect=Dialect.OPENAI_CHAT, sampling=said)
    body = body_of(result)
    assert (body["temperature"], body["top_p"], body["top_logprobs"]) == (0.5, 1, 3)
    assert body["include"] == [tables.LOGPROBS]
    assert result.lost == {Lost.TOP_K, Lost.SEED, Lost.PRESENCE_PENALTY, Lost.N, Lost.STOP}
    default = Sampling(frequency_penalty=raw(b"0.0"), n=1)
    assert written(user(Text("x")), sampling=default).lost == frozenset()


def test_members_about_the_call() -> None:
    result = written(
        user(Text("x")), dialect=Dialect.OPENAI_CHAT, user="u" * 65, metadata={"a": "b"}, service_tier="standard_only",
        cache_key="k", verbosity="low", max_output=5, store=True,
        output=OutputFormat(FormatKind.JSON_SCHEMA, schema=SCHEMA),
        extra={"safety_identifier": msgspec.Raw(b'"s"'), "prediction": SCHEMA},
    )  # fmt: skip
    body = body_of(result)
    assert len(body.pop("user")) == 64
    assert body.pop("input")
    assert body == {
        "model": "m",
        "max_output_tokens": 16,
        "metadata": {"a": "b"},
        "service_tier": "default",
        "prompt_cache_key": "k",
        "text": {
            "format": {"type": "json_schema", "name": "answer", "schema": {"type": "object"}},
            "verbosity": "low",
        },
        "store": True,
        "safety_identifier": "s",
    }
    assert (result.lost, set(result.unknown)) == (frozenset({Lost.MAX_OUTPUT}), {"prediction"})
    assert result.max_output == 16
    bounded = RESPONSES.write_request(foreign(max_output=5), Target("p", "m", max_output=3))
    assert body_of(bounded)["max_output_tokens"] == 3
    assert written(user(Text("x")), service_tier="batch", cache=Cache()).lost == {Lost.SERVICE_TIER, Lost.CACHE}


@pytest.mark.parametrize(
    ("reasoning", "expected"),
    [
        (Reasoning(effort=Effort.HIGH), {"effort": "high"}),
        (Reasoning(effort=Effort.NONE), {"effort": "none"}),
        (Reasoning(enabled=True, budget=1024), {"effort": "low", "summary": "auto"}),
        (Reasoning(enabled=True, budget=1024, display="omitted"), {"effort": "low"}),
        (Reasoning(adaptive=True, effort=Effort.LOW, display="summarized"), {"effort": "low", "summary": "auto"}),
        (Reasoning(effort=Effort.LOW, summary="detailed"), {"effort": "low", "summary": "detailed"}),
        (Reasoning(adaptive=True), None),
        (Reasoning(enabled=False), None),
    ],
)
def test_reasoning(reasoning: Reasoning, expected: object) -> None:
    result = written(user(Text("x")), reasoning=reasoning, max_output=10_000)
    body = body_of(result)
    assert body.get("reasoning") == expected
    assert ("include" in body) is (expected not in (None, {"effort": "none"}))
    assert (Lost.REASONING in result.lost) is (reasoning.enabled is False)


def test_a_changed_turn_of_the_own_dialect_is_written_by_its_blocks() -> None:
    request = read_items({"role": "user", "content": "a"}, {"role": "user", "content": "b"})
    changed = msgspec.structs.replace(request.turns[0], blocks=(Text("a"), Text("b"), Text("c")))
    body = body_of(RESPONSES.write_request(msgspec.structs.replace(request, turns=(changed,)), TARGET))
    (item,) = body["input"]
    assert [part["text"] for part in item["content"]] == ["a", "b", "c"]


def test_system_texts_are_appended_to_the_instructions() -> None:
    assert RESPONSES.with_system(b'{"model":"m","input":"x"}', "y") == b'{"model":"m","input":"x","instructions":"y"}'
