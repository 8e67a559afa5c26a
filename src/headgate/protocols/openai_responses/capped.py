"""The end of a responses stream that is stopped before its upstream has ended it."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec
from msgspec import Raw

from headgate.model.usage import Usage
from headgate.protocols.openai_responses.usage_writer import usage_object
from headgate.protocols.sse import encode_frame

_TYPE: Final = "response.incomplete"
_DELTAS: Final = frozenset(
    {
        "response.output_text.delta",
        "response.refusal.delta",
        "response.reasoning_text.delta",
        "response.reasoning_summary_text.delta",
        "response.function_call_arguments.delta",
        "response.custom_tool_call_input.delta",
        "response.mcp_call_arguments.delta",
        "response.code_interpreter_call_code.delta",
    }
)


class _Response(msgspec.Struct, gc=False):
    response: dict[str, Raw]


class _ItemDone(msgspec.Struct, gc=False):
    item: Raw
    output_index: int = 0


_response: Final = msgspec.json.Decoder(_Response).decode
_item_done: Final = msgspec.json.Decoder(_ItemDone).decode
_encode: Final = msgspec.json.Encoder().encode


def end_of_stream(
    begun: bytes, response_id: str | None, ended: Iterable[bytes], usage: Usage | None, sequence: int
) -> bytes:
    """Return response.incomplete, its response as the upstream began it (`begun`: the data of that event).

    `ended` is the data of the events that ended items: the response's output. An item that is still open is not in it
    and gets no event of its end: such events repeat the whole text, which passed as deltas and was not kept, and one
    without its text would make accumulators forget what they have.
    """
    response = {
        **_begun(begun, response_id),
        "status": "incomplete",
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"},
        "output": _output(ended),
        "usage": None if usage is None else usage_object(usage),
    }
    event = {"type": _TYPE, "sequence_number": sequence, "response": response}
    return encode_frame(_encode(event), _TYPE.encode())


def _begun(begun: bytes, response_id: str | None) -> dict[str, Any]:
    default = {"id": response_id or "", "object": "response", "created_at": 0, "model": ""}
    try:
        return default | _response(begun).response
    except (ValueError, RecursionError):
        return default


def _output(ended: Iterable[bytes]) -> list[Raw]:
    items: dict[int, Raw] = {}
    for data in ended:
        try:
            done = _item_done(data)
        except (ValueError, RecursionError):
            continue
        items[done.output_index] = done.item
    return [items[index] for index in sorted(items)]


def texts_in(message: dict[str, Any]) -> Iterator[object]:
    """Yield what the model said in an event; the events that repeat it whole say nothing new."""
    if message.get("type") in _DELTAS:
        yield message.get("delta")
