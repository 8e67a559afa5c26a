"""The closed table of failures, Retry-After in all its spellings, and what a client is told."""

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headgate.model.errors import ErrorKind
from headgate.model.failure import Failure, FailureKind
from headgate.policy.failures import (
    DEFAULT_COOLDOWN_NS,
    MAX_RETRY_AFTER_NS,
    REACTIONS,
    answer_for,
    cooldown_ns,
    falls_over,
    kind_of_status,
    parse_retry_after,
    parse_retry_after_ms,
    seconds_up,
)

SECOND = 1_000_000_000
NOW = int(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()) * SECOND

OWN_FAULT = {
    FailureKind.CAPPED,
    FailureKind.REQUEST_REJECTED,
    FailureKind.CLIENT_GONE,
    FailureKind.DEADLINE,
    FailureKind.STORE_UNAVAILABLE,
    FailureKind.INTERNAL,
}


def test_every_kind_has_one_reaction() -> None:
    assert set(REACTIONS) == set(FailureKind)


def test_only_what_another_route_could_mend_falls_over() -> None:
    assert {kind for kind in FailureKind if not falls_over(kind)} == OWN_FAULT


def test_what_clients_cause_never_counts_against_a_route() -> None:
    for kind in OWN_FAULT | {FailureKind.MODEL_UNAVAILABLE}:
        reaction = REACTIONS[kind]
        assert (reaction.counts, reaction.cools, reaction.disables) == (False, False, False)


def test_refused_credentials_and_bills_disable_and_busy_upstreams_cool() -> None:
    disabling = {kind for kind, reaction in REACTIONS.items() if reaction.disables}
    cooling = {kind for kind, reaction in REACTIONS.items() if reaction.cools}
    assert disabling == {FailureKind.UPSTREAM_AUTH, FailureKind.UPSTREAM_BILLING}
    assert cooling == {FailureKind.RATE_LIMITED, FailureKind.OVERLOADED}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, None),
        (204, None),
        (100, FailureKind.BAD_RESPONSE),
        (302, FailureKind.BAD_RESPONSE),
        (307, FailureKind.BAD_RESPONSE),
        (0, FailureKind.BAD_RESPONSE),
        (600, FailureKind.BAD_RESPONSE),
        (400, FailureKind.REQUEST_REJECTED),
        (401, FailureKind.UPSTREAM_AUTH),
        (402, FailureKind.UPSTREAM_BILLING),
        (403, FailureKind.UPSTREAM_AUTH),
        (404, FailureKind.MODEL_UNAVAILABLE),
        (408, FailureKind.UPSTREAM_TIMEOUT),
        (413, FailureKind.REQUEST_REJECTED),
        (422, FailureKind.REQUEST_REJECTED),
        (429, FailureKind.RATE_LIMITED),
        (500, FailureKind.UPSTREAM_ERROR),
        (502, FailureKind.UPSTREAM_ERROR),
        (503, FailureKind.OVERLOADED),
        (504, FailureKind.UPSTREAM_ERROR),
        (520, FailureKind.UPSTREAM_ERROR),
        (528, FailureKind.UPSTREAM_ERROR),
        (529, FailureKind.OVERLOADED),
        (599, FailureKind.UPSTREAM_ERROR),
    ],
)
def test_a_status_has_its_kind(status: int, kind: FailureKind | None) -> None:
    assert kind_of_status(status) is kind


@given(st.integers(-1000, 100_000))
def test_any_status_but_success_is_a_failure(status: int) -> None:
    assert (kind_of_status(status) is None) == (200 <= status < 300)


@pytest.mark.parametrize("status", [429, 408, *range(500, 530), 401, 402, 403])
def test_the_statuses_of_the_closed_table_fall_over(status: int) -> None:
    kind = kind_of_status(status)
    assert kind is not None
    assert falls_over(kind)


@pytest.mark.parametrize("status", [400, 409, 413, 415, 418, 422, 451, 499])
def test_a_clients_own_fault_does_not_fall_over(status: int) -> None:
    kind = kind_of_status(status)
    assert kind is not None
    assert not falls_over(kind)


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("0", 0),
        ("7", 7 * SECOND),
        (" 7 ", 7 * SECOND),
        ("0.25", SECOND // 4),
        ("1.", SECOND),
        ("20.0000000019", 20 * SECOND + 1),
        ("3600", MAX_RETRY_AFTER_NS),
        ("3601", MAX_RETRY_AFTER_NS),
        ("9" * 60, MAX_RETRY_AFTER_NS),
        ("Sat, 21 Nov 2026 12:00:30 GMT", 30 * SECOND),
        ("Sat, 21 Nov 2026 13:00:30 +0100", 30 * SECOND),
        ("Saturday, 21-Nov-26 12:00:30 GMT", 30 * SECOND),
        ("Sat Nov 21 12:00:30 2026", 30 * SECOND),
        ("Sat, 21 Nov 2026 11:59:30 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_RETRY_AFTER_NS),
        ("Sat, 99 Nov 2026 12:00:30 GMT", None),
        ("", None),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("1e3", None),
        ("1_0", None),
        ("٣", None),
        ("soon", None),
        ("9" * 65, None),
    ],
)
def test_retry_after_is_read_and_bounded(value: str, wait: int | None) -> None:
    assert parse_retry_after(value, NOW) == wait


