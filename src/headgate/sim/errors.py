"""Error bodies as the vendors and local servers word them."""

import msgspec

from headgate.model.dialect import Dialect
from headgate.sim.ask import Json
from headgate.sim.faults import Fault
from headgate.sim.frames import Frame, FrameKind

OPENAI: dict[int, tuple[str, str, str | None]] = {
    400: ("The request is not valid (simulated).", "invalid_request_error", None),
    401: ("Incorrect API key provided (simulated).", "invalid_request_error", "invalid_api_key"),
    402: ("Insufficient Balance", "unknown_error", "invalid_request_error"),
    403: (
        "Country, region, or territory not supported",
        "request_forbidden",
        "unsupported_country_region_territory",
    ),
    404: (
        "The model does not exist or you do not have access to it.",
        "invalid_request_error",
        "model_not_found",
    ),
    405: ("Not allowed to use this method on this path.", "invalid_request_error", "method_not_supported"),
    408: ("Request timed out.", "timeout", "request_timeout"),
    413: ("Maximum content size limit exceeded.", "invalid_request_error", None),
    429: (
        "Rate limit reached on requests per min (RPM): Limit 3, Used 3, Requested 1.",
        "requests",
        "rate_limit_exceeded",
    ),
    500: ("The server had an error while processing your request. Sorry about that!", "server_error", None),
    503: ("The engine is currently overloaded, please try again later.", "server_error", None),
    529: ("Overloaded", "server_error", "overloaded"),
}
ANTHROPIC: dict[int, tuple[str, str]] = {
    400: ("invalid_request_error", "The request is not valid (simulated)."),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "Your credit balance is too low to access the Anthropic API."),
    403: ("permission_error", "Your API key does not have permission to use the specified resource."),
    404: ("not_found_error", "model: not found (simulated)"),
    405: ("invalid_request_error", "Method Not Allowed"),
    408: ("timeout_error", "Request timed out."),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: ("rate_limit_error", "This request would exceed your organization's rate limit."),
    500: ("api_error", "Internal server error"),
    503: ("api_error", "Service temporarily unavailable"),
    529: ("overloaded_error", "Overloaded"),
}
_CONTEXT = "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens."
_QUOTA = "You exceeded your current quota, please check your plan and billing details."
_TITLES = {
    502: "502 Bad Gateway",
    504: "504 Gateway Time-out",
    520: "520: Web server is returning an unknown error",
}

LOCAL: dict[Fault, Json] = {
    Fault.OOM_OLLAMA: {"error": "model requires more system memory (7.5 GiB) than is available (5.2 GiB)"},
    Fault.OOM_LLAMACPP: {
        "error": {"code": 500, "message": "failed to allocate buffer for kv cache", "type": "server_error"}
    },
    Fault.OOM_VLLM: {
        "error": {
            "message": "CUDA out of memory. Tried to allocate 518.00 MiB. GPU 0 has a total capacity of "
            "21.67 GiB of which 4.06 MiB is free.",
            "type": "InternalServerError",
            "param": None,
            "code": 500,
        }
    },
}


def openai_error(status: int, message: str | None = None, param: str | None = None) -> Json:
    """Return OpenAI's body of a status, in its usual words unless a message is given."""
    words, kind, code = OPENAI.get(status, OPENAI[500])
    return {"error": {"message": message or words, "type": kind, "param": param, "code": code}}


def anthropic_error(status: int, message: str | None = None) -> Json:
    """Return Anthropic's body of a status, in its usual words unless a message is given."""
    kind, words = ANTHROPIC.get(status, ANTHROPIC[500])
    return {
        "type": "error",
        "error": {"type": kind, "message": message or words},
        "request_id": "req_sim",
    }


def error_body(dialect: Dialect, status: int, message: str | None = None, param: str | None = None) -> Json:
    """Return a status's body in a dialect; the vendor's usual words if no message is given."""
    if dialect is Dialect.ANTHROPIC_MESSAGES:
        return anthropic_error(status, message)
    return openai_error(status, message, param)


def fault_body(fault: Fault, status: int, dialect: Dialect) -> tuple[bytes, str]:
    """Return the body of a status fault, and its content type."""
    if fault in LOCAL:
        return msgspec.json.encode(LOCAL[fault]), "application/json"
    if status in _TITLES:
        return page(_TITLES[status]), "text/html; charset=UTF-8"
    body = error_body(dialect, status)
    if fault is Fault.S400_CONTEXT:
        body = error_body(dialect, status, _context_message(dialect))
        if dialect is not Dialect.ANTHROPIC_MESSAGES:
            body["error"] |= {"param": "messages", "code": "context_length_exceeded"}
    if fault is Fault.S429_QUOTA:
        body = error_body(dialect, status, _QUOTA)
        if dialect is not Dialect.ANTHROPIC_MESSAGES:
            body["error"] |= {"type": "insufficient_quota", "code": "insufficient_quota"}
    return msgspec.json.encode(body), "application/json"


def _context_message(dialect: Dialect) -> str:
    if dialect is Dialect.ANTHROPIC_MESSAGES:
        return "prompt is too long: 210000 tokens > 200000 maximum"
    return _CONTEXT


def page(title: str) -> bytes:
    """Return an HTML page, as proxies put in the place of an answer."""
    head = f"<html>\r\n<head><title>{title}</title></head>\r\n"
    return f"{head}<body><h1>{title}</h1></body>\r\n</html>\r\n".encode()


def error_frame(dialect: Dialect, number: int) -> Frame:
    """Return the frame that ends a stream in an error; `number` is how many frames went before it."""
    if dialect is Dialect.ANTHROPIC_MESSAGES:
        body = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
        return Frame(body, FrameKind.TERMINAL, "error")
    words = OPENAI[500][0]
    if dialect is Dialect.OPENAI_RESPONSES:
        flat = {
            "type": "error",
            "sequence_number": number,
            "code": "server_error",
            "message": words,
            "param": None,
        }
        return Frame(flat, FrameKind.TERMINAL, "error")
    return Frame(openai_error(500), FrameKind.TERMINAL)
