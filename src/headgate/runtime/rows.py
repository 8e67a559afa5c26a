"""A call's rows: built attempt by attempt, summed up for the call."""

import msgspec

from headgate.model.errors import HeadgateError
from headgate.model.failure import Failure
from headgate.model.records import AttemptRow, Outcome
from headgate.model.request import RequestHead
from headgate.model.route import Plan, Rejected
from headgate.model.usage import Basis, weakest
from headgate.policy.failures import never_sent


class Facts(msgspec.Struct, frozen=True, gc=False):
    """What selection saw of a request: enough to decide again, never the prompt. Sizes in bytes and tokens.

    `unsent` are routes of the plan that were not asked, and why: a limit had no room, or they could not carry it.
    """

    body_bytes: int
    max_output: int | None
    n: int
    tools: bool
    reasoning: bool
    config: str
    routes: tuple[str, ...]
    rejected: tuple[Rejected, ...]
    unsent: tuple[Rejected, ...]


_encode = msgspec.json.Encoder().encode


def facts_of(
    head: RequestHead | None, plan: Plan | None, fingerprint: str, failures: tuple[tuple[str, Failure], ...]
) -> bytes:
    """Return the request facts as JSON; `config` is the fingerprint of the configuration in force."""
    if head is None:
        return b"{}"
    routes = tuple(route.name for route in plan.routes) if plan else ()
    rejected = plan.rejected if plan else ()
    unsent = tuple(Rejected(route, failure.message) for route, failure in failures if never_sent(failure.kind))
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
            unsent,
        )
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
    basis: str = Basis.COMPUTED
    savings_nano: int = 0


NO_SUMS = Totals()


def totals(rows: list[AttemptRow]) -> Totals:
    """Return the sums of a call's attempts."""
    if not rows:
        return NO_SUMS
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
    whole.basis = weakest((whole.basis, row.basis))


OK = 200
CLIENT_CLOSED_REQUEST = 499
"""The status recorded where the client left before any: nginx's convention."""


def ended(
    outcome: Outcome,
    failures: tuple[tuple[str, Failure], ...],
    error: HeadgateError | None,
    *,
    streaming: bool,
) -> tuple[int, str, str | None]:
    """Return how a call ended: the HTTP status its client got, its outcome, and what failed, if anything did.

    `error` is the answer where it is ours; `streaming`: the head of a stream has been sent, so the status is 200.
    """
    failed = None if outcome is Outcome.OK or not failures else failures[-1][1]
    what = error.kind if error is not None else failed.kind if failed is not None else None
    if streaming or outcome is Outcome.OK:
        return OK, outcome, what
    if outcome is Outcome.CLIENT_GONE:
        return CLIENT_CLOSED_REQUEST, outcome, what
    if error is not None:
        return error.status, outcome, what
    return (failed.status if failed is not None else OK), outcome, what
