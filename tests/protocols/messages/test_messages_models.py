"""What a foreign request may say to each model: thinking, sampling, tools, formats."""

from typing import Any

import pytest
from msgspec import Raw
from tests.protocols.messages.foreign import NEW, OLD, asking, assistant, result, use, user, write, written

from headgate.model.content import Cache, Signer, Thinking, ToolKind
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
from headgate.model.errors import HeadgateError
from headgate.model.losses import Lost
from headgate.protocols.anthropic_messages.models import Mode, Off, model_named

NAMES = {
    "claude-3-opus-20240229": (Mode.NONE, Off.UNASKED),
    "us.anthropic.claude-3-5-sonnet-20241022-v2:0": (Mode.NONE, Off.UNASKED),
    "claude-3-7-sonnet-20250219": (Mode.BUDGET, Off.UNASKED),
    "claude-sonnet-4-20250514": (Mode.BUDGET, Off.UNASKED),
    "claude-opus-4-1@20250805": (Mode.BUDGET, Off.UNASKED),
    "anthropic/claude-sonnet-4.5": (Mode.BUDGET, Off.UNASKED),
    "claude-haiku-4-5-20251001": (Mode.BUDGET, Off.UNASKED),
    "anthropic.claude-opus-4-6-v1": (Mode.ADAPTIVE, Off.UNASKED),
    "claude-4.7-opus": (Mode.ADAPTIVE, Off.UNASKED),
    "claude-sonnet-5": (Mode.ADAPTIVE, Off.DISABLED),
    "claude-opus-5": (Mode.ADAPTIVE, Off.DISABLED),
    "claude-opus-5-5": (Mode.ADAPTIVE, Off.NEVER),
    "claude-sonnet-5-5[1m]": (Mode.ADAPTIVE, Off.BETWEEN_TOOLS),
    "claude-fable-5": (Mode.ADAPTIVE, Off.NEVER),
    "claude-haiku-5-5": (Mode.ADAPTIVE, Off.DISABLED),
    "claude-opus-latest": (Mode.ADAPTIVE, Off.NEVER),
    "kimi-k3": (Mode.BUDGET, Off.DISABLED),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_models_name_tells_how_it_thinks(name: str) -> None:
    model = model_named(name)
    assert (model.mode, model.off) == NAMES[name]


def test_abilities_go_by_family_and_version() -> None:
    takes_system = ["claude-opus-4-8", "claude-opus-5", "claude-sonnet-5-5", "claude-fable-5-1", "claude-mythos-5"]
    assert all(model_named(name).system_turns for name in takes_system)
    assert not any(
        model_named(name).system_turns for name in ["claude-opus-4-7", "claude-sonnet-5", "claude-haiku-5-5"]
    )
    assert not any(model_named(name).forced for name in ["claude-opus-5-5", "claude-sonnet-5-5", "claude-fable-5-1"])
    assert all(model_named(name).forced for name in ["claude-opus-5", "claude-fable-5", "claude-haiku-5-5"])


def thought(model: str, reasoning: Reasoning, **members: Any) -> tuple[Any, Any, int, Any]:
    target = {key: members.pop(key) for key in ("max_output_limit",) if key in members}
    limit = {"max_output": target["max_output_limit"]} if target else {}
    body, lost = written(asking(reasoning=reasoning, **members), model, **limit)
    return body.get("thinking"), body.get("output_config", {}).get("effort"), body["max_tokens"], lost


HIGH = Reasoning(effort=Effort.HIGH)


def test_effort_is_effort_where_thinking_is_adaptive() -> None:
    assert thought(NEW, HIGH, max_output=900) == (
        {"type": "adaptive", "display": "summarized"},
        "high",
        900,
        frozenset(),
    )
    assert thought("claude-opus-4-6", HIGH, max_output=900)[0] == {"type": "adaptive"}


def test_a_budget_is_an_effort_where_thinking_is_adaptive() -> None:
    assert thought(NEW, Reasoning(enabled=True, budget=1024), max_output=10_000)[1] == "low"


def test_thinking_is_shown_to_clients_that_asked_for_its_summary() -> None:
    silent = thought(NEW, HIGH, dialect=Dialect.OPENAI_RESPONSES)
    asked = thought(NEW, Reasoning(effort=Effort.HIGH, summary="auto"), dialect=Dialect.OPENAI_RESPONSES)
    assert silent[0] == {"type": "adaptive"}
    assert asked[0] == {"type": "adaptive", "display": "summarized"}


def test_a_summary_alone_shows_the_thinking_of_a_model_that_thinks_unasked() -> None:
    only = Reasoning(summary="auto")
    assert thought("claude-sonnet-5", only)[0] == {"type": "adaptive", "display": "summarized"}
    assert thought(NEW, only) == (None, None, 4096, {Lost.REASONING_SUMMARY})


@pytest.mark.parametrize(
    ("model", "effort", "word", "lost"),
    [
        (NEW, Effort.MINIMAL, "low", frozenset()),
        (NEW, Effort.XHIGH, "xhigh", frozenset()),
        (NEW, Effort.MAX, "max", frozenset()),
        ("claude-opus-4-6", Effort.XHIGH, "high", {Lost.REASONING}),
        ("claude-opus-4-6", Effort.MAX, "max", frozenset()),
    ],
)
def test_an_effort_that_the_model_lacks_is_the_next_one_below(model: str, effort: Effort, word: str, lost: Any) -> None:
    assert thought(model, Reasoning(effort=effort))[1:] == (word, 4096, lost)


def test_effort_is_a_share_of_the_clients_maximum_where_thinking_has_a_budget() -> None:
    assert thought(OLD, HIGH, max_output=10_000) == (
        {"type": "enabled", "budget_tokens": 8000},
        None,
        10_000,
        frozenset(),
    )


def test_the_maximum_gives_way_to_a_budget_only_where_nobody_chose_it() -> None:
    budget = {"type": "enabled", "budget_tokens": 3276}
    assert thought(OLD, HIGH) == (budget, None, 4096 + 3276, frozenset())
    assert thought(OLD, HIGH, max_output_limit=4096)[:3] == (budget, None, 4096)
    wide = Reasoning(enabled=True, budget=50_000)
    assert thought(OLD, wide)[:3] == ({"type": "enabled", "budget_tokens": 50_000}, None, 54_096)
    assert thought(OLD, wide, max_output=2000)[:3] == ({"type": "enabled", "budget_tokens": 1999}, None, 2000)


def test_no_room_for_a_budget_is_no_thinking() -> None:
    assert thought(OLD, HIGH, max_output=1000) == (None, None, 1000, {Lost.REASONING})


def test_a_model_that_cannot_think_is_not_asked_to() -> None:
    assert thought("claude-3-5-haiku-latest", HIGH) == (None, None, 4096, {Lost.REASONING})


@pytest.mark.parametrize(
    ("model", "thinking", "effort", "lost"),
    [
        (OLD, None, None, frozenset()),
        (NEW, None, None, frozenset()),
        ("claude-opus-5", {"type": "disabled"}, None, frozenset()),
        ("claude-sonnet-5-5", {"type": "between_tools"}, None, frozenset()),
        ("claude-opus-5-5", None, "low", {Lost.REASONING}),
        ("deepseek-chat", {"type": "disabled"}, None, frozenset()),
    ],
)
def test_thinking_is_turned_off_as_far_as_the_model_lets_it(model: str, thinking: Any, effort: Any, lost: Any) -> None:
    for asked in (Reasoning(effort=Effort.NONE), Reasoning(enabled=False)):
        assert thought(model, asked) == (thinking, effort, 4096, lost)


TOOLS = (Tool("f", schema=Raw(b'{"type":"object"}')), Tool("g", "d", Raw(b'{"properties":{}}')))
REQUIRED = ToolChoice(ChoiceMode.REQUIRED)


def test_a_forced_tool_wins_over_thinking() -> None:
    body, lost = written(asking(tools=TOOLS, choice=REQUIRED, reasoning=HIGH), OLD)
    assert (body["tool_choice"], body.get("thinking"), body["max_tokens"]) == ({"type": "any"}, None, 4096)
    assert lost == {Lost.REASONING}
    body, lost = written(asking(tools=TOOLS, choice=REQUIRED, reasoning=HIGH), NEW)
    assert (body.get("thinking"), body["output_config"]) == (None, {"effort": "high"})
    assert lost == {Lost.REASONING}


def test_a_tool_is_not_forced_on_models_that_refuse_it() -> None:
    body, lost = written(
        asking(tools=TOOLS, choice=ToolChoice(ChoiceMode.NAMED, "f"), reasoning=HIGH), "claude-opus-5-5"
    )
    assert body["tool_choice"] == {"type": "auto"}
    assert body["thinking"]["type"] == "adaptive"
    assert lost == {Lost.TOOL_CHOICE}


def test_a_tool_loop_without_its_thinking_goes_on_without() -> None:
    loop = (user("a"), assistant(use()), user(result()))
    assert written(asking(*loop, reasoning=HIGH), OLD)[1] == {Lost.REASONING}
    signed = Thinking(("Hm.",), "s", Signer("anthropic", Dialect.ANTHROPIC_MESSAGES))
    body, lost = written(asking(user("a"), assistant(signed, use()), user(result()), reasoning=HIGH), OLD)
    assert body["thinking"]["type"] == "enabled"
    assert not lost
    assert written(asking(*loop, reasoning=HIGH), NEW)[0]["thinking"]["type"] == "adaptive"


# -- sampling -----------------------------------------------------------------------------------------


def sampled(model: str = OLD, reasoning: Reasoning | None = None, **sampling: Any) -> tuple[dict[str, Any], Any]:
    """Numbers are written as a client writes them."""
    raw: dict[str, Any] = {
        name: Raw(str(each).encode()) if type(each) in (int, float) else each for name, each in sampling.items()
    }
    body, lost = written(asking(sampling=Sampling(**raw), reasoning=reasoning), model)
    return {key: body[key] for key in ("temperature", "top_p", "top_k", "stop_sequences") if key in body}, set(lost)


def test_a_temperature_above_one_is_one_and_named() -> None:
    assert sampled(temperature=1.5) == ({"temperature": 1}, {Lost.TEMPERATURE})
    assert sampled(temperature=0.50) == ({"temperature": 0.5}, set())


def test_thinking_takes_no_other_temperature_than_one() -> None:
    assert sampled(OLD, HIGH, temperature=0.2, top_k=5) == ({}, {Lost.TEMPERATURE, Lost.TOP_K})
    assert sampled(OLD, HIGH, temperature=1) == ({"temperature": 1}, set())
    assert sampled(OLD, HIGH, top_p=0.97) == ({"top_p": 0.97}, set())
    assert sampled(OLD, HIGH, top_p=0.5) == ({}, {Lost.TOP_P})


def test_newer_models_take_no_sampling_and_miss_no_defaults() -> None:
    assert sampled(NEW, temperature=0.2, top_p=0.9, top_k=4) == ({}, {Lost.TEMPERATURE, Lost.TOP_P, Lost.TOP_K})
    assert sampled(NEW, temperature=1, top_p=1) == ({}, set())


def test_claude_4_takes_temperature_or_top_p() -> None:
    assert sampled(OLD, temperature=0.2, top_p=0.9) == ({"temperature": 0.2}, {Lost.TOP_P})
    assert sampled("claude-3-5-haiku-latest", temperature=0.2, top_p=0.9) == ({"temperature": 0.2, "top_p": 0.9}, set())


def test_stops_of_white_space_are_refused_by_the_api_and_named() -> None:
    assert sampled(stop=("END", "\n")) == ({"stop_sequences": ["END"]}, {Lost.STOP})


def test_what_has_no_place_is_named_unless_it_is_the_default() -> None:
    defaults: dict[str, Any] = {"frequency_penalty": 0, "presence_penalty": 0.0, "logprobs": False}
    assert sampled(**defaults, logit_bias=Raw(b"{}")) == ({}, set())
    assert sampled(seed=1, frequency_penalty=1, presence_penalty=0.5, logit_bias=Raw(b'{"1":2}'), logprobs=True)[1] == {
        Lost.SEED,
        Lost.FREQUENCY_PENALTY,
        Lost.PRESENCE_PENALTY,
        Lost.LOGIT_BIAS,
        Lost.LOGPROBS,
    }
    _, lost = written(asking(sampling=Sampling(n=2, top_logprobs=3)))
    assert lost == {Lost.N, Lost.TOP_LOGPROBS}
    assert not written(asking(sampling=Sampling(n=1)))[1]


# -- tools --------------------------------------------------------------------------------------------


def tools(**members: Any) -> tuple[Any, Any, Any]:
    body, lost = written(asking(**members))
    return body.get("tools"), body.get("tool_choice"), lost


def test_tools_are_carried_with_the_schema_that_the_api_demands() -> None:
    offered, choice, lost = tools(tools=(*TOOLS, Tool("h", strict=True, cache=Cache()), Tool("i", strict=False)))
    assert [tool["name"] for tool in offered] == ["f", "g", "h", "i"]
    assert offered[1] == {"name": "g", "description": "d", "input_schema": {"properties": {}, "type": "object"}}
    assert offered[2]["input_schema"] == {"type": "object", "properties": {}}
    assert (offered[2]["strict"], offered[2]["cache_control"]) == (True, {"type": "ephemeral"})
    assert "strict" not in offered[3]
    assert choice is None
    assert not lost


def test_strict_is_lost_on_models_without_it() -> None:
    assert written(asking(tools=(Tool("h", strict=True),)), "claude-sonnet-4-0")[1] == {Lost.TOOL_STRICT}


def test_server_tools_of_others_are_lost() -> None:
    own = ServerTool(Dialect.OPENAI_RESPONSES, "web_search", Raw(b'{"type":"web_search"}'))
    assert tools(tools=(own,), choice=REQUIRED) == (None, None, {Lost.SERVER_TOOL, Lost.TOOL_CHOICE})


def test_a_custom_tool_is_a_function_of_one_text() -> None:
    offered, _, lost = tools(tools=(Tool("p", "d", kind=ToolKind.CUSTOM, format=Raw(b'{"type":"text"}')),))
    assert offered[0]["input_schema"]["required"] == ["input"]
    assert not lost
    grammar = Raw(b'{"type":"grammar","syntax":"lark","definition":"x"}')
    assert tools(tools=(Tool("p", kind=ToolKind.CUSTOM, format=grammar),))[2] == {Lost.CUSTOM_TOOL}


def test_only_tools_that_may_be_chosen_are_offered() -> None:
    offered, choice, lost = tools(tools=TOOLS, choice=ToolChoice(ChoiceMode.REQUIRED, allowed=("g",)))
    assert ([tool["name"] for tool in offered], choice, lost) == (["g"], {"type": "any"}, frozenset())


@pytest.mark.parametrize(
    ("choice", "parallel", "expected"),
    [
        (None, None, None),
        (None, True, None),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice(ChoiceMode.AUTO), True, {"type": "auto"}),
        (REQUIRED, False, {"type": "any", "disable_parallel_tool_use": True}),
        (ToolChoice(ChoiceMode.NAMED, "f"), None, {"type": "tool", "name": "f"}),
        (ToolChoice(ChoiceMode.NONE), False, {"type": "none"}),
    ],
)
def test_the_choice_among_tools_is_carried(choice: Any, parallel: Any, expected: Any) -> None:
    assert tools(tools=TOOLS, choice=choice, parallel_tools=parallel)[1:] == (expected, frozenset())


