"""Calls of three turns: an answer with thinking and a tool's call, given back with the tool's result."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from tests.goldens.matrix import ASKING, Json, answer_to, compact, read, stream_to, write
from tests.protocols.chat import translating as chat
from tests.protocols.messages import validating as messages
from tests.protocols.responses import speaking as responses

from headgate.protocols.canonical import Written

ITEM: Final = "rs_up"
FORMAT: Final = "anthropic-claude-v1"

ACCUMULATED: Final[dict[str, Callable[[bytes], Any]]] = {
    "chat": chat.accumulated,
    "responses": responses.accumulated,
    "messages": messages.accumulated,
}
"""What the SDKs make of streams."""


class Said(NamedTuple):
    """What an upstream's model thought, with its signature, and the arguments it called a tool with."""

    thought: str
    signature: str
    arguments: str


def frames_of(upstream: str, said: Said, size: int) -> bytes:
    """Return a stream, its texts cut into pieces of `size` characters."""
    frames = {"chat": _chat_frames, "responses": _responses_frames, "messages": _messages_frames}[upstream](said, size)
    named = upstream != "chat"
    return b"".join((b"event: %b\n" % each["type"].encode() if named else b"") + _data(each) for each in frames) + (
        b"" if named else b"data: [DONE]\n\n"
    )


def _data(frame: Json) -> bytes:
    return b"data: " + compact(frame) + b"\n\n"


