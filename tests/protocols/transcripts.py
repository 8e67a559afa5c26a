"""Streams as vendors send them, one frame an item, for the tests of the codecs."""

import json
from typing import Any


def frame(data: Any, event: str | None = None) -> bytes:
    """Return one frame in the compact spelling of most vendors."""
    head = f"event: {event}\n" if event else ""
    text = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    return f"{head}data: {text}\n\n".encode()


def chat(delta: Any = None, finish: str | None = None, usage: Any = None, index: int = 0, **more: Any) -> bytes:
    choice = {"index": index, "delta": delta or {}, "logprobs": None, "finish_reason": finish}
    return frame({"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice], "usage": usage, **more})


def named(data: dict[str, Any]) -> bytes:
    return frame(data, data["type"])


CHAT_USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 120,
    "prompt_tokens_details": {"cached_tokens": 60, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 5},
}
USAGE_FRAME = frame({"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [], "usage": CHAT_USAGE})
DONE = frame("[DONE]")

CHAT_TEXT = [
    chat({"role": "assistant", "content": "", "refusal": None}),
    chat({"content": 'He said "usage":{ and [DONE]'}),
    chat({"content": " error"}),
    chat({"content": "error"}),
    chat(finish="stop"),
    USAGE_FRAME,
    DONE,
]
CHAT_TOOLS = [
    b": OPENROUTER PROCESSING\n\n",
    chat({"role": "assistant", "content": None}),
    chat({"reasoning_content": "hm"}),
    chat({"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "f", "arguments": ""}}]}),
    chat({"tool_calls": [{"index": 0, "function": {"arguments": '{"error":{"usage":1}}'}}]}),
    chat(finish="tool_calls", usage=CHAT_USAGE),
]
CHAT_EACH = [  # usage rides on every frame, as with vLLM's continuous_usage_stats
    chat(
        {"role": "assistant", "content": ""}, usage={"prompt_tokens": 100, "completion_tokens": 0, "total_tokens": 100}
    ),
    *[
        chat({"content": "x"}, usage={"prompt_tokens": 100, "completion_tokens": i, "total_tokens": 100 + i})
        for i in range(1, 20)
    ],
    chat(finish="length", usage=CHAT_USAGE),
    DONE,
]

MESSAGES = [
    named(
        {
            "type": "message_start",
            "message": {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "content": [],
                "usage": {
                    "input_tokens": 12,
                    "cache_creation_input_tokens": 300,
                    "cache_read_input_tokens": 1000,
                    "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
                    "output_tokens": 1,
                },
            },
        }
    ),
    named({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
    named({"type": "ping"}),
    named({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "message_stop"}}),
    named({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "error"}}),
    named({"type": "content_block_stop", "index": 0}),
    named({"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "t", "name": "f"}}),
    named({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{}"}}),
    named({"type": "content_block_stop", "index": 1}),
    named({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 40}}),
    named({"type": "message_stop"}),
]

_ITEM = {"id": "m", "type": "message", "content": [], "role": "assistant"}
RESPONSES_USAGE = {
    "input_tokens": 50,
    "input_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 10},
    "output_tokens": 30,
    "output_tokens_details": {"reasoning_tokens": 25},
    "total_tokens": 80,
}


def numbered(events: list[dict[str, Any]]) -> list[bytes]:
    return [named({**event, "sequence_number": number}) for number, event in enumerate(events)]


RESPONSES = numbered(
    [
        {"type": "response.created", "response": {"id": "resp_1", "error": None, "usage": None}},
        {"type": "response.in_progress", "response": {"id": "resp_1", "error": None}},
        {"type": "response.output_item.added", "item": {"id": "r", "type": "reasoning", "summary": []}},
        {"type": "response.output_item.done", "item": {"id": "r", "type": "reasoning", "summary": []}},
        {"type": "response.output_item.added", "item": _ITEM},
        {"type": "response.content_part.added", "part": {"type": "output_text", "text": ""}},
        {"type": "response.output_text.delta", "delta": "error", "logprobs": []},
        {"type": "response.output_text.delta", "delta": ' "response" response.completed'},
        {"type": "response.output_text.done", "text": 'error "response" response.completed'},
        {"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "usage": RESPONSES_USAGE}},
    ]
)
