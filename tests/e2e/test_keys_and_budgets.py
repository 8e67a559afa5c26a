"""What a gateway must do with keys, budgets and metering: nothing of a call that is refused reaches an upstream."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.e2e.budgets import ENDPOINTS, KINDS, Purse, providers, purse, tokens_of
from tests.e2e.gateway import Gateway
from tests.e2e.limited import ledger_of, limit, put
from tests.e2e.wire import CHAT, MESSAGES, RESPONSES, Heard, ask, asked, body_of

from headgate.ledger.tables import limit_balances
from headgate.model.limit import EACH, Scope, Unit
from headgate.policy.windows import rolling
from headgate.sim import SimThread

HOUR = rolling(3_600_000_000_000)
TEN = {CHAT: "hello, world", RESPONSES: "hello, world", MESSAGES: "hello, world, how are you?!"}
"""Ten tokens to the simulated upstream, with what stands around them."""
SPOOFED = {
    "x-headgate-account": "rival",
    "x-headgate-key": "key_of_somebody",
    "x-headgate-principal": "rival/key",
    "x-helexa-account": "rival",
    "x-forwarded-user": "rival",
    "openai-organization": "org-rival",
    "openai-project": "proj-rival",
    "cookie": "session=rival",
    "proxy-authorization": "Bearer rival",
}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, sim: SimThread) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("keys"), config=providers(sim)) as running:
        yield running


def code(heard: Heard, mine: Purse) -> str:
    """What the refusal is called in the ledger."""
    row = mine.gateway.call(heard.call)
    assert (row["outcome"], row["status"], row["attempts"], row["cost_nano"]) == ("rejected", heard.status, [], 0)
    return str(row["error"])


# -- keys --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("key", ["", "hg_wrong", "sk-of-the-vendor", "hg_" + "x" * 10_000, "' OR 1=1 --"])
def test_without_a_key_that_is_right_nothing_is_asked_of_an_upstream(
    own: Gateway, sim: SimThread, endpoint: str, key: str
) -> None:
    model = f"nobody-{endpoint[:4]}"
    for stream in (False, True):
        heard = ask(own, endpoint, body_of(endpoint, f"{KINDS[endpoint]}/{model}", stream=stream), key=key)
        assert heard.status == 401
        error = heard.json["error"]
        assert error["type" if endpoint == MESSAGES else "code"] in ("invalid_api_key", "authentication_error")
        assert heard.headers["x-should-retry"] == "false"
    assert asked(sim, model) == []


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_who_a_client_says_it_is_never_reaches_an_upstream_and_is_not_believed(
    own: Gateway, sim: SimThread, endpoint: str
) -> None:
    mine = purse(own, sim, f"spoofed-{endpoint[:4]}", {Unit.TOKENS: 10**6})
    heard = ask(own, endpoint, mine.body(endpoint, "hello"), key=mine.secret, **SPOOFED)
    assert heard.status == 200
    [request] = mine.requests()
    seen = dict(request.headers)
    assert seen.keys() & SPOOFED.keys() == set()
    assert not [name for name in seen if name.startswith(("x-headgate", "x-helexa", "x-forwarded"))]
    for told in ("rival", mine.secret, "somebody"):
        assert told not in repr(request.headers)
        assert told not in request.body.decode()
    [row] = mine.rows()
    assert (row["account"], row["key_name"]) == ("tests", mine.name)
    mine.at_rest()


# -- budgets -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_budget_below_the_request_is_a_quota_and_leaves_the_upstream_alone(
    own: Gateway, sim: SimThread, endpoint: str, *, stream: bool
) -> None:
    mine = purse(own, sim, f"broke-{endpoint[:4]}-{stream}", {Unit.TOKENS: 15})
    heard = mine.ask(endpoint, stream=stream)
    assert (heard.status, code(heard, mine)) == (429, "insufficient_quota")
    assert "retry-after" not in heard.headers
    assert heard.headers["x-should-retry"] == "false"
    assert "cap 15, spent 0, held 0" in heard.json["error"]["message"]
    assert mine.requests() == []
    assert mine.stands(Unit.TOKENS) == (0, 0)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_window_that_is_used_up_says_when_and_leaves_the_upstream_alone(
    own: Gateway, sim: SimThread, endpoint: str
) -> None:
    mine = purse(own, sim, f"window-{endpoint[:4]}", {Unit.REQUESTS: 2}, window=HOUR)
    assert [mine.ask(endpoint).status for _ in range(2)] == [200, 200]
    for stream in (False, True):
        heard = mine.ask(endpoint, stream=stream)
        assert (heard.status, code(heard, mine)) == (429, "rate_limit_exceeded")
        assert 3_500 < int(heard.headers["retry-after"]) <= 3_661, "an hour, and the sixtieth it counts by"
    assert len(mine.requests()) == 2
    assert mine.stands(Unit.REQUESTS) == (2, 0)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_request_larger_than_a_windows_whole_cap_is_not_told_to_wait(
    own: Gateway, sim: SimThread, endpoint: str
) -> None:
    mine = purse(own, sim, f"larger-{endpoint[:4]}", {Unit.TOKENS: 100}, window=HOUR)
    heard = mine.ask(endpoint, "hello " * 200)
    assert (heard.status, code(heard, mine)) == (429, "insufficient_quota")
    assert "retry-after" not in heard.headers
    assert mine.requests() == []


def test_a_burst_of_twenty_is_served_as_far_as_the_budget_goes(own: Gateway, sim: SimThread) -> None:
    cap = 1_000
    mine = purse(own, sim, "twenty", {Unit.TOKENS: cap})
    with ThreadPoolExecutor(20) as callers:
        text = "[[sim tokens=20 gap=2ms]]"
        heard = list(callers.map(lambda at: mine.ask(ENDPOINTS[at % 3], text, stream=at % 2 == 0), range(20)))
    statuses = Counter(one.status for one in heard)
    assert set(statuses) == {200, 429}
    assert len(mine.requests()) == statuses[200]
    spent, held = mine.stands(Unit.TOKENS)
    assert 0 < spent <= cap
    assert held == 0
    assert spent == sum(one.usage.total_input + one.usage.output for one in mine.requests())
    mine.at_rest()


def test_a_broke_key_is_refused_before_a_route_is_tried(own: Gateway, sim: SimThread) -> None:
    mine = purse(own, sim, "before", {Unit.USD: 0})
    for place in ("", "hasty-", "drains-"):
        heard = mine.ask(CHAT, "[[sim fault=500]]", place=place)
        assert (heard.status, code(heard, mine)) == (429, "insufficient_quota")
    assert mine.requests() == []


# -- metering ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_three_calls_of_ten_and_five_tokens_have_spent_forty_five(
    own: Gateway, sim: SimThread, endpoint: str, *, stream: bool
) -> None:
    mine = purse(own, sim, f"fortyfive-{endpoint[:4]}-{stream}", {Unit.TOKENS: 10**6, Unit.REQUESTS: 99})
    sim.fault(times=3, model=mine.name, tokens=5)
    for _ in range(3):
        assert mine.ask(endpoint, TEN[endpoint], stream=stream).status == 200
    assert {(row["input"], row["output"]) for row in mine.rows()} == {(10, 5)}
    assert mine.stands(Unit.TOKENS) == (45, 0)
    assert mine.stands(Unit.REQUESTS) == (3, 0)


def test_a_budget_is_not_refilled_by_a_restart(tmp_path: Path, sim: SimThread) -> None:
    gateway = Gateway(tmp_path, config=providers(sim))
    mine = purse(gateway, sim, "restarted", {Unit.REQUESTS: 3})
    statuses = []
    for _ in range(2):
        with gateway:
            statuses += [mine.ask(CHAT).status for _ in range(2)]
    assert statuses == [200, 200, 200, 429]


def test_calls_without_a_key_are_in_the_ledger_and_count_on_no_limit(tmp_path: Path, sim: SimThread) -> None:
    config = providers(sim) + "server: {port: 0, admin_port: 0, auth: 'off'}\n"
    gateway = Gateway(tmp_path, config=config)
    gateway.key = gateway.new_key("tests")
    put(
        gateway.ledger_url,
        limit(Scope.ACCOUNT, "tests", Unit.TOKENS, 1),
        limit(Scope.KEY, "tests", Unit.TOKENS, 1),
        limit(Scope.SESSION, EACH, Unit.TOKENS, 1),
    )
    with gateway:
        for key in ("", "hg_wrong"):
            heard = ask(gateway, CHAT, body_of(CHAT, "openai/unnamed"), key=key, x_headgate_session="s-1")
            assert heard.status == 200, heard.body
            row = gateway.call(heard.call)
            assert row["account"] == "anonymous"
            assert tokens_of(row) > 1
        with ledger_of(gateway.ledger_url) as ledger, ledger.reader().connection() as connection:
            assert connection.execute(sa.select(limit_balances)).all() == []
