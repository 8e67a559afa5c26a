"""OpenAI's error object, which chat and responses share."""

from typing import Final

from headgate.model.errors import ErrorKind, HeadgateError

_INVALID: Final = "invalid_request_error"
_SERVER: Final = "server_error"

TYPE_AND_CODE: Final[dict[ErrorKind, tuple[str, str | None]]] = {
    ErrorKind.INVALID_REQUEST: (_INVALID, None),
    ErrorKind.CONTEXT_LENGTH_EXCEEDED: (_INVALID, "context_length_exceeded"),
    ErrorKind.MODEL_UNPRICED: (_INVALID, "model_unpriced"),
    ErrorKind.DIALECT_UNAVAILABLE: (_INVALID, "dialect_unavailable"),
    ErrorKind.UNTRANSLATABLE: (_INVALID, "untranslatable"),
    ErrorKind.INVALID_API_KEY: (_INVALID, "invalid_api_key"),
    ErrorKind.MODEL_NOT_ALLOWED: (_INVALID, "model_not_allowed"),
    ErrorKind.MODEL_NOT_FOUND: (_INVALID, "model_not_found"),
    ErrorKind.PATH_NOT_FOUND: (_INVALID, "path_not_found"),
    ErrorKind.THREAD_NOT_FOUND: (_INVALID, "thread_not_found"),
    ErrorKind.METHOD_NOT_ALLOWED: (_INVALID, "method_not_allowed"),
    ErrorKind.REQUEST_TIMEOUT: (_INVALID, "request_timeout"),
    ErrorKind.REQUEST_TOO_LARGE: (_INVALID, "request_too_large"),
    ErrorKind.UNSUPPORTED_ENCODING: (_INVALID, "unsupported_encoding"),
    ErrorKind.RATE_LIMIT_EXCEEDED: ("rate_limit_error", "rate_limit_exceeded"),
    ErrorKind.INSUFFICIENT_QUOTA: ("insufficient_quota", "insufficient_quota"),
    ErrorKind.UPSTREAM_ERROR: (_SERVER, "upstream_error"),
    ErrorKind.UPSTREAM_TIMEOUT: (_SERVER, "upstream_timeout"),
    ErrorKind.SERVICE_UNAVAILABLE: ("service_unavailable_error", "service_unavailable"),
    ErrorKind.INTERNAL_ERROR: (_SERVER, "internal_error"),
}
"""Types as in OpenAI's guide to error codes; codes are the vendor's own where it has one, else Headgate's."""


def error_object(error: HeadgateError) -> dict[str, str | None]:
    """Return `{message, type, param, code}`."""
    kind, code = TYPE_AND_CODE[error.kind]
    return {"message": error.message, "type": kind, "param": error.param, "code": code}
