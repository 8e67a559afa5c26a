"""What a client's chat request says, and what is refused in it."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from tests.protocols.chat.translating import CHAT, read, read_messages

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
)
from headgate.model.conversation import (
    ChoiceMode,
    Effort,
    FormatKind,
    OutputFormat,
    Reasoning,
    ServerTool,
    Tool,
    ToolChoice,
)
from headgate.model.dialect import Dialect, Endpoint
from headgate.model.errors import ErrorKind, HeadgateError
from headgate.protocols.codec import codec_for
from headgate.protocols.signatures import Signed, wrap

USER = {"role": "user", "content": "Hi"}


def blocks(message: dict[str, Any]) -> tuple[Any, ...]:
    (turn,) = read_messages(message).turns
    return turn.blocks


def user_parts(*parts: dict[str, Any]) -> tuple[Any, ...]:
    return blocks({"role": "user", "content": list(parts)})


def test_roles_and_plain_content() -> None:
    turns = read_messages(
        {"role": "system", "content": "a"},
        {"role": "developer", "content": [{"type": "text", "text": "b"}]},
        {"role": "user", "content": "c", "name": "ann"},
        {"role": "assistant", "content": "d"},
    ).turns
    assert [turn.role for turn in turns] == [Role.SYSTEM, Role.DEVELOPER, Role.USER, Role.ASSISTANT]
    assert [turn.plain for turn in turns] == [True, False, True, True]
    assert [turn.top for turn in turns] == [False] * 4
    assert turns[2].name == "ann"
    assert turns[1].blocks == (Text("b"),)


def test_images_are_bytes_or_urls() -> None:
    assert user_parts(
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "high"}},
        {"type": "image_url", "image_url": "https://x.example/a.png"},
        {"type": "image_url", "image_url": {"url": "data:image/svg+xml;utf8,<svg/>"}},
    ) == (
        Image(Source(SourceKind.BASE64, "AA==", "image/png"), "high"),
        Image(Source(SourceKind.URL, "https://x.example/a.png")),
        Image(Source(SourceKind.URL, "data:image/svg+xml;utf8,<svg/>")),
    )


def test_sounds_and_files() -> None:
    assert user_parts(
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}},
        {"type": "file", "file": {"file_id": "file-1", "filename": "x"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"}},
        {"type": "file", "file": {"file_data": "AA=="}},
        {"type": "file", "file": {"file_data": "https://x.example/a.pdf"}},
    ) == (
        Audio(Source(SourceKind.BASE64, "AA==", "audio/mpeg")),
        Document(Source(SourceKind.FILE, "file-1"), "x"),
        Document(Source(SourceKind.BASE64, "AA==", "application/pdf"), "a.pdf"),
        Document(Source(SourceKind.BASE64, "AA==")),
        Document(Source(SourceKind.URL, "https://x.example/a.pdf")),
    )


def test_cache_marks() -> None:
    marked, odd = user_parts(
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "5m"}},
        {"type": "text", "text": "b", "cache_control": {"type": "eternal"}},
    )
    assert marked == Text("a", cache=Cache("5m"))
    assert (odd.cache, set(odd.extra)) == (None, {"cache_control"})
    assert read({"messages": [], "cache_control": {"type": "ephemeral"}}).cache == Cache("")


def test_a_part_nobody_knows_stays_whole() -> None:
    (part,) = user_parts({"type": "video_url", "video_url": {"url": "u"}})
    assert part == Foreign(Dialect.OPENAI_CHAT, "video_url", Raw(b'{"type":"video_url","video_url":{"url":"u"}}'))


def test_adjacent_tool_messages_are_one_turn() -> None:
    turns = read_messages(
        USER,
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1.0}'}},
                {"id": "b", "type": "custom", "custom": {"name": "sh", "input": "ls"}},
                {"id": "c", "function": {"name": "g"}},
            ],
        },
        {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "t"}]},
        {"role": "tool", "tool_call_id": "a", "content": "s"},
        {"role": "user", "content": "and?"},
    ).turns
    assert [turn.role for turn in turns] == [Role.USER, Role.ASSISTANT, Role.USER, Role.USER]
    assert turns[1].blocks[1:] == (
        ToolUse("a", "f", '{"x": 1.0}'),
        ToolUse("b", "sh", "ls", ToolKind.CUSTOM),
        ToolUse("c", "g", ""),
    )
    assert turns[2].blocks == (
        ToolResult("b", (Text("t"),), kind=ToolKind.CUSTOM),
        ToolResult("a", (Text("s"),), plain=True),
    )


def test_thinking_of_each_form() -> None:
    plain = blocks({"role": "assistant", "content": "4", "reasoning_content": "hm"})
    assert plain == (Thinking(("hm",)), Text("4"))
    text, encrypted, _ = blocks(
        {
            "role": "assistant",
            "content": "4",
            "reasoning": "hm",
            "reasoning_details": [
                {"type": "reasoning.text", "text": "hm", "signature": "s=", "index": 0},
                {"type": "reasoning.encrypted", "data": "d="},
            ],
        }
    )
    assert (text.parts, text.signature, text.signer) == (("hm",), "s=", None)
    assert (encrypted.data, encrypted.signer) == ("d=", None)


def test_thinking_that_headgate_wrapped_is_its_signers_again() -> None:
    claude = Signer("claude", Dialect.ANTHROPIC_MESSAGES)
    responses = Signer("oai", Dialect.OPENAI_RESPONSES)
    details = [
        {"type": "reasoning.text", "text": "hm", "signature": wrap(Signed(claude, None, "Eq=")), "index": 0},
        {"type": "reasoning.encrypted", "data": wrap(Signed(claude, None, "Zz=")), "index": 1},
        {"type": "reasoning.text", "text": "so", "signature": wrap(Signed(responses, "rs_1", "gA=")), "index": 2},
        {"type": "reasoning.text", "text": "bare", "signature": wrap(Signed(claude, None, "")), "index": 3},
    ]
    message = {
        "role": "assistant",
        "content": None,
        "reasoning_content": "hm\n\nso\n\nbare",
        "reasoning_details": details,
    }
    assert blocks(message) == (
        Thinking(("hm",), "Eq=", claude),
        RedactedThinking("Zz=", claude),
        Thinking(("so",), "gA=", responses, "rs_1"),
        Thinking(("bare",), None, claude),
    )


def test_refusals_audio_and_annotations() -> None:
    citation = {"type": "url_citation", "url_citation": {"url": "u"}}
    text, refusal, audio = blocks(
        {"role": "assistant", "content": "a", "refusal": "No.", "audio": {"id": "au"}, "annotations": [citation]}
    )
    assert text == Text("a", citations=(Raw(msgspec.json.encode(citation)),))
    assert refusal == Refusal("No.")
    assert audio == Audio(None, "au")


def test_tools_and_choices() -> None:
    schema = {"type": "object"}
    request = read(
        {
            "messages": [],
            "tools": [
                {"type": "function", "function": {"name": "f", "parameters": schema, "strict": True}},
                {"type": "custom", "custom": {"name": "sh", "format": {"type": "text"}}},
                {"type": "web_search"},
            ],
            "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [
                {"type": "custom", "custom": {"name": "sh"}}]}},
            "parallel_tool_calls": False,
        }
    )  # fmt: skip
    assert request.tools == (
        Tool("f", None, Raw(b'{"type":"object"}'), strict=True),
        Tool("sh", kind=ToolKind.CUSTOM, format=Raw(b'{"type":"text"}')),
        ServerTool(Dialect.OPENAI_CHAT, "web_search", Raw(b'{"type":"web_search"}')),
    )
    assert request.choice == ToolChoice(ChoiceMode.REQUIRED, allowed=("sh",))
    assert request.parallel_tools is False


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", ToolChoice(ChoiceMode.AUTO)),
        ("none", ToolChoice(ChoiceMode.NONE)),
        ("required", ToolChoice(ChoiceMode.REQUIRED)),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice(ChoiceMode.NAMED, "f")),
        ({"type": "custom", "custom": {"name": "f"}}, ToolChoice(ChoiceMode.NAMED, "f", ToolKind.CUSTOM)),
    ],
)
def test_each_choice(choice: object, expected: ToolChoice) -> None:
    assert read({"messages": [], "tool_choice": choice}).choice == expected


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, None),
        ({"reasoning_effort": None}, None),
        ({"reasoning_effort": "minimal"}, Reasoning(effort=Effort.MINIMAL)),
        ({"reasoning": {"max_tokens": 9, "enabled": True}}, Reasoning(enabled=True, budget=9)),
        ({"reasoning": {"effort": "low"}, "reasoning_effort": "high"}, Reasoning(effort=Effort.LOW)),
    ],
)
def test_reasoning(members: dict[str, Any], expected: Reasoning | None) -> None:
    assert read({"messages": [], **members}).reasoning == expected


def test_the_rest_of_a_request() -> None:
    request = read(
        {
            "messages": [],
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": 9,
            "stop": "END",
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": True}},
            "user": "u",
            "metadata": {"a": "b"},
            "service_tier": "flex",
            "store": True,
            "prompt_cache_key": "k",
            "verbosity": "low",
            "prediction": {"type": "content", "content": "x"},
        }
    )
    assert (request.stream, request.include_usage, request.max_output, request.sampling.stop) == (
        True,
        True,
        9,
        ("END",),
    )
    assert request.output == OutputFormat(FormatKind.JSON_SCHEMA, "n", schema=Raw(b"{}"), strict=True)
    assert (request.user, request.metadata, request.service_tier) == ("u", {"a": "b"}, "flex")
    assert (request.store, request.cache_key, request.verbosity) == (True, "k", "low")
    assert set(request.extra) == {"prediction"}


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        ({}, "messages"),
        ({"messages": None}, "messages"),
        ({"messages": {}}, "messages"),
        ({"messages": "x"}, "messages"),
        ({"messages": [1]}, "messages.0"),
        ({"messages": [{}]}, "messages.0.role"),
        ({"messages": [{"role": "bot"}]}, "messages.0.role"),
        ({"messages": [{"role": 7}]}, "messages.0.role"),
        ({"messages": [USER, {"role": "user", "content": 7}]}, "messages.1.content"),
        ({"messages": [{"role": "user", "content": {}}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages.0.content.0"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages.0.content.0.type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content.0.text"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]}, "messages.0.content.0.text"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages.0.content.0.image_url"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
         "messages.0.content.0.image_url.url"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": 1}]}]},
         "messages.0.content.0.image_url"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": ""}}]}]},
         "messages.0.content.0.input_audio.format"),
        ({"messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]}, "messages.0.content.0.file"),
        ({"messages": [{"role": "user", "content": "x", "name": []}]}, "messages.0.name"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.tool_call_id"),
        ({"messages": [{"role": "function", "content": "x"}]}, "messages.0.name"),
        ({"messages": [{"role": "tool", "tool_call_id": "a", "content": [{"type": "refusal", "refusal": "x"}]}]},
         "messages.0.content.0.type"),
        ({"messages": [{"role": "assistant", "tool_calls": {}}]}, "messages.0.tool_calls"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"type": "function"}]}]}, "messages.0.tool_calls.0.id"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "a", "type": "x"}]}]},
         "messages.0.tool_calls.0.type"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": {}}}]}]},
         "messages.0.tool_calls.0.function.arguments"),
        ({"messages": [{"role": "assistant", "function_call": {"name": "f"}}]}, "messages.0.function_call.arguments"),
        ({"messages": [{"role": "assistant", "audio": {}}]}, "messages.0.audio.id"),
        ({"messages": [{"role": "assistant", "annotations": 1}]}, "messages.0.annotations"),
        ({"messages": [{"role": "assistant", "reasoning_content": 1}]}, "messages.0.reasoning_content"),
        ({"messages": [{"role": "assistant", "reasoning_details": [{}]}]}, "messages.0.reasoning_details.0.type"),
        ({"messages": [], "temperature": "hot"}, "temperature"),
        ({"messages": [], "top_logprobs": -1}, "top_logprobs"),
        ({"messages": [], "top_logprobs": 10**30}, "top_logprobs"),
        ({"messages": [], "logprobs": 1}, "logprobs"),
        ({"messages": [], "logit_bias": []}, "logit_bias"),
        ({"messages": [], "stop": 1}, "stop"),
        ({"messages": [], "stop": ["a", 1]}, "stop.1"),
        ({"messages": [], "tools": {}}, "tools"),
        ({"messages": [], "tools": [1]}, "tools.0"),
        ({"messages": [], "tools": [{"type": "function", "name": "f"}]}, "tools.0.function"),
        ({"messages": [], "tools": [{"type": "function", "function": {}}]}, "tools.0.function.name"),
        ({"messages": [], "tools": [{"type": "function", "function": {"name": "f", "parameters": 1}}]},
         "tools.0.function.parameters"),
        ({"messages": [], "functions": [{"name": 1}]}, "functions.0.name"),
        ({"messages": [], "tool_choice": 1}, "tool_choice"),
        ({"messages": [], "function_call": 1}, "function_call"),
        ({"messages": [], "response_format": "json"}, "response_format"),
        ({"messages": [], "response_format": {}}, "response_format.type"),
        ({"messages": [], "response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"messages": [], "reasoning_effort": 1}, "reasoning_effort"),
        ({"messages": [], "reasoning": {"max_tokens": "x"}}, "reasoning.max_tokens"),
        ({"messages": [], "metadata": "x"}, "metadata"),
        ({"messages": [], "user": 1}, "user"),
        ({"messages": [], "store": "yes"}, "store"),
        ({"messages": [], "parallel_tool_calls": 0}, "parallel_tool_calls"),
    ],
)  # fmt: skip
def test_what_is_refused_is_named(request_: dict[str, Any], param: str) -> None:
    with pytest.raises(HeadgateError) as caught:
        read(request_)
    assert (caught.value.kind, caught.value.param) == (ErrorKind.INVALID_REQUEST, param)
    assert param in caught.value.message


def refused(body: bytes) -> HeadgateError | None:
    """Return the 400 that a body gets, None where it is read; every other error is a failure."""
    try:
        CHAT.read_request(codec_for(Endpoint.CHAT).read_head(Endpoint.CHAT, body))
    except HeadgateError as error:
        return error if error.kind is ErrorKind.INVALID_REQUEST else pytest.fail(repr(error))
    return None


@pytest.mark.parametrize("depth", [900, 5_000, 200_000])
def test_deep_nesting_is_refused_or_kept(depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    for body in (
        b'{"model":"m","messages":' + deep + b"}",
        b'{"model":"m","messages":[{"role":"user","content":' + deep + b"}]}",
        b'{"model":"m","messages":[],"tools":[{"type":"x","y":' + deep + b"}]}",
    ):
        refused(body)


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["role", "content", "type", "text", "image_url", "url", "file", "file_data", "tool_calls", "function", "name",
         "arguments", "id", "custom", "input", "reasoning_details", "signature", "refusal", "audio", "annotations"]
    ), inner | st.sampled_from(["user", "assistant", "tool", "text", "file", "function"]), max_size=5),
    max_leaves=12,
)  # fmt: skip
MEMBERS = st.sampled_from(
    ["tools", "functions", "tool_choice", "function_call", "response_format", "reasoning", "stop", "stream_options",
     "temperature", "n", "metadata", "cache_control", "reasoning_effort", "audio", "user", "logit_bias"]
)  # fmt: skip


@given(messages=st.lists(ODD, max_size=3) | ODD, members=st.dictionaries(MEMBERS, ODD, max_size=3))
def test_odd_values_are_read_or_refused_by_name(messages: object, members: dict[str, Any]) -> None:
    error = refused(msgspec.json.encode({"model": "m", "messages": messages, **members}))
    assert error is None or error.param
