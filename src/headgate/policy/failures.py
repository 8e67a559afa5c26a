"""The closed table of failures: what an HTTP status means, what a call then does, what its client is told."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_tz

import msgspec

from headgate.model.errors import ErrorKind, HeadgateError
from headgate.model.failure import Failure, FailureKind

SECOND_NS = 1_000_000_000
DISABLE_NS = 300 * SECOND_NS
"""How long an upstream's refusal of our credential or account takes a route out."""
DEFAULT_COOLDOWN_NS = 5 * SECOND_NS
"""Cooldown of a route whose upstream named no Retry-After."""
MAX_RETRY_AFTER_NS = 3600 * SECOND_NS
"""An upstream cannot talk a route away for longer than this."""
MAX_MESSAGE = 2000


class Reaction(msgspec.Struct, frozen=True, gc=False):
    """What follows from a failure kind.

    `next_route`: before content, the call falls over to its next route. `disables`: the route is out for
    `DISABLE_NS`. `cools`: the route rests for Retry-After. `counts`: it is held against the route's health;
    what a client causes never is.
    """

    next_route: bool
    disables: bool = False
    cools: bool = False
    counts: bool = False


_OURS = Reaction(next_route=False)
_BROKEN = Reaction(next_route=True, counts=True)
_REFUSED = Reaction(next_route=True, disables=True, counts=True)

REACTIONS: dict[FailureKind, Reaction] = {
    FailureKind.RATE_LIMITED: Reaction(next_route=True, cools=True),
    FailureKind.OVERLOADED: Reaction(next_route=True, cools=True, counts=True),
    FailureKind.UPSTREAM_ERROR: _BROKEN,
    FailureKind.UPSTREAM_TIMEOUT: _BROKEN,
    FailureKind.UPSTREAM_AUTH: _REFUSED,
    FailureKind.UPSTREAM_BILLING: _REFUSED,
    # The name may be the client's own invention, so it is not held against the route.
    FailureKind.MODEL_UNAVAILABLE: Reaction(next_route=True),
    FailureKind.REQUEST_REJECTED: _OURS,
    FailureKind.CONNECT_FAILED: _BROKEN,
    FailureKind.CONNECT_TIMEOUT: _BROKEN,
    FailureKind.FIRST_TOKEN_TIMEOUT: _BROKEN,
    FailureKind.IDLE_TIMEOUT: _BROKEN,
    # The deadline spans all attempts: the last one need not be the slow one.
    FailureKind.DEADLINE: _OURS,
    FailureKind.CUT: _BROKEN,
    FailureKind.ERROR_EVENT: _BROKEN,
    FailureKind.BAD_RESPONSE: _BROKEN,
    # Another route may speak a dialect that can carry it.
    FailureKind.UNTRANSLATABLE: Reaction(next_route=True),
    # Another route may be free, or its provider may have room.
    FailureKind.LIMITED: Reaction(next_route=True),
    FailureKind.CAPPED: _OURS,
    FailureKind.CLIENT_GONE: _OURS,
    FailureKind.STORE_UNAVAILABLE: _OURS,
    FailureKind.INTERNAL: _OURS,
}

_BY_STATUS: dict[int, FailureKind] = {
    401: FailureKind.UPSTREAM_AUTH,
    402: FailureKind.UPSTREAM_BILLING,
    403: FailureKind.UPSTREAM_AUTH,
    404: FailureKind.MODEL_UNAVAILABLE,
    408: FailureKind.UPSTREAM_TIMEOUT,
    429: FailureKind.RATE_LIMITED,
    503: FailureKind.OVERLOADED,
    529: FailureKind.OVERLOADED,
}

_TIMEOUTS = frozenset(
    {
        FailureKind.UPSTREAM_TIMEOUT,
        FailureKind.CONNECT_TIMEOUT,
        FailureKind.FIRST_TOKEN_TIMEOUT,
        FailureKind.IDLE_TIMEOUT,
        FailureKind.DEADLINE,
    }
)
_NEVER_SENT = frozenset({FailureKind.UNTRANSLATABLE, FailureKind.LIMITED})
_BUSY = frozenset({FailureKind.RATE_LIMITED, FailureKind.OVERLOADED})

_NUMBER = re.compile(r"([0-9]+)(?:\.([0-9]*))?")


def kind_of_status(status: int) -> FailureKind | None:
    """Return the failure that an upstream's HTTP status stands for; None for 2xx."""
    if 200 <= status < 300:
        return None
    kind = _BY_STATUS.get(status)
    if kind is not None:
        return kind
    if 400 <= status < 500:
        return FailureKind.REQUEST_REJECTED
    if 500 <= status < 600:
        return FailureKind.UPSTREAM_ERROR
    return FailureKind.BAD_RESPONSE


def falls_over(kind: FailureKind) -> bool:
    """Say whether a call may try its next route after this failure, as long as no content was forwarded."""
    return REACTIONS[kind].next_route


def never_sent(kind: FailureKind) -> bool:
    """Say whether no upstream was asked: what failed says nothing of one, and is refused by Headgate itself."""
    return kind in _NEVER_SENT


