"""Counters stay bounded whatever clients invent."""

import msgspec
from tests.ledger.rows import attempt_row

from headgate.runtime.metrics import MAX_ROUTES, Metrics, total

ROW = attempt_row(1, cost_nano=7)


def worker(names: range, known: str = "box/known") -> Metrics:
    metrics = Metrics()
    metrics.attempt(known, ROW)
    for number in names:
        metrics.attempt(f"box/invented/{number}", ROW)
    return metrics


def test_routes_beyond_the_bound_count_with_their_provider() -> None:
    metrics = worker(range(MAX_ROUTES + 500))
    metrics.attempt("openai/late", ROW)
    metrics.attempt("box/known", ROW)
    assert len(metrics.routes) == MAX_ROUTES + 2
    assert metrics.routes["box/*"].attempts == {"ok": 501}
    assert metrics.routes["openai/*"].cost_nano == 7
    assert metrics.routes["box/known"].attempts == {"ok": 2}


def test_a_sum_of_workers_is_bounded_too_and_loses_nothing() -> None:
    parts = [worker(range(start, start + 600)) for start in range(0, 3_000, 600)]
    parts = [msgspec.convert(msgspec.to_builtins(part), Metrics) for part in parts]
    whole = total(parts)
    assert len(whole.routes) == MAX_ROUTES + 1
    assert sum(series.cost_nano for series in whole.routes.values()) == 7 * (3_000 + 5)
    assert whole.routes["box/known"].attempts == {"ok": 5}