@pytest.mark.parametrize(
    ("value", "wait"),
    [("1500", 1_500_000_000), ("0.5", 500_000), ("9" * 30, MAX_RETRY_AFTER_NS), ("-1", None), ("x", None)],
)
def test_retry_after_ms_is_read_and_bounded(value: str, wait: int | None) -> None:
    assert parse_retry_after_ms(value) == wait


@given(st.text(max_size=80) | st.from_regex(r"[A-Z][a-z]{2}, [0-9]{1,3} [A-Z][a-z]{2} [0-9]{1,6} [0-9:]{1,12} .*"))
def test_no_header_can_break_the_parser_or_leave_its_bounds(value: str) -> None:
    for wait in (parse_retry_after(value, NOW), parse_retry_after_ms(value)):
        assert wait is None or 0 <= wait <= MAX_RETRY_AFTER_NS


def test_a_cooldown_is_what_was_asked_within_bounds_or_the_default() -> None:
    assert cooldown_ns(Failure(FailureKind.RATE_LIMITED, "")) == DEFAULT_COOLDOWN_NS
    assert cooldown_ns(Failure(FailureKind.RATE_LIMITED, "", retry_after_ns=3)) == 3
    assert cooldown_ns(Failure(FailureKind.RATE_LIMITED, "", retry_after_ns=10**20)) == MAX_RETRY_AFTER_NS
    assert cooldown_ns(Failure(FailureKind.RATE_LIMITED, "", retry_after_ns=-1)) == 0


def test_seconds_are_rounded_up_and_never_zero() -> None:
    assert [seconds_up(wait) for wait in (0, 1, SECOND, SECOND + 1)] == [1, 1, 1, 2]


def failed(kind: FailureKind, status: int = 0, seconds: float | None = None, message: str = "") -> Failure:
    return Failure(kind, message, status, None if seconds is None else int(seconds * SECOND))


def test_rate_limits_everywhere_tell_the_shortest_wait() -> None:
    error = answer_for(
        [
            ("openai/gpt-5-mini", failed(FailureKind.RATE_LIMITED, 429, 30, "slow down")),
            ("anthropic/claude-haiku-4-5", failed(FailureKind.RATE_LIMITED, 429, 4.2)),
        ]
    )
    assert (error.kind, error.status, error.retry_after) == (ErrorKind.RATE_LIMIT_EXCEEDED, 429, 5)
    assert 'openai/gpt-5-mini: rate_limited (429) "slow down"' in error.message
    assert "anthropic/claude-haiku-4-5: rate_limited (429)" in error.message


@pytest.mark.parametrize(
    ("kinds", "kind"),
    [
        ([FailureKind.OVERLOADED], ErrorKind.SERVICE_UNAVAILABLE),
        ([FailureKind.RATE_LIMITED, FailureKind.OVERLOADED], ErrorKind.SERVICE_UNAVAILABLE),
        ([FailureKind.STORE_UNAVAILABLE], ErrorKind.SERVICE_UNAVAILABLE),
        ([FailureKind.RATE_LIMITED, FailureKind.FIRST_TOKEN_TIMEOUT], ErrorKind.UPSTREAM_TIMEOUT),
        ([FailureKind.DEADLINE], ErrorKind.UPSTREAM_TIMEOUT),
        ([FailureKind.FIRST_TOKEN_TIMEOUT, FailureKind.UPSTREAM_ERROR], ErrorKind.UPSTREAM_ERROR),
        ([FailureKind.RATE_LIMITED, FailureKind.UPSTREAM_AUTH], ErrorKind.UPSTREAM_ERROR),
        ([FailureKind.MODEL_UNAVAILABLE], ErrorKind.MODEL_NOT_FOUND),
        ([FailureKind.UPSTREAM_ERROR, FailureKind.MODEL_UNAVAILABLE], ErrorKind.UPSTREAM_ERROR),
        ([FailureKind.CUT], ErrorKind.UPSTREAM_ERROR),
        ([FailureKind.OVERLOADED, FailureKind.REQUEST_REJECTED], ErrorKind.INVALID_REQUEST),
        ([FailureKind.INTERNAL], ErrorKind.INTERNAL_ERROR),
    ],
)
def test_the_attempts_decide_the_clients_error(kinds: list[FailureKind], kind: ErrorKind) -> None:
    error = answer_for([("p/m", failed(each)) for each in kinds])
    assert error.kind is kind
    promises = kind in (ErrorKind.RATE_LIMIT_EXCEEDED, ErrorKind.SERVICE_UNAVAILABLE)
    assert (error.retry_after is not None) == promises


