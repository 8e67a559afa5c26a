"""What makes a vendor do or bill work that tokens do not measure."""

import typing
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from anthropic.types.beta.beta_tool_union_param import BetaToolUnionParam
from openai.types.responses.tool_param import ToolParam

from headgate.model.dialect import Endpoint
from headgate.model.request import RequestHead
from headgate.protocols.beyond_tokens import beyond_tokens, searches
from headgate.protocols.codec import codec_for

CHAT, RESPONSES, MESSAGES = Endpoint.CHAT, Endpoint.RESPONSES, Endpoint.MESSAGES
BODIES: dict[Endpoint, dict[str, Any]] = {
    CHAT: {"model": "m", "messages": []},
    RESPONSES: {"model": "m", "input": "hi"},
    MESSAGES: {"model": "m", "messages": [], "max_tokens": 5},
    Endpoint.COUNT_TOKENS: {"model": "m", "messages": []},
    Endpoint.EMBEDDINGS: {"model": "m", "input": "hi"},
    Endpoint.COMPLETIONS: {"model": "m", "prompt": "hi"},
}


def head(endpoint: Endpoint, **members: Any) -> RequestHead:
    return codec_for(endpoint).read_head(endpoint, msgspec.json.encode(BODIES[endpoint] | members))


@pytest.mark.parametrize("endpoint", Endpoint)
def test_a_plain_request_is_measured_by_its_tokens(endpoint: Endpoint) -> None:
    assert beyond_tokens(head(endpoint)) is None


@pytest.mark.parametrize(
    ("endpoint", "member", "value", "named"),
    [
        (RESPONSES, "background", True, "background"),
        (RESPONSES, "service_tier", "priority", "service_tier: priority"),
        (RESPONSES, "service_tier", "ultrafast", "service_tier: ultrafast"),
        (RESPONSES, "service_tier", ["priority"], "service_tier"),
        (RESPONSES, "context_management", [{"type": "compaction"}], "context_management"),
        (CHAT, "web_search_options", {}, "web_search_options"),
        (CHAT, "service_tier", "fast", "service_tier: fast"),
        (CHAT, "plugins", [{"id": "web"}], "plugins"),
        (CHAT, "models", ["dearer"], "models"),
        (CHAT, "preset", "writer", "preset"),
        (CHAT, "search_parameters", {"mode": "on"}, "search_parameters"),
        (CHAT, "n_predict", -1, "n_predict"),
        (Endpoint.COMPLETIONS, "n_predict", 10**6, "n_predict"),
        (MESSAGES, "mcp_servers", [{"type": "url", "url": "https://x.test", "name": "x"}], "mcp_servers"),
        (MESSAGES, "container", "container_1", "container"),
        (MESSAGES, "speed", "fast", "speed: fast"),
        (MESSAGES, "inference_geo", "us", "inference_geo: us"),
        (MESSAGES, "fallbacks", "default", "fallbacks"),
        (MESSAGES, "compaction", {"type": "summarize"}, "compaction"),
        (
            MESSAGES,
            "context_management",
            {"edits": [{"type": "clear_thinking_20251015"}, {"type": "compact_20260112"}]},
            "context_management: compact_20260112",
        ),
        (MESSAGES, "context_management", {"edits": 5}, "context_management"),
    ],
)
def test_members_with_a_price_of_their_own_are_named(endpoint: Endpoint, member: str, value: Any, named: str) -> None:
    assert beyond_tokens(head(endpoint, **{member: value})) == named


@pytest.mark.parametrize(
    ("endpoint", "member", "value"),
    [
        (RESPONSES, "background", False),
        (RESPONSES, "background", None),
        (RESPONSES, "service_tier", "auto"),
        (RESPONSES, "service_tier", "default"),
        (RESPONSES, "service_tier", None),
        (CHAT, "service_tier", "flex"),
        (CHAT, "web_search_options", None),
        (CHAT, "models", []),
        (MESSAGES, "service_tier", "standard_only"),
        (MESSAGES, "speed", "standard"),
        (MESSAGES, "speed", None),
        (MESSAGES, "inference_geo", "global"),
        (MESSAGES, "mcp_servers", []),
        (MESSAGES, "container", None),
        (MESSAGES, "context_management", {"edits": [{"type": "clear_tool_uses_20250919"}]}),
        (MESSAGES, "context_management", {}),
    ],
)
def test_members_that_change_no_price_are_not(endpoint: Endpoint, member: str, value: Any) -> None:
    assert beyond_tokens(head(endpoint, **{member: value})) is None


def types_of(union: Any) -> list[str]:
    """Return the `type`s that an SDK's union of tools allows; "" for those without one."""
    found: list[str] = []
    for each in get_args(union):
        hint = get_type_hints(each).get("type")
        found += get_args(hint) if typing.get_origin(hint) is typing.Literal else [""]
    return found


OPENAI_CLIENTS = {"function", "custom", "namespace", "local_shell", "apply_patch", "computer", "computer_use_preview"}
ANTHROPIC_SERVERS = ("web_search_", "code_execution_", "advisor_", "mcp_toolset")


