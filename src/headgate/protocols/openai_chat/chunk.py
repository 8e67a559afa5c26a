"""The frames and bodies of chat answers, as typed values.

Forms: openai.types.chat.chat_completion_chunk and chat_completion; what compatible servers add or do otherwise is named
where it stands. A frame of an odd form is salvaged: members of a wrong type are left out, all others are read.
"""

from typing import Any, Final, TypeVar

import msgspec
from msgspec import Raw

NOTHING: Final = Raw(b"")
_T = TypeVar("_T", bound=msgspec.Struct)


class FunctionDelta(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None  # an object with servers that parse it themselves


class CustomDelta(msgspec.Struct, gc=False):
    name: str | None = None
    input: str | None = None


class ToolDelta(msgspec.Struct, gc=False):
    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: FunctionDelta | None = None
    custom: CustomDelta | None = None
    extra_content: Raw = NOTHING  # Gemini's thought signature


class Delta(msgspec.Struct, gc=False):
    """`content` is a list of parts with Mistral's reasoning models."""

    content: str | list[Any] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[dict[str, Any]] | None = None
    refusal: str | None = None
    tool_calls: list[ToolDelta] | None = None
    function_call: FunctionDelta | None = None
    annotations: list[Raw] | None = None
    audio: Raw = NOTHING
    images: Raw = NOTHING  # OpenRouter's image output


class Logprobs(msgspec.Struct, gc=False):
    content: Raw = NOTHING


class Choice(msgspec.Struct, gc=False):
    """`stop_reason` (vLLM) and `matched_stop` (SGLang) hold the stop sequence, or the id of a token."""

    index: int | None = 0
    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None
    logprobs: Logprobs | None = None
    stop_reason: str | int | None = None
    matched_stop: str | int | None = None


class Groq(msgspec.Struct, gc=False):
    usage: Raw = NOTHING


class Chunk(msgspec.Struct, gc=False):
    """A frame of a stream or a whole answer."""

    id: str | None = None
    model: str | None = None
    created: int | None = None
    object: str | None = None
    service_tier: str | None = None
    choices: list[Choice] | None = None
    usage: Raw = NOTHING
    x_groq: Groq | None = None
    error: Raw = NOTHING


_OBJECTS: Final[dict[str, type[msgspec.Struct]]] = {
    "delta": Delta,
    "message": Delta,
    "function": FunctionDelta,
    "custom": CustomDelta,
    "function_call": FunctionDelta,
    "logprobs": Logprobs,
    "x_groq": Groq,
}
_LISTS: Final[dict[str, type[msgspec.Struct]]] = {"choices": Choice, "tool_calls": ToolDelta}

_decoder: Final = msgspec.json.Decoder(Chunk)
_any: Final = msgspec.json.Decoder()
_encode: Final = msgspec.json.Encoder().encode


def read_chunk(data: bytes) -> Chunk | None:
    """Return a frame or a body, None for what is no JSON object. Never raises."""
    try:
        return _decoder.decode(data)
    except msgspec.ValidationError:
        pass
    except (ValueError, RecursionError):
        return None
    try:
        message = _any.decode(data)
        return _salvage(Chunk, message) if isinstance(message, dict) else None
    except (ValueError, RecursionError):
        return None


def said(raw: Raw) -> bool:
    """Tell that a raw member is there and not null."""
    size = memoryview(raw).nbytes
    return size > 0 and (size != 4 or bytes(raw) != b"null")


def more_than_text(delta: Delta) -> bool:
    """Tell whether a delta holds anything beside its content."""
    return bool(
        delta.reasoning_content
        or delta.reasoning
        or delta.reasoning_details
        or delta.refusal
        or delta.tool_calls
        or delta.function_call
        or delta.annotations
        or said(delta.audio)
        or said(delta.images)
    )


def is_list(raw: Raw) -> bool:
    """Tell that a raw member is there and an array."""
    return bytes(memoryview(raw)[:1]) == b"["


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
        elif field.name == "annotations" and isinstance(member, list):
            taken[field.name] = [Raw(_encode(each)) for each in member]
        else:
            try:
                taken[field.name] = msgspec.convert(member, field.type)
            except msgspec.ValidationError:
                continue
    return kind(**taken)
