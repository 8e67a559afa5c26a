"""Requests of other dialects written for a chat upstream, and what is named as lost."""

from typing import Any

import msgspec
import pytest
from msgspec import Raw
from openai.types.chat import completion_create_params
from pydantic import TypeAdapter
from tests.protocols.chat.translating import CHAT, TARGET, body_of, foreign

from headgate.model.content import (
    Audio,
    Block,
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
    Request,
    Sampling,
    ServerTool,
    Tool,
    ToolChoice,
)
from headgate.model.dialect import Dialect
from headgate.model.losses import Lost

PARAMS: TypeAdapter[Any] = TypeAdapter(completion_create_params.CompletionCreateParamsNonStreaming)
PNG = Image(Source(SourceKind.BASE64, "AA==", "image/png"))
CLAUDE = Signer("claude", Dialect.ANTHROPIC_MESSAGES)
RAW = Raw(b"1")


def written(request: Request) -> tuple[dict[str, Any], set[Lost]]:
    """Return the body, which must be of the SDK's type, and the losses."""
    result = CHAT.write_request(request, TARGET)
    body = body_of(result)
    PARAMS.validate_python(body)
    return body, set(result.lost)


def messages(*turns: Turn, dialect: Dialect = Dialect.ANTHROPIC_MESSAGES) -> tuple[list[dict[str, Any]], set[Lost]]:
    body, lost = written(foreign(turns=turns, dialect=dialect))
    return body["messages"], lost


def user(*blocks: Block, **members: Any) -> Turn:
    return Turn(Role.USER, blocks, **members)


def assistant(*blocks: Block) -> Turn:
    return Turn(Role.ASSISTANT, blocks)


def test_system_prompts_are_known_to_every_server() -> None:
    assert messages(
        Turn(Role.SYSTEM, (Text("a"), Text(""), Text("b")), top=True),
        Turn(Role.DEVELOPER, (Text("c"),)),
        user(Text("d")),
    ) == (
        [
            {"role": "system", "content": "a\n\nb"},
            {"role": "system", "content": "c"},
            {"role": "user", "content": "d"},
        ],
        set(),
    )


def test_texts_are_one_string_and_parts_beside_a_picture() -> None:
    assert messages(user(Text("a"), Text("b")))[0] == [{"role": "user", "content": "a\n\nb"}]
    assert messages(user(Text("a"), Text(""), PNG))[0] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
            ],
        }
    ]


def test_an_answers_texts_are_joined_as_they_were_said() -> None:
    assert messages(assistant(Text("The sky "), Text("is blue.")))[0] == [
        {"role": "assistant", "content": "The sky is blue."}
    ]


