"""Health is a fold: disabled, cooling, failures in a row."""

from hypothesis import given
from hypothesis import strategies as st

from headgate.model.failure import Failure, FailureKind
from headgate.policy.failures import DEFAULT_COOLDOWN_NS, DISABLE_NS, REACTIONS
from headgate.policy.health import HEALTHY, observe, rate_limited, rejection, wait_ns

SECOND = 1_000_000_000


def failed(kind: FailureKind, retry_after_ns: int | None = None) -> Failure:
    return Failure(kind, "", retry_after_ns=retry_after_ns)


def test_a_refused_credential_disables_for_five_minutes() -> None:
    state = observe(HEALTHY, failed(FailureKind.UPSTREAM_AUTH), 10)
    assert rejection(state, 10 + DISABLE_NS - 1) == "disabled: upstream_auth"
    assert rejection(state, 10 + DISABLE_NS) is None
    assert wait_ns(state, 10) == 300 * SECOND


def test_a_rate_limit_cools_for_retry_after() -> None:
    state = observe(HEALTHY, failed(FailureKind.RATE_LIMITED, 7 * SECOND), 0)
    assert rejection(state, 7 * SECOND - 1) == "cooling: rate_limited"
    assert rate_limited(state, 0)
    assert rejection(state, 7 * SECOND) is None
    assert not rate_limited(state, 7 * SECOND)


def test_without_retry_after_the_default_holds() -> None:
    state = observe(HEALTHY, failed(FailureKind.OVERLOADED), 0)
    assert state.cooldown_until == DEFAULT_COOLDOWN_NS
    assert rejection(state, 0) == "cooling: overloaded"
    assert not rate_limited(state, 0)


def test_a_shorter_cooldown_does_not_cut_a_longer_one() -> None:
    state = observe(HEALTHY, failed(FailureKind.RATE_LIMITED, 60 * SECOND), 0)
    state = observe(state, failed(FailureKind.OVERLOADED, SECOND), 1)
    assert rejection(state, 59 * SECOND) == "cooling: rate_limited"


def test_a_success_ends_the_row_of_failures_but_no_cooldown() -> None:
    state = observe(HEALTHY, failed(FailureKind.UPSTREAM_ERROR), 0)
    state = observe(state, failed(FailureKind.RATE_LIMITED, 60 * SECOND), 1)
    assert state.failures == 1
    state = observe(state, None, 2)
    assert state.failures == 0
    assert rejection(state, 3) == "cooling: rate_limited"


def test_a_disabled_route_that_also_cools_is_not_merely_rate_limited() -> None:
    state = observe(HEALTHY, failed(FailureKind.UPSTREAM_BILLING), 0)
    state = observe(state, failed(FailureKind.RATE_LIMITED, SECOND), 0)
    assert rejection(state, 1) == "disabled: upstream_billing"
    assert not rate_limited(state, 1)


def test_what_is_over_is_forgotten() -> None:
    state = observe(HEALTHY, failed(FailureKind.UPSTREAM_AUTH), 0)
    assert observe(state, None, DISABLE_NS) is HEALTHY


@given(st.lists(st.tuples(st.sampled_from([None, *FailureKind]), st.integers(0, 10**13)), max_size=30))
def test_failures_that_do_not_count_leave_a_healthy_route_healthy(
    events: list[tuple[FailureKind | None, int]],
) -> None:
    state = HEALTHY
    now = 0
    for kind, step in events:
        now += step
        before = state
        state = observe(state, None if kind is None else failed(kind, step), now)
        assert state.failures == (0 if kind is None else before.failures + (1 if REACTIONS[kind].counts else 0))
        assert (wait_ns(state, now) > 0) == (rejection(state, now) is not None)
        assert wait_ns(state, now) <= 3600 * SECOND
    innocent = [kind for kind, _ in events if kind is not None and REACTIONS[kind].next_route]
    if not innocent:
        assert state is HEALTHY
