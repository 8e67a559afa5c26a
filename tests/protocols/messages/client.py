"""Answers as a client of this dialect gets them."""

import json
from typing import Any

from anthropic.types import Message
from tests.protocols.messages.samples import BASE
from tests.protocols.messages.validating import accumulated, whole

from headgate.model.content import Signer, ToolKind
from headgate.model.dialect import Dialect, Endpoint
from headgate.model.events import (
    BlockEnded,
    Event,
    Finish,
    Finished,
    Started,
    ToolArguments,
    ToolStarted,
)
from headgate.model.losses import Lost
from headgate.protocols.anthropic_messages import AnthropicMessages, MessagesTranslator
from headgate.protocols.canonical import Reply

BOX = Signer("box", Dialect.OPENAI_CHAT)
OWN = Signer("anthropic", Dialect.ANTHROPIC_MESSAGES)
TRANSLATOR = MessagesTranslator()
ASKED = json.dumps({**BASE, "messages": [{"role": "user", "content": "Hi."}]}).encode()
STARTED = Started("chatcmpl-1", "gpt-x", 7, "default")
DONE = Finished(Finish.STOP)


def writer(signer: Signer = BOX) -> Any:
    head = AnthropicMessages().read_head(Endpoint.MESSAGES, ASKED)
    return TRANSLATOR.answer_writer(Reply(head, TRANSLATOR.read_request(head), "call_1", 7, signer))


def streamed(*events: Event, signer: Signer = BOX) -> tuple[bytes, set[Lost]]:
    """Return the stream, written one event at a time."""
    writing = writer(signer)
    stream = b"".join(writing.frames([event]) for event in events) + writing.end()
    return stream, writing.lost


def both(*events: Event, signer: Signer = BOX) -> tuple[list[dict[str, Any]], Any, set[Lost]]:
    """Return the content and the message that a stream makes, which a whole answer must make too."""
    stream, lost = streamed(*events, signer=signer)
    message = accumulated(stream)
    unary = writer(signer)
    other = whole(unary.body(events))
    assert said_by(other) == said_by(message)
    assert unary.lost == lost
    return [block.to_dict(mode="json", exclude_none=True) for block in message.content], message, lost


def said_by(message: Message) -> dict[str, Any]:
    """Return a message without the split of cache writes, which the SDK takes from a stream's start alone."""
    said = message.to_dict(mode="json", exclude_none=True)
    said["usage"].pop("cache_creation", None)  # type: ignore[attr-defined]
    return said


def tool(number: int, *parts: str, kind: ToolKind = ToolKind.FUNCTION) -> list[Event]:
    return [
        ToolStarted(number, f"call_{number}", "f", kind=kind),
        *(ToolArguments(number, part) for part in parts),
        BlockEnded(number),
    ]
