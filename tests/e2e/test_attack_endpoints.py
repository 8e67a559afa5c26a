"""Every endpoint under every unit of limits: counted once, settled to the bill, refused where nothing is left."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from tests.e2e.gateway import Gateway
from tests.e2e.limited import books, put
from tests.e2e.processes import poll
from tests.e2e.wire import (
    CHAT,
    COMPLETIONS,
    COUNT,
    EMBEDDINGS,
    MESSAGES,
    PROVIDER,
    RESPONSES,
    STREAMED,
    ask,
    asked,
    billed,
    body_of,
    until_status,
)

from headgate.model.limit import Limit, Scope, Unit
from headgate.policy.windows import TOTAL
from headgate.sim import SimThread

USD = 10**9
ENDPOINTS = (CHAT, RESPONSES, MESSAGES, COMPLETIONS, EMBEDDINGS, COUNT)
ENOUGH = {Unit.USD: USD, Unit.TOKENS: 10**6, Unit.REQUESTS: 1, Unit.CONCURRENCY: 1}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, sim: SimThread) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("endpoints"), sim) as gateway:
        yield gateway


@pytest.mark.parametrize("unit", Unit)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_every_endpoint_is_counted_by_every_unit(own: Gateway, sim: SimThread, endpoint: str, unit: Unit) -> None:
    name = f"counts-{endpoint.replace('/', '-')}-{unit}"
    [limit] = put(own.ledger_url, Limit(0, Scope.KEY, name, unit, TOTAL, ENOUGH[unit]))
    secret = own.new_key(name)
    until_status(own, secret, 200)
    stream = endpoint in STREAMED
    heard = ask(own, endpoint, body_of(endpoint, f"{PROVIDER[endpoint]}/{name}", stream=stream), key=secret)
    assert heard.status == 200, heard.body
    poll(lambda: books(own.ledger_url).at_rest)
    [request] = asked(sim, name)
    [attempt] = own.call(heard.call)["attempts"]
    spent, held = books(own.ledger_url).limits.get(limit, (0, 0))
    free = endpoint == COUNT
    tokens = attempt["input"] + attempt["output"] + attempt["cache_read"] + attempt["cache_write_5m"]
    assert held == 0
    assert (
        spent
        == {
            Unit.USD: 0 if free else billed(request),
            Unit.TOKENS: 0 if free else tokens,
            Unit.REQUESTS: 1,
            Unit.CONCURRENCY: 0,
        }[unit]
    )
    if unit is Unit.REQUESTS:
        assert ask(own, endpoint, body_of(endpoint, f"{PROVIDER[endpoint]}/{name}"), key=secret).status == 429


@pytest.mark.parametrize(
    ("endpoint", "members", "choices"),
    [
        (COMPLETIONS, {"prompt": ["a", "b", "c"], "max_tokens": 100}, 3),
        (COMPLETIONS, {"prompt": ["a", "b"], "n": 2, "best_of": 5, "max_tokens": 100}, 10),
        (COMPLETIONS, {"prompt": [[1, 2], [3]], "max_tokens": 100}, 2),
        (COMPLETIONS, {"prompt": [1, 2, 3], "max_tokens": 100}, 1),
        (CHAT, {"max_tokens": 1, "max_completion_tokens": 100, "n": 3}, 3),
    ],
)
def test_all_that_is_made_is_held_for(own: Gateway, endpoint: str, members: dict[str, object], choices: int) -> None:
    name = f"makes-{endpoint.replace('/', '-')}-{choices}"
    put(own.ledger_url, Limit(0, Scope.KEY, name, Unit.TOKENS, TOTAL, 10**6))
    secret = own.new_key(name)
    until_status(own, secret, 200)
    heard = ask(own, endpoint, body_of(endpoint, f"openai/{name}") | members, key=secret)
    [attempt] = own.call(heard.call)["attempts"]  # the sim takes one prompt alone; what is held does not hang on it
    assert 100 * choices < attempt["hold_tokens"] < 100 * choices + 500
    assert attempt["over_nano"] == 0


def test_a_picture_to_embed_is_held_for_as_a_picture(own: Gateway) -> None:
    put(own.ledger_url, Limit(0, Scope.KEY, "pictures", Unit.TOKENS, TOTAL, 10**7))
    secret = own.new_key("pictures")
    until_status(own, secret, 200)
    body = {"model": "openai/pictures", "input": [{"image": "https://pictures.test/a.png"}]}
    heard = ask(own, EMBEDDINGS, msgspec.json.encode(body), key=secret)
    [attempt] = own.call(heard.call)["attempts"]
    assert attempt["hold_tokens"] > 30_000