def test_tool_calls_and_results() -> None:
    turns = (
        assistant(Text("Let me see."), ToolUse("t1", "f", '{"a":1}'), ToolUse("t2", "g", "")),
        user(Text("and hurry"), ToolResult("t2", (Text("x"), Text("y"))), ToolResult("t1", (), is_error=True)),
    )
    assert messages(*turns) == (
        [
            {
                "role": "assistant",
                "content": "Let me see.",
                "tool_calls": [
                    {"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
                    {"id": "t2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
                ],
            },
            {"role": "tool", "tool_call_id": "t2", "content": "x\n\ny"},
            {"role": "tool", "tool_call_id": "t1", "content": ""},
            {"role": "user", "content": "and hurry"},
        ],
        {Lost.TOOL_RESULT_ERROR},
    )


def test_pictures_of_results_follow_in_a_users_message() -> None:
    said, lost = messages(
        assistant(ToolUse("t1", "shot", "{}"), ToolUse("t2", "read", "{}")),
        user(ToolResult("t1", (PNG,)), ToolResult("t2", (Text("two"), PNG)), Text("compare")),
    )
    assert [message["role"] for message in said] == ["assistant", "tool", "tool", "user"]
    assert [message["content"] for message in said[1:3]] == ["The result follows in the next message.", "two"]
    assert [part.get("text") for part in said[3]["content"]] == [
        "Result of t1:", None, "Result of t2:", None, "compare"
    ]  # fmt: skip
    assert lost == set()


def test_long_ids_are_shortened_alike_for_call_and_result() -> None:
    long = "toolu_" + "x" * 60
    said, _ = messages(assistant(ToolUse(long, "f", "{}")), user(ToolResult(long, (Text("1"),))))
    assert said[0]["tool_calls"][0]["id"] == said[1]["tool_call_id"]
    assert len(said[1]["tool_call_id"]) <= 40


def test_custom_tools() -> None:
    body, lost = written(
        foreign(
            dialect=Dialect.OPENAI_RESPONSES,
            turns=(assistant(ToolUse("c", "sh", "ls", ToolKind.CUSTOM, "ctc_1")),),
            tools=(
                Tool("sh", kind=ToolKind.CUSTOM, format=Raw(b'{"type":"grammar","syntax":"lark","definition":"d"}')),
                Tool("any", kind=ToolKind.CUSTOM, format=Raw(b'{"type":"text"}')),
            ),
            choice=ToolChoice(ChoiceMode.NAMED, "sh", ToolKind.CUSTOM),
        )
    )
    assert body["messages"][0]["tool_calls"] == [{"id": "c", "type": "custom", "custom": {"name": "sh", "input": "ls"}}]
    assert [tool["custom"]["format"] for tool in body["tools"]] == [
        {"type": "grammar", "grammar": {"syntax": "lark", "definition": "d"}},
        {"type": "text"},
    ]
    assert body["tool_choice"] == {"type": "custom", "custom": {"name": "sh"}}
    assert lost == set()


def test_documents() -> None:
    pdf = Source(SourceKind.BASE64, "AA==", "application/pdf")
    said, lost = messages(user(Document(pdf), Document(pdf, "b.pdf"), Document(Source(SourceKind.TEXT, "plain"))))
    assert said[0]["content"] == [
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "document.pdf"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "b.pdf"}},
        {"type": "text", "text": "plain"},
    ]
    assert lost == set()