def cooldown_ns(failure: Failure) -> int:
    """Return for how many ns a route rests after a failure that cools it."""
    asked = failure.retry_after_ns
    return DEFAULT_COOLDOWN_NS if asked is None else max(0, min(asked, MAX_RETRY_AFTER_NS))


def parse_retry_after(value: str, now_unix_ns: int) -> int | None:
    """Return the ns that a Retry-After header asks to wait, 0 to `MAX_RETRY_AFTER_NS`; None if unreadable.

    Whole seconds or an HTTP-date (RFC 9110, 10.2.3), and decimals, which the vendors' SDKs accept as well.
    """
    text = value.strip()
    if len(text) > 64:
        return None
    if _NUMBER.fullmatch(text):
        return _scaled(text, SECOND_NS)
    try:
        parts = parsedate_tz(text)
        if parts is None:
            return None
        # No zone (asctime's form) means UTC, as in every HTTP-date.
        when = datetime(*parts[:6], tzinfo=UTC) - timedelta(seconds=parts[9] or 0)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    unix_ns = (when - epoch) // timedelta(microseconds=1) * 1000
    return max(0, min(unix_ns - now_unix_ns, MAX_RETRY_AFTER_NS))


def parse_retry_after_ms(value: str) -> int | None:
    """Return the ns of a `retry-after-ms` header, bounded as above; None if unreadable.

    OpenAI's and Anthropic's SDKs prefer it to Retry-After (`_parse_retry_after_header` in `_base_client.py`).
    """
    text = value.strip()
    if len(text) > 64 or not _NUMBER.fullmatch(text):
        return None
    return _scaled(text, 1_000_000)


