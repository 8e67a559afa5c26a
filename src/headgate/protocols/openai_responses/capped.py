"""The end of a responses stream that is stopped before its upstream has ended it."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec
from msgspec import Raw

from headgate.model.usage import Usage
from headgate.protocols.openai_responses.usage_writer import usage_object
from headgate.protocols.sse import encode_frame
from headgate.protocols.text_meter import CALL_BYTES, Again, Said, size_but, size_of

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


_KNOWN: Final = (
    ".delta",
    ".done",
    ".added",
    ".in_progress",
    ".searching",
    ".interpreting",
    ".generating",
    ".completed",
)
_SPOKEN: Final = ("delta", "text", "refusal", "arguments", "input", "code", "transcript", "part", "item")
_TELLS: Final = frozenset({"type", "id", "call_id", "status", "role", "logprobs"})
_PARTS: Final = frozenset({"content", "summary"})


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


def says(message: dict[str, Any]) -> Said | None:
    """Return the bytes of all that an event says; None where the event is not known.

    Events that end a text, a part or an item repeat what came as deltas.
    """
    kind = str(message.get("type"))
    if not kind.startswith("response.") or not kind.endswith(_KNOWN):
        return None
    begins = CALL_BYTES if kind == "response.output_item.added" and _is_call(message.get("item")) else 0
    again = Again.ITEM if kind == "response.output_item.done" else Again.PART if kind.endswith(".done") else Again.NO
    return begins + sum(_size(message[name]) for name in _SPOKEN if name in message), again


def _size(said: object) -> int:
    """Return the bytes of text in an item or a part, or a list of those."""
    if isinstance(said, list):
        return sum(map(_size, said))
    if not isinstance(said, dict):
        return size_of(said)
    return size_but(said, _TELLS | _PARTS) + sum(_size(said[name]) for name in _PARTS if name in said)


def _is_call(item: object) -> bool:
    return isinstance(item, dict) and bool(item.get("name"))
