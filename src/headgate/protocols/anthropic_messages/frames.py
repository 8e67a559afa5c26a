"""The shapes of an upstream's frames and whole answers, decoded once each; members nobody reads are skipped."""

from typing import Final

import msgspec
from msgspec import Raw

MISSING: Final = Raw()
"""What a member holds that is not there: a decoder knows no other way to say it of raw JSON."""


class Delta(msgspec.Struct, gc=False):
    """The delta of a block or of the message."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None
    signature: str | None = None
    citation: Raw = MISSING
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: Raw = MISSING


class Frame(msgspec.Struct, gc=False):
    type: str = ""
    index: int = 0
    delta: Delta | None = None
    content_block: Raw = MISSING
    message: Raw = MISSING
    usage: Raw = MISSING
    error: Raw = MISSING


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
    input: Raw = MISSING


class Message(msgspec.Struct):
    type: str = ""
    id: str | None = None
    model: str | None = None
    content: list[Raw] | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: Raw = MISSING
    usage: Raw = MISSING
    error: Raw = MISSING


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


def there(raw: Raw) -> bool:
    """Tell whether a member is there and not null."""
    return bytes(raw) not in (b"", b"null")


def named(raw: Raw) -> Named:
    """Return what is read of an object; nothing of what is none, or has other types."""
    try:
        return _named.decode(raw)
    except (ValueError, RecursionError):
        return _NOTHING
