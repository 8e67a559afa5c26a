"""The end of a messages stream that is stopped before its upstream has ended it.

As Anthropic ends one at its maximum: the open block is stopped wherever it is, a tool use with half its JSON too, and
the stop reason says so (docs.claude.com, "Handling stop reasons": max_tokens, incomplete tool use blocks).
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from headgate.model.usage import Usage
from headgate.protocols.anthropic_messages.usage_writer import usage_of
from headgate.protocols.sse import FrameSplitter, encode_frame, parse_frame
from headgate.protocols.text_meter import CALL_BYTES, Again, Said, size_but

MESSAGE_STOP: Final = encode_frame(b'{"type":"message_stop"}', b"message_stop")

_NO_LIMIT: Final = 2**62
_SAID: Final = ("text", "thinking", "partial_json")
_TELLS: Final = frozenset({"type", "id", "tool_use_id"})
_SILENT: Final = frozenset({"ping", "content_block_stop", "message_start", "message_delta", "message_stop"})


class _BlockFrame(msgspec.Struct, gc=False):
    type: str = ""
    index: int = 0


_decode: Final = msgspec.json.Decoder(_BlockFrame).decode
_encode: Final = msgspec.json.Encoder().encode


def end_of_stream(last: bytes, usage: Usage | None, output_tokens: int) -> bytes:
    """Return the stop of the open block, message_delta and message_stop.

    `last` are the last frames that hold one of a block, or the data of it. Without `usage` the output alone is counted.
    """
    block = _open_block(last)
    stop = b"" if block is None else encode_frame(b'{"type":"content_block_stop","index":%d}' % block, _STOP)
    end = {
        "type": "message_delta",
        "delta": {"stop_reason": "max_tokens", "stop_sequence": None},
        "usage": {"output_tokens": output_tokens} if usage is None else usage_of(usage),
    }
    return stop + encode_frame(_encode(end), b"message_delta") + MESSAGE_STOP


_STOP: Final = b"content_block_stop"
_GOES_ON: Final = frozenset({"content_block_start", "content_block_delta"})


def _open_block(last: bytes) -> int | None:
    """Return the index of the block that is open after these frames, None for none."""
    for data in reversed(_data_of(last)):
        try:
            frame = _decode(data)
        except (ValueError, RecursionError):
            continue
        if frame.type in _GOES_ON:
            return frame.index
        if frame.type == "content_block_stop":
            return None
    return None


def _data_of(last: bytes) -> list[bytes]:
    if last.startswith(b"{"):
        return [last]
    splitter = FrameSplitter(_NO_LIMIT)
    frames = [*splitter.feed(last), splitter.rest()]
    return [parse_frame(frame)[1] for frame in frames]


def texts_in(message: dict[str, Any]) -> Iterator[object]:
    """Yield what the model said in an event: text, thinking, arguments. Members may be of any type."""
    delta = message.get("delta")
    if isinstance(delta, dict):
        for name in _SAID:
            yield delta.get(name)


def says(message: dict[str, Any]) -> Said | None:
    """Return the bytes of all that an event says, known members or not; None where the event is not known."""
    kind = str(message.get("type"))
    if kind in _SILENT:
        return 0, Again.NO
    said = message.get("delta" if kind == "content_block_delta" else "content_block")
    if kind not in _GOES_ON or not isinstance(said, dict):
        return None
    return size_but(said, _TELLS) + (CALL_BYTES if said.get("name") else 0), Again.NO
