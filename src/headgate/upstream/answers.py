"""What is read off an upstream's answer, beside its body."""

from headgate.model.failure import Failure, FailureKind
from headgate.policy.failures import parse_retry_after, parse_retry_after_ms
from headgate.upstream.client import Answer

KEPT = ("content-type", "x-request-id", "request-id", "openai-processing-ms", "openai-version")
"""The upstream's headers that reach the client. All others stay here: cookies, limits of our account, hop headers."""

MESSAGE_LIMIT = 300
HIDDEN = "[key]"
CUT = "…"
LEAST_SHOWN = 3
"""So many characters of a key tell nothing; a vendor's prefix is longer."""
ERROR_BODY_LIMIT = 256 * 1024
"""Bytes of an upstream's error body that are read."""


def kept_headers(answer: Answer) -> list[tuple[str, str]]:
    """Return the headers of an answer that go to the client."""
    return [(name, value) for name in KEPT if (value := answer.header(name)) is not None]


def failure_of(answer: Answer, kind: FailureKind, message: str, api_key: str | None, now_wall: int) -> Failure:
    """Return the failure that an answer's head stands for; `message` is what its body says.

    `now_wall` in ns since the epoch, for a Retry-After that is a date. The provider's key is taken out.
    """
    return Failure(kind, hide(message, api_key)[:MESSAGE_LIMIT], answer.status, _retry_after(answer, now_wall))


def hide(text: str, api_key: str | None) -> str:
    """Return `text` without the provider's key, which some upstreams repeat; also one that was cut off with "…"."""
    if not api_key:
        return text
    text = text.replace(api_key, HIDDEN)
    if text.endswith(CUT):
        for length in range(len(api_key) - 1, LEAST_SHOWN, -1):
            if text.endswith(api_key[:length] + CUT):
                return text[: -length - 1] + HIDDEN + CUT
    return text


def hidden(data: bytes, api_key: str | None) -> bytes:
    """Return `data` without the provider's key; the very same where it is not in it."""
    if not api_key or (key := api_key.encode()) not in data:
        return data
    return data.replace(key, HIDDEN.encode())


def _retry_after(answer: Answer, now_wall: int) -> int | None:
    precise = answer.header("retry-after-ms")
    if precise is not None and (wait := parse_retry_after_ms(precise)) is not None:
        return wait
    plain = answer.header("retry-after")
    return None if plain is None else parse_retry_after(plain, now_wall)
