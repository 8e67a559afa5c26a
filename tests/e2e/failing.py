"""What each fault of an upstream must be to its client, whatever dialects the two speak."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import anthropic
import openai
from tests.e2e.gateway import SECRET_MARK
from tests.e2e.setting import FAULTS, KINDS
from tests.e2e.wire import CHAT, MESSAGES, RESPONSES, asked, billed

from headgate.model.errors import FUTILE, STATUS, ErrorKind
from headgate.model.failure import FailureKind as Why
from headgate.protocols.anthropic_messages.codec import ERROR_TYPES
from headgate.protocols.openai_errors import TYPE_AND_CODE
from headgate.sim import SimThread
from headgate.sim.record import SimRequest

DIALECTS = (CHAT, RESPONSES, MESSAGES)
NOTHING, HOLD = "nothing", "hold"
"""What an attempt is charged."""

OPENAI_CLASS: dict[int, type[openai.APIStatusError]] = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
    502: openai.InternalServerError,
    503: openai.InternalServerError,
    504: openai.InternalServerError,
}
ANTHROPIC_CLASS: dict[int, type[anthropic.APIStatusError]] = {
    400: anthropic.BadRequestError,
    401: anthropic.AuthenticationError,
    403: anthropic.PermissionDeniedError,
    404: anthropic.NotFoundError,
    408: anthropic.RequestTimeoutError,
    413: anthropic.RequestTooLargeError,
    429: anthropic.RateLimitError,
    500: anthropic.InternalServerError,
    502: anthropic.InternalServerError,
    503: anthropic.ServiceUnavailableError,
    504: anthropic.GatewayTimeoutError,
}
"""Classes by status as `_make_status_error` in openai's `_client.py` and `_error_classes.py` of anthropic choose them.
What stands in neither is an `APIStatusError`."""


@dataclass(frozen=True)
class Case:
    """How an attempt fails, and what its client is told of it."""

    why: Why
    kind: ErrorKind
    charge: str = NOTHING
    retry_after: str | None = None
    outcome: str = "failed"


BROKEN = Case(Why.UPSTREAM_ERROR, ErrorKind.UPSTREAM_ERROR)
LIMITED = Case(Why.RATE_LIMITED, ErrorKind.RATE_LIMIT_EXCEEDED, retry_after="1")
BUSY = Case(Why.OVERLOADED, ErrorKind.SERVICE_UNAVAILABLE, retry_after="5")
BAD = Case(Why.BAD_RESPONSE, ErrorKind.UPSTREAM_ERROR, HOLD)
CUT = Case(Why.CUT, ErrorKind.UPSTREAM_ERROR, HOLD)
EVENT = Case(Why.ERROR_EVENT, ErrorKind.UPSTREAM_ERROR, HOLD)
LATE = Case(Why.FIRST_TOKEN_TIMEOUT, ErrorKind.UPSTREAM_TIMEOUT, HOLD)
REFUSED = Case(Why.REQUEST_REJECTED, ErrorKind.INVALID_REQUEST, outcome="rejected")

STATUSES: dict[str, Case] = {
    "401": replace(BROKEN, why=Why.UPSTREAM_AUTH),
    "402": replace(BROKEN, why=Why.UPSTREAM_BILLING),
    "403": replace(BROKEN, why=Why.UPSTREAM_AUTH),
    "404": Case(Why.MODEL_UNAVAILABLE, ErrorKind.MODEL_NOT_FOUND),
    "408": Case(Why.UPSTREAM_TIMEOUT, ErrorKind.UPSTREAM_TIMEOUT),
    "429": LIMITED,
    "429-quota": replace(LIMITED, retry_after="5"),
    "500": BROKEN,
    "502": BROKEN,
    "503": BUSY,
    "504": BROKEN,
    "520": BROKEN,
    "529": BUSY,
    "oom-ollama": BROKEN,
    "oom-llamacpp": BROKEN,
    "oom-vllm": BROKEN,
    "refuse": CUT,
    "html": BAD,
    "redirect": replace(BAD, charge=NOTHING),
    "hang-headers": LATE,
    "hang-first": LATE,
    "error-only": EVENT,
}
EARLY: dict[bool, dict[str, Case]] = {
    True: STATUSES | {"empty": CUT, "error-first": EVENT, "big-frame": BAD},
    False: STATUSES
    | {"empty": BAD, "malformed": BAD, "hang": LATE, "cut": CUT, "cut-rst": CUT, "cut-mid": CUT, "long-length": CUT}
    | {"error-mid": EVENT, "failed": EVENT},
}
"""By whether the answer is a stream: failures before its first frame, or of an answer that has no frames."""
JUDGED = {
    "400": REFUSED,
    "400-context": replace(REFUSED, kind=ErrorKind.CONTEXT_LENGTH_EXCEEDED),
    "413": replace(REFUSED, kind=ErrorKind.REQUEST_TOO_LARGE),
}
"""What the upstream holds against the request itself."""
BEGUN = {
    "hang": Case(Why.IDLE_TIMEOUT, ErrorKind.UPSTREAM_TIMEOUT, HOLD),
    "cut": CUT,
    "cut-rst": CUT,
    "cut-mid": CUT,
    "malformed": CUT,
    "error-mid": EVENT,
    "failed": EVENT,
}
"""Failures of a stream whose content has begun."""


def case_of(fault: str, upstream: str, *, stream: bool) -> Case:
    """Return what must come of a fault. Anthropic's error frames say that it is overloaded, its bodies do not."""
    case = (EARLY[stream] | JUDGED)[fault]
    if case is EVENT and stream and upstream == MESSAGES:
        return replace(case, kind=ErrorKind.SERVICE_UNAVAILABLE, retry_after="5")
    return case