def _scaled(text: str, unit_ns: int) -> int:
    whole, _, fraction = text.partition(".")
    nanos = int((fraction + "0" * 9)[:9])
    return min(int(whole) * unit_ns + nanos * unit_ns // SECOND_NS, MAX_RETRY_AFTER_NS)


def seconds_up(wait_ns: int) -> int:
    """Return ns as the whole seconds of a Retry-After header: rounded up, at least 1."""
    return max(1, -(-wait_ns // SECOND_NS))


def answer_for(failures: list[tuple[str, Failure]], *, prompt: str | None = None, begun: bool = False) -> HeadgateError:
    """Return the client's error after every attempt of a call failed.

    `failures` are (route name, failure) in the order of the attempts. `prompt` names the request's member that
    is at fault where it is too long. `begun`: the answer had begun and broke off. Raises ValueError if nothing failed.
    """
    if not failures:
        raise ValueError("no attempt failed")
    # What was never sent says nothing of the upstreams that were asked.
    asked = [failure for _, failure in failures if not never_sent(failure.kind)]
    limited = [failure for _, failure in failures if failure.kind is FailureKind.LIMITED]
    if (limited and not asked) or any(failure.told is ErrorKind.INVALID_API_KEY for failure in limited):
        return _limited(failures)
    deciding = asked or [failure for _, failure in failures]
    kind = _answer_kind(deciding)
    retry_after = None
    if kind in (ErrorKind.RATE_LIMIT_EXCEEDED, ErrorKind.SERVICE_UNAVAILABLE):
        retry_after = seconds_up(min(cooldown_ns(failure) for failure in deciding))
    message = _message(_BROKE_OFF if begun else _opening(kind, deciding), failures)
    return HeadgateError(kind, message, param=_param(kind, deciding, prompt), retry_after=retry_after)


_OF_LIMITS: dict[ErrorKind, str] = {
    ErrorKind.INVALID_API_KEY: "The key ended while its call waited:",
    ErrorKind.RATE_LIMIT_EXCEEDED: "A limit has no room for the call now:",
    ErrorKind.INSUFFICIENT_QUOTA: "A limit has no room for the call:",
    ErrorKind.MODEL_UNPRICED: "A limit in money needs a price:",
    ErrorKind.INVALID_REQUEST: "A limit cannot be held with this request:",
}
"""What clients are told of limits, in the order in which it decides: what no route mends, then what mends soonest."""


def _limited(failures: list[tuple[str, Failure]]) -> HeadgateError:
    """Return the error of a call that was sent nowhere since a limit refused a route at least, or whose key has ended.

    A key that has ended decides, whatever was tried before. Else one route is enough for a call: first the limit that
    mends by waiting, the soonest; then a quota, which an operator can raise; then a price; then the request itself.
    """
    first = min((attempt for attempt in failures if attempt[1].kind is FailureKind.LIMITED), key=_rank_of_limit)
    kind, wait = _told_of_limit(first[1]), first[1].retry_after_ns
    waits = kind is ErrorKind.RATE_LIMIT_EXCEEDED
    retry_after = seconds_up(DEFAULT_COOLDOWN_NS if wait is None else wait) if waits else None
    message = _message(_OF_LIMITS[kind], [first, *(attempt for attempt in failures if attempt is not first)])
    return HeadgateError(kind, message, param=first[1].param, retry_after=retry_after)


def _told_of_limit(failure: Failure) -> ErrorKind:
    return failure.told if failure.told in _OF_LIMITS else ErrorKind.RATE_LIMIT_EXCEEDED


def _rank_of_limit(attempt: tuple[str, Failure]) -> tuple[int, int]:
    return list(_OF_LIMITS).index(_told_of_limit(attempt[1])), attempt[1].retry_after_ns or 0


_OPENING: dict[ErrorKind, str] = {
    ErrorKind.RATE_LIMIT_EXCEEDED: "Every upstream is rate limited:",
    ErrorKind.SERVICE_UNAVAILABLE: "No upstream can take the call now:",
    ErrorKind.UPSTREAM_TIMEOUT: "The upstream did not answer in time:",
    ErrorKind.UPSTREAM_ERROR: "No upstream could answer:",
    ErrorKind.MODEL_NOT_FOUND: "No upstream knows the model:",
    # Both vendors' words: clients look for them before they shorten a conversation.
    ErrorKind.CONTEXT_LENGTH_EXCEEDED: "The prompt is too long, it exceeds the model's maximum context length:",
    ErrorKind.INVALID_REQUEST: "The upstream refused the request, in its own words:",
    ErrorKind.REQUEST_TOO_LARGE: "The upstream refused the request as too large:",
    ErrorKind.UNTRANSLATABLE: "No route can carry the request whole:",
    ErrorKind.INTERNAL_ERROR: "The call failed inside the gateway:",
}
_BROKE_OFF = "The answer broke off:"
_NOT_YOURS = "The upstream refused the gateway's own credential or account, not yours:"
_UNREADABLE = "The request cannot be read to be translated:"
_REFUSED_KINDS = frozenset({FailureKind.UPSTREAM_AUTH, FailureKind.UPSTREAM_BILLING})
_LIKE: dict[ErrorKind, FailureKind] = {
    ErrorKind.RATE_LIMIT_EXCEEDED: FailureKind.RATE_LIMITED,
    ErrorKind.SERVICE_UNAVAILABLE: FailureKind.OVERLOADED,
    ErrorKind.UPSTREAM_TIMEOUT: FailureKind.UPSTREAM_TIMEOUT,
}
"""An error inside a 200 is told like the status that it should have had."""


def _opening(kind: ErrorKind, failures: list[Failure]) -> str:
    if kind is ErrorKind.UPSTREAM_ERROR and all(failure.kind in _REFUSED_KINDS for failure in failures):
        return _NOT_YOURS
    if kind is ErrorKind.INVALID_REQUEST and failures[-1].kind is FailureKind.UNTRANSLATABLE:
        return _UNREADABLE
    return _OPENING[kind]


def _param(kind: ErrorKind, failures: list[Failure], prompt: str | None) -> str | None:
    if kind is ErrorKind.CONTEXT_LENGTH_EXCEEDED:
        return prompt
    if kind is ErrorKind.MODEL_NOT_FOUND:
        return "model"
    return failures[-1].param


def _answer_kind(failures: list[Failure]) -> ErrorKind:
    last = failures[-1]
    kinds = {failure.kind if failure.told is None else _LIKE.get(failure.told, failure.kind) for failure in failures}
    if last.told is ErrorKind.CONTEXT_LENGTH_EXCEEDED:
        return last.told
    if kinds == {FailureKind.UNTRANSLATABLE}:
        return ErrorKind.INVALID_REQUEST if last.told is ErrorKind.INVALID_REQUEST else ErrorKind.UNTRANSLATABLE
    match last.kind:
        case FailureKind.REQUEST_REJECTED:
            return ErrorKind.REQUEST_TOO_LARGE if last.status == 413 else ErrorKind.INVALID_REQUEST
        case FailureKind.INTERNAL:
            return ErrorKind.INTERNAL_ERROR
    return _answer_of_upstreams(last, kinds)


def _answer_of_upstreams(last: Failure, kinds: set[FailureKind]) -> ErrorKind:
    if kinds == {FailureKind.RATE_LIMITED}:
        return ErrorKind.RATE_LIMIT_EXCEEDED
    if kinds <= _BUSY or last.kind is FailureKind.STORE_UNAVAILABLE:
        return ErrorKind.SERVICE_UNAVAILABLE
    if kinds == {FailureKind.MODEL_UNAVAILABLE}:
        return ErrorKind.MODEL_NOT_FOUND
    if last.kind in _TIMEOUTS or last.told is ErrorKind.UPSTREAM_TIMEOUT:
        return ErrorKind.UPSTREAM_TIMEOUT
    return ErrorKind.UPSTREAM_ERROR


def _message(opening: str, failures: list[tuple[str, Failure]]) -> str:
    said = "; ".join(_said(route, failure) for route, failure in failures)
    return f"{opening} {said}"[:MAX_MESSAGE]


def _said(route: str, failure: Failure) -> str:
    status = f" ({failure.status})" if failure.status else ""
    message = f' "{failure.message}"' if failure.message else ""
    return f"{route}: {failure.kind.value}{status}{message}"
