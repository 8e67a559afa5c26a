"""Frames as an upstream of this dialect sends them, and the events they make."""

import json
from typing import Any

from tests.protocols.messages.foreign import asking

from headgate.model.events import Event
from headgate.protocols.anthropic_messages import MessagesTranslator

TRANSLATOR = MessagesTranslator()


def reader(**members: Any) -> Any:
    return TRANSLATOR.answer_reader(asking(**members))


def events_of(*messages: dict[str, Any], **members: Any) -> list[Event]:
    reading = reader(**members)
    events: list[Event] = []
    for message in messages:
        events += reading.frame(message["type"].encode(), json.dumps(message).encode())
    return [*events, *reading.end()]


def begin(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, kind: str, **members: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **members}}


def stop(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


START: dict[str, Any] = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [],
        "usage": {"input_tokens": 5, "cache_read_input_tokens": 7, "output_tokens": 1, "service_tier": "standard"},
    },
}


def end(reason: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "message_delta",
        "delta": {"stop_reason": reason, "stop_sequence": None, **more},
        "usage": {"output_tokens": 9},
    }
