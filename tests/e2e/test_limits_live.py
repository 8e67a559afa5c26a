"""Keys and limits that change while calls run; limits that overlap; what stays usable when a budget is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.gateway import PRICE, Gateway, standard
from tests.e2e.held import PATHS, Held, held
from tests.e2e.limited import Books, books, limit, of_account, prepared, put, remove
from tests.e2e.load import CHAT, ENDS, MESSAGES, RESPONSES, body
from tests.e2e.processes import apoll
from tests.e2e.raw import Answer, Line
from tests.e2e.relay import Relay

from headgate.model.limit import Scope, Unit
from headgate.sim import SimThread

USD = 10**9
ROUTES = {CHAT: "openai/gpt-sim", RESPONSES: "responses/gpt-sim", MESSAGES: "anthropic/claude-sim"}


@asynccontextmanager
async def running(folder: Path, config: str, *limits: Any, **options: Any) -> AsyncIterator[tuple[Gateway, list[int]]]:
    """Run a gateway with limits in force from its start."""
    gateway = Gateway(folder, config=config, **options)
    ids = await asyncio.to_thread(prepared, gateway, *limits)
    try:
        await asyncio.to_thread(gateway.start)
        yield gateway, ids
    finally:
        assert await asyncio.to_thread(gateway.stop) == 0
    assert "Traceback" not in gateway.stderr


@pytest.fixture
def own_sim() -> Iterator[SimThread]:
    with SimThread(seed=8) as sim:
        yield sim


async def post(gateway: Gateway, path: str, key: str = "", **more: Any) -> Answer:
    async with Line(gateway.url, key or gateway.key) as line:
        return await line.post(path, body(path) | more)


def is_quota(answer: Answer) -> bool:
    return (
        answer.status == 429 and "retry-after" not in answer.headers and answer.headers.get("x-should-retry") == "false"
    )


async def whole(streams: list[Held]) -> None:
    """Read streams to their ends, which must be the vendors' own."""
    for stream, data in zip(streams, await asyncio.gather(*(one.finish() for one in streams)), strict=True):
        assert ENDS[stream.path] in data


def charged(gateway: Gateway, streams: list[Held]) -> int:
    """Return what calls that ended well have cost."""
    rows = [gateway.call(stream.call) for stream in streams]
    assert {row["outcome"] for row in rows} == {"ok"}
    return sum(row["cost_nano"] for row in rows)


def at_rest(gateway: Gateway) -> Books:
    read = books(gateway.ledger_url)
    assert read.at_rest
    return read


async def test_a_key_revoked_in_mid_stream_ends_that_stream_well_and_asks_no_more(
    tmp_path: Path, own_sim: SimThread
) -> None:
    async with (
        running(tmp_path, standard(own_sim), of_account(USD), workers=2) as (gateway, [account]),
        held(gateway, own_sim) as streams,
    ):
        assert books(gateway.ledger_url).limits[account][1] > 0
        await asyncio.to_thread(gateway.cli, "keys", "revoke", "tests")
        for path in PATHS:
            async with asyncio.timeout(60):
                while (answer := await post(gateway, path)).status != 401:
                    assert answer.status == 200
        own_sim.release()
        await whole(streams)
        assert {(await post(gateway, path)).status for path in PATHS} == {401}
        assert charged(gateway, streams) > 0
        read = at_rest(gateway)
        assert read.limits[account][0] == read.costs


async def test_a_cap_that_is_lowered_below_what_is_held_stops_the_next_call_alone(
    tmp_path: Path, own_sim: SimThread
) -> None:
    async with (
        running(tmp_path, standard(own_sim), of_account(USD)) as (gateway, [account]),
        held(gateway, own_sim) as streams,
    ):
        spent, taken = books(gateway.ledger_url).limits[account]
        asked = len(own_sim.requests)
        # One more would fit the cap, but for what is held.
        put(gateway.ledger_url, of_account(spent + taken))
        for path in PATHS:
            answer = await post(gateway, path, max_tokens=100, max_output_tokens=100)
            assert (answer.status, answer.headers["retry-after"]) == (429, "1")
            assert b"Calls in flight are in the way" in answer.body
        put(gateway.ledger_url, of_account(0))
        assert [is_quota(await post(gateway, path)) for path in PATHS] == [True] * 3
        assert len(own_sim.requests) == asked
        own_sim.release()
        await whole(streams)
        assert at_rest(gateway).limits[account][0] == charged(gateway, streams)
        put(gateway.ledger_url, of_account(USD))
        assert (await post(gateway, CHAT)).status == 200


async def test_a_limit_removed_while_it_is_held_settles_all_the_same(tmp_path: Path, own_sim: SimThread) -> None:
    async with (
        running(tmp_path, standard(own_sim), of_account(USD), of_account(10, Unit.CONCURRENCY)) as (gateway, ids),
        held(gateway, own_sim) as streams,
    ):
        account, at_once = ids
        assert books(gateway.ledger_url).limits[at_once] == (0, len(streams))
        for limit_id in ids:
            remove(gateway.ledger_url, limit_id)
        assert (await post(gateway, CHAT)).status == 200
        own_sim.release()
        await whole(streams)
        assert at_rest(gateway).limits == {account: (charged(gateway, streams), 0), at_once: (0, 0)}