@pytest.mark.parametrize(
    ("block", "lost"),
    [
        (Image(Source(SourceKind.FILE, "f")), {Lost.IMAGE}),
        (Document(Source(SourceKind.FILE, "f")), {Lost.DOCUMENT}),
        (Document(Source(SourceKind.URL, "u")), {Lost.DOCUMENT}),
        (Document(Source(SourceKind.TEXT, "t"), "title", "context", citations=True),
         {Lost.DOCUMENT_TITLE, Lost.DOCUMENT_CONTEXT, Lost.DOCUMENT_CITATIONS}),
        (Audio(Source(SourceKind.URL, "u")), {Lost.AUDIO}),
        (Text("a", cache=Cache("1h")), {Lost.CACHE}),
        (Text("a", citations=(RAW,)), {Lost.CITATIONS}),
        (Foreign(Dialect.ANTHROPIC_MESSAGES, "search_result", RAW), {Lost.FOREIGN}),
        (Thinking(("t",), "s", CLAUDE), {Lost.THINKING}),
        (Thinking(("t",), "s"), {Lost.THINKING}),
        (RedactedThinking("d"), {Lost.REDACTED_THINKING}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("role", [Role.USER, Role.ASSISTANT])
def test_what_a_block_cannot_say_is_named(block: Block, lost: set[Lost], role: Role) -> None:
    assert messages(Turn(role, (Text("x"), block)))[1] == lost


def test_a_message_of_nothing_is_left_out() -> None:
    said, lost = messages(user(Text("a")), assistant(Thinking(("t",), "s")), user(Text("b")))
    assert [message["role"] for message in said] == ["user", "user"]
    assert lost == {Lost.THINKING}


def test_a_refusal_of_an_earlier_answer() -> None:
    assert messages(assistant(Refusal("No.")))[0] == [{"role": "assistant", "content": None, "refusal": "No."}]


def test_a_file_of_responses_is_a_file_of_chat() -> None:
    said, lost = messages(user(Document(Source(SourceKind.FILE, "file-1"))), dialect=Dialect.OPENAI_RESPONSES)
    assert said[0]["content"] == [{"type": "file", "file": {"file_id": "file-1"}}]
    assert lost == set()


def test_what_this_provider_signed_comes_back_through_another_dialect() -> None:
    router = Signer(TARGET.provider, Dialect.OPENAI_CHAT)
    said, lost = messages(
        assistant(
            Thinking(("hm",), '{"type":"reasoning.text","signature":"s","index":0}', router),
            RedactedThinking('{"type":"reasoning.encrypted","data":"d"}', router),
            Thinking(("",), '{"tool_call":"t1","extra_content":{"google":{"thought_signature":"g"}}}', router),
            Thinking(("bare",), None, router),
            ToolUse("t0", "f", "{}"),
            ToolUse("t1", "f", "{}"),
        )
    )
    message = said[0]
    assert message["reasoning_details"] == [
        {"type": "reasoning.text", "text": "hm", "signature": "s", "index": 0},
        {"type": "reasoning.encrypted", "data": "d"},
    ]
    assert message["reasoning_content"] == "bare"
    assert [call.get("extra_content") for call in message["tool_calls"]] == [
        None, {"google": {"thought_signature": "g"}}
    ]  # fmt: skip
    assert lost == set()


def test_a_signature_of_no_known_form_leaves_the_text() -> None:
    router = Signer(TARGET.provider, Dialect.OPENAI_CHAT)
    said, _ = messages(assistant(Thinking(("hm",), "not JSON", router), RedactedThinking("d", router)))
    assert said[0]["reasoning_content"] == "hm"
    assert said[0]["reasoning_details"] == [{"type": "reasoning.encrypted", "data": "d"}]


SAMPLING = Sampling(
    temperature=Raw(b"0.50"), top_p=Raw(b"1"), top_k=Raw(b"40"), seed=RAW, frequency_penalty=RAW, presence_penalty=RAW,
    logit_bias=Raw(b'{"5":1}'), top_logprobs=3, n=2, stop=("a",),
)  # fmt: skip


def test_sampling() -> None:
    body, lost = written(foreign(sampling=SAMPLING))
    assert body == {
        "model": "m", "messages": [], "temperature": 0.5, "top_p": 1, "seed": 1, "frequency_penalty": 1,
        "presence_penalty": 1, "logit_bias": {"5": 1}, "logprobs": True, "top_logprobs": 3, "n": 2, "stop": ["a"],
    }  # fmt: skip
    assert lost == {Lost.TOP_K}


@pytest.mark.parametrize(
    ("reasoning", "effort", "lost"),
    [
        (Reasoning(effort=Effort.XHIGH), "xhigh", set()),
        (Reasoning(effort=Effort.NONE), "none", set()),
        (Reasoning(enabled=True, budget=20_000), "high", set()),
        (Reasoning(enabled=True), "medium", set()),
        (Reasoning(enabled=True, adaptive=True), None, set()),
        (Reasoning(enabled=True, adaptive=True, effort=Effort.LOW), "low", set()),
        (Reasoning(enabled=False), None, {Lost.REASONING}),
        (Reasoning(effort=Effort.LOW, summary="auto"), "low", {Lost.REASONING_SUMMARY}),
        (Reasoning(enabled=True, display="omitted"), "medium", {Lost.REASONING_DISPLAY}),
    ],
)
def test_reasoning(reasoning: Reasoning, effort: str | None, lost: set[Lost]) -> None:
    body, said = written(foreign(reasoning=reasoning))
    assert (body.get("reasoning_effort"), said) == (effort, lost)


def test_output_formats() -> None:
    schema = OutputFormat(FormatKind.JSON_SCHEMA, schema=Raw(b'{"type":"object"}'), strict=True)
    assert written(foreign(output=schema))[0]["response_format"] == {
        "type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
    }  # fmt: skip
    assert written(foreign(output=OutputFormat(FormatKind.JSON_OBJECT)))[0]["response_format"] == {
        "type": "json_object"
    }
    assert written(foreign(output=OutputFormat(FormatKind.FOREIGN, raw=RAW))) == (
        {"model": "m", "messages": []}, {Lost.OUTPUT_FORMAT}
    )  # fmt: skip


def test_about_the_call() -> None:
    body, lost = written(
        foreign(
            user="u" * 65, metadata={"a": "b"}, store=True, cache_key="k", verbosity="low", cache=Cache(),
            service_tier="standard_only",
        )
    )  # fmt: skip
    assert len(body.pop("user")) == 64
    assert body == {
        "model": "m", "messages": [], "prompt_cache_key": "k", "verbosity": "low", "service_tier": "default"
    }  # fmt: skip
    assert lost == {Lost.METADATA, Lost.STORE, Lost.CACHE}
    assert written(foreign(service_tier="batch", store=False)) == (
        {"model": "m", "messages": []}, {Lost.SERVICE_TIER}
    )  # fmt: skip
    assert written(foreign(user="u"))[0]["user"] == "u"


def test_tools_and_their_choice() -> None:
    server = ServerTool(Dialect.ANTHROPIC_MESSAGES, "web_search_20250305", RAW)
    tool = Tool("f", "d", Raw(b'{"type":"object","properties":{}}'), strict=True, cache=Cache())
    body, lost = written(
        foreign(tools=(tool, server), choice=ToolChoice(ChoiceMode.REQUIRED, allowed=("f",)), parallel_tools=False)
    )
    assert body["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "f",
                "description": "d",
                "parameters": {"type": "object", "properties": {}},
                "strict": True,
            },
        }
    ]
    assert body["tool_choice"]["allowed_tools"] == {
        "mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]
    }  # fmt: skip
    assert body["parallel_tool_calls"] is False
    assert lost == {Lost.SERVER_TOOL, Lost.CACHE}


@pytest.mark.parametrize(
    ("choice", "lost"),
    [
        (ToolChoice(ChoiceMode.AUTO), set()),
        (ToolChoice(ChoiceMode.NONE), set()),
        (ToolChoice(ChoiceMode.REQUIRED), {Lost.TOOL_CHOICE}),
        (ToolChoice(ChoiceMode.NAMED, "web_search"), {Lost.TOOL_CHOICE}),
        (ToolChoice(ChoiceMode.FOREIGN, raw=RAW), {Lost.TOOL_CHOICE}),
    ],
)
def test_no_choice_without_tools(choice: ToolChoice, lost: set[Lost]) -> None:
    server = ServerTool(Dialect.ANTHROPIC_MESSAGES, "web_search_20250305", RAW)
    body, said = written(foreign(tools=(server,), choice=choice, parallel_tools=True))
    assert body == {"model": "m", "messages": []}
    assert said == {Lost.SERVER_TOOL, Lost.PARALLEL_TOOLS} | lost


def test_a_stream_asks_for_usage() -> None:
    request = msgspec.structs.replace(foreign(), stream=True)
    body = body_of(CHAT.write_request(request, TARGET))
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})


