"""What a refusal must look like: the vendor's own error, and a row in the ledger."""

from typing import Any

import anthropic
import openai
from tests.e2e.gateway import Gateway
from tests.e2e.wire import COUNT, MESSAGES, Heard, raised, send

OPENAI_CLASS: dict[int, type[openai.APIError]] = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    429: openai.RateLimitError,
}
ANTHROPIC_TYPE = {
    400: (anthropic.BadRequestError, "invalid_request_error"),
    401: (anthropic.AuthenticationError, "authentication_error"),
    403: (anthropic.PermissionDeniedError, "permission_error"),
    404: (anthropic.NotFoundError, "not_found_error"),
    405: (anthropic.APIStatusError, "invalid_request_error"),
    408: (anthropic.RequestTimeoutError, "timeout_error"),
    413: (anthropic.RequestTooLargeError, "request_too_large"),
    415: (anthropic.APIStatusError, "invalid_request_error"),
}


def refused(endpoint: str, heard: Heard, status: int, *, param: str | None = None, code: str | None = None) -> str:
    """Check that an answer is the vendor's error of this status; return its message."""
    assert heard.status == status, heard.body
    assert heard.headers["content-type"] == "application/json"
    error = raised(endpoint, heard)
    if endpoint in (MESSAGES, COUNT):
        kind, name = ANTHROPIC_TYPE[status]
        assert type(error) is kind
        assert heard.json["type"] == "error"
        assert heard.json["error"]["type"] == name
    else:
        assert type(error) is OPENAI_CLASS.get(status, openai.APIStatusError)
        assert isinstance(error, openai.APIError)
        assert (error.param, error.code) == (param, code)
    said: str = heard.json["error"]["message"]
    assert said
    return said


def recorded(gateway: Gateway, heard: Heard, error: str) -> dict[str, Any]:
    """Check that the ledger has this refusal: no attempt, no cost."""
    row = gateway.call(heard.call)
    assert (row["outcome"], row["error"], row["status"]) == ("rejected", error, heard.status)
    assert (row["attempts"], row["cost_nano"], row["key"]) == ([], 0, gateway.key_id)
    return row


def serves_on(gateway: Gateway) -> None:
    """Whatever a client did, the worker lives and the log has no traceback of it."""
    assert send(gateway, "GET", "/readyz").status == 200
    assert "Traceback" not in gateway.stderr
