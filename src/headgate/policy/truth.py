"""What an attempt costs once it is over: the truth that replaces its hold."""

import re
from enum import Enum, auto
from typing import Final

import msgspec

from headgate.model.failure import Failure, FailureKind
from headgate.model.price import Billing, Cost
from headgate.model.route import Route
from headgate.model.usage import Basis, Reported, Usage
from headgate.policy.estimate import TOKENS_PER_BYTE, Hold, partial_usage
from headgate.policy.pricing import cost_of

_REASONS: Final = re.compile(
    r"(?:.*/)?(?:o[1-9]|gpt-5(?!.*chat)|gpt-oss|codex|grok-(?:3-mini|4)|gemini-(?:2\.5|[3-9])|deepseek-r|qwq|magistral).*"
    r"|.*(?:think|reason).*",
    re.IGNORECASE,
)
"""Models that reason without being asked, by their names: their streams show less than is billed."""


class Charge(Enum):
    """How an attempt that ended without final usage is charged."""

    NOTHING = auto()
    """It was never sent."""
    NOTHING_BEFORE_CONTENT = auto()
    """The upstream refused it; declared unbilled. After content it counts as a cut stream."""
    STREAMED = auto()
    """A stream that ended early: input + what was streamed where the vendor stops billing, else the hold."""
    HOLD = auto()


CHARGES: dict[FailureKind, Charge] = {
    FailureKind.RATE_LIMITED: Charge.NOTHING_BEFORE_CONTENT,
    FailureKind.OVERLOADED: Charge.NOTHING_BEFORE_CONTENT,
    FailureKind.UPSTREAM_ERROR: Charge.NOTHING_BEFORE_CONTENT,
    FailureKind.UPSTREAM_TIMEOUT: Charge.NOTHING_BEFORE_CONTENT,
    FailureKind.UPSTREAM_AUTH: Charge.NOTHING_BEFORE_CONTENT,
    FailureKind.UPSTREAM_BILLING: Charge.NOTHING_BEFORE_CONTENT,
    FailureKind.MODEL_UNAVAILABLE: Charge.NOTHING_BEFORE_CONTENT,
    FailureKind.REQUEST_REJECTED: Charge.NOTHING_BEFORE_CONTENT,
    FailureKind.UNTRANSLATABLE: Charge.NOTHING,
    FailureKind.CONNECT_FAILED: Charge.NOTHING,
    FailureKind.CONNECT_TIMEOUT: Charge.NOTHING,
    # Timeouts are never free: the upstream may still be working.
    FailureKind.FIRST_TOKEN_TIMEOUT: Charge.HOLD,
    FailureKind.IDLE_TIMEOUT: Charge.HOLD,
    FailureKind.DEADLINE: Charge.HOLD,
    FailureKind.CUT: Charge.STREAMED,
    FailureKind.ERROR_EVENT: Charge.STREAMED,
    # A 200 that cannot be read was answered, so it may have been billed.
    FailureKind.BAD_RESPONSE: Charge.HOLD,
    FailureKind.LIMITED: Charge.NOTHING,
    FailureKind.CAPPED: Charge.STREAMED,
    FailureKind.CLIENT_GONE: Charge.STREAMED,
    FailureKind.STORE_UNAVAILABLE: Charge.STREAMED,
    FailureKind.INTERNAL: Charge.HOLD,
}


_UNKNOWN = Cost(None, Basis.UNKNOWN)


class Ending(msgspec.Struct, frozen=True, gc=False):
    """How an attempt ended.

    `sent`: the request left for the upstream. `usage`: the final one that it reported. `seen`: usage that
    came before the end and is not final. `content`: content had come. `streamed_bytes`: of its text, at most.
    `reasoning`: tokens may have been made that are billed unseen.
    """

    sent: bool
    stream: bool
    failure: Failure | None = None
    usage: Reported | None = None
    seen: Usage | None = None
    content: bool = False
    streamed_bytes: int = 0
    reasoning: bool = False


class Settled(msgspec.Struct, frozen=True, gc=False):
    """What an attempt used and cost in the end."""

    usage: Usage
    cost: Cost


def settle(held: Hold, route: Route, ending: Ending, *, tokens_per_byte: float = TOKENS_PER_BYTE) -> Settled:
    """Return the truth of one attempt.

    Reported usage is the truth whatever else happened. Without it the attempt is charged by `CHARGES`,
    and at its hold where no failure explains why usage is missing.
    """
    billing = route.provider.billing
    if ending.usage is not None:
        reported = ending.usage
        return Settled(reported.usage, cost_of(reported.usage, route.prices, billing, reported.cost_nano))
    stops = route.provider.cut_stops_billing and not reasons_unasked(route.upstream_name)
    charge = charge_of(ending, cut_stops_billing=stops)
    if charge is Charge.NOTHING:
        basis = Basis.SUBSCRIPTION if billing is Billing.SUBSCRIPTION else Basis.COMPUTED
        return Settled(Usage(), Cost(0, basis))
    if charge is Charge.STREAMED:
        usage = partial_usage(held, ending.streamed_bytes, ending.seen, tokens_per_byte=tokens_per_byte)
        return Settled(usage, cost_of(usage, route.prices, billing, None, Basis.ESTIMATED))
    return _at_hold(held, route, ending.seen)


def reasons_unasked(upstream_name: str) -> bool:
    """Tell whether a model may make tokens that are billed and never streamed, though no request asked for it."""
    return _REASONS.fullmatch(upstream_name) is not None


def charge_of(ending: Ending, *, cut_stops_billing: bool) -> Charge:
    """Return NOTHING, STREAMED or HOLD for an attempt that ended without final usage."""
    if not ending.sent:
        return Charge.NOTHING
    if ending.failure is None:
        return Charge.HOLD
    charge = CHARGES[ending.failure.kind]
    if ending.failure.kind is FailureKind.BAD_RESPONSE and 300 <= ending.failure.status < 400:
        return Charge.NOTHING  # a redirect answers nothing
    if charge is Charge.NOTHING_BEFORE_CONTENT:
        charge = Charge.STREAMED if ending.content else Charge.NOTHING
    if charge is Charge.STREAMED and not (ending.stream and cut_stops_billing and not ending.reasoning):
        return Charge.HOLD
    return charge


def _at_hold(held: Hold, route: Route, seen: Usage | None) -> Settled:
    billing = route.provider.billing
    usage = Usage(input=held.input, output=held.output)
    # Usage that was seen on the way is a lower bound of the truth, also above the hold.
    if billing is Billing.SUBSCRIPTION or held.nano is None:
        if seen is not None and seen.total_input + seen.total_output > held.input + held.output:
            usage = seen
        return Settled(usage, Cost(0, Basis.SUBSCRIPTION) if billing is Billing.SUBSCRIPTION else _UNKNOWN)
    if seen is not None:
        cost = cost_of(seen, route.prices, billing, None, Basis.ESTIMATED)
        if cost.nano is not None and cost.nano > held.nano:
            return Settled(seen, cost)
    return Settled(usage, Cost(held.nano, Basis.ESTIMATED))
