"""What the official SDKs make of a stream that was stopped: the content of its final message and why it ended."""

import re
from typing import Any, Final

from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types import Completion
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter
from tests.protocols.chat import translating as chat
from tests.protocols.messages import validating as messages
from tests.protocols.responses import speaking as responses
from tests.protocols.sim_streams import Json, Said, arguments_of

from headgate.model.dialect import Endpoint

_EVENT: Final[TypeAdapter[Any]] = TypeAdapter(ResponseStreamEvent)

_PING: Final = re.compile(rb"event: ping\n.*\n\n")

CAPPED: Final = {
    Endpoint.CHAT: "length",
    Endpoint.COMPLETIONS: "length",
    Endpoint.MESSAGES: "max_tokens",
    Endpoint.RESPONSES: "max_output_tokens",
}
"""Each dialect's word for an answer that has reached its maximum."""


def judged(endpoint: Endpoint, stream: bytes) -> list[tuple[Said, str | None]]:
    """Return what the SDK has at a stream's end: for each choice what it says, and the reason why it ended."""
    if endpoint is Endpoint.MESSAGES:
        return [_message(stream)]
    if endpoint is Endpoint.RESPONSES:
        return [_response(stream)]
    return _texts(stream) if endpoint is Endpoint.COMPLETIONS else _completion(stream)


def _completion(stream: bytes) -> list[tuple[Said, str | None]]:
    found: list[tuple[Said, str | None]] = []
    for choice in chat.accumulated(stream).choices:
        message = choice.message
        assert message.role == "assistant"
        thought = (message.model_extra or {}).get("reasoning_content")
        calls = [(call.function.name, call.function.arguments) for call in message.tool_calls or ()]  # type: ignore[union-attr]
        found.append((_said([message.content], [thought], calls), choice.finish_reason))
    return found


def _texts(stream: bytes) -> list[tuple[Said, str | None]]:
    texts: dict[int, tuple[str, str | None]] = {}
    for each in chat.frames_of(stream):
        Completion.model_validate(each | _unfinished(each))
        for choice in each["choices"]:
            text, finish = texts.get(choice["index"], ("", None))
            assert finish is None
            texts[choice["index"]] = (text + choice["text"], choice["finish_reason"])
    return [(_said([text], [], []), finish) for _, (text, finish) in sorted(texts.items())]


def _unfinished(chunk: Json) -> Json:
    """The SDK's type of a completion is that of a whole one, whose finish reason is never null."""
    return {"choices": [{**choice, "finish_reason": choice["finish_reason"] or "stop"} for choice in chunk["choices"]]}


def _message(stream: bytes) -> tuple[Said, str | None]:
    stream = _PING.sub(b"", stream)  # which the SDK passes over before it looks at types
    message = messages.accumulated(stream)
    assert [name for name, _ in messages.frames_of(stream)][-2:] == [b"message_delta", b"message_stop"]
    texts = [block.text for block in message.content if block.type == "text"]
    thoughts = [block.thinking for block in message.content if block.type == "thinking"]
    calls = [(block.name, block.input) for block in message.content if block.type == "tool_use"]
    return Said([text for text in texts if text], [each for each in thoughts if each], calls), message.stop_reason


def _response(stream: bytes) -> tuple[Said, str | None]:
    """Every event must be of the SDK's types and numbered; the items that ended are the output of the end."""
    state: ResponseStreamState[Any] = ResponseStreamState(input_tools=omit, text_format=omit)
    frames = responses.frames_of(stream)
    ended: dict[int, Json] = {}
    summaries: dict[int, str] = {}
    for each in frames:
        state.handle_event(_EVENT.validate_python(each))
        if each["type"] == "response.output_item.done":
            ended[each["output_index"]] = each["item"]
        if each["type"] == "response.reasoning_summary_text.delta":  # which the SDK does not gather
            summaries[each["output_index"]] = summaries.get(each["output_index"], "") + each["delta"]
    last = frames[-1]["response"]
    assert last["id"] == frames[0]["response"]["id"]
    assert last["output"] == [ended[index] for index in sorted(ended)]
    snapshot = state._ResponseStreamState__current_snapshot  # type: ignore[attr-defined]
    texts = [part.text for item in snapshot.output if item.type == "message" for part in item.content]
    calls = [(item.name, item.arguments) for item in snapshot.output if item.type == "function_call"]
    why = (last["incomplete_details"] or {}).get("reason", last["status"])
    return _said(texts, list(summaries.values()), calls), why


def _said(texts: list[Any], thoughts: list[Any], calls: list[tuple[str, str]]) -> Said:
    return Said(
        [text for text in texts if text],
        [thought for thought in thoughts if thought],
        [(name, arguments_of(arguments)) for name, arguments in calls],
    )