def test_extras_of_another_dialect_are_named_by_their_paths() -> None:
    odd = {"x": RAW, "nothing": Raw(b"null")}
    request = foreign(
        extra={"container": RAW},
        tools=(Tool("f", extra={"input_examples": RAW}),),
        reasoning=Reasoning(effort=Effort.LOW, extra={"y": RAW}),
        turns=(
            user(Text("a", extra=odd), extra={"z": RAW}),
            assistant(ToolUse("t", "f", "{}", extra={"caller": RAW})),
            user(ToolResult("t", (), extra={"w": RAW}), extra={"v": RAW}),
        ),
    )
    assert CHAT.write_request(request, TARGET).unknown == {
        "container", "tools.input_examples", "thinking.y", "messages.content.x", "messages.z", "messages.v",
        "messages.content.caller", "messages.content.w",
    }  # fmt: skip
    items = foreign(
        dialect=Dialect.OPENAI_RESPONSES,
        extra={"safety_identifier": Raw(b'"s"'), "truncation": RAW},
        turns=(user(Text("a", extra=odd)), assistant(ToolUse("t", "f", "{}", extra={"status": RAW}))),
    )
    written_ = CHAT.write_request(items, TARGET)
    assert written_.unknown == {"truncation", "input.content.x", "input.status"}
    assert body_of(written_)["safety_identifier"] == "s"
