"""Health of a route: a pure fold of its attempts' outcomes. Times are ns of one clock, passed in."""

import msgspec

from headgate.model.failure import Failure, FailureKind
from headgate.policy.failures import DISABLE_NS, REACTIONS, cooldown_ns


class RouteHealth(msgspec.Struct, frozen=True, gc=False):
    """What is remembered of one route.

    `failures` in a row that count against it. `cooldown_until` and `disabled_until` are 0 when they do not
    apply; `cooldown_kind` and `disabled_kind` say which failure they come from.
    """

    failures: int = 0
    cooldown_until: int = 0
    cooldown_kind: FailureKind | None = None
    disabled_until: int = 0
    disabled_kind: FailureKind | None = None


HEALTHY = RouteHealth()
"""What an unknown route has; a state equal to it need not be kept."""


def observe(state: RouteHealth, failure: Failure | None, now_ns: int) -> RouteHealth:
    """Return the state after one attempt ended (`failure` None: well) at `now_ns`.

    A success lifts neither cooldown nor disabling: it may have begun before them.
    """
    failures = 0
    cooldown = (state.cooldown_until, state.cooldown_kind)
    disabled = (state.disabled_until, state.disabled_kind)
    if failure is not None:
        reaction = REACTIONS[failure.kind]
        failures = state.failures + 1 if reaction.counts else state.failures
        if reaction.cools and now_ns + cooldown_ns(failure) > cooldown[0]:
            cooldown = (now_ns + cooldown_ns(failure), failure.kind)
        if reaction.disables:
            disabled = (now_ns + DISABLE_NS, failure.kind)
    if cooldown[0] <= now_ns:
        cooldown = (0, None)
    if disabled[0] <= now_ns:
        disabled = (0, None)
    after = RouteHealth(failures, *cooldown, *disabled)
    return HEALTHY if after == HEALTHY else after


def rejection(state: RouteHealth, now_ns: int) -> str | None:
    """Return why the route may not be tried now (`disabled: …` or `cooling: …`), or None if it may."""
    if state.disabled_kind is not None and now_ns < state.disabled_until:
        return f"disabled: {state.disabled_kind.value}"
    if state.cooldown_kind is not None and now_ns < state.cooldown_until:
        return f"cooling: {state.cooldown_kind.value}"
    return None


def rate_limited(state: RouteHealth, now_ns: int) -> bool:
    """Say whether a rate limit alone keeps the route out now."""
    return (
        state.cooldown_kind is FailureKind.RATE_LIMITED
        and now_ns < state.cooldown_until
        and now_ns >= state.disabled_until
    )


def wait_ns(state: RouteHealth, now_ns: int) -> int:
    """Return the ns until the route may be tried again, 0 if it may be now."""
    return max(0, state.cooldown_until - now_ns, state.disabled_until - now_ns)
