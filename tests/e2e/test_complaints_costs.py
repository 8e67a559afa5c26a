"""What users of gateways complain of most, second: wrong cost, so that budgets never trip, or trip too early."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.budgets import ENDPOINTS, KINDS, OUTPUT, Purse, providers, purse, tokens_of, under_way
from tests.e2e.gateway import Gateway
from tests.e2e.wire import CHAT, COMPLETIONS, MESSAGES, PRICES, RESPONSES, ask

from headgate.model.limit import Unit
from headgate.model.money import TOKENS_PER_PRICE
from headgate.sim import SimThread

CAPS = {Unit.USD: 10**9, Unit.TOKENS: 10**9, Unit.REQUESTS: 1_000, Unit.CONCURRENCY: 1}
LONG = "The canal was dug in a single summer, by hand, and lined with clay. " * 90
"""Long enough for the caches of both vendors."""
assert PRICES.input is not None
assert PRICES.cache_read is not None
FRESH, CACHED = PRICES.input.base, PRICES.cache_read.base


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, sim: SimThread) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("costs"), config=providers(sim)) as running:
        yield running


def exact(mine: Purse) -> int:
    """Money and tokens that the limits count, the rows' and the upstream's bill are the same; return the money."""
    assert mine.bill == mine.at_rest() > 0
    usages = [request.usage for request in mine.requests()]
    assert mine.stands(Unit.TOKENS)[0] == sum(one.total_input + one.output for one in usages)
    assert mine.stands(Unit.REQUESTS)[0] == len(usages)
    return mine.bill


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_what_a_cache_has_read_is_charged_once_and_at_its_own_rate(
    own: Gateway, sim: SimThread, endpoint: str, *, stream: bool
) -> None:
    mine = purse(own, sim, f"cached-{endpoint[:4]}-{stream}", CAPS)
    block = {"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}}
    marked: dict[str, Any] = {"messages": [{"role": "user", "content": [block]}]} if endpoint == MESSAGES else {}
    for _ in range(2):
        assert mine.ask(endpoint, LONG, stream=stream, **marked).status == 200
    first, second = mine.rows()
    assert first["cache_read"] == 0 < second["cache_read"] > 1_000
    assert (first["cache_write_5m"] > 1_000) == (endpoint == MESSAGES)
    assert first["input"] + first["cache_write_5m"] == second["input"] + second["cache_read"], "nothing counts twice"
    at_full_rate = second["cost_nano"] + second["cache_read"] * (FRESH - CACHED) // TOKENS_PER_PRICE
    assert second["cost_nano"] < at_full_rate // 2
    assert exact(mine) == first["cost_nano"] + second["cost_nano"]


@pytest.mark.parametrize("endpoint", [CHAT, COMPLETIONS])
@pytest.mark.parametrize("fault", ["usage-on-last", "usage-every"])
@pytest.mark.parametrize("asked_for", [False, True])
def test_usage_on_a_frame_that_also_has_choices_is_charged(
    own: Gateway, sim: SimThread, endpoint: str, fault: str, *, asked_for: bool
) -> None:
    mine = purse(own, sim, f"{fault}-{endpoint[:4]}-{asked_for}", CAPS)
    text = f"[[sim tokens=9 fault={fault}]]"
    body = mine.body(CHAT, text, stream=True)
    if endpoint == COMPLETIONS:
        del body["messages"], body["max_completion_tokens"]
        body |= {"prompt": text, "max_tokens": OUTPUT}
    if not asked_for:
        del body["stream_options"]
    assert ask(own, endpoint, body, key=mine.secret).status == 200
    row = mine.row("ok")
    assert (row["output"], row["basis"]) == (9, "computed")
    assert exact(mine) == row["cost_nano"] < row["attempts"][0]["hold_nano"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("place", ["openai", "responses", "anthropic"])
def test_a_responses_call_is_charged_its_tokens_whoever_answers_it(
    own: Gateway, sim: SimThread, place: str, *, stream: bool
) -> None:
    mine = purse(own, sim, f"of-responses-{place}-{stream}", CAPS)
    body = mine.body(RESPONSES, "[[sim tokens=9]]", stream=stream) | {"model": f"{place}/{mine.name}"}
    assert ask(own, RESPONSES, body, key=mine.secret).status == 200
    row = mine.row("ok")
    assert (row["endpoint"], row["output"]) == ("responses", 9)
    assert exact(mine) == row["cost_nano"]
    assert mine.stands(Unit.TOKENS)[0] == tokens_of(row) > 9


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_model_without_a_price_is_refused_on_a_budget_of_money(own: Gateway, sim: SimThread, endpoint: str) -> None:
    mine = purse(own, sim, f"unpriced-{endpoint[:4]}", {Unit.USD: 10**9})
    for stream in (False, True):
        heard = mine.ask(endpoint, place="unpriced-", stream=stream)
        assert heard.status == 400
        error = heard.json["error"]
        assert error["type" if endpoint == MESSAGES else "code"] in ("model_unpriced", "invalid_request_error")
        assert f"unpriced-{KINDS[endpoint]}/{mine.name}" in error["message"]
        assert "`price: {input: 1.25, output: 10}`" in error["message"]
        assert "x-should-retry" not in heard.headers or heard.headers["x-should-retry"] == "false"
    rows = mine.rows()
    assert [(row["outcome"], row["error"], row["attempts"]) for row in rows] == [("rejected", "model_unpriced", [])] * 2
    assert mine.requests() == []
    assert mine.at_rest() == 0
    mine.honest(endpoint)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_model_without_a_price_counts_on_a_budget_of_tokens(own: Gateway, sim: SimThread, endpoint: str) -> None:
    most = 300
    mine = purse(own, sim, f"counted-{endpoint[:4]}", {Unit.TOKENS: most, Unit.CONCURRENCY: 1})
    statuses = []
    while 429 not in statuses:
        statuses.append(mine.ask(endpoint, "[[sim tokens=20]]", place="unpriced-").status)
    assert set(statuses) == {200, 429}, "the budget trips"
    *served, _ = mine.rows()
    assert {(row["cost_nano"], row["basis"]) for row in served} == {(None, "unknown")}, "unknown, not zero"
    used = sum(request.usage.total_input + request.usage.output for request in mine.requests())
    assert mine.stands(Unit.TOKENS) == (used, 0)
    assert sum(map(tokens_of, served)) == used <= most


@pytest.mark.parametrize("after", [1, 10, 100, 1_000])
@pytest.mark.parametrize("to", ENDPOINTS)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_stream_whose_client_left_is_charged_what_it_has_made(
    own: Gateway, sim: SimThread, endpoint: str, to: str, after: int
) -> None:
    mine = purse(own, sim, f"partly-{endpoint[:4]}-{to[:4]}-{after}", CAPS)
    with under_way(mine, endpoint, stream=True, place="stops-", after=after, most=16_000, to=to):
        assert mine.stands()[0] == 0
    row = mine.row("client_gone")
    [attempt] = row["attempts"]
    assert 0 < mine.bill <= mine.at_rest() == row["cost_nano"] < attempt["hold_nano"]
    assert (row["basis"], attempt["reported_nano"], attempt["over_nano"]) == ("estimated", None, 0)
    [made] = [request.usage.output for request in mine.requests()]
    assert after <= made <= attempt["output"] <= 2.5 * made, "its text, not its frames"


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_stream_that_is_drained_is_charged_to_the_nano_dollar(own: Gateway, sim: SimThread, endpoint: str) -> None:
    mine = purse(own, sim, f"drained-{endpoint[:4]}", CAPS)
    with under_way(mine, endpoint, stream=True, place="drains-"):
        assert mine.stands(Unit.CONCURRENCY) == (0, 1)
    own.until(lambda _: mine.stands(Unit.CONCURRENCY) == (0, 0))
    assert mine.stands()[1] > 0, "its client has left, and it still costs"
    sim.release()
    row = mine.row("client_gone")
    assert (row["output"], row["basis"]) == (6, "computed")
    assert exact(mine) == row["cost_nano"]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_stream_is_charged_its_hold_where_nobody_knows_what_a_cut_costs(
    own: Gateway, sim: SimThread, endpoint: str
) -> None:
    mine = purse(own, sim, f"unknown-{endpoint[:4]}", CAPS)
    with under_way(mine, endpoint, stream=True):
        held = mine.stands()[1]
    row = mine.row("client_gone")
    assert 0 < mine.bill < mine.at_rest() == row["cost_nano"] == row["attempts"][0]["hold_nano"] == held
