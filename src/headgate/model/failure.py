"""How an attempt can fail: one closed set, seen alike by fallback, health, billing and the ledger."""

from enum import StrEnum

import msgspec

from headgate.model.errors import ErrorKind


class FailureKind(StrEnum):
    # said by the upstream, before content
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    UPSTREAM_ERROR = "upstream_error"
    UPSTREAM_TIMEOUT = "upstream_timeout"  # 408 from the upstream
    UPSTREAM_AUTH = "upstream_auth"  # 401, 403
    UPSTREAM_BILLING = "upstream_billing"  # 402
    MODEL_UNAVAILABLE = "model_unavailable"  # 404
    REQUEST_REJECTED = "request_rejected"  # any other 4xx: the client's own fault
    # seen on the wire
    CONNECT_FAILED = "connect_failed"
    CONNECT_TIMEOUT = "connect_timeout"
    FIRST_TOKEN_TIMEOUT = "first_token_timeout"
    IDLE_TIMEOUT = "idle_timeout"
    DEADLINE = "deadline"
    CUT = "cut"
    ERROR_EVENT = "error_event"  # an error frame inside a 200
    BAD_RESPONSE = "bad_response"  # redirect, empty, not JSON, not SSE, a frame beyond the limit
    # of our own making
    UNTRANSLATABLE = "untranslatable"  # the route's dialect cannot carry the request
    LIMITED = "limited"  # a limit has no room for it, or it may not be held for; never sent
    CAPPED = "capped"  # stopped at its hold
    CLIENT_GONE = "client_gone"
    STORE_UNAVAILABLE = "store_unavailable"
    INTERNAL = "internal"


class Failure(msgspec.Struct, frozen=True, gc=False):
    """One attempt's failure. `message` is safe to show: no credential, at most 300 characters.

    `retry_after_ns` is what the upstream asked for, in ns. `status` is its HTTP status, 0 where none came.
    `told` is what the client is told of it where the kind alone would say less; `param` names the member of the
    client's request that is at fault.
    """

    kind: FailureKind
    message: str
    status: int = 0
    retry_after_ns: int | None = None
    told: ErrorKind | None = None
    param: str | None = None
