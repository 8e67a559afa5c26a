"""Answers: determinism, maxima, tools, reasoning, caches, the bill."""

from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.model.price import Prices, Rate
from headgate.model.usage import Usage
from headgate.sim import Outcome, SimServer
from headgate.sim.bill import Bill, BillLine
from headgate.sim.cache import InputTokens, PromptCache, Segment
from headgate.sim.words import Dice, count, pieces

Ask = Callable[..., Coroutine[Any, Any, Any]]
DIALECTS = ["chat", "responses", "messages"]
SECOND = 1_000_000_000


@given(st.integers(0, 500), st.integers())
def test_a_text_has_exactly_its_tokens(tokens: int, seed: int) -> None:
    parts = pieces(Dice(seed), tokens)
    assert len(parts) == tokens
    assert count("".join(parts)) == tokens


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", [True, False])
async def test_the_same_seed_gives_the_same_bytes(ask: Ask, dialect: str, stream: bool) -> None:
    first = await ask(dialect, "hello", stream=stream)
    again = await ask(dialect, "hello", stream=stream)
    other = await ask(dialect, "hello!", stream=stream)
    assert first.body == again.body != other.body


async def test_another_seed_gives_another_answer(ask: Ask, sim: SimServer) -> None:
    first = await ask("chat", "hello")
    sim.brain.seed = 2
    assert (await ask("chat", "hello")).body != first.body


@pytest.mark.parametrize(
    ("dialect", "field", "reason"),
    [
        ("chat", "max_tokens", "length"),
        ("responses", "max_output_tokens", "incomplete"),
        ("messages", "max_tokens", "max_tokens"),
    ],
)
async def test_no_answer_is_longer_than_the_maximum(
    sim: SimServer, ask: Ask, dialect: str, field: str, reason: str
) -> None:
    heard = await ask(dialect, "[[sim tokens=50 reasoning=3]]", stream=False, **{field: 10})
    assert sim.requests[0].usage.output == 10
    assert sim.requests[0].usage.reasoning == 3
    assert f'"{reason}"'.encode() in heard.body


@pytest.mark.parametrize("dialect", ["chat", "responses", "messages"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_fault_takes_an_answer_past_its_maximum(
    sim: SimServer, ask: Ask, dialect: str, *, stream: bool
) -> None:
    field = "max_output_tokens" if dialect == "responses" else "max_tokens"
    await ask(dialect, "[[sim tokens=50 fault=past-maximum]]", stream=stream, **{field: 10})
    assert (sim.requests[0].usage.output, sim.requests[0].outcome) == (50, "completed")


async def test_a_directive_sets_the_sizes(sim: SimServer, ask: Ask) -> None:
    heard = await ask("chat", "[[sim tokens=12 frame=5]]")
    assert sim.requests[0].frames == 3
    text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in heard.data)
    assert count(text) == 12


async def test_stream_and_unary_say_the_same(ask: Ask) -> None:
    unary = (await ask("chat", "hello", stream=False)).json["choices"][0]["message"]["content"]
    chunks = (await ask("chat", "hello")).data
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks) == unary


async def test_usage_is_null_on_chunks_only_if_it_was_asked_for(ask: Ask) -> None:
    asked = (await ask("chat", "hi", stream_options={"include_usage": True})).data
    assert all(chunk["usage"] is None for chunk in asked[:-1])
    assert asked[-1]["choices"] == []
    assert asked[-1]["usage"]["total_tokens"] > 0
    assert all("usage" not in chunk for chunk in (await ask("chat", "hi")).data)


async def test_unknown_fields_keep_an_unusual_spelling(ask: Ask) -> None:
    heard = await ask("responses", "hi")
    assert heard.body.count(rb'"x_sim":{"n": 1.0, "e": 1E+2, "u": "\u00e9\/"') == len(heard.data)


async def test_several_choices_are_all_charged(sim: SimServer, ask: Ask) -> None:
    heard = await ask("chat", "[[sim tokens=4]]", n=3, stream=False)
    assert [choice["index"] for choice in heard.json["choices"]] == [0, 1, 2]
    assert sim.requests[0].usage.output == 12


