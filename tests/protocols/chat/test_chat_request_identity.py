"""Reading and writing a chat request changes nothing but what Headgate owns: model, usage, the maximum's name."""

from typing import Any

import pytest
from openai.types.chat import completion_create_params
from pydantic import TypeAdapter
from tests.protocols.chat.translating import CACHED, CHAT, PNG, TARGET, body_of, read, rewritten, without_nulls

from headgate.model.content import Signer
from headgate.model.dialect import Dialect, Endpoint
from headgate.protocols.canonical import Target
from headgate.protocols.codec import codec_for
from headgate.protocols.signatures import Signed, wrap

PARAMS: TypeAdapter[Any] = TypeAdapter(completion_create_params.CompletionCreateParamsNonStreaming)
USER = {"role": "user", "content": "Hi"}


def call(call_id: str, name: str = "f", arguments: str = '{"a": 1}', **extra: Any) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}, **extra}


MESSAGES: dict[str, list[dict[str, Any]]] = {
    "system and developer": [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "Be kind."}], "name": "dev"},
        USER,
    ],
    "empty string": [{"role": "user", "content": ""}],
    "no parts": [{"role": "user", "content": []}],
    "text parts": [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "", **CACHED}]}
    ],
    "images": [
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
                {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}, **CACHED},
                {"type": "image_url", "image_url": {"url": "data:image/png;charset=x;base64,AA=="}},
                {"type": "image_url", "image_url": {"url": "data:;base64,AA==", "detail": "original", "format": "png"}},
            ],
        }
    ],
    "audio": [
        {
            "role": "user",
            "content": [
                {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
                {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}},
                {"type": "input_audio", "input_audio": {"data": "AA==", "format": "flac", "x": 1}, "y": 2},
            ],
        }
    ],
    "files": [
        {
            "role": "user",
            "content": [
                {"type": "file", "file": {"file_id": "file-1"}},
                {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"}},
                {"type": "file", "file": {"file_data": "JVBERi0xLjQ=", "filename": "b.pdf"}},
                {"type": "file", "file": {"file_data": "https://x.example/c.pdf", "filename": "c.pdf", "z": None}},
            ],
        }
    ],
    "a breakpoint of OpenAI's cache": [
        {"role": "user", "content": [{"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}}]}
    ],
    "a part nobody knows": [{"role": "user", "content": [{"type": "video_url", "video_url": {"url": "u"}}]}],
    "tool loop": [
        USER,
        {"role": "assistant", "content": None, "tool_calls": [call("c1"), call("c2", "g", "not JSON")]},
        {"role": "tool", "tool_call_id": "c1", "content": "42"},
        {
            "role": "tool",
            "tool_call_id": "c2",
            "content": [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}],
        },
        {"role": "assistant", "content": "Done."},
        {"role": "user", "content": "More", "name": "ann"},
    ],
    "tool message with a name and a mark": [
        USER,
        {"role": "assistant", "content": "", "tool_calls": [call("c1", **CACHED)]},
        {"role": "tool", "tool_call_id": "c1", "name": "f", "content": "", **CACHED},
    ],
    "picture in a tool message": [
        USER,
        {"role": "assistant", "content": None, "tool_calls": [call("c1")]},
        {
            "role": "tool",
            "tool_call_id": "c1",
            "content": [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": PNG}}],
        },
    ],
    "custom tool": [
        USER,
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "custom", "custom": {"name": "sh", "input": "ls -l", "x": 1}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "total 0"},
    ],
    "signature of Gemini's": [
        USER,
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [call("c1", extra_content={"google": {"thought_signature": "s=="}})],
        },
    ],
    "refusals": [
        USER,
        {"role": "assistant", "content": None, "refusal": "No."},
        {"role": "assistant", "content": [{"type": "text", "text": "a"}, {"type": "refusal", "refusal": "No."}]},
    ],
    "audio of an earlier answer": [USER, {"role": "assistant", "content": None, "audio": {"id": "audio_1"}}],
    "annotations": [
        USER,
        {
            "role": "assistant",
            "content": "See.",
            "annotations": [
                {"type": "url_citation", "url_citation": {"url": "u", "title": "t", "start_index": 0, "end_index": 3}}
            ],
        },
        {"role": "assistant", "content": None, "tool_calls": [call("c1")], "annotations": [{"type": "file"}]},
    ],
    "reasoning_content": [USER, {"role": "assistant", "content": "4", "reasoning_content": "2 + 2"}],
    "reasoning": [USER, {"role": "assistant", "content": "4", "reasoning": "2 + 2"}],
    "reasoning_details": [
        USER,
        {
            "role": "assistant",
            "content": "4",
            "reasoning_details": [
                {"type": "reasoning.summary", "summary": "adding", "format": "openai-responses-v1", "index": 0},
                {"type": "reasoning.encrypted", "data": "gAAA", "id": "rs_1", "index": 0},
                {"type": "reasoning.text", "text": "2 + 2", "signature": "sig==", "format": "anthropic-claude-v1"},
                {"type": "reasoning.server_tool_call", "name": "search"},
            ],
        },
    ],
    "members nobody knows": [
        {"role": "user", "content": "a", "x_meta": {"a": [1.50, None]}},
        {"role": "assistant", "content": "b", "prefix": True, "tool_calls": [{**call("c1"), "index": 0}]},
    ],
}

REQUESTS: dict[str, dict[str, Any]] = {
    "sampling": {
        "temperature": 0.30, "top_p": 1, "top_k": 40, "seed": -1, "frequency_penalty": -0.5, "presence_penalty": 2,
        "logit_bias": {"50256": -100}, "logprobs": True, "top_logprobs": 5, "n": 2, "stop": ["a", "b"],
    },
    "about": {
        "user": "u" * 100, "metadata": {"a": "b"}, "service_tier": "on_demand", "store": False, "verbosity": "low",
        "prompt_cache_key": "k", "safety_identifier": "s", "max_completion_tokens": 5, **CACHED,
    },
    "metadata of no strings": {"metadata": {"tags": ["a"]}},
    "only chat has": {
        "modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"},
        "prediction": {"type": "content", "content": "x"}, "web_search_options": {"search_context_size": "low"},
        "prompt_cache_options": {"mode": "explicit"}, "moderation": {"model": "omni"}, "provider": {"only": ["azure"]},
        "thinking": {"type": "enabled"}, "a.b": 1,
    },
    "reasoning_effort": {"reasoning_effort": "xhigh"},
    "an effort only one vendor knows": {"reasoning_effort": "default"},
    "reasoning": {"reasoning": {"effort": "high", "exclude": True}},
    "reasoning budget": {"reasoning": {"max_tokens": 2000}},
    "reasoning of another form": {"reasoning": True},
    "tools": {
        "tools": [
            {"type": "function", "function": {"name": "f", "description": "d", "strict": True,
                                              "parameters": {"type": "object", "x": 1.0}}},
            {"type": "function", "function": {"name": "g", "y": 1}, "z": 2, **CACHED},
            {"type": "custom", "custom": {"name": "sh", "description": "d", "format": {
                "type": "grammar", "grammar": {"definition": "start: /a/", "syntax": "lark"}}}},
            {"type": "custom", "custom": {"name": "free", "format": {"type": "text"}}},
            {"type": "openrouter:web_search", "parameters": {}},
        ],
        "tool_choice": "required",
        "parallel_tool_calls": False,
    },
    "named tool": {"tool_choice": {"type": "function", "function": {"name": "f"}}},
    "named custom tool": {"tool_choice": {"type": "custom", "custom": {"name": "sh"}}},
    "allowed tools": {
        "tools": [{"type": "custom", "custom": {"name": "sh"}}],
        "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [
            {"type": "function", "function": {"name": "f"}}, {"type": "custom", "custom": {"name": "sh"}}]}},
    },
    "a choice only one vendor knows": {"tool_choice": "any"},
    "a choice of a tool of no known kind": {"tool_choice": {"type": "mcp", "server_label": "x"}},
    "text": {"response_format": {"type": "text"}},
    "json": {"response_format": {"type": "json_object", "x": 1}},
    "schema": {"response_format": {"type": "json_schema", "json_schema": {
        "name": "n", "description": "d", "schema": {"type": "object"}, "strict": None, "x": 1}, "y": 2}},
    "a format only one vendor knows": {"response_format": {"type": "grammar", "grammar": "root"}},
}  # fmt: skip