def _pieces(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def _chat_frames(said: Said, size: int) -> Iterator[Json]:
    detail = {"type": "reasoning.text", "index": 0, "format": FORMAT}
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
    deltas: list[Json] = [{"role": "assistant", "content": None}]
    deltas += ({"reasoning_details": [{**detail, "text": piece}]} for piece in _pieces(said.thought, size))
    deltas += ({"reasoning_details": [{**detail, "signature": said.signature}]}, {"tool_calls": [call]})
    deltas += (
        {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in _pieces(said.arguments, size)
    )
    head = {"id": "c", "object": "chat.completion.chunk", "created": 7, "model": "up"}
    for delta in deltas:
        yield {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}


def _responses_frames(said: Said, size: int) -> Iterator[Json]:
    body = whole_answer("responses", said)
    thinking, call = body["output"]
    yield {"type": "response.created", "response": {**body, "output": [], "status": "in_progress"}}
    yield {"type": "response.output_item.added", "output_index": 0, "item": {**thinking, "summary": []}}
    for piece in _pieces(said.thought, size):
        yield {
            "type": "response.reasoning_summary_text.delta",
            "item_id": ITEM,
            "output_index": 0,
            "summary_index": 0,
            "delta": piece,
        }
    yield {"type": "response.output_item.done", "output_index": 0, "item": thinking}
    yield {"type": "response.output_item.added", "output_index": 1, "item": {**call, "arguments": ""}}
    for piece in _pieces(said.arguments, size):
        yield {
            "type": "response.function_call_arguments.delta",
            "item_id": "fc_1",
            "output_index": 1,
            "delta": piece,
        }
    yield {"type": "response.output_item.done", "output_index": 1, "item": call}
    yield {"type": "response.completed", "response": body}


def _messages_frames(said: Said, size: int) -> Iterator[Json]:
    usage = {"input_tokens": 1, "output_tokens": 1}
    yield {"type": "message_start", "message": {"id": "msg_1", "model": "up", "content": [], "usage": usage}}
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}}
    for piece in _pieces(said.thought, size):
        yield _delta(0, {"type": "thinking_delta", "thinking": piece})
    yield _delta(0, {"type": "signature_delta", "signature": said.signature})
    yield {"type": "content_block_stop", "index": 0}
    block = {"type": "tool_use", "id": "call_1", "name": "f", "input": {}}
    yield {"type": "content_block_start", "index": 1, "content_block": block}
    for piece in _pieces(said.arguments, size):
        yield _delta(1, {"type": "input_json_delta", "partial_json": piece})
    yield {"type": "content_block_stop", "index": 1}
    yield {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": usage}
    yield {"type": "message_stop"}


def _delta(index: int, delta: Json) -> Json:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def whole_answer(upstream: str, said: Said) -> Json:
    """Return an answer that is no stream; in messages the arguments are the object that their text says."""
    if upstream == "messages":
        content = [
            {"type": "thinking", "thinking": said.thought, "signature": said.signature},
            {"type": "tool_use", "id": "call_1", "name": "f", "input": json.loads(said.arguments)},
        ]
        usage = {"input_tokens": 1, "output_tokens": 1}
        return {"id": "msg_1", "model": "up", "content": content, "stop_reason": "tool_use", "usage": usage}
    if upstream == "responses":
        summary = [{"type": "summary_text", "text": said.thought}] if said.thought else []
        output = [
            {"id": ITEM, "type": "reasoning", "summary": summary, "encrypted_content": said.signature},
            {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "f", "arguments": said.arguments},
        ]
        return {"id": "resp_1", "model": "up", "created_at": 7, "status": "completed", "output": output}
    detail = {"type": "reasoning.text", "text": said.thought, "signature": said.signature, "format": FORMAT, "index": 0}
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": said.arguments}}
    message = {"role": "assistant", "content": None, "reasoning_details": [detail], "tool_calls": [call]}
    choices = [{"index": 0, "message": message, "finish_reason": "tool_calls"}]
    return {"id": "c", "created": 7, "model": "up", "choices": choices}


def next_request(client: str, upstream: str, said: Said, size: int | None) -> Json:
    """Return a client's next request, the answer given back as its SDK has it; `size` None: it was no stream."""
    if size is None:
        answer: Any = json.loads(answer_to(client, upstream, whole_answer(upstream, said)).body)
    else:
        stream = stream_to(client, upstream, [frames_of(upstream, said, size)]).body
        answer = ACCUMULATED[client](stream).to_dict(mode="json", exclude_none=True)
    return _with_result(client, answer)


def _with_result(client: str, answer: Json) -> Json:
    asked = ASKING[client]
    if client == "responses":
        result: Json = {"type": "function_call_output", "call_id": "call_1", "output": "ok"}
        return {**asked, "input": [{"role": "user", "content": "Hi."}, *answer["output"], result]}
    if client == "messages":
        result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "ok"}]}
        return {**asked, "messages": [*asked["messages"], {"role": "assistant", "content": answer["content"]}, result]}
    message = answer["choices"][0]["message"]
    for call in message["tool_calls"]:
        call.pop("index", None)
        call["function"].pop("parsed_arguments", None)
    result = {"role": "tool", "tool_call_id": "call_1", "content": "ok"}
    return {**asked, "messages": [*asked["messages"], message, result]}


def sent_to(client: str, request: Json, upstream: str) -> Written:
    return write(read(client, request), upstream)


def given_back(upstream: str, body: bytes) -> Said | None:
    """Return what of the answer a request holds, None where its thinking is not in it."""
    request = json.loads(body)
    if upstream == "responses":
        thinking = next((item for item in request["input"] if item.get("type") == "reasoning"), None)
        call = next(item for item in request["input"] if item.get("type") == "function_call")
        if thinking is None:
            return None
        assert thinking["id"] == ITEM
        thought = "\n\n".join(part["text"] for part in thinking["summary"])
        return Said(thought, thinking["encrypted_content"], call["arguments"])
    message = request["messages"][1]
    if upstream == "messages":
        if message["content"][0]["type"] != "thinking":
            return None
        thinking, call = message["content"]
        return Said(thinking["thinking"], thinking["signature"], json.dumps(call["input"]))
    details = message.get("reasoning_details")
    if not details:
        return None
    assert (details[0]["format"], details[0]["type"]) == (FORMAT, "reasoning.text")
    return Said(details[0].get("text", ""), details[0]["signature"], message["tool_calls"][0]["function"]["arguments"])