def route_of(client: str, upstream: str, fault: str, *, stream: bool, place: str | None = None) -> str:
    """Return a route of its own for every test: what is remembered of a route must not reach another test."""
    place = place or ("hasty" if fault in FAULTS["hasty"] else "plain")
    how = "stream" if stream else "unary"
    return f"{place}-{KINDS[upstream]}/{KINDS[client]}-asks-{KINDS[upstream]}-{how}-{place}-sim-{fault}"


def check_error(error: Exception, client: str, kind: ErrorKind, *, param: str | None = None) -> None:
    """Check that an SDK raised what its vendor would have made it raise: class, envelope and headers."""
    status = STATUS[kind]
    if client == MESSAGES:
        assert type(error) is ANTHROPIC_CLASS.get(status, anthropic.APIStatusError), error
        check_anthropic(error, kind)
    else:
        assert type(error) is OPENAI_CLASS.get(status, openai.APIStatusError), error
        check_openai(error, kind, param)
    assert isinstance(error, anthropic.APIStatusError | openai.APIStatusError)
    assert error.status_code == status
    assert error.request_id == error.response.headers["x-headgate-call"]
    assert error.response.headers["content-type"] == "application/json"
    assert error.response.headers.get("x-should-retry") == ("false" if kind in FUTILE else None)


def check_anthropic(error: Exception, kind: ErrorKind) -> None:
    """Check the envelope of an error or of an error event."""
    assert isinstance(error, anthropic.APIStatusError)
    assert isinstance(error.body, dict)
    assert set(error.body) == {"type", "error", "request_id"}
    assert set(error.body["error"]) == {"type", "message"}
    assert (error.body["type"], error.type) == ("error", ERROR_TYPES[kind])
    assert error.body["request_id"] == error.response.headers["x-headgate-call"]
    assert error.api_message
    unsaid(error, error.response.headers)


def check_openai(error: Exception, kind: ErrorKind, param: str | None) -> None:
    """Check the envelope of an error or of an error event."""
    assert isinstance(error, openai.APIError)
    assert isinstance(error.body, dict)
    assert set(error.body) == {"message", "type", "param", "code"}
    assert (error.type, error.code, error.param) == (*TYPE_AND_CODE[kind], param)
    assert error.body["message"]
    unsaid(error, getattr(getattr(error, "response", None), "headers", {}))


def unsaid(error: openai.APIError | anthropic.APIError, headers: Any) -> None:
    """Check that no provider's secret is in what a client can see."""
    assert SECRET_MARK not in f"{error!r} {error.body} {dict(headers)}"


def message_of(error: Exception) -> str:
    """Return what the error says to people."""
    assert isinstance(error, openai.APIError | anthropic.APIError)
    body: Any = error.body
    return str(body["error"]["message"] if isinstance(error, anthropic.APIError) else body["message"])


def check_row(row: dict[str, Any], sim: SimThread, case: Case, *, outcome: str, status: int, told: str) -> None:
    """Check that the ledger agrees: how the call ended, how its attempt failed, what that cost."""
    assert (row["outcome"], row["status"], row["error"]) == (outcome, status, told)
    [attempt] = row["attempts"]
    assert (attempt["failure"], attempt["state"]) == (case.why, "settled")
    cost = attempt["cost_nano"]
    assert row["cost_nano"] == cost
    if case.charge == NOTHING:
        assert (cost, attempt["basis"]) == (0, "computed")
    else:
        assert cost == attempt["hold_nano"] > 0
        assert attempt["basis"] == "estimated"
    if "-sim-hang" in attempt["upstream_name"]:
        return  # what is cancelled before its head is known to the sim only when the client's own patience ends
    for request in asked(sim, attempt["upstream_name"]):
        settled(sim, request)
        assert cost >= billed(request)


def settled(sim: SimThread, request: SimRequest) -> None:
    """Wait until the sim knows what a request cost."""
    sim.until(lambda: request.outcome is not None)


def call_of(error: Exception) -> str:
    """Return the call that an error with a status answers."""
    assert isinstance(error, openai.APIStatusError | anthropic.APIStatusError)
    return str(error.response.headers["x-headgate-call"])
