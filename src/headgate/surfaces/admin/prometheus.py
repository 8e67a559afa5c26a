"""Counters of the workers in Prometheus' text format. Here alone money is a float, as that format has nothing else."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from headgate import __version__
from headgate.model.money import NANO_PER_USD
from headgate.runtime.metrics import BUCKETS_NS, Histogram, Metrics, RouteSeries
from headgate.runtime.supervisor import Supervisor
from headgate.surfaces.admin.totals import Totals

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_SECOND_NS = 1_000_000_000
TOKEN_CLASSES = ("input", "cache_read", "cache_write", "output", "reasoning")
"""Disjoint, but `reasoning`, which is part of `output`. Audio counts with its side."""


class WorkersCollector(Collector):
    """All counters, past workers' included. `workers` is how many there should be; `totals` None: nobody knows now."""

    def __init__(self, supervisor: Supervisor, workers: int, totals: Totals | None) -> None:
        self._supervisor = supervisor
        self._workers = workers
        self._totals = totals

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        metrics = self._supervisor.metrics()
        yield from _routes(metrics.routes)
        yield from _endpoints(metrics)
        yield GaugeMetricFamily("headgate_in_flight_calls", "Calls being answered now.", metrics.in_flight)
        yield GaugeMetricFamily(
            "headgate_uncommitted_calls", "Calls whose rows wait for the ledger.", metrics.uncommitted
        )
        yield self._workers_by_state()
        if self._totals is not None:
            yield from _of_ledger(self._totals)
        info = GaugeMetricFamily("headgate_build_info", "The version that runs; always 1.", labels=["version"])
        info.add_metric([__version__], 1)
        yield info

    def _workers_by_state(self) -> Metric:
        live = self._supervisor.workers()
        ready = sum(bool(worker["ready"]) for worker in live)
        states = {"ready": ready, "starting": len(live) - ready, "absent": max(self._workers - len(live), 0)}
        family = GaugeMetricFamily("headgate_workers", "Worker processes by state.", labels=["state"])
        for state, count in states.items():
            family.add_metric([state], count)
        return family


def exposition(supervisor: Supervisor, workers: int, totals: Totals | None) -> bytes:
    """Return the page that Prometheus reads; gauges of the ledger are left out where `totals` is None."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(WorkersCollector(supervisor, workers, totals))
    return generate_latest(registry)


def _of_ledger(totals: Totals) -> Iterator[Metric]:
    held, lost = totals
    yield GaugeMetricFamily("headgate_holds", "Attempts in flight that hold something of a limit.", held.count)
    yield GaugeMetricFamily("headgate_held_usd", "What they may cost at most, in USD.", _usd(held.nano))
    yield GaugeMetricFamily("headgate_lost_attempts", "Attempts whose worker died, over all time.", lost.count)
    yield GaugeMetricFamily(
        "headgate_lost_usd", "What those are charged, corrections included, in USD.", _usd(lost.nano)
    )


def _routes(routes: dict[str, RouteSeries]) -> Iterator[Metric]:
    attempts = CounterMetricFamily(
        "headgate_attempts", "Upstream requests by how they ended: ok, or the failure.", labels=["route", "ended"]
    )
    tokens = CounterMetricFamily(
        "headgate_tokens", "Tokens by class; reasoning is part of output.", labels=["route", "class"]
    )
    cost = CounterMetricFamily("headgate_cost_usd", "What is known of the cost, in USD.", labels=["route"])
    ttft = HistogramMetricFamily("headgate_ttft_seconds", "Time to the first content of an attempt.", labels=["route"])
    for name, series in sorted(routes.items()):
        for ended, count in sorted(series.attempts.items()):
            attempts.add_metric([name, ended], count)
        for kind in TOKEN_CLASSES:
            tokens.add_metric([name, kind], getattr(series, kind))
        cost.add_metric([name], _usd(series.cost_nano))
        _add(ttft, [name], series.ttft)
    savings = sum(series.savings_nano for series in routes.values())
    unpriced = sum(series.unpriced for series in routes.values())
    yield from (attempts, tokens, cost, ttft)
    yield CounterMetricFamily(
        "headgate_savings_usd", "What cache reads saved against fresh input, in USD.", _usd(savings)
    )
    yield CounterMetricFamily("headgate_unpriced_attempts", "Attempts whose cost nobody knows.", unpriced)


def _endpoints(metrics: Metrics) -> Iterator[Metric]:
    calls = CounterMetricFamily("headgate_calls", "Calls by outcome.", labels=["endpoint", "outcome"])
    seconds = HistogramMetricFamily("headgate_call_seconds", "How long calls took.", labels=["endpoint"])
    for name, series in sorted(metrics.endpoints.items()):
        for outcome, count in sorted(series.calls.items()):
            calls.add_metric([name, outcome], count)
        _add(seconds, [name], series.duration)
    refused = CounterMetricFamily("headgate_refused", "Requests refused before they were calls.", labels=["kind"])
    for kind, count in sorted(metrics.refused.items()):
        refused.add_metric([kind], count)
    yield from (calls, seconds, refused)


def _add(family: HistogramMetricFamily, labels: list[str], histogram: Histogram) -> None:
    """Prometheus wants each bucket to hold the ones below it."""
    buckets: list[tuple[str, float]] = []
    below = 0
    for bound, count in zip((*BUCKETS_NS, None), histogram.counts, strict=True):
        below += count
        buckets.append(("+Inf" if bound is None else str(bound / _SECOND_NS), below))
    family.add_metric(labels, buckets, histogram.total / _SECOND_NS)


def _usd(nano: int) -> float:
    return nano / NANO_PER_USD
