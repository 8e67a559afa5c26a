"""Counters of one worker: plain integers, added up over workers by the supervisor, shown by the admin plane."""

from bisect import bisect_left
from collections.abc import Iterable

import msgspec

from headgate.model.records import AttemptRow, CallRow

SECONDS = 1_000_000_000
BUCKETS_NS: tuple[int, ...] = tuple(
    int(seconds * SECONDS)
    for seconds in (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 120, 300, 600)
)
"""Upper bounds of the histograms of durations, in ns."""
MAX_ROUTES = 1_000
"""Routes with a series of their own: clients invent names on providers that take any."""


class Histogram(msgspec.Struct):
    """`counts[i]` values were at most BUCKETS_NS[i] and above the bound before; the last count is beyond all."""

    counts: list[int] = msgspec.field(default_factory=lambda: [0] * (len(BUCKETS_NS) + 1))
    total: int = 0

    def observe(self, value: int) -> None:
        self.counts[bisect_left(BUCKETS_NS, value)] += 1
        self.total += value

    def add(self, other: "Histogram") -> None:
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.total += other.total


class RouteSeries(msgspec.Struct):
    """What one route did: tokens by class, money in nano-USD, attempts by how they ended ("ok" or the failure)."""

    attempts: dict[str, int] = {}
    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0
    cost_nano: int = 0
    savings_nano: int = 0
    unpriced: int = 0
    ttft: Histogram = msgspec.field(default_factory=Histogram)

    def observe(self, row: AttemptRow) -> None:
        ended = row.failure or "ok"
        self.attempts[ended] = self.attempts.get(ended, 0) + 1
        self.input += row.input + row.input_audio
        self.cache_read += row.cache_read + row.cache_read_audio
        self.cache_write += row.cache_write_5m + row.cache_write_1h
        self.output += row.output + row.output_audio
        self.reasoning += row.reasoning
        self.savings_nano += row.savings_nano
        if row.cost_nano is None:
            self.unpriced += 1
        else:
            self.cost_nano += row.cost_nano
        if row.ttft is not None:
            self.ttft.observe(row.ttft)

    def add(self, other: "RouteSeries") -> None:
        for ended, count in other.attempts.items():
            self.attempts[ended] = self.attempts.get(ended, 0) + count
        for name in _SUMMED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.ttft.add(other.ttft)


_SUMMED = (
    "input",
    "cache_read",
    "cache_write",
    "output",
    "reasoning",
    "cost_nano",
    "savings_nano",
    "unpriced",
)


class EndpointSeries(msgspec.Struct):
    """What clients saw at one endpoint: calls by outcome, and how long they took."""

    calls: dict[str, int] = {}
    duration: Histogram = msgspec.field(default_factory=Histogram)

    def observe(self, row: CallRow) -> None:
        self.calls[row.outcome] = self.calls.get(row.outcome, 0) + 1
        self.duration.observe(row.duration)

    def add(self, other: "EndpointSeries") -> None:
        for outcome, count in other.calls.items():
            self.calls[outcome] = self.calls.get(outcome, 0) + count
        self.duration.add(other.duration)


class Metrics(msgspec.Struct):
    """All counters of one worker, or of several added up. `routes` by `provider/upstream-name`.

    Beyond MAX_ROUTES a new route counts with others of its provider, as `provider/*`.
    """

    routes: dict[str, RouteSeries] = {}
    endpoints: dict[str, EndpointSeries] = {}
    refused: dict[str, int] = {}
    """Requests that were no call, by kind of error: no key, unknown path, draining."""
    in_flight: int = 0
    uncommitted: int = 0

    def attempt(self, route: str, row: AttemptRow) -> None:
        series = self.routes.get(route)
        if series is None:
            series = self._new_route(route)
        series.observe(row)

    def _new_route(self, route: str) -> RouteSeries:
        name = route if len(self.routes) < MAX_ROUTES else f"{route.partition('/')[0]}/*"
        return self.routes.setdefault(name, RouteSeries())

    def call(self, row: CallRow) -> None:
        series = self.endpoints.get(row.endpoint)
        if series is None:
            series = self.endpoints[row.endpoint] = EndpointSeries()
        series.observe(row)

    def refuse(self, kind: str) -> None:
        self.refused[kind] = self.refused.get(kind, 0) + 1

    def add(self, other: "Metrics") -> None:
        for route, series in other.routes.items():
            (self.routes.get(route) or self._new_route(route)).add(series)
        for endpoint, calls in other.endpoints.items():
            self.endpoints.setdefault(endpoint, EndpointSeries()).add(calls)
        for kind, count in other.refused.items():
            self.refused[kind] = self.refused.get(kind, 0) + count
        self.in_flight += other.in_flight
        self.uncommitted += other.uncommitted


def total(parts: Iterable[Metrics]) -> Metrics:
    """Return the sum of several workers' counters."""
    whole = Metrics()
    for part in parts:
        whole.add(part)
    return whole
