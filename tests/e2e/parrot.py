"""An upstream of all three dialects that says what it is told, a few characters a frame: a model that leaks."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]

STEP = 3
"""Characters of a frame: every mark is cut somewhere."""


class Parrot(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        turns = asked.get("messages") or asked["input"]
        text = turns if isinstance(turns, str) else _text(turns[-1]["content"])
        dialect = {"completions": chat, "responses": responses, "messages": messages}[self.path.rpartition("/")[2]]
        stream, body = dialect(text)
        if asked.get("stream"):
            self._say(b"".join(stream), "text/event-stream")
        else:
            self._say(json.dumps(body).encode(), "application/json")

    def _say(self, data: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def _pieces(text: str) -> list[str]:
    return [text[at : at + STEP] for at in range(0, len(text), STEP)]


def _frame(event: Json) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def chat(text: str) -> tuple[list[bytes], Json]:
    head: Json = {"id": "c", "created": 1, "model": "parrot"}
    usage = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
    deltas: list[tuple[Json, str | None]] = [*(({"content": piece}, None) for piece in _pieces(text)), ({}, "stop")]
    frames: list[Json] = [
        {"object": "chat.completion.chunk", **head, "choices": [{"index": 0, "delta": delta, "finish_reason": word}]}
        for delta, word in deltas
    ]
    frames.append({"object": "chat.completion.chunk", **head, "choices": [], "usage": usage})
    stream = [f"data: {json.dumps(frame)}\n\n".encode() for frame in frames]
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return [*stream, b"data: [DONE]\n\n"], {"object": "chat.completion", **head, "choices": [choice], "usage": usage}


def messages(text: str) -> tuple[list[bytes], Json]:
    body: Json = {"id": "msg_1", "type": "message", "role": "assistant", "model": "parrot"}
    body |= {"content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": None}
    body |= {"usage": {"input_tokens": 5, "output_tokens": 7}}
    events: list[Json] = [
        {"type": "message_start", "message": {**body, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}
            for piece in _pieces(text)
        ),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 7},
        },
        {"type": "message_stop"},
    ]
    return [_frame(event) for event in events], body


def responses(text: str) -> tuple[list[bytes], Json]:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    item: Json = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}
    usage: Json = {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}
    usage |= {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    body: Json = {"id": "resp_1", "object": "response", "created_at": 1, "model": "parrot", "status": "completed"}
    body |= {"output": [item], "usage": usage, "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    place: Json = {"output_index": 0, "content_index": 0, "item_id": "msg_1"}
    events: list[Json] = [
        {"type": "response.created", "response": {**body, "output": [], "usage": None, "status": "in_progress"}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        {"type": "response.content_part.added", **place, "part": {**part, "text": ""}},
        *({"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []} for piece in _pieces(text)),
        {"type": "response.output_text.done", **place, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": body},
    ]
    return [_frame({**event, "sequence_number": at}) for at, event in enumerate(events)], body


@contextmanager
def repeating() -> Iterator[str]:
    """Serve and return the base URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Parrot) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