@pytest.mark.parametrize("kind", types_of(ToolParam))
def test_every_tool_of_openais_sdk_is_decided(kind: str) -> None:
    named = beyond_tokens(head(RESPONSES, tools=[{"type": "function", "name": "f"}, {"type": kind}]))
    assert named == (None if kind in OPENAI_CLIENTS else f"tools: {kind}")


@pytest.mark.parametrize("kind", types_of(BetaToolUnionParam))
def test_every_tool_of_anthropics_sdk_is_decided(kind: str) -> None:
    tool = {"type": kind} if kind else {"name": "f"}
    named = beyond_tokens(head(MESSAGES, tools=[{"name": "f", "input_schema": {}}, tool]))
    assert named == (f"tools: {kind}" if kind.startswith(ANTHROPIC_SERVERS) else None)


def test_the_sdks_have_the_tools_that_cost() -> None:
    assert {"web_search", "file_search", "code_interpreter", "image_generation", "mcp"} <= {*types_of(ToolParam)}
    assert {"web_search_20260318", "advisor_20260301", "mcp_toolset"} <= {*types_of(BetaToolUnionParam)}


@pytest.mark.parametrize(
    ("endpoint", "tool", "named"),
    [
        (RESPONSES, {"type": "shell", "environment": {"type": "local"}}, None),
        (RESPONSES, {"type": "shell", "environment": {"type": "container_auto"}}, "tools: shell"),
        (RESPONSES, {"type": "shell", "environment": None}, "tools: shell"),
        (RESPONSES, {"type": "shell", "environment": "local"}, "tools"),
        (RESPONSES, {"type": "tool_search", "execution": "client"}, None),
        (RESPONSES, {"type": "tool_search", "execution": "server"}, "tools: tool_search"),
        (RESPONSES, {"type": "namespace", "tools": [{"type": "function"}]}, None),
        (RESPONSES, {"type": "namespace", "tools": [{"type": "mcp"}]}, "tools: mcp"),
        (RESPONSES, {"type": "x" * 1000}, "tools: " + "x" * 60 + "…"),
        (RESPONSES, {"type": ["function"]}, "tools"),
        (CHAT, {"type": "builtin_function"}, "tools: builtin_function"),
        (CHAT, {"type": "custom", "custom": {"name": "f"}}, None),
        (CHAT, "web_search", "tools"),
        (MESSAGES, {"type": "custom", "name": "f"}, None),
        (MESSAGES, {"type": "bash_20250124_and_more"}, "tools: bash_20250124_and_more"),
        (MESSAGES, {"type": "something_20270101"}, "tools: something_20270101"),
    ],
)
def test_a_tool_is_judged_by_its_settings_and_an_unknown_one_costs(
    endpoint: Endpoint, tool: object, named: str | None
) -> None:
    assert beyond_tokens(head(endpoint, tools=[tool])) == named


def test_tools_that_a_conversation_brings_count_too() -> None:
    hosted = {"type": "web_search"}
    for kind in ("additional_tools", "tool_search_output"):
        items = [{"role": "user", "content": "hi"}, {"type": kind, "tools": [{"type": "function"}, hosted]}]
        assert beyond_tokens(head(RESPONSES, input=items)) == "tools: web_search"
    defined = {"type": "tool_definition", "definition": {"type": "web_search_20260318", "name": "web_search"}}
    turn = {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "tool_addition", "tool": defined}]}
    assert (
        beyond_tokens(head(MESSAGES, messages=[{"role": "user", "content": "hi"}, turn]))
        == "tools: web_search_20260318"
    )
    referred = {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "f"}}
    assert beyond_tokens(head(MESSAGES, messages=[{"role": "user", "content": [referred]}])) is None


def test_words_written_with_escapes_are_read_like_others() -> None:
    tools = b'"t\\u006fols":[{"type":"web\\u005fsearch"}]'
    body = b'{"model":"m","input":[{"type":"\\u0061dditional_tools",' + tools + b'}],"b\\u0061ckground":false}'
    assert beyond_tokens(codec_for(RESPONSES).read_head(RESPONSES, body)) == "tools: web_search"


def test_a_translated_request_is_judged_by_its_body() -> None:
    there = msgspec.structs.replace(head(RESPONSES, background=True), fields={})
    assert beyond_tokens(there) == "background"


def test_too_many_tools_to_look_through_are_not_let_by() -> None:
    assert beyond_tokens(head(CHAT, tools=[{}] * 60_000)) == "tools"


@pytest.mark.parametrize(
    "name",
    ["openai/gpt-5:online", "gpt-4o-search-preview", "gpt-4o-mini-search-preview-2025-03-11", "gpt-5-search-api"],
)
def test_a_model_that_searches_by_itself_is_named(name: str) -> None:
    assert searches(name) == f"model: {name}"


@pytest.mark.parametrize("name", ["gpt-5", "qwen3:latest", "search-preview", "my-search-model", "online"])
def test_other_models_search_only_when_told_to(name: str) -> None:
    assert searches(name) is None
