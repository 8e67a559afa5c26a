"""The closed taxonomy of errors a client can get. Codecs map each kind exhaustively to their dialect."""

from enum import StrEnum


class ErrorKind(StrEnum):
    INVALID_REQUEST = "invalid_request"
    CONTEXT_LENGTH_EXCEEDED = "context_length_exceeded"
    MODEL_UNPRICED = "model_unpriced"
    DIALECT_UNAVAILABLE = "dialect_unavailable"
    UNTRANSLATABLE = "untranslatable"
    INVALID_API_KEY = "invalid_api_key"
    MODEL_NOT_ALLOWED = "model_not_allowed"
    MODEL_NOT_FOUND = "model_not_found"
    PATH_NOT_FOUND = "path_not_found"
    THREAD_NOT_FOUND = "thread_not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    REQUEST_TIMEOUT = "request_timeout"
    REQUEST_TOO_LARGE = "request_too_large"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    RATE_LIMIT_EXCEEDED = "rate_limit_exceeded"
    INSUFFICIENT_QUOTA = "insufficient_quota"
    UPSTREAM_ERROR = "upstream_error"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    SERVICE_UNAVAILABLE = "service_unavailable"
    INTERNAL_ERROR = "internal_error"


STATUS: dict[ErrorKind, int] = {
    ErrorKind.INVALID_REQUEST: 400,
    ErrorKind.CONTEXT_LENGTH_EXCEEDED: 400,
    ErrorKind.MODEL_UNPRICED: 400,
    ErrorKind.DIALECT_UNAVAILABLE: 400,
    ErrorKind.UNTRANSLATABLE: 400,
    ErrorKind.INVALID_API_KEY: 401,
    ErrorKind.MODEL_NOT_ALLOWED: 403,
    ErrorKind.MODEL_NOT_FOUND: 404,
    ErrorKind.PATH_NOT_FOUND: 404,
    ErrorKind.THREAD_NOT_FOUND: 404,
    ErrorKind.METHOD_NOT_ALLOWED: 405,
    ErrorKind.REQUEST_TIMEOUT: 408,
    ErrorKind.REQUEST_TOO_LARGE: 413,
    ErrorKind.UNSUPPORTED_ENCODING: 415,
    ErrorKind.RATE_LIMIT_EXCEEDED: 429,
    ErrorKind.INSUFFICIENT_QUOTA: 429,
    ErrorKind.UPSTREAM_ERROR: 502,
    ErrorKind.UPSTREAM_TIMEOUT: 504,
    ErrorKind.SERVICE_UNAVAILABLE: 503,
    ErrorKind.INTERNAL_ERROR: 500,
}


FUTILE: frozenset[ErrorKind] = frozenset(
    {
        ErrorKind.INVALID_API_KEY,
        ErrorKind.MODEL_NOT_ALLOWED,
        ErrorKind.MODEL_NOT_FOUND,
        ErrorKind.INSUFFICIENT_QUOTA,
    }
)
"""What the same request will hear again. Some clients repeat it for minutes all the same unless
`x-should-retry: false` tells them, which both vendors' SDKs heed (`_should_retry` in `_base_client.py`)."""


class HeadgateError(Exception):
    """An error that is the client's answer: what went wrong and what to do about it.

    `retry_after` is in whole seconds; kinds that promise Retry-After always carry it.
    `param` names the request's field at fault, where there is one.
    """

    def __init__(
        self,
        kind: ErrorKind,
        message: str,
        *,
        param: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.param = param
        self.retry_after = retry_after

    @property
    def status(self) -> int:
        return STATUS[self.kind]
