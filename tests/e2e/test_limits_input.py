"""What clients may ask for on keys with limits: the impossible, the huge and the absurd are refused or bounded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from tests.e2e.clients import Clients
from tests.e2e.gateway import Gateway, standard
from tests.e2e.limited import books, limit, put
from tests.e2e.wire import CHAT, MESSAGES, PROVIDER, RESPONSES, Heard, ask, asked, billed, body_of, until_status

from headgate.model.limit import Scope, Unit
from headgate.policy.windows import from_text
from headgate.sim import SimThread

USD = 10**9
ENDPOINTS = (CHAT, RESPONSES, MESSAGES)
FIELD = {CHAT: "max_tokens", RESPONSES: "max_output_tokens", MESSAGES: "max_tokens"}
WINDOWS = ("total", "24h", "1s", "day", "month")
ODD_NAMES = ("*", "%", "_", "[a-z]*", "x' OR '1'='1", 'a"b; DROP TABLE limits; --')


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, sim: SimThread) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("input"), sim, standard(sim)) as gateway:
        put(gateway.ledger_url, limit(Scope.KEY, "tests", Unit.USD, 10**6 * USD))
        yield gateway


def maximum(endpoint: str, most: Any) -> dict[str, Any]:
    return {FIELD[endpoint]: most}


def limited(own: Gateway, name: str, unit: Unit, cap: int, *, per: str = "total", clamp: bool = False) -> str:
    """Return a new key with one limit; it is in force when the key is, since both are read at once."""
    put(own.ledger_url, limit(Scope.KEY, name, unit, cap, window=from_text(per, "UTC"), clamp=clamp))
    secret = own.new_key(name)
    until_status(own, secret, 200)
    return secret


def is_quota(endpoint: str, heard: Heard) -> bool:
    """Tell whether an answer says that waiting does not help, in words and headers."""
    error = heard.json["error"]
    assert heard.status == 429
    assert "retry-after" not in heard.headers
    assert heard.headers["x-should-retry"] == "false"
    assert "Limit " in error["message"]
    told: str = error["type"] if endpoint == MESSAGES else error["code"]
    return told == ("rate_limit_error" if endpoint == MESSAGES else "insufficient_quota")


def calls_of(own: Gateway, key_name: str) -> int:
    rows = own.read(lambda reader: reader.calls(limit=10**6))
    names = {info.id: info.name for info in own.read(lambda reader: reader.keys(0))}
    return sum(names.get(row["key"]) == key_name for row in rows)


@pytest.mark.parametrize("per", WINDOWS)
def test_a_request_larger_than_the_whole_cap_is_refused_for_good(own: Gateway, sim: SimThread, per: str) -> None:
    name = f"tiny-{per}"
    secret = limited(own, name, Unit.USD, 1_000, per=per)
    with Clients.of(own, secret, retries=2) as sdks:
        for client in ENDPOINTS:
            with pytest.raises((openai.RateLimitError, anthropic.RateLimitError)) as caught:
                sdks.ask(client, f"{PROVIDER[client]}/{name}", stream=client == CHAT)
            assert "needs at least" in str(caught.value)
    for endpoint in ENDPOINTS:
        assert is_quota(endpoint, ask(own, endpoint, body_of(endpoint, f"{PROVIDER[endpoint]}/{name}"), key=secret))
    assert asked(sim, name) == []
    assert calls_of(own, name) == 2 * len(ENDPOINTS)  # the SDKs have asked once each


@pytest.mark.parametrize("unit", Unit)
def test_a_cap_of_nothing_lets_nothing_through(own: Gateway, sim: SimThread, unit: Unit) -> None:
    name = f"nothing-{unit}"
    secret = limited(own, name, unit, 0)
    for endpoint in ENDPOINTS:
        assert is_quota(endpoint, ask(own, endpoint, body_of(endpoint, f"{PROVIDER[endpoint]}/{name}"), key=secret))
    assert asked(sim, name) == []


@pytest.mark.parametrize("unit", [Unit.USD, Unit.TOKENS])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("most", [10**9, 10**12, 10**15 - 1])
def test_a_huge_maximum_is_refused_unless_the_limit_lowers_it(
    own: Gateway, sim: SimThread, unit: Unit, endpoint: str, most: int
) -> None:
    cap = USD if unit is Unit.USD else 100_000
    for clamp in (False, True):
        name = f"huge-{unit}-{endpoint.partition('/')[0]}-{most}-{clamp}"
        secret = limited(own, name, unit, cap, clamp=clamp)
        body = body_of(endpoint, f"{PROVIDER[endpoint]}/{name}", **maximum(endpoint, most))
        heard = ask(own, endpoint, body, key=secret)
        if not clamp:
            assert is_quota(endpoint, heard)
            assert asked(sim, name) == []
            continue
        assert heard.status == 200
        [request] = asked(sim, name)
        [attempt] = own.call(heard.call)["attempts"]
        held = attempt["hold_nano"] if unit is Unit.USD else attempt["hold_tokens"]
        assert cap * 95 // 100 < held <= cap
        assert b'"%s":%d' % (FIELD[endpoint].encode(), most) not in request.body.replace(b" ", b"")
        assert attempt["cost_nano"] == billed(request)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("most", [0, -1, 1.5, 10**16, 10**40, "a string", "12", True, [], {"a": 1}])
def test_a_maximum_that_is_none_is_a_bad_request(own: Gateway, sim: SimThread, endpoint: str, most: Any) -> None:
    before = books(own.ledger_url)
    heard = ask(own, endpoint, body_of(endpoint, f"{PROVIDER[endpoint]}/gpt-sim", **maximum(endpoint, most)))
    assert heard.status == 400, heard.body
    assert FIELD[endpoint] in heard.json["error"]["message"]
    after = books(own.ledger_url)
    assert (after.costs, after.at_rest) == (before.costs, True)


@pytest.mark.parametrize("count", [0, -1, 1.5, 10**16, "many", True, []])
def test_a_number_of_answers_that_is_none_is_a_bad_request(own: Gateway, count: Any) -> None:
    heard = ask(own, CHAT, body_of(CHAT, "openai/gpt-sim", n=count))
    assert heard.status == 400, heard.body
    assert heard.json["error"]["param"] == "n"


@pytest.mark.parametrize("count", [10**6, 10**12])
def test_a_million_answers_count_a_million_times(own: Gateway, sim: SimThread, count: int) -> None:
    name = f"many-{count}"
    secret = limited(own, name, Unit.USD, USD)
    for clamp in (False, True):
        for most in (None, 1, 100):
            more = {} if most is None else maximum(CHAT, most)
            heard = ask(own, CHAT, body_of(CHAT, f"openai/{name}", n=count, **more), key=secret)
            assert is_quota(CHAT, heard)
        if not clamp:
            put(own.ledger_url, limit(Scope.KEY, name, Unit.USD, USD, clamp=True))
    assert asked(sim, name) == []


def test_a_name_is_a_name_whatever_stands_in_it(own: Gateway, sim: SimThread) -> None:
    secrets = {name: limited(own, name, Unit.REQUESTS, 0) for name in ODD_NAMES}
    bystander = own.new_key("abc")
    until_status(own, bystander, 200)
    body = body_of(CHAT, "openai/odd-names")
    for secret in secrets.values():
        assert is_quota(CHAT, ask(own, CHAT, body, key=secret))
    assert asked(sim, "odd-names") == []
    assert ask(own, CHAT, body, key=bystander).status == 200