async def test_limits_that_overlap_all_count_and_the_hardest_decides(tmp_path: Path, own_sim: SimThread) -> None:
    limits = (
        of_account(USD),
        limit(Scope.KEY, "", Unit.TOKENS, 3_000),
        limit(Scope.KEY, "", Unit.REQUESTS, 3),
        limit(Scope.PROVIDER, "openai", Unit.USD, USD),
    )
    async with running(tmp_path, standard(own_sim), *limits) as (gateway, ids):
        account, tokens, requests, provider = ids
        answers = [await post(gateway, CHAT, max_tokens=100) for _ in range(3)]
        assert [answer.status for answer in answers] == [200] * 3
        rows = [gateway.call(answer.call) for answer in answers]
        cost = sum(row["cost_nano"] for row in rows)
        spent = {account: cost, tokens: sum(row["input"] + row["output"] for row in rows), requests: 3, provider: cost}
        assert at_rest(gateway).limits == {limit_id: (amount, 0) for limit_id, amount in spent.items()}
        refused = await post(gateway, CHAT, max_tokens=100)
        assert is_quota(refused)
        assert b"requests in total of key" in refused.body
        await asyncio.to_thread(put, gateway.ledger_url, limit(Scope.KEY, gateway.key_id, Unit.REQUESTS, 10))
        refused = await post(gateway, CHAT, max_tokens=2_990)
        assert is_quota(refused)
        assert b"tokens in total of key" in refused.body
        assert at_rest(gateway).limits == {limit_id: (amount, 0) for limit_id, amount in spent.items()}


CHAINED = """
providers:
  openai: {{kind: openai, base_url: "{url}", price: {price}}}
  anthropic: {{kind: anthropic, base_url: "{url}", price: {price}}}
  box: {{kind: openai, base_url: "{url}", price: free}}
models:
  local: {{routes: [openai/paid, anthropic/paid, box/free]}}
  paid: {{routes: [openai/paid, anthropic/paid]}}
"""


@pytest.mark.parametrize("stream", [False, True])
async def test_a_free_route_stays_usable_when_the_budget_is_gone(
    tmp_path: Path, own_sim: SimThread, *, stream: bool
) -> None:
    config = CHAINED.format(url=own_sim.url, price=PRICE)
    async with running(tmp_path, config, of_account(0), limit(Scope.KEY, "", Unit.USD, USD)) as (gateway, _):
        for path in PATHS:
            async with Line(gateway.url, gateway.key) as line:
                data = b"".join(
                    [chunk async for chunk in await line.stream(path, body(path, model="local", stream=stream))]
                )
                assert line.status == 200, data
                assert line.headers["x-headgate-route"] == "box/free"
            assert is_quota(await post(gateway, path, model="paid"))
        assert {request.model for request in own_sim.requests} == {"free"}
        assert at_rest(gateway).costs == 0


async def test_a_provider_without_room_is_skipped_and_tells_no_amounts(tmp_path: Path, own_sim: SimThread) -> None:
    config = CHAINED.format(url=own_sim.url, price=PRICE)
    async with running(tmp_path, config, limit(Scope.PROVIDER, "openai", Unit.USD, 12_345)) as (gateway, [provider]):
        for path in PATHS:
            answer = await post(gateway, path, model="paid")
            assert (answer.status, answer.headers["x-headgate-route"]) == (200, "anthropic/paid")
            alone = await post(gateway, path, model="openai/paid")
            assert alone.status == 429
            assert b"provider 'openai'" in alone.body
            assert b"0.000012345" not in alone.body
        assert {request.path for request in own_sim.requests} == {"/v1/messages"}
        assert at_rest(gateway).limits.get(provider, (0, 0)) == (0, 0)


@pytest.mark.parametrize("how", ["cut", "stall"])
async def test_nothing_goes_out_unheld_while_the_store_is_away(
    postgres_url: str, tmp_path: Path, own_sim: SimThread, how: str
) -> None:
    with Relay(postgres_url) as relay:
        async with running(tmp_path, standard(own_sim), of_account(USD), ledger=relay.url) as (gateway, ids):
            assert (await post(gateway, CHAT)).status == 200
            asked = len(own_sim.requests)
            getattr(relay, how)()
            for path in PATHS * 2:
                answer = await post(gateway, path)
                assert (answer.status, answer.headers["retry-after"]) == (503, "2")
                assert b"ledger" in answer.body
            assert len(own_sim.requests) == asked
            relay.restore()
            async with asyncio.timeout(60):
                while (await post(gateway, CHAT)).status != 200:  # noqa: ASYNC110  another process sees to it
                    await asyncio.sleep(0.02)
            read = await apoll(lambda: (now := books(postgres_url)).at_rest and now)
            assert read
            assert read.limits[ids[0]][0] == read.costs
