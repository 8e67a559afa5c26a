"""What the mock upstream answers and what clients ask: one place, so that envelopes can be checked."""

import json
from collections.abc import Iterable

MODELS = ("unary", "spread", "burst", "paced", "held", "odd", "odd-stream")
"""Upstream names: an answer at once, one after 50 to 150 ms, 52 frames back to back, a stream with 20 ms before each
frame, one with a second, and an answer and a stream spelt unusually."""

BURST_FRAMES = 52
HELD_FRAMES = 90
GAP_S = 0.02
HELD_GAP_S = 1.0
SPREAD_S = (0.05, 0.15)
USAGE = {"prompt_tokens": 260, "completion_tokens": 48, "total_tokens": 308}
CONTENT = "The gate lets the water in and measures it."
TERMINAL = b"data: [DONE]\n\n"
_HEAD = {"id": "chatcmpl-bench", "created": 1700000000}
_ODD = '"x_extra" : {"big":12345678901234567890, "price": 1.10},  "system_fingerprint":"caf\\u00e9"'
"""Valid JSON that a parser which writes it anew changes: spaces, a number beyond 2^53, a trailing zero, an escape."""


def unary(model: str = "unary") -> bytes:
    """Return the body of a chat completion, about 350 bytes."""
    choice = {"index": 0, "message": {"role": "assistant", "content": CONTENT}, "finish_reason": "stop"}
    answer = {**_HEAD, "object": "chat.completion", "model": model, "choices": [choice], "usage": USAGE}
    return json.dumps(answer, separators=(",", ":")).encode()


def frames(model: str, count: int) -> list[bytes]:
    """Return a stream of `count` frames: role, content, finish, usage and the terminal frame."""
    deltas: list[tuple[dict[str, str], str | None]] = [({"role": "assistant", "content": ""}, None)]
    deltas += [({"content": f"word{number:05d} "}, None) for number in range(count - 4)]
    deltas += [({}, "stop")]
    choices = [[{"index": 0, "delta": delta, "finish_reason": finish}] for delta, finish in deltas]
    chunk = {**_HEAD, "object": "chat.completion.chunk", "model": model}
    bodies = [{**chunk, "choices": choice, "usage": None} for choice in choices]
    bodies += [{**chunk, "choices": [], "usage": USAGE}]
    return [b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n" for body in bodies] + [TERMINAL]


def odd() -> bytes:
    """Return a chat completion that says what `unary` says in an unusual spelling."""
    return _oddly(unary("odd"))


def odd_frames() -> list[bytes]:
    """Return a short stream in an unusual spelling."""
    *content, terminal = frames("odd-stream", 8)
    return [*(b"data: " + _oddly(frame[6:-2]) + b"\n\n" for frame in content), terminal]


def _oddly(body: bytes) -> bytes:
    return b"{ " + _ODD.encode() + b" ," + body[1:]


CLIENTS = {"chat": "/v1/chat/completions", "messages": "/v1/messages", "responses": "/v1/responses"}
"""The dialects that streams are asked for in, and where."""


def translated_request(port: int, key: str, model: str, client: str) -> bytes:
    """Return a whole request of a stream as a client of another dialect sends it, with the same prompt."""
    prompt = "x" * 1000
    asked: dict[str, object] = {"model": model, "stream": True}
    if client == "messages":
        asked |= {"max_tokens": 4096, "messages": [{"role": "user", "content": prompt}]}
    else:
        asked |= {"input": prompt}
    body = json.dumps(asked, separators=(",", ":")).encode()
    head = (
        f"POST {CLIENTS[client]} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def request(port: int, key: str, model: str, *, stream: bool, headers: Iterable[str] = ()) -> bytes:
    """Return a whole HTTP/1.1 request with a prompt of 1 KB, as `post.lua` sends it; `headers` are whole lines."""
    asked: dict[str, object] = {"model": model, "messages": [{"role": "user", "content": "x" * 1000}]}
    if stream:
        asked |= {"stream": True, "stream_options": {"include_usage": True}}
    body = json.dumps(asked, separators=(",", ":")).encode()
    further = "".join(f"{line}\r\n" for line in headers)
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {key}\r\n{further}"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
