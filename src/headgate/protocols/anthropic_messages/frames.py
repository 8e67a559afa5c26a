"""The shapes of an upstream's frames and whole answers, decoded once each; members nobody reads are skipped."""

from typing import Final

import msgspec
from msgspec import Raw


class Delta(msgspec.Struct, gc=False):
    """The delta of a block or of the message."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None
    signature: str | None = None
    citation: Raw | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: Raw | None = None


class Frame(msgspec.Struct, gc=False):
    type: str = ""
    index: int = 0
    delta: Delta | None = None
    content_block: Raw | None = None
    message: Raw | None = None
    usage: Raw | None = None
    error: Raw | None = None


class Content(msgspec.Struct):
    """A block as it starts in a stream, or as it stands in a whole answer."""

    type: str = ""
    text: str | None = None
    citations: list[Raw] | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: Raw | None = None


class Message(msgspec.Struct):
    type: str = ""
    id: str | None = None
    model: str | None = None
    content: list[Raw] | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: Raw | None = None
    usage: Raw | None = None
    error: Raw | None = None


class Named(msgspec.Struct):
    """What is read of a usage object, an error and the details of a refusal."""

    service_tier: str | None = None
    type: str | None = None
    explanation: str | None = None


frame_of: Final = msgspec.json.Decoder(Frame).decode
content_of: Final = msgspec.json.Decoder(Content).decode
message_of: Final = msgspec.json.Decoder(Message).decode
_named: Final = msgspec.json.Decoder(Named)
_NOTHING: Final = Named()


def named(raw: Raw | None) -> Named:
    """Return what is read of an object; nothing of what is none, or has other types."""
    if raw is None:
        return _NOTHING
    try:
        return _named.decode(raw)
    except (ValueError, RecursionError):
        return _NOTHING
