"""What an upstream's error is about, where its own words say more than its HTTP status.

Sources: OpenAI's error codes and Anthropic's error types as the SDKs name them; llama.cpp's
`exceed_context_size_error` (ggml-org/llama.cpp#15780); prompts that are too long as Anthropic, Bedrock, OpenAI, vLLM,
xAI, Google and llama.cpp word them (docker/docker-agent#569, earendil-works/pi#5929, ggml-org/llama.cpp#19774);
Anthropic's 400 for an empty account (anthropics/claude-code#88711).
"""

import re
from typing import Any, Final

import msgspec

from headgate.model.errors import ErrorKind
from headgate.protocols.failure_text import failure_text

_BY_WORD: Final[dict[str, ErrorKind]] = {
    "context_length_exceeded": ErrorKind.CONTEXT_LENGTH_EXCEEDED,
    "exceed_context_size_error": ErrorKind.CONTEXT_LENGTH_EXCEEDED,
    "rate_limit_exceeded": ErrorKind.RATE_LIMIT_EXCEEDED,
    "rate_limit_error": ErrorKind.RATE_LIMIT_EXCEEDED,
    "429": ErrorKind.RATE_LIMIT_EXCEEDED,
    "overloaded_error": ErrorKind.SERVICE_UNAVAILABLE,
    "overloaded": ErrorKind.SERVICE_UNAVAILABLE,
    "503": ErrorKind.SERVICE_UNAVAILABLE,
    "529": ErrorKind.SERVICE_UNAVAILABLE,
    "timeout_error": ErrorKind.UPSTREAM_TIMEOUT,
    "408": ErrorKind.UPSTREAM_TIMEOUT,
    "504": ErrorKind.UPSTREAM_TIMEOUT,
}
_TOO_LONG: Final = re.compile(
    r"prompt is too long|input is too long for|maximum (?:context|prompt) length|context size has been exceeded"
    r"|exceeds? (?:the )?(?:available |model'?s? )?context (?:limit|window|size|length)"
    r"|exceeds the maximum number of tokens",
    re.IGNORECASE,
)
_UNPAID: Final = "credit balance is too low"
_FORGOTTEN: Final = "thread_not_found"  # anthropic/types/thread_not_found_error.py
_MAX_PARAM: Final = 200
_decoder: Final = msgspec.json.Decoder()


class Cause(msgspec.Struct, frozen=True, gc=False):
    """What an error is about.

    `told` is what a client is told, None where the status says all there is. `param` names a member of the
    request as the upstream knows it. `unpaid`: the account behind the provider's key is empty. `forgotten`: the
    upstream no longer holds the conversation that the request goes on from.
    """

    told: ErrorKind | None = None
    param: str | None = None
    unpaid: bool = False
    forgotten: bool = False


def failure_cause(body: bytes) -> Cause:
    """Return what the body or frame of an error is about, in any vendor's form."""
    try:
        said = _decoder.decode(body)
    except (ValueError, RecursionError):
        said = None
    error = _error_of(said)
    message = failure_text(body)
    words = [word for name in ("code", "type") if (word := _word(error.get(name))) is not None]
    told = next((_BY_WORD[word] for word in words if word in _BY_WORD), None)
    if told is None and _TOO_LONG.search(message):
        told = ErrorKind.CONTEXT_LENGTH_EXCEEDED
    param = error.get("param")
    details = error.get("details")
    return Cause(
        told,
        param if isinstance(param, str) and len(param) <= _MAX_PARAM else None,
        unpaid=_UNPAID in message.lower(),
        forgotten=isinstance(details, dict) and details.get("error_code") == _FORGOTTEN,
    )


def _error_of(said: Any) -> dict[str, Any]:
    """Return the object that holds code and type: the `error` member, that of a failed response, or all of it."""
    if not isinstance(said, dict):
        return {}
    for holder in (said, said.get("response")):
        if isinstance(holder, dict) and isinstance(error := holder.get("error"), dict):
            return error
    return said


def _word(value: object) -> str | None:
    """Return a code or type as a word; OpenRouter's and llama.cpp's codes are HTTP statuses."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and 0 <= value < 1000 else None
