"""What a limit in money cannot hold for is refused before anything is sent; other limits take it."""

import json

import msgspec
import pytest
from tests.runtime.desk import PRICES, Desk
from tests.runtime.test_call import ANSWER, unary
from tests.runtime.test_holding_attempts import Deciding, keys, of_account

from headgate.model.dialect import Kind
from headgate.model.limit import Unit
from headgate.model.price import FREE, UNKNOWN, Prices
from headgate.policy.applicable import Limits

CHAT = {"model": "chain", "messages": []}
RESPONSES = {"model": "chain", "input": "hi"}
MESSAGES = {"model": "chain", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
BEYOND = [
    (Kind.OPENAI, CHAT | {"web_search_options": {}}, "web_search_options"),
    (Kind.OPENAI_RESPONSES, RESPONSES | {"background": True}, "background"),
    (Kind.OPENAI_RESPONSES, RESPONSES | {"tools": [{"type": "web_search"}]}, "tools: web_search"),
    (Kind.ANTHROPIC, MESSAGES | {"tools": [SEARCH]}, "tools: web_search_20250305"),
]


def desk_of(unit: Unit, *prices: Prices, kind: Kind = Kind.OPENAI) -> Desk:
    """A chain over providers with these prices, and a limit of this unit that has room."""
    desk = Desk(*[[unary(ANSWER)] for _ in prices], kind=kind)
    desk.gate.ledger = Deciding()
    catalog = desk.gate.terms.catalog
    chain = catalog.virtual["chain"]
    routes = tuple(
        msgspec.structs.replace(route, prices=price) for route, price in zip(chain.routes, prices, strict=True)
    )
    virtual = {"chain": msgspec.structs.replace(chain, routes=routes)}
    desk.gate.terms = msgspec.structs.replace(
        desk.gate.terms, catalog=msgspec.structs.replace(catalog, virtual=virtual)
    )
    desk.gate.renew(keys(), Limits([of_account(unit, 10**12)]))
    return desk


def asked(desk: Desk) -> list[bool]:
    return [bool(client.requests) for client in desk.clients.values()]


@pytest.mark.parametrize(("kind", "body", "named"), BEYOND, ids=[named for _, _, named in BEYOND])
async def test_work_that_tokens_do_not_measure_is_refused_under_a_limit_in_money_alone(
    kind: Kind, body: dict[str, object], named: str
) -> None:
    sent = json.dumps(body).encode()
    desk = desk_of(Unit.USD, PRICES, kind=kind)
    got = await desk.answer(sent)
    error = json.loads(got.whole)["error"]
    assert (got.status, asked(desk)) == (400, [False])
    assert error["type"] == "invalid_request_error"
    assert f"`{named}`" in error["message"]
    for desk in (desk_of(Unit.TOKENS, PRICES, kind=kind), desk_of(Unit.USD, FREE, kind=kind)):
        await desk.answer(sent)
        assert asked(desk) == [True]


async def test_a_model_without_a_price_is_refused_under_a_limit_in_money_alone() -> None:
    desk = desk_of(Unit.USD, UNKNOWN)
    got = await desk.answer(json.dumps(CHAT).encode())
    error = json.loads(got.whole)["error"]
    assert (got.status, error["code"], error["param"], asked(desk)) == (400, "model_unpriced", "model", [False])
    assert "price: {input: 1.25, output: 10}" in error["message"]
    desk = desk_of(Unit.TOKENS, UNKNOWN)
    assert (await desk.answer(json.dumps(CHAT).encode())).status == 200


async def test_a_route_with_a_price_is_taken_in_place_of_one_without() -> None:
    desk = desk_of(Unit.USD, UNKNOWN, PRICES)
    got = await desk.answer(json.dumps(CHAT).encode())
    assert (got.status, got.answered("x-headgate-route"), asked(desk)) == (200, "p2/m", [False, True])
