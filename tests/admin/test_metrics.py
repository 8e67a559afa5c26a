"""Counters as Prometheus reads them, from a worker that really runs."""

from collections.abc import AsyncIterator

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.admin.client import Client
from tests.admin.conftest import make_supervisor, start
from tests.admin.counters import ROUTE

from headgate import __version__
from headgate.runtime.metrics import BUCKETS_NS
from headgate.runtime.supervisor import Supervisor
from headgate.surfaces.admin.prometheus import exposition

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
    found = parse(exposition(supervisor, 1))
    assert value(found, "headgate_attempts_total", route="openai/gpt-5-mini", ended="ok") == 2
    assert value(found, "headgate_in_flight_calls") == 0


def test_a_supervisor_without_workers_tells_how_many_are_absent() -> None:
    found = parse(exposition(make_supervisor(3), 3))
    states = [value(found, "headgate_workers", state=state) for state in ("ready", "starting", "absent")]
    assert states == [0, 0, 3]
    assert value(found, "headgate_savings_usd_total") == 0
