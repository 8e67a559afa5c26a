"""What clients are told of limits, what decides where routes differ, and what makes their SDKs stop."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.model.errors import FUTILE, ErrorKind, HeadgateError
from headgate.model.failure import Failure, FailureKind
from headgate.model.limit import MAX_AMOUNT, MAX_CAP, Limit, Per, Refusal, Scope, Shortage, Standing, Unit
from headgate.policy.failures import answer_for, never_sent
from headgate.policy.refusals import (
    HONOURED_SECONDS,
    MESSAGE_LIMIT,
    failure_of,
    should_retry_header,
    unpriceable,
    unpriced,
)
from headgate.policy.windows import MAX_TIME, TOTAL, calendar, rolling

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
USD = SECOND
NOW = int(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()) * SECOND
DECEMBER = int(datetime(2026, 12, 1, tzinfo=UTC).timestamp()) * SECOND
MONTH = calendar(Per.MONTH)

MONTHLY = Limit(7, Scope.ACCOUNT, "acme", Unit.USD, MONTH, 50 * USD)
DAILY = Limit(8, Scope.KEY, "ci", Unit.TOKENS, rolling(24 * HOUR), 10_000, account="acme")
FOR_GOOD = Limit(9, Scope.KEY, "ci", Unit.USD, TOTAL, 2 * USD, account="acme", pattern="gpt-*")
AT_ONCE = Limit(10, Scope.ACCOUNT, "acme", Unit.CONCURRENCY, TOTAL, 4)
UPSTREAM = Limit(11, Scope.PROVIDER, "openai", Unit.USD, MONTH, 300 * USD)

WINDOW = Refusal(
    Standing(MONTHLY, "acme", 49_990_000_000, 5_000_000, DECEMBER), 120_000_000, Shortage.WINDOW, NOW, DECEMBER
)
SLIDING = Refusal(Standing(DAILY, "ci", 9_900, 0, None), 500, Shortage.WINDOW, NOW, NOW + HOUR + 1)
SPENT = Refusal(Standing(FOR_GOOD, "ci", 2 * USD, 0, None), 12_000, Shortage.QUOTA, NOW)
TOO_LARGE = Refusal(Standing(DAILY, "ci", 0, 0, None), 20_000, Shortage.QUOTA, NOW)
BUSY = Refusal(Standing(AT_ONCE, "acme", 0, 4, None), 1, Shortage.HELD, NOW)
HELD = Refusal(Standing(MONTHLY, "acme", 0, 50 * USD, DECEMBER), USD, Shortage.HELD, NOW)


def of_provider(shortage: Shortage, free_at: int | None = None) -> Refusal:
    standing = Standing(UPSTREAM, "openai", 299_123_000_000, 777_000_000, DECEMBER)
    return Refusal(standing, 456_000_000, shortage, NOW, free_at)


@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        (
            WINDOW,
            (
                "Limit usd per month of account 'acme' has no room: cap 50 USD, spent 49.99 USD, held 0.005 USD, "
                "resets 2026-12-01T00:00:00Z; the call needs at least 0.12 USD. Try again at 2026-12-01T00:00:00Z."
            ),
        ),
        (
            SLIDING,
            (
                "Limit tokens per 24h of key 'ci' of account 'acme' has no room: cap 10000, spent 9900, held 0; "
                "the call needs at least 500. Try again at 2026-11-21T13:00:01Z."
            ),
        ),
        (
            SPENT,
            (
                "Limit usd in total of key 'ci' of account 'acme' on models 'gpt-*' has no room: cap 2 USD, "
                "spent 2 USD, held 0 USD, never resets; the call needs at least 0.000012 USD. "
                "Waiting does not help: have the cap raised."
            ),
        ),
        (
            TOO_LARGE,
            (
                "Limit tokens per 24h of key 'ci' of account 'acme' has no room: cap 10000, spent 0, held 0; the call "
                "needs at least 20000. No call may be that large: ask for less output, or have the cap raised."
            ),
        ),
        (
            BUSY,
            (
                "Limit concurrency of account 'acme' has no room: cap 4, held 4; the call needs at least 1. "
                "Calls in flight are in the way: try again in a second."
            ),
        ),
        (
            of_provider(Shortage.WINDOW, DECEMBER),
            "The gateway's own limit of provider 'openai' is used up for this call. Try again at 2026-12-01T00:00:00Z.",
        ),
        (
            of_provider(Shortage.QUOTA),
            (
                "The gateway's own limit of provider 'openai' is used up for this call. "
                "Ask for a model of another provider, or have the limit raised."
            ),
        ),
    ],
)
def test_a_refusal_names_the_limit_and_how_it_stands(refusal: Refusal, message: str) -> None:
    assert failure_of(refusal).message == message


@pytest.mark.parametrize(
    ("refusal", "told", "wait"),
    [
        (WINDOW, ErrorKind.RATE_LIMIT_EXCEEDED, DECEMBER - NOW),
        (SLIDING, ErrorKind.RATE_LIMIT_EXCEEDED, HOUR + SECOND),
        (HELD, ErrorKind.RATE_LIMIT_EXCEEDED, SECOND),
        (BUSY, ErrorKind.RATE_LIMIT_EXCEEDED, SECOND),
        (SPENT, ErrorKind.INSUFFICIENT_QUOTA, None),
        (TOO_LARGE, ErrorKind.INSUFFICIENT_QUOTA, None),
        (of_provider(Shortage.WINDOW, NOW - 5), ErrorKind.RATE_LIMIT_EXCEEDED, SECOND),
        (of_provider(Shortage.HELD), ErrorKind.RATE_LIMIT_EXCEEDED, SECOND),
        (of_provider(Shortage.QUOTA), ErrorKind.INSUFFICIENT_QUOTA, None),
    ],
)
def test_what_waiting_mends_has_a_retry_after_and_a_quota_never(
    refusal: Refusal, told: ErrorKind, wait: int | None
) -> None:
    failure = failure_of(refusal)
    assert (failure.kind, failure.told, failure.retry_after_ns) == (FailureKind.LIMITED, told, wait)
    assert never_sent(failure.kind)


@pytest.mark.parametrize("shortage", list(Shortage))
def test_a_providers_limit_tells_no_amounts(shortage: Shortage) -> None:
    error = answer_for([("openai/gpt", failure_of(of_provider(shortage, DECEMBER)))])
    assert "'openai'" in error.message
    said = re.sub(r"2026-12-01T00:00:00Z", "", error.message)
    assert not re.search(r"[0-9]", said)


names = st.text(max_size=400)
amounts = st.integers(0, MAX_CAP)
limits = st.builds(
    Limit,
    st.just(1),
    st.sampled_from(Scope),
    names,
    st.sampled_from(Unit),
    st.sampled_from([TOTAL, MONTH, rolling(24 * HOUR)]),
    amounts,
    account=names,
    pattern=names,
)
times = st.integers(0, MAX_TIME)
refusals = st.builds(
    Refusal,
    st.builds(Standing, limits, names, amounts, amounts, st.none() | times),
    st.integers(0, 2 * MAX_AMOUNT),
    st.sampled_from(Shortage),
    times,
    st.none() | times,
)


@given(refusals)
def test_any_refusal_has_a_short_message_and_an_error_within_the_rules(refusal: Refusal) -> None:
    failure = failure_of(refusal)
    assert len(failure.message) <= MESSAGE_LIMIT
    error = answer_for([("p/m", failure)])
    assert error.status == 429
    assert (error.retry_after is None) == (error.kind is ErrorKind.INSUFFICIENT_QUOTA)
    assert error.retry_after is None or error.retry_after >= 1
    assert failure.message in error.message


@given(limits, names, names)
def test_a_missing_price_has_a_short_message_whatever_the_names(limit: Limit, route: str, what: str) -> None:
    for failure in (unpriced(route, limit), unpriceable("tools", limit, what), unpriceable(route, limit)):
        assert len(failure.message) <= MESSAGE_LIMIT
        assert failure.retry_after_ns is None


def test_a_route_without_a_price_is_told_how_to_get_one() -> None:
    error = answer_for([("box/qwen3", unpriced("box/qwen3", MONTHLY))])
    assert (error.kind, error.status, error.param) == (ErrorKind.MODEL_UNPRICED, 400, "model")
    for said in ("box/qwen3", "account 'acme'", "headgate.yaml", "`price: free`", "`price: {input: 1.25, output: 10}`"):
        assert said in error.message


@pytest.mark.parametrize(("member", "what"), [("background", ""), ("tools", "code_interpreter")])
def test_a_request_without_a_known_maximum_names_its_member(member: str, what: str) -> None:
    error = answer_for([("openai/gpt", unpriceable(member, MONTHLY, what))])
    assert (error.kind, error.status, error.param) == (ErrorKind.INVALID_REQUEST, 400, member)
    assert member in error.message
    assert what in error.message


LIMITED = {
    "held": failure_of(BUSY),
    "window": failure_of(WINDOW),
    "quota": failure_of(SPENT),
    "unpriced": unpriced("q/m", MONTHLY),
    "background": unpriceable("background", MONTHLY),
    "untranslatable": Failure(FailureKind.UNTRANSLATABLE, "no", told=ErrorKind.INVALID_REQUEST, param="messages"),
}


@pytest.mark.parametrize(
    ("failures", "kind", "wait"),
    [
        (("quota", "window"), ErrorKind.RATE_LIMIT_EXCEEDED, (DECEMBER - NOW) // SECOND),
        (("window", "held", "unpriced"), ErrorKind.RATE_LIMIT_EXCEEDED, 1),
        (("unpriced", "quota"), ErrorKind.INSUFFICIENT_QUOTA, None),
        (("background", "unpriced"), ErrorKind.MODEL_UNPRICED, None),
        (("background", "untranslatable"), ErrorKind.INVALID_REQUEST, None),
        (("untranslatable", "quota", "untranslatable"), ErrorKind.INSUFFICIENT_QUOTA, None),
    ],
)
@pytest.mark.parametrize("backwards", [False, True])
def test_the_limit_that_mends_soonest_decides(
    failures: tuple[str, ...], kind: ErrorKind, wait: int | None, backwards: bool
) -> None:
    attempts = [(f"p/{name}", LIMITED[name]) for name in (reversed(failures) if backwards else failures)]
    error = answer_for(attempts)
    assert (error.kind, error.retry_after) == (kind, wait)
    assert all(f"p/{name}: " in error.message for name in failures)


def test_the_deciding_limit_is_told_first_and_whole() -> None:
    attempts = [(f"p/{n}", failure_of(SPENT)) for n in range(20)]
    error = answer_for([*attempts, ("p/last", failure_of(WINDOW))])
    assert error.message.startswith(
        f'A limit has no room for the call now: p/last: limited "{LIMITED["window"].message}"'
    )


@pytest.mark.parametrize("limited", ["held", "window", "quota", "unpriced", "background"])
@pytest.mark.parametrize("first", [True, False])
def test_a_limit_says_nothing_of_an_upstream_that_was_asked(limited: str, first: bool) -> None:
    attempts = [("a/m", Failure(FailureKind.RATE_LIMITED, "slow down", 429, 7 * SECOND))]
    attempts.insert(0 if first else 1, ("p/m", LIMITED[limited]))
    error = answer_for(attempts)
    assert (error.kind, error.retry_after) == (ErrorKind.RATE_LIMIT_EXCEEDED, 7)
    assert LIMITED[limited].message in error.message


def test_a_wait_of_weeks_is_told_as_it_is() -> None:
    assert answer_for([("p/m", failure_of(WINDOW))]).retry_after == (DECEMBER - NOW) // SECOND


def test_what_was_never_sent_is_what_headgate_refused() -> None:
    assert {kind for kind in FailureKind if never_sent(kind)} == {FailureKind.LIMITED, FailureKind.UNTRANSLATABLE}


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_sdks_are_told_to_stop_where_repeating_is_no_use(kind: ErrorKind) -> None:
    expected = "false" if kind in FUTILE else None
    assert should_retry_header(HeadgateError(kind, "")) == expected
    assert should_retry_header(HeadgateError(kind, "", retry_after=1)) == expected


@pytest.mark.parametrize(
    ("wait", "header"), [(1, None), (HONOURED_SECONDS, None), (HONOURED_SECONDS + 1, "false"), (10**7, "false")]
)
def test_sdks_are_told_to_stop_where_the_wait_is_longer_than_they_honour(wait: int, header: str | None) -> None:
    error = HeadgateError(ErrorKind.RATE_LIMIT_EXCEEDED, "", retry_after=wait)
    assert should_retry_header(error) == header


def test_a_lost_store_may_be_asked_again() -> None:
    assert should_retry_header(HeadgateError(ErrorKind.SERVICE_UNAVAILABLE, "", retry_after=3600)) is None
