"""The frames, items and bodies of responses answers, as typed values.

Forms: openai.types.responses.response_stream_event, response_output_item and response. What is of an odd form is
salvaged: members of a wrong type are left out, all others are read.
"""

from typing import Any, Final, TypeVar

import msgspec
from msgspec import Raw

NOTHING: Final = Raw(b"")
_T = TypeVar("_T", bound=msgspec.Struct)


class Frame(msgspec.Struct, gc=False):
    """An event of a stream; `delta` and the others are those of the few that Headgate reads."""

    type: str | None = None
    output_index: int | None = None
    content_index: int | None = None
    summary_index: int | None = None
    delta: str | None = None
    text: str | None = None
    refusal: str | None = None
    arguments: str | None = None
    input: str | None = None
    logprobs: Raw = NOTHING
    annotation: Raw = NOTHING
    part: Raw = NOTHING
    item: Raw = NOTHING
    response: Raw = NOTHING
    error: Raw = NOTHING
    code: str | None = None


class Part(msgspec.Struct, gc=False):
    """A part of a message, of a summary or of a reasoning's content."""

    type: str | None = None
    text: str | None = None
    refusal: str | None = None
    annotations: list[Raw] | None = None
    logprobs: Raw = NOTHING


class OutputItem(msgspec.Struct, gc=False):
    type: str | None = None
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: str | None = None
    input: str | None = None
    content: list[Part] | None = None
    summary: list[Part] | None = None
    encrypted_content: str | None = None


class Incomplete(msgspec.Struct, gc=False):
    reason: str | None = None


class Response(msgspec.Struct, gc=False):
    """A whole answer, and what the first and the last frames of a stream hold."""

    id: str | None = None
    model: str | None = None
    created_at: float | None = None
    service_tier: str | None = None
    status: str | None = None
    error: Raw = NOTHING
    incomplete_details: Incomplete | None = None
    output: list[Raw] | None = None
    usage: Raw = NOTHING


class Error(msgspec.Struct, gc=False):
    code: str | None = None
    type: str | None = None


_OBJECTS: Final[dict[str, type[msgspec.Struct]]] = {"incomplete_details": Incomplete}
_LISTS: Final[dict[str, type[msgspec.Struct]]] = {"content": Part, "summary": Part}
_RAWS: Final = frozenset({"annotations", "output"})
_any: Final = msgspec.json.Decoder()
_encode: Final = msgspec.json.Encoder().encode
_frame: Final = msgspec.json.Decoder(Frame).decode


def read_frame(data: bytes) -> Frame | None:
    """Return a frame, None for what is no JSON object. Never raises."""
    try:
        return _frame(data)
    except (ValueError, RecursionError):
        return read_as(Frame, data)


def read_as(kind: type[_T], data: bytes | Raw) -> _T | None:
    """Return an object, None for what is no JSON object. Never raises."""
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError:
        pass
    except (ValueError, RecursionError):
        return None
    try:
        message = _any.decode(data)
        return _salvage(kind, message) if isinstance(message, dict) else None
    except (ValueError, RecursionError):
        return None


def said(raw: Raw) -> bool:
    """Tell that a raw member is there, not null and not empty."""
    return memoryview(raw).nbytes > 0 and bytes(raw) not in (b"null", b"[]", b"{}")


def _salvage(kind: type[_T], value: dict[str, Any]) -> _T:
    taken: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        if field.name not in value:
            continue
        member = value[field.name]
        if field.type is Raw:
            taken[field.name] = Raw(_encode(member))
        elif field.name in _OBJECTS and isinstance(member, dict):
            taken[field.name] = _salvage(_OBJECTS[field.name], member)
        elif field.name in _LISTS and isinstance(member, list):
            taken[field.name] = [_salvage(_LISTS[field.name], each) for each in member if isinstance(each, dict)]
        elif field.name in _RAWS and isinstance(member, list):
            taken[field.name] = [Raw(_encode(each)) for each in member]
        else:
            try:
                taken[field.name] = msgspec.convert(member, field.type)
            except msgspec.ValidationError:
                continue
    return kind(**taken)
