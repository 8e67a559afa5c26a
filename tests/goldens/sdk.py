"""What the official SDKs say of requests and answers: their types, and what their accumulators make of streams."""

import json
from collections.abc import Callable, Iterable
from typing import Any, Final

from openai.types.chat import ChatCompletion
from openai.types.chat.completion_create_params import CompletionCreateParams
from openai.types.responses import Response
from pydantic import TypeAdapter
from tests.goldens.matrix import Json
from tests.protocols.chat import translating as chat
from tests.protocols.messages import validating as messages
from tests.protocols.responses import speaking as responses

_CHAT_PARAMS: Final[TypeAdapter[Any]] = TypeAdapter(CompletionCreateParams)


def _valid_chat_params(body: Json) -> None:
    _exhausted(_CHAT_PARAMS.validate_python(body))


def _exhausted(value: Any) -> None:
    """Walk through a value: pydantic looks at what an Iterable yields only when it is asked for."""
    if isinstance(value, dict):
        for each in value.values():
            _exhausted(each)
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for each in value:
            _exhausted(each)


VALID_REQUEST: Final[dict[str, Callable[[Json], None]]] = {
    "chat": _valid_chat_params,
    "responses": responses.valid_params,
    "messages": messages.valid_params,
}
"""Raise pydantic's error for a body that is no request by the SDK's types."""


def valid_answer(name: str, body: Json) -> None:
    """Raise pydantic's error for a body that is no answer by the SDK's types."""
    if name == "chat":
        ChatCompletion.model_validate(body)
    elif name == "responses":
        Response.model_validate(body)
    else:
        messages.whole(json.dumps(body).encode())


def content_of_stream(name: str, stream: bytes, request: Json) -> Json:
    """Return what the SDK's accumulator makes of a stream, as `content_of_body` returns it of a whole answer."""
    if name == "chat":
        return _chat_content(chat.accumulated(stream).to_dict(mode="json"))
    if name == "responses":
        return _responses_content(responses.accumulated(stream, request).to_dict(mode="json"))
    return _messages_content(messages.accumulated(stream).to_dict(mode="json"))


def content_of_body(name: str, body: Json) -> Json:
    """Return what a whole answer says: its content, its end and its usage."""
    return {"chat": _chat_content, "responses": _responses_content, "messages": _messages_content}[name](body)


def _chat_content(completion: Json) -> Json:
    choices = [
        {
            **{name: value for name, value in _said(choice["message"]).items() if name != "parsed"},
            "finish": choice["finish_reason"],
            "logprobs": _without_bytes(_said(choice.get("logprobs") or {})),
        }
        for choice in completion["choices"]
    ]
    for choice in choices:
        for call in choice.get("tool_calls", ()):
            call.pop("index", None)
            call.get("function", {}).pop("parsed_arguments", None)
    return {"model": completion["model"], "choices": choices, "usage": _said(completion.get("usage") or {})}


def _without_bytes(logprobs: Any) -> Any:
    """Return logprobs without the tokens' bytes, which the deltas of responses do not tell."""
    if isinstance(logprobs, dict):
        return {name: _without_bytes(value) for name, value in logprobs.items() if name != "bytes"}
    return [_without_bytes(each) for each in logprobs] if isinstance(logprobs, list) else logprobs


def _responses_content(response: Json) -> Json:
    names = ("model", "status", "output", "incomplete_details", "usage", "service_tier")
    said: Json = _said({name: response.get(name) for name in names})
    return said


def _messages_content(message: Json) -> Json:
    said: Json = _said(
        {name: message.get(name) for name in ("model", "content", "stop_reason", "stop_sequence", "usage")}
    )
    said["usage"].pop("cache_creation", None)  # the SDK takes this split from a stream's start alone
    return said


def _said(value: Any) -> Any:
    """Return a value without members that are null or empty, which say nothing."""
    if isinstance(value, dict):
        return {name: _said(each) for name, each in value.items() if each is not None and each not in ("", [], {})}
    return [_said(each) for each in value] if isinstance(value, list) else value
