"""Counters as Prometheus reads them, from a worker that really runs."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.admin.client import Client
from tests.admin.conftest import make_supervisor, start
from tests.admin.counters import ROUTE
from tests.ledger.rows import attempt_row

from headgate import __version__
from headgate.ledger.engine import Ledger
from headgate.ledger.errors import LedgerUnusable
from headgate.ledger.limit_views import Total
from headgate.ledger.tables import attempts, holds, lost_holds
from headgate.runtime.clock import Clock
from headgate.runtime.metrics import BUCKETS_NS
from headgate.runtime.supervisor import Supervisor
from headgate.surfaces.admin.prometheus import exposition
from headgate.surfaces.admin.totals import LASTS_NS, Totals, TotalsCache

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def parse(page: bytes) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, tuple(sorted(labels.items()))]


@pytest.fixture
async def at_work(supervisor: Supervisor) -> AsyncIterator[Supervisor]:
    """The plane's supervisor, with one worker that has beaten and is ready."""
    running = await start(supervisor)
    yield supervisor
    supervisor.stop()
    await running


async def test_every_counter_is_told(client: Client, at_work: Supervisor) -> None:
    answer = await client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = parse(answer.body)
    openai = {"route": "openai/gpt-5-mini"}
    assert value(found, "headgate_attempts_total", **openai, ended="ok") == 2
    assert value(found, "headgate_attempts_total", route=ROUTE, ended="rate_limited") == 1
    assert value(found, "headgate_tokens_total", **openai, **{"class": "input"}) == 200
    assert value(found, "headgate_tokens_total", **openai, **{"class": "cache_write"}) == 14
    assert value(found, "headgate_cost_usd_total", **openai) == 2.000000001
    assert value(found, "headgate_savings_usd_total") == 21e-9
    assert value(found, "headgate_unpriced_attempts_total") == 1
    assert value(found, "headgate_calls_total", endpoint="chat/completions", outcome="ok") == 1
    assert value(found, "headgate_calls_total", endpoint="chat/completions", outcome="failed") == 1
    assert value(found, "headgate_refused_total", kind="invalid_api_key") == 1
    assert value(found, "headgate_in_flight_calls") == 3
    assert value(found, "headgate_uncommitted_calls") == 2
    assert value(found, "headgate_build_info", version=__version__) == 1


async def test_histograms_are_cumulative_and_in_seconds(client: Client, at_work: Supervisor) -> None:
    found = parse((await client.get("/metrics")).body)
    ttft = {labels: count for (name, labels), count in found.items() if name == "headgate_ttft_seconds_bucket"}
    openai = sorted(
        (float(dict(labels)["le"]), count) for labels, count in ttft.items() if dict(labels)["route"] != ROUTE
    )
    assert [bound for bound, _ in openai] == [*(bound / 10**9 for bound in BUCKETS_NS), float("inf")]
    assert dict(openai)[0.25] == 0
    assert dict(openai)[0.5] == dict(openai)[600.0] == 1
    assert dict(openai)[float("inf")] == value(found, "headgate_ttft_seconds_count", route="openai/gpt-5-mini") == 2
    assert value(found, "headgate_ttft_seconds_sum", route="openai/gpt-5-mini") == 1200.3
    assert value(found, "headgate_call_seconds_bucket", endpoint="chat/completions", le="0.005") == 1
    assert value(found, "headgate_call_seconds_sum", endpoint="chat/completions") == 2.005


async def test_readiness_follows_the_workers(client: Client, supervisor: Supervisor) -> None:
    before = await client.get("/readyz", token=None)
    assert (before.status, before.json) == (503, {"status": "starting"})
    running = await start(supervisor)
    during = await client.get("/readyz", token=None)
    assert (during.status, during.json) == (200, {"status": "ready"})
    [worker] = (await client.get("/status")).json["workers"]
    assert (worker["incarnation"], worker["ready"]) == (7, True)
    assert value(parse((await client.get("/metrics")).body), "headgate_workers", state="ready") == 1
    supervisor.stop()
    await running
    after = await client.get("/readyz", token=None)
    assert (after.status, after.json) == (503, {"status": "draining"})
    assert (await client.get("/status")).json["draining"] is True


async def test_counters_outlive_their_worker_and_gauges_do_not() -> None:
    supervisor = make_supervisor()
    running = await start(supervisor)
    supervisor.stop()
    await running
    found = parse(exposition(supervisor, 1, None))
    assert value(found, "headgate_attempts_total", route="openai/gpt-5-mini", ended="ok") == 2
    assert value(found, "headgate_in_flight_calls") == 0


def test_a_supervisor_without_workers_tells_how_many_are_absent() -> None:
    found = parse(exposition(make_supervisor(3), 3, None))
    states = [value(found, "headgate_workers", state=state) for state in ("ready", "starting", "absent")]
    assert states == [0, 0, 3]
    assert value(found, "headgate_savings_usd_total") == 0


async def test_what_is_held_and_lost_is_read_from_the_ledger(any_client: Client, ledger: Ledger) -> None:
    with ledger.write() as connection:
        values = {"call": "a", "no": 1, "incarnation": 1, "at": 1, "facts": '{"nano": 2500000000}'}
        connection.execute(holds.insert().values(values))
        lost = attempt_row(1, state="lost", cost_nano=1_500_000_000)
        connection.execute(attempts.insert(), [msgspec.structs.asdict(lost)])
        connection.execute(lost_holds.insert().values(call=lost.call, no=1, facts="{}"))
    found = parse((await any_client.get("/metrics")).body)
    told = [value(found, f"headgate_{name}") for name in ("holds", "held_usd", "lost_attempts", "lost_usd")]
    assert told == [1, 2.5, 1, 1.5]


async def test_without_a_ledger_the_other_metrics_are_told(client: Client, sqlite_ledger: Ledger) -> None:
    sqlite_ledger.url.sqlite_path.rename(sqlite_ledger.url.sqlite_path.with_suffix(".away"))
    answer = await client.get("/metrics")
    assert answer.status == 200
    assert b"headgate_in_flight_calls" in answer.body
    assert b"headgate_holds" not in answer.body


async def test_scrapes_share_one_look_at_the_ledger() -> None:
    now, looks = [0], []

    async def look() -> Totals:
        looks.append(now[0])
        await asyncio.sleep(0)
        return Totals(Total(len(looks), 0), Total(0, 0))

    cache = TotalsCache(look, Clock(lambda: 0, lambda: now[0]))
    assert [found and found.held.count for found in await asyncio.gather(*(cache.get() for _ in range(5)))] == [1] * 5
    now[0] = LASTS_NS - 1
    assert await cache.get() == Totals(Total(1, 0), Total(0, 0))
    now[0] = LASTS_NS
    assert await cache.get() == Totals(Total(2, 0), Total(0, 0))


async def test_an_unreadable_ledger_is_not_told_as_zero() -> None:
    now = [0]
    answers: list[Totals | LedgerUnusable] = [Totals(Total(1, 0), Total(0, 0)), LedgerUnusable("away")]

    async def look() -> Totals:
        answer = answers.pop(0)
        if isinstance(answer, LedgerUnusable):
            raise answer
        return answer

    cache = TotalsCache(look, Clock(lambda: 0, lambda: now[0]))
    assert await cache.get() is not None
    now[0] = LASTS_NS
    assert await cache.get() is None
