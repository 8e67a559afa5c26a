"""A call's rows: built attempt by attempt, summed up for the call."""

import msgspec

from headgate.model.failure import Failure
from headgate.model.records import AttemptRow, AttemptState, CallRow, Outcome
from headgate.model.request import RequestHead
from headgate.model.route import Plan, Rejected, Route
from headgate.model.usage import Basis
from headgate.policy.estimate import Hold
from headgate.policy.truth import Settled

_BASIS_ORDER = (Basis.UNKNOWN, Basis.ESTIMATED, Basis.COMPUTED, Basis.REPORTED, Basis.SUBSCRIPTION)
"""A call's basis is the weakest of its attempts'."""


class Facts(msgspec.Struct, frozen=True, gc=False):
    """What selection saw of a request: enough to decide again, never the prompt. Sizes in bytes and tokens."""

    body_bytes: int
    max_output: int | None
    n: int
    tools: bool
    reasoning: bool
    config: str
    routes: tuple[str, ...]
    rejected: tuple[Rejected, ...]


_encode = msgspec.json.Encoder().encode


def facts_of(head: RequestHead | None, plan: Plan | None, fingerprint: str) -> bytes:
    """Return the request facts as JSON; `config` is the fingerprint of the configuration in force."""
    if head is None:
        return b"{}"
    routes = tuple(route.name for route in plan.routes) if plan else ()
    rejected = plan.rejected if plan else ()
    return _encode(
        Facts(
            len(head.body),
            head.max_output,
            head.n,
            head.has_tools,
            head.reasoning,
            fingerprint,
            routes,
            rejected,
        )
    )


def attempt_row(
    call: str,
    no: int,
    incarnation: int,
    route: Route,
    started_at: int,
    duration: int,
    ttft: int | None,
    status: int,
    failure: Failure | None,
    hold: Hold,
    settled: Settled,
) -> AttemptRow:
    """Return the row of an attempt that is over. Times in ns."""
    usage, cost = settled.usage, settled.cost
    return AttemptRow(
        call,
        no,
        incarnation,
        route.provider.name,
        route.upstream_name,
        route.backend,
        route.model,
        AttemptState.SETTLED.value,
        status,
        failure.kind.value if failure else None,
        failure.message if failure else None,
        started_at,
        duration,
        ttft,
        usage.input,
        usage.cache_read,
        usage.cache_write_5m,
        usage.cache_write_1h,
        usage.output,
        usage.reasoning,
        usage.input_audio,
        usage.cache_read_audio,
        usage.output_audio,
        hold.nano,
        cost.nano,
        cost.basis,
        cost.savings_nano,
    )


class Totals(msgspec.Struct, gc=False):
    """Sums over a call's attempts; `cost_nano` None as soon as one is unknown."""

    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0
    input_audio: int = 0
    cache_read_audio: int = 0
    output_audio: int = 0
    cost_nano: int | None = 0
    basis: str = Basis.COMPUTED.value
    savings_nano: int = 0


def totals(rows: list[AttemptRow]) -> Totals:
    """Return the sums of a call's attempts."""
    if not rows:
        return Totals()
    first = rows[0]
    whole = Totals(
        first.input,
        first.cache_read,
        first.cache_write_5m,
        first.cache_write_1h,
        first.output,
        first.reasoning,
        first.input_audio,
        first.cache_read_audio,
        first.output_audio,
        first.cost_nano,
        first.basis,
        first.savings_nano,
    )
    for row in rows[1:]:
        _add(whole, row)
    return whole


def _add(whole: Totals, row: AttemptRow) -> None:
    whole.input += row.input
    whole.cache_read += row.cache_read
    whole.cache_write_5m += row.cache_write_5m
    whole.cache_write_1h += row.cache_write_1h
    whole.output += row.output
    whole.reasoning += row.reasoning
    whole.input_audio += row.input_audio
    whole.cache_read_audio += row.cache_read_audio
    whole.output_audio += row.output_audio
    whole.savings_nano += row.savings_nano
    whole.cost_nano = None if whole.cost_nano is None or row.cost_nano is None else whole.cost_nano + row.cost_nano
    whole.basis = min(whole.basis, row.basis, key=lambda basis: _BASIS_ORDER.index(Basis(basis)))


def call_row(  # noqa: PLR0913  a row has many columns
    *,
    call: str,
    incarnation: int,
    account: str,
    key: str,
    session: str | None,
    endpoint: str,
    model_asked: str,
    model: str,
    route: str,
    stream: bool,
    status: int,
    outcome: Outcome,
    error: str | None,
    started_at: int,
    duration: int,
    ttft: int | None,
    attempts: list[AttemptRow],
    sums: Totals,
    facts: bytes,
) -> CallRow:
    """Return the row of a call that is over. Times in ns."""
    return CallRow(
        call,
        incarnation,
        account,
        key,
        session,
        endpoint,
        model_asked,
        model,
        route,
        stream,
        status,
        outcome.value,
        error,
        len(attempts),
        started_at,
        duration,
        ttft,
        sums.input,
        sums.cache_read,
        sums.cache_write_5m,
        sums.cache_write_1h,
        sums.output,
        sums.reasoning,
        sums.input_audio,
        sums.cache_read_audio,
        sums.output_audio,
        sums.cost_nano,
        sums.basis,
        sums.savings_nano,
        None,
        facts,
    )
