"""What the official SDK's own types say of requests and answers."""

from collections.abc import Iterable
from typing import Any

from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent
from anthropic.types.message_create_params import MessageCreateParams
from pydantic import TypeAdapter

from headgate.protocols.sse import FrameSplitter, parse_frame

_PARAMS: TypeAdapter[Any] = TypeAdapter(MessageCreateParams)
_EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)


def valid_params(body: dict[str, Any]) -> None:
    """Raise pydantic's error where a request is none by the SDK's types."""
    _exhausted(_PARAMS.validate_python(body))


def _exhausted(value: Any) -> None:
    """Walk through a value: pydantic looks at what an Iterable yields only when it is asked for."""
    if isinstance(value, dict):
        for each in value.values():
            _exhausted(each)
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for each in value:
            _exhausted(each)


def frames_of(stream: bytes) -> list[tuple[bytes | None, bytes]]:
    splitter = FrameSplitter()
    frames = [parse_frame(frame) for frame in splitter.feed(stream)]
    assert not splitter.rest()
    return frames


def accumulated(stream: bytes) -> Message:
    """Return the message that the SDK makes of a stream whose every event is of its types."""
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    for name, data in frames_of(stream):
        event = _EVENT.validate_json(data)
        assert name is not None
        assert event.type == name.decode()
        if event.type == "message_stop":
            continue
        snapshot = accumulate_event(event=event, current_snapshot=snapshot, json_bufs=buffers)
    assert isinstance(snapshot, Message)
    return Message.model_validate_json(snapshot.to_json())


def whole(body: bytes) -> Message:
    """Return a whole answer, validated by the SDK's type."""
    return Message.model_validate_json(body)
