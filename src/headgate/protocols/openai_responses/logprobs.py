"""Log probabilities between chat's form, which the events have, and this dialect's.

Chat's tokens have `bytes`, or null (openai.types.chat.chat_completion_token_logprob); here a delta's may lack them and
an item's must have them (openai.types.responses.response_output_text).
"""

from typing import Any, Final

import msgspec
from msgspec import Raw

_decoder: Final = msgspec.json.Decoder(list[dict[str, Any]])
_encode: Final = msgspec.json.Encoder().encode


def chat_form(logprobs: Raw) -> Raw | None:
    """Return a delta's logprobs as an event has them, None where they cannot be read."""
    tokens = _decoded(logprobs)
    if tokens is None:
        return None
    for token in tokens:
        token.setdefault("bytes", None)
        top = token.setdefault("top_logprobs", [])
        for other in top if isinstance(top, list) else ():
            if isinstance(other, dict):
                other.setdefault("bytes", None)
    return Raw(_encode(tokens))


def item_form(logprobs: Raw) -> list[dict[str, Any]]:
    """Return an event's logprobs as an item has them; bytes that nobody told are those of the token's text."""
    tokens = _decoded(logprobs) or []
    for token in tokens:
        _tell_bytes(token)
        top = token.get("top_logprobs")
        token["top_logprobs"] = [other for other in top if isinstance(other, dict)] if isinstance(top, list) else []
        for other in token["top_logprobs"]:
            _tell_bytes(other)
    return tokens


def _tell_bytes(token: dict[str, Any]) -> None:
    if not isinstance(token.get("bytes"), list):
        token["bytes"] = list(str(token.get("token", "")).encode("utf-8", "replace"))


def _decoded(logprobs: Raw) -> list[dict[str, Any]] | None:
    try:
        return _decoder.decode(logprobs)
    except (ValueError, RecursionError):
        return None
