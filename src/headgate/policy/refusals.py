"""Refusals in words: what a client is told where a limit has no room for its call, or cannot be held to for it."""

from datetime import UTC, datetime, timedelta

from headgate.model.errors import FUTILE, ErrorKind, HeadgateError
from headgate.model.failure import Failure, FailureKind
from headgate.model.limit import MAX_AMOUNT, Limit, Per, Refusal, Scope, Shortage, Unit
from headgate.model.money import format_usd

MESSAGE_LIMIT = 300
SECOND_NS = 1_000_000_000
MAX_NAMED = 60
HONOURED_SECONDS = 60
"""The longest Retry-After that every SDK release waits for as told.

Older releases of both vendors' SDKs repeat a call after 0.5 to 8 s where it is longer (`_calculate_retry_timeout` in
`_base_client.py`: `0 < retry_after <= 60`). OpenAI's 3.52 honours up to 120 s (`MAX_RETRY_AFTER_DELAY`) and gives up
beyond. Anthropic's 2.11 sleeps for as long as it is told, up to 49 days.
"""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def should_retry_header(error: HeadgateError) -> str | None:
    """Return the value of `x-should-retry`: "false" where repeating the call soon is no use; None: say nothing.

    Both SDKs obey it before they look at the status (`_should_retry`). So a program hears at once of a window that has
    hours to go, with Retry-After in its error, where its SDK would ask again in a second or sleep for those hours.
    """
    if error.kind in FUTILE:
        return "false"
    wait = error.retry_after
    is_long = error.kind is ErrorKind.RATE_LIMIT_EXCEEDED and wait is not None and wait > HONOURED_SECONDS
    return "false" if is_long else None


def failure_of(refusal: Refusal) -> Failure:
    """Return the failure of an attempt that a limit had no room for. It names the limit, and how it stands.

    A quota has no Retry-After: waiting mends nothing. The others have one, in whole seconds. Of a provider's limit the
    client, who shares it with others, learns no amounts.
    """
    limit = refusal.standing.limit
    message = _of_provider(refusal) if limit.scope is Scope.PROVIDER else _of_client(refusal)
    told = ErrorKind.RATE_LIMIT_EXCEEDED
    wait: int | None = _wait(refusal)
    if refusal.shortage is Shortage.QUOTA:
        told, wait = ErrorKind.INSUFFICIENT_QUOTA, None
    return Failure(FailureKind.LIMITED, message, retry_after_ns=wait, told=told)


def unpriced(route: str, limit: Limit) -> Failure:
    """Return the failure of a route without a price, where `limit` counts money. It says how to price it."""
    rest = (
        f" counts money, and '{_cut(route, MAX_NAMED)}' has no price. Give it one in headgate.yaml, under its provider "
        "or its model: `price: {input: 1.25, output: 10}` (USD per million tokens), or `price: free`."
    )
    return _told(limit, rest, ErrorKind.MODEL_UNPRICED, "model")


def unpriceable(member: str, limit: Limit, what: str = "") -> Failure:
    """Return the failure of a request whose cost has no known maximum, where `limit` needs one.

    `member` is the member of the request that is at fault, `what` a tool in it. It is a fault of this request under
    this limit, not of the model or its price: INVALID_REQUEST.
    """
    named = f"'{_cut(what, MAX_NAMED)}' in `{member}`" if what else f"`{_cut(member, MAX_NAMED)}`"
    rest = (
        f" holds the most that a call can cost, which nobody knows with {named}. "
        "Leave it out, or use a key without such a limit."
    )
    return _told(limit, rest, ErrorKind.INVALID_REQUEST, member)


def _told(limit: Limit, rest: str, told: ErrorKind, param: str) -> Failure:
    title = _cut(_title(limit), MESSAGE_LIMIT - len(rest))
    return Failure(FailureKind.LIMITED, title + rest, told=told, param=param)


def _title(limit: Limit) -> str:
    """Return how clients are told of a limit; of a provider's no more than whose it is."""
    if limit.scope is Scope.PROVIDER:
        return f"The gateway's own limit of provider '{limit.name}'"
    return f"Limit {limit.title}"


def _of_client(refusal: Refusal) -> str:
    standing = refusal.standing
    limit = standing.limit
    figures = f"cap {_amount(limit, limit.cap)}"
    if limit.unit is not Unit.CONCURRENCY:
        figures += f", spent {_amount(limit, standing.spent)}"
    figures += f", held {_amount(limit, standing.held)}{_reset(refusal)}"
    rest = f" has no room: {figures}; the call needs at least {_amount(limit, refusal.wanted)}. {_advice(refusal)}"
    return _cut(_title(limit), MESSAGE_LIMIT - len(rest)) + rest


def _of_provider(refusal: Refusal) -> str:
    rest = f" is used up for this call. {_advice(refusal)}"
    return _cut(_title(refusal.standing.limit), MESSAGE_LIMIT - len(rest)) + rest


def _reset(refusal: Refusal) -> str:
    standing = refusal.standing
    if standing.resets_at is not None:
        return f", resets {_time(standing.resets_at)}"
    is_total = standing.limit.window.per is Per.TOTAL and standing.limit.unit is not Unit.CONCURRENCY
    return ", never resets" if is_total else ""


def _advice(refusal: Refusal) -> str:
    limit = refusal.standing.limit
    match refusal.shortage:
        case Shortage.HELD:
            return "Calls in flight are in the way: try again in a second."
        case Shortage.WINDOW:
            freed = refusal.standing.resets_at if refusal.free_at is None else refusal.free_at
            return "Try again later." if freed is None else f"Try again at {_time(freed)}."
        case Shortage.QUOTA:
            is_large = refusal.wanted > min(limit.cap, MAX_AMOUNT)
            if limit.scope is Scope.PROVIDER:
                return "Ask for a model of another provider, or have the limit raised."
            if is_large and limit.unit in (Unit.USD, Unit.TOKENS):
                return "No call may be that large: ask for less output, or have the cap raised."
            return "Waiting does not help: have the cap raised."


def _wait(refusal: Refusal) -> int:
    """Return the ns to wait, in whole seconds, at least one."""
    freed = refusal.standing.resets_at if refusal.free_at is None else refusal.free_at
    if refusal.shortage is Shortage.HELD or freed is None:
        return SECOND_NS
    return max(1, -((refusal.at - freed) // SECOND_NS)) * SECOND_NS


def _amount(limit: Limit, amount: int) -> str:
    return f"{format_usd(amount)} USD" if limit.unit is Unit.USD else str(amount)


def _time(when: int) -> str:
    """Return ns since the epoch as RFC 3339 in UTC, rounded up to a second: what is said to be over is over."""
    return f"{_EPOCH + timedelta(seconds=-(-when // SECOND_NS)):%Y-%m-%dT%H:%M:%SZ}"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: max(0, most - 1)] + "…"