def test_a_choice_that_nobody_knows_is_lost() -> None:
    odd = ToolChoice(ChoiceMode.FOREIGN, raw=Raw(b'{"type":"mcp"}'))
    assert tools(tools=TOOLS, choice=odd)[1:] == (None, {Lost.TOOL_CHOICE})
    assert tools(choice=REQUIRED)[1:] == (None, {Lost.TOOL_CHOICE})
    assert tools(choice=ToolChoice(ChoiceMode.AUTO))[1:] == (None, frozenset())


def test_a_tool_name_that_does_not_fit_is_refused_and_named() -> None:
    with pytest.raises(HeadgateError) as caught:
        write(asking(tools=(TOOLS[0], Tool("a.b"))))
    assert (caught.value.status, caught.value.param) == (400, "tools.1.name")


# -- the rest -----------------------------------------------------------------------------------------

SCHEMA = OutputFormat(FormatKind.JSON_SCHEMA, "answer", "What it is.", Raw(b'{"type":"object"}'), strict=True)


def test_a_schema_is_carried_with_its_name_and_description() -> None:
    body, lost = written(asking(output=SCHEMA))
    assert body["output_config"]["format"] == {
        "type": "json_schema",
        "schema": {"type": "object", "title": "answer", "description": "What it is."},
    }
    assert not lost


