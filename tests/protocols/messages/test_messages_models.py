"""What a foreign request may say to each model: thinking, sampling, tools, formats."""

from typing import Any

import pytest
from msgspec import Raw
from tests.protocols.messages.foreign import NEW, OLD, asking, assistant, result, use, user, written

from headgate.model.content import Signer, Thinking
from headgate.model.conversation import (
    ChoiceMode,
    Effort,
    Reasoning,
    Sampling,
    Tool,
    ToolChoice,
)
from headgate.model.dialect import Dialect
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