async def test_a_tool_result_ends_the_calls_of_a_directive(ask: Ask) -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
    user = {"role": "user", "content": "[[sim tool=look]]"}
    called = (await ask("chat", "", messages=[user], tools=[tool], stream=False)).json["choices"][0]
    assert called["finish_reason"] == "tool_calls"
    call = called["message"]["tool_calls"][0]
    result = {"role": "tool", "tool_call_id": call["id"], "content": "found"}
    history = [user, {"role": "assistant", "tool_calls": [call]}, result]
    after = (await ask("chat", "", messages=history, tools=[tool], stream=False)).json["choices"][0]
    assert after["finish_reason"] == "stop"


async def test_openai_caches_long_prefixes_by_itself(ask: Ask) -> None:
    system = {"role": "system", "content": "x" * 6000}
    details = []
    for text in ("one", "two"):
        messages = [system, {"role": "user", "content": text}]
        usage = (await ask("chat", "", messages=messages, stream=False)).json["usage"]
        details.append((usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"]))
    assert details[0][1] == 0
    assert details[1][1] == 1408  # the largest 1024 + 128 k below the 1,512 tokens of the system message
    assert details[1][0] > 1500


async def test_anthropic_writes_then_reads_at_breakpoints(ask: Ask) -> None:
    system = [{"type": "text", "text": "x" * 6000, "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    first = (await ask("messages", "one", system=system, stream=False)).json["usage"]
    again = (await ask("messages", "two", system=system, stream=False)).json["usage"]
    written = first["cache_creation"]["ephemeral_1h_input_tokens"]
    assert written > 1500
    assert (first["cache_read_input_tokens"], again["cache_read_input_tokens"]) == (0, written)
    assert again["cache_creation_input_tokens"] == 0


def _block(mark: int, tokens: int, ttl: int = 0) -> Segment:
    return Segment(bytes([mark]) * (tokens * 4), ttl)


def test_mixed_breakpoints_charge_each_span_once() -> None:
    now = [0]
    cache = PromptCache(lambda: now[0])
    prompt = [_block(1, 1100, 3600), _block(2, 200, 300), _block(3, 50)]
    assert cache.breakpoints("m", prompt) == InputTokens(50, 0, 200, 1100)
    assert cache.breakpoints("m", prompt) == InputTokens(50, 1300)
    now[0] = 301 * SECOND
    assert cache.breakpoints("m", prompt) == InputTokens(50, 1100, 200)
    now[0] += 3601 * SECOND
    assert cache.breakpoints("m", prompt) == InputTokens(50, 0, 200, 1100)
    assert cache.breakpoints("other", prompt[:1]) == InputTokens(0, 0, 0, 1100)


def test_a_short_prefix_is_not_cached() -> None:
    cache = PromptCache(lambda: 0)
    for _ in range(2):
        assert cache.breakpoints("m", [_block(1, 1023, 300)]) == InputTokens(1023)
        assert cache.automatic("m", [_block(1, 1023)]) == InputTokens(1023)


def test_a_breakpoint_finds_entries_of_earlier_turns() -> None:
    cache = PromptCache(lambda: 0)
    turns = [_block(1, 1100, 300)]
    cache.breakpoints("m", turns)
    longer = [Segment(turns[0].data), _block(2, 10), _block(3, 10, 300)]
    assert cache.breakpoints("m", longer) == InputTokens(0, 1100, 20)


def test_the_bill_prices_every_line_once() -> None:
    bill = Bill()
    bill.add(BillLine("m", "chat/completions", Outcome.COMPLETED, Usage(input=3, output=1, reasoning=1)))
    bill.add(BillLine("m", "chat/completions", Outcome.FAILED, Usage()))
    prices = Prices(input=Rate(250_000, ((2, 500_000),)), output=Rate(1_000_000))
    assert bill.cost_nano({"m": prices}) == 3  # (3 x 0.5 + 1 x 1) nano-USD is 2.5, half up
    assert bill.by_model["m"].requests[Outcome.FAILED] == 1
    with pytest.raises(ValueError, match="no price for output"):
        bill.cost_nano({"m": Prices(input=Rate(1))})