@pytest.mark.parametrize("case", MESSAGES)
def test_messages_stay(case: str) -> None:
    assert without_nulls(rewritten({"messages": MESSAGES[case]})["messages"]) == without_nulls(MESSAGES[case])


@pytest.mark.parametrize("case", REQUESTS)
def test_members_stay(case: str) -> None:
    request = {"messages": [USER], **REQUESTS[case]}
    assert without_nulls(rewritten(request)) == without_nulls({"model": "m", **request})


@pytest.mark.parametrize("case", MESSAGES)
def test_an_assistant_message_always_has_content(case: str) -> None:
    """DeepSeek and older servers refuse one without, null or not."""
    assert all("content" in message for message in rewritten({"messages": MESSAGES[case]})["messages"])


def test_numbers_keep_their_spelling() -> None:
    function = b'{"name":"f","parameters":{"minimum": 1.0 }}'
    tools = b'[{"type":"function","function":' + function + b"}]"
    body = b'{"model":"m","messages":[],"temperature":0.30,"top_p":1.0e0,"tools":' + tools + b"}"
    head = codec_for(Endpoint.CHAT).read_head(Endpoint.CHAT, body)
    written = CHAT.write_request(CHAT.read_request(head), TARGET).body
    assert b'"temperature":0.30,"top_p":1.0e0' in written
    assert b'{"minimum": 1.0 }' in written


