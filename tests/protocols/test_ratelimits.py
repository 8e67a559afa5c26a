"""A client's limits in its vendor's headers."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.model.dialect import Dialect
from headgate.model.limit import MAX_CAP, Limit, Per, Scope, Standing, Unit, Window
from headgate.policy.windows import MAX_TIME, TOTAL, calendar, reach, rolling
from headgate.protocols.ratelimits import RATE_LIMIT_PREFIXES, rate_limit_headers
from headgate.upstream.answers import KEPT

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
NOW = int(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()) * SECOND
MIDNIGHT = int(datetime(2026, 11, 22, tzinfo=UTC).timestamp()) * SECOND
DAY = calendar(Per.DAY)
OPENAI = (Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES)


def standing(
    unit: Unit,
    cap: int,
    spent: int = 0,
    held: int = 0,
    window: Window = DAY,
    resets_at: int | None = None,
    scope: Scope = Scope.KEY,
) -> Standing:
    return Standing(Limit(1, scope, "ci", unit, window, cap), "ci", spent, held, resets_at)


@pytest.mark.parametrize("dialect", OPENAI)
def test_openais_headers_have_openais_names_and_durations(dialect: Dialect) -> None:
    standings = [
        standing(Unit.REQUESTS, 60, 1, resets_at=NOW + 6 * MINUTE),
        standing(Unit.TOKENS, 150_000, 10, 6, resets_at=MIDNIGHT),
    ]
    assert rate_limit_headers(dialect, standings, NOW) == [
        ("x-ratelimit-limit-requests", "60"),
        ("x-ratelimit-remaining-requests", "59"),
        ("x-ratelimit-reset-requests", "6m0s"),
        ("x-ratelimit-limit-tokens", "150000"),
        ("x-ratelimit-remaining-tokens", "149984"),
        ("x-ratelimit-reset-tokens", "12h0m0s"),
    ]


def test_anthropics_headers_have_anthropics_names_and_times() -> None:
    standings = [standing(Unit.TOKENS, 80_000, 500, 200, resets_at=MIDNIGHT), standing(Unit.REQUESTS, 50, 50)]
    assert rate_limit_headers(Dialect.ANTHROPIC_MESSAGES, standings, NOW) == [
        ("anthropic-ratelimit-requests-limit", "50"),
        ("anthropic-ratelimit-requests-remaining", "0"),
        ("anthropic-ratelimit-tokens-limit", "80000"),
        ("anthropic-ratelimit-tokens-remaining", "79300"),
        ("anthropic-ratelimit-tokens-reset", "2026-11-22T00:00:00Z"),
    ]


@pytest.mark.parametrize(
    ("wait", "text"),
    [
        (-5 * SECOND, "0s"),
        (0, "0s"),
        (1, "1s"),
        (59 * SECOND + 1, "1m0s"),
        (90 * SECOND, "1m30s"),
        (3600 * SECOND, "1h0m0s"),
        (31 * 86_400 * SECOND, "744h0m0s"),
    ],
)
def test_a_reset_is_rounded_up_to_a_second(wait: int, text: str) -> None:
    told = dict(rate_limit_headers(Dialect.OPENAI_CHAT, [standing(Unit.REQUESTS, 9, resets_at=NOW + wait)], NOW))
    assert told["x-ratelimit-reset-requests"] == text


def test_an_anthropic_reset_is_rounded_up_to_a_second() -> None:
    told = dict(rate_limit_headers(Dialect.ANTHROPIC_MESSAGES, [standing(Unit.TOKENS, 9, resets_at=NOW + 1)], NOW))
    assert told["anthropic-ratelimit-tokens-reset"] == "2026-11-21T12:00:01Z"


def test_the_limit_with_least_left_is_told() -> None:
    standings = [
        standing(Unit.REQUESTS, 1000, 10, resets_at=MIDNIGHT),
        standing(Unit.REQUESTS, 50, 45, 1, resets_at=NOW + MINUTE),
        standing(Unit.REQUESTS, 20, 5, scope=Scope.ACCOUNT),
        standing(Unit.REQUESTS, 1, 1, scope=Scope.PROVIDER),
    ]
    told = dict(rate_limit_headers(Dialect.OPENAI_CHAT, standings, NOW))
    assert told == {
        "x-ratelimit-limit-requests": "50",
        "x-ratelimit-remaining-requests": "4",
        "x-ratelimit-reset-requests": "1m0s",
    }


@pytest.mark.parametrize("backwards", [False, True])
def test_of_limits_with_as_little_left_the_longest_to_wait_for_is_told(backwards: bool) -> None:
    standings = [
        standing(Unit.REQUESTS, 9, 9, resets_at=NOW + MINUTE),
        standing(Unit.REQUESTS, 3, 3, resets_at=MIDNIGHT),
        standing(Unit.REQUESTS, 5, 5, window=rolling(MINUTE)),
    ]
    told = dict(rate_limit_headers(Dialect.OPENAI_CHAT, standings[::-1] if backwards else standings, NOW))
    assert told["x-ratelimit-limit-requests"] == "3"
    told = dict(rate_limit_headers(Dialect.OPENAI_CHAT, [*standings, standing(Unit.REQUESTS, 7, 7, window=TOTAL)], NOW))
    assert told["x-ratelimit-limit-requests"] == "7"


@pytest.mark.parametrize("seconds", [1, 59, 60, 61, 3600, 86_400])
def test_a_rolling_limit_has_reset_when_all_that_counts_has_left(seconds: int) -> None:
    window = rolling(seconds * SECOND)
    told = dict(rate_limit_headers(Dialect.ANTHROPIC_MESSAGES, [standing(Unit.TOKENS, 9, window=window)], NOW))
    reset = int(datetime.fromisoformat(told["anthropic-ratelimit-tokens-reset"]).timestamp()) * SECOND
    back = reach(window)
    assert back is not None
    assert 0 <= reset - NOW - back < SECOND


def test_a_total_never_resets() -> None:
    told = dict(rate_limit_headers(Dialect.OPENAI_CHAT, [standing(Unit.TOKENS, 9, 3, window=TOTAL)], NOW))
    assert told == {"x-ratelimit-limit-tokens": "9", "x-ratelimit-remaining-tokens": "6"}


@pytest.mark.parametrize("dialect", list(Dialect))
def test_money_concurrency_and_providers_limits_are_not_told(dialect: Dialect) -> None:
    standings = [
        standing(Unit.USD, 5 * SECOND, resets_at=MIDNIGHT),
        standing(Unit.CONCURRENCY, 4, 0, 2, window=TOTAL),
        standing(Unit.REQUESTS, 5, scope=Scope.PROVIDER, resets_at=MIDNIGHT),
        standing(Unit.TOKENS, 5, scope=Scope.PROVIDER, resets_at=MIDNIGHT),
    ]
    assert rate_limit_headers(dialect, standings, NOW) == []


amounts = st.integers(0, MAX_CAP)
any_standing = st.builds(
    standing,
    st.sampled_from(Unit),
    amounts,
    amounts,
    amounts,
    st.sampled_from([TOTAL, DAY, rolling(MINUTE)]),
    st.none() | st.integers(0, MAX_TIME),
    st.sampled_from(Scope),
)


@given(st.sampled_from(Dialect), st.lists(any_standing, max_size=6), st.integers(0, MAX_TIME))
def test_every_header_is_one_of_the_vendors_and_none_comes_twice(
    dialect: Dialect, standings: list[Standing], now: int
) -> None:
    headers = rate_limit_headers(dialect, standings, now)
    assert len(dict(headers)) == len(headers)
    for name, value in headers:
        assert name.startswith(RATE_LIMIT_PREFIXES)
        assert re.fullmatch(r"[0-9]+|([0-9]+h)?([0-9]+m)?[0-9]+s|[0-9]{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value)


def test_no_upstreams_own_limits_reach_a_client() -> None:
    assert not [name for name in KEPT if name.startswith(RATE_LIMIT_PREFIXES)]
