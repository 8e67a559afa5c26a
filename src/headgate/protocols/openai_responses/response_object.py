"""The response object of an answer: what the client asked for is echoed, the rest holds the API's defaults.

Members: openai.types.responses.response; `store` is false, since nobody can ask Headgate for the answer again.
"""

from typing import Final

import msgspec
from msgspec import Raw

from headgate.model.usage import Usage
from headgate.protocols.canonical import Reply
from headgate.protocols.members import is_null
from headgate.protocols.openai_responses import tables
from headgate.protocols.openai_responses.usage_writer import usage_object

_ECHOED: Final[dict[str, bytes]] = {
    "background": b"false",
    "instructions": b"null",
    "max_output_tokens": b"null",
    "max_tool_calls": b"null",
    "parallel_tool_calls": b"true",
    "previous_response_id": b"null",
    "prompt_cache_key": b"null",
    "reasoning": b'{"effort":null,"summary":null}',
    "safety_identifier": b"null",
    "temperature": b"1.0",
    "text": b'{"format":{"type":"text"},"verbosity":"medium"}',
    "tool_choice": b'"auto"',
    "tools": b"[]",
    "top_logprobs": b"0",
    "top_p": b"1.0",
    "truncation": b'"disabled"',
    "user": b"null",
    "metadata": b"{}",
}
"""Members of a request that its answer repeats, and what stands there where the client said nothing."""

_encode: Final = msgspec.json.Encoder().encode


class ResponseObject:
    """Writes the object in each of its states; `model` and `tier` are as the upstream says once it has begun."""

    def __init__(self, reply: Reply) -> None:
        self.model = reply.head.model
        self.tier: str | None = None
        opening = {"id": f"resp_{reply.id}", "object": "response", "created_at": reply.created}
        self._head = _encode(opening)[:-1]
        fields = reply.head.fields
        echo = {name: _said(fields.get(name), default) for name, default in _ECHOED.items()}
        self._tail = b"," + _encode({**echo, "store": False, "completed_at": None})[1:]

    def written(
        self,
        status: str,
        output: list[object],
        usage: Usage | None = None,
        incomplete: str | None = None,
        error: dict[str, str] | None = None,
    ) -> bytes:
        """Return the object; `incomplete` is the reason why it is."""
        state: dict[str, object] = {
            "status": status,
            "error": error,
            "incomplete_details": None if incomplete is None else {"reason": incomplete},
            "model": self.model,
            "output": output,
            "service_tier": self._tier(),
            "usage": None if usage is None else usage_object(usage),
        }
        return b"%b,%b%b" % (self._head, _encode(state)[1:-1], self._tail)

    def _tier(self) -> str:
        tier = tables.TIER_WRITTEN.get(self.tier or "", self.tier or "")
        return tier if tier in tables.TIERS else "default"


def _said(value: Raw | None, default: bytes) -> Raw:
    return Raw(default) if value is None or is_null(value) else value