def test_a_stream_asks_for_usage() -> None:
    body = rewritten({"messages": [], "stream": True, "stream_options": {"include_obfuscation": False}})
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True, "include_obfuscation": False}


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (TARGET, {"max_completion_tokens": 7}),
        (Target("u", "m", max_tokens=True), {"max_tokens": 7}),
        (Target("u", "m", max_output=5), {"max_completion_tokens": 5}),
        (Target("u", "m", max_output=5, max_tokens=True), {"max_tokens": 5}),
    ],
)
def test_the_maximum_goes_by_the_name_the_upstream_knows(target: Target, expected: dict[str, int]) -> None:
    body = rewritten({"messages": [], "max_tokens": 7}, target)
    assert {name: value for name, value in body.items() if name.startswith("max_")} == expected


def test_functions_of_old_become_tools() -> None:
    body = rewritten(
        {
            "messages": [
                {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
                {"role": "function", "name": "f", "content": "1"},
                {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{ }"}},
                {"role": "function", "name": "f", "content": None},
            ],
            "functions": [{"name": "f", "parameters": {"type": "object"}}],
            "function_call": {"name": "f"},
        }
    )
    assert body["tools"] == [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    assert body["parallel_tool_calls"] is False
    first, one, second, none = body["messages"]
    assert one == {"role": "tool", "tool_call_id": first["tool_calls"][0]["id"], "content": "1"}
    assert none["tool_call_id"] == second["tool_calls"][0]["id"] != one["tool_call_id"]


def test_thinking_goes_back_to_its_provider_alone() -> None:
    router, seek = Signer("router", Dialect.OPENAI_CHAT), Signer("seek", Dialect.OPENAI_CHAT)
    text = wrap(Signed(router, None, '{"type":"reasoning.text","signature":"s=","format":"x"}'))
    data = wrap(Signed(router, None, '{"type":"reasoning.encrypted","data":"d"}'))
    details = [
        {"type": "reasoning.text", "text": "2 + 2", "index": 0, "signature": text},
        {"type": "reasoning.encrypted", "index": 1, "data": data},
        {"type": "reasoning.text", "text": "again", "index": 2, "signature": wrap(Signed(seek, None, ""))},
    ]
    message = {"role": "assistant", "content": "4", "reasoning_content": "2 + 2\n\nagain", "reasoning_details": details}
    request = read({"messages": [message]})
    home = CHAT.write_request(request, Target("router", "m"))
    assert body_of(home)["messages"] == [
        {
            "role": "assistant",
            "content": "4",
            "reasoning_details": [
                {"type": "reasoning.text", "text": "2 + 2", "signature": "s=", "format": "x"},
                {"type": "reasoning.encrypted", "data": "d"},
            ],
        }
    ]
    assert set(home.lost) == {"thinking"}
    back = CHAT.write_request(request, Target("seek", "m"))
    assert body_of(back)["messages"] == [{"role": "assistant", "content": "4", "reasoning_content": "again"}]
    other = CHAT.write_request(request, Target("other", "m"))
    assert body_of(other)["messages"] == [{"role": "assistant", "content": "4"}]
    assert set(other.lost) == {"thinking", "redacted_thinking"}


@pytest.mark.parametrize("case", [name for name in MESSAGES if "nobody" not in name and "picture" not in name])
def test_what_is_written_is_of_the_sdks_type(case: str) -> None:
    PARAMS.validate_python(rewritten({"messages": MESSAGES[case]}))