@pytest.mark.parametrize(
    ("model", "output", "lost"),
    [
        (OLD, OutputFormat(FormatKind.TEXT), frozenset()),
        (OLD, OutputFormat(FormatKind.JSON_OBJECT), {Lost.OUTPUT_FORMAT}),
        (OLD, OutputFormat(FormatKind.FOREIGN, raw=Raw(b"{}")), {Lost.OUTPUT_FORMAT}),
        ("claude-sonnet-4-0", SCHEMA, {Lost.OUTPUT_FORMAT}),
    ],
)
def test_formats_that_the_api_lacks_are_named(model: str, output: OutputFormat, lost: Any) -> None:
    body, named = written(asking(output=output), model)
    assert "output_config" not in body
    assert named == lost


def test_who_asks_and_how_is_carried_or_named() -> None:
    body, lost = written(asking(user="u", service_tier="default", metadata={"a": "b"}, store=True, cache_key="k"))
    assert (body["metadata"], body["service_tier"]) == ({"user_id": "u"}, "standard_only")
    assert lost == {Lost.METADATA, Lost.STORE, Lost.CACHE_KEY}
    body, lost = written(asking(user="u" * 257, service_tier="flex", verbosity="low", store=False, stream=True))
    assert "metadata" not in body
    assert body["stream"] is True
    assert lost == {Lost.USER, Lost.SERVICE_TIER, Lost.VERBOSITY}


def test_there_is_always_a_maximum() -> None:
    assert written(asking())[0]["max_tokens"] == 4096
    assert written(asking(), default_max_output=7)[0]["max_tokens"] == 7
    assert written(asking(max_output=9), default_max_output=7)[0]["max_tokens"] == 9
    assert written(asking(max_output=9), max_output=5)[0]["max_tokens"] == 5