def told(kind: FailureKind, what: ErrorKind | None, param: str | None = None) -> Failure:
    return Failure(kind, "said", 400, told=what, param=param)


def test_a_prompt_that_is_too_long_is_told_in_both_vendors_words() -> None:
    long = told(FailureKind.REQUEST_REJECTED, ErrorKind.CONTEXT_LENGTH_EXCEEDED)
    error = answer_for([("a/m", failed(FailureKind.CUT)), ("p/m", long)], prompt="input")
    assert (error.kind, error.status, error.param) == (ErrorKind.CONTEXT_LENGTH_EXCEEDED, 400, "input")
    assert "prompt is too long" in error.message
    assert "maximum context length" in error.message


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        (ErrorKind.RATE_LIMIT_EXCEEDED, ErrorKind.RATE_LIMIT_EXCEEDED),
        (ErrorKind.SERVICE_UNAVAILABLE, ErrorKind.SERVICE_UNAVAILABLE),
        (ErrorKind.UPSTREAM_TIMEOUT, ErrorKind.UPSTREAM_TIMEOUT),
        (None, ErrorKind.UPSTREAM_ERROR),
    ],
)
def test_an_error_inside_a_200_is_told_like_its_status(what: ErrorKind | None, kind: ErrorKind) -> None:
    error = answer_for([("p/m", told(FailureKind.ERROR_EVENT, what))])
    assert error.kind is kind
    assert (error.retry_after is not None) == (kind in (ErrorKind.RATE_LIMIT_EXCEEDED, ErrorKind.SERVICE_UNAVAILABLE))


@pytest.mark.parametrize("first", [True, False])
def test_a_route_that_was_never_asked_does_not_decide(first: bool) -> None:
    failures = [("p/m", failed(FailureKind.RATE_LIMITED, 429, 7))]
    failures.insert(0 if first else 1, ("q/m", told(FailureKind.UNTRANSLATABLE, ErrorKind.UNTRANSLATABLE)))
    error = answer_for(failures)
    assert (error.kind, error.retry_after) == (ErrorKind.RATE_LIMIT_EXCEEDED, 7)
    assert "untranslatable" in error.message


def test_a_request_that_nobody_can_read_names_its_member() -> None:
    unread = told(FailureKind.UNTRANSLATABLE, ErrorKind.INVALID_REQUEST, "messages")
    error = answer_for([("p/m", unread), ("q/m", unread)])
    assert (error.kind, error.param) == (ErrorKind.INVALID_REQUEST, "messages")


@pytest.mark.parametrize("kind", [FailureKind.UPSTREAM_AUTH, FailureKind.UPSTREAM_BILLING])
def test_a_refusal_of_the_gateways_account_is_not_the_clients(kind: FailureKind) -> None:
    error = answer_for([("p/m", failed(kind, 401))])
    assert error.kind is ErrorKind.UPSTREAM_ERROR
    assert "the gateway's own credential or account, not yours" in error.message


def test_an_answer_that_had_begun_broke_off() -> None:
    error = answer_for([("p/m", failed(FailureKind.CUT))], begun=True)
    assert error.message == "The answer broke off: p/m: cut"


def test_a_model_that_no_upstream_knows_is_the_requests_member() -> None:
    assert answer_for([("p/m", failed(FailureKind.MODEL_UNAVAILABLE, 404))]).param == "model"


def test_an_upstreams_413_stays_one() -> None:
    assert answer_for([("p/m", failed(FailureKind.REQUEST_REJECTED, 413))]).status == 413


@given(
    st.lists(st.sampled_from(FailureKind), min_size=1, max_size=5),
    st.lists(st.sampled_from([None, *ErrorKind]), min_size=5, max_size=5),
)
@example([FailureKind.CONNECT_FAILED, FailureKind.LIMITED], [None, ErrorKind.INVALID_API_KEY, None, None, None])
@example([FailureKind.CONNECT_FAILED, FailureKind.LIMITED], [ErrorKind.INVALID_API_KEY, None, None, None, None])
def test_every_combination_has_an_answer_and_never_402(kinds: list[FailureKind], told: list[ErrorKind | None]) -> None:
    said = list(zip(kinds, told, strict=False))
    error = answer_for([("p/m", Failure(kind, "m" * 300, 402, 1, what)) for kind, what in said])
    key_ended = (FailureKind.LIMITED, ErrorKind.INVALID_API_KEY) in said
    assert error.status in ({401} if key_ended else {400, 404, 429, 500, 502, 503, 504})
    assert error.retry_after is None or error.retry_after >= 1
    assert all(kind.value in error.message for kind in kinds)


def test_no_attempt_has_no_answer() -> None:
    with pytest.raises(ValueError):
        answer_for([])
