"""The end of a chat or completions stream that is stopped before its upstream has ended it."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec
from msgspec import Raw

from headgate.model.dialect import Endpoint
from headgate.model.request import RequestHead
from headgate.model.usage import Usage
from headgate.protocols.json_object import members_of
from headgate.protocols.openai_chat.usage_writer import usage_object
from headgate.protocols.sse import encode_frame
from headgate.protocols.text_meter import CALL_BYTES, Again, Said, size_but, size_of

_KEPT: Final = ("id", "object", "created", "model", "provider", "service_tier", "system_fingerprint")
"""Members that all chunks of a stream have in common; `provider` is OpenRouter's."""
_ROLE: Final = {"role": "assistant", "content": ""}
_DONE: Final = b"data: [DONE]\n\n"
_TELLS: Final = frozenset({"delta", "logprobs", "finish_reason", "native_finish_reason", "stop_reason"})
_CALL: Final = frozenset({"id", "type", "function"})
_NOTHING: Final[frozenset[str]] = frozenset()
_encode: Final = msgspec.json.Encoder().encode


def end_of_stream(head: RequestHead, like: bytes, choices: Iterable[tuple[int, bool]], usage: Usage | None) -> bytes:
    """Return a finish chunk for each of the choices, the usage chunk where there is a usage, and [DONE].

    `like` is a chunk of the stream. `choices`: the index, and whether the client has had a delta of it: one that has
    none gets its role with its end, as a message must have one; a second one the Python SDK would append to the first.
    """
    legacy = head.endpoint is Endpoint.COMPLETIONS
    envelope = _envelope(head, like, legacy=legacy)
    nothing = {"usage": None} if head.include_usage else {}
    frames = [
        encode_frame(_encode({**envelope, "choices": [_finish(index, begun=begun, legacy=legacy)], **nothing}))
        for index, begun in choices
    ]
    if usage is not None:
        frames.append(encode_frame(_encode({**envelope, "choices": [], "usage": usage_object(usage)})))
    return b"".join((*frames, _DONE))


def _envelope(head: RequestHead, like: bytes, *, legacy: bool) -> dict[str, Any]:
    said: dict[str, Raw] = members_of(like) or {}
    form = "text_completion" if legacy else "chat.completion.chunk"
    default = {"id": "", "object": form, "created": 0, "model": head.model}
    return default | {name: said[name] for name in _KEPT if name in said}


def _finish(index: int, *, begun: bool, legacy: bool) -> dict[str, Any]:
    said: dict[str, Any] = {"text": ""} if legacy else {"delta": {} if begun else _ROLE}
    return {"index": index, **said, "logprobs": None, "finish_reason": "length"}


def has_choices(chunk: bytes) -> bool:
    """Tell whether a chunk, given as its data, is more than a usage chunk."""
    return bytes((members_of(chunk) or {}).get("choices", b"[]")).strip() not in (b"[]", b"null")


def texts_in(message: dict[str, Any]) -> Iterator[object]:
    """Yield what the model said in a chunk: text, reasoning, refusals, arguments. Members may be of any type."""
    choices = message.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if not isinstance(choice, dict):
            continue
        yield choice.get("text")
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            continue
        yield delta.get("content")
        yield delta.get("reasoning_content") or delta.get("reasoning")  # some servers say it in both
        yield delta.get("refusal")
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            function = call.get("function") if isinstance(call, dict) else None
            if isinstance(function, dict):
                yield function.get("arguments")


def says(message: dict[str, Any]) -> Said | None:
    """Return the bytes of all that a chunk says, known members or not; None where it is no chunk.

    What some servers say in two members (reasoning in both of its names, Together's text) counts once.
    """
    choices = message.get("choices")
    if not isinstance(choices, list):
        return None
    size = 0
    for choice in choices:
        if not isinstance(choice, dict):
            return None
        delta = choice.get("delta")
        beside = size_but(choice, _TELLS)
        if isinstance(delta, dict):
            size += _delta_size(delta)
            if beside and choice.get("text") == delta.get("content"):
                beside -= size_of(choice.get("text"))
        else:
            beside += size_of(delta)
        size += beside
    return size, Again.NO


def _delta_size(delta: dict[str, Any]) -> int:
    size = 0
    for name, value in delta.items():
        if name == "tool_calls" and isinstance(value, list):
            size += sum(map(_call_size, value))
        elif not (name == "role" or (name == "reasoning" and value == delta.get("reasoning_content"))):
            size += size_of(value)
    return size


def _call_size(call: object) -> int:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(call, dict) or not isinstance(function, dict):
        return size_of(call)
    begins = CALL_BYTES if function.get("name") else 0
    return begins + size_but(function, _NOTHING) + size_but(call, _CALL)
