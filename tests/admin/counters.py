"""Counters with known values, made from rows as a worker makes them."""

from tests.ledger.rows import attempt_row, call_row

from headgate.runtime.metrics import Metrics

ROUTE = 'box/odd"name\\with\nall'
SECOND = 1_000_000_000


def counters() -> Metrics:
    metrics = Metrics(in_flight=3, uncommitted=2)
    metrics.attempt("openai/gpt-5-mini", attempt_row(1, ttft=300_000_000, cost_nano=1_500_000_000))
    metrics.attempt("openai/gpt-5-mini", attempt_row(2, ttft=20 * 60 * SECOND, cost_nano=500_000_001))
    metrics.attempt(ROUTE, attempt_row(3, failure="rate_limited", ttft=None, cost_nano=None))
    metrics.call(call_row(1, duration=5_000_000))
    metrics.call(call_row(2, duration=2 * SECOND, outcome="failed"))
    metrics.refuse("invalid_api_key")
    return metrics
