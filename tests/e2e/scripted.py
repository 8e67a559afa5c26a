"""An upstream that answers what a test wrote down, also what no vendor should ever send."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

JSON, SSE = "application/json", "text/event-stream"


@dataclass(frozen=True)
class Said:
    """An answer. `stream` is the body where a stream was asked for, None for the same one."""

    body: Any
    stream: bytes | None = None
    status: int = 200
    kind: str = JSON


def frames(*data: Any, done: bool = False) -> bytes:
    """Return event-stream frames, named by their `type` where they have one."""
    out = b""
    for each in data:
        name = each.get("type") if isinstance(each, dict) else None
        out += (b"event: %b\n" % name.encode() if name else b"") + b"data: " + msgspec.json.encode(each) + b"\n\n"
    return out + (b"data: [DONE]\n\n" if done else b"")


@contextmanager
def scripted(answers: Mapping[str, Said]) -> Iterator[str]:
    """Serve and return the base URL; what follows the last `-` of the model's name chooses the answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = msgspec.json.decode(self.rfile.read(int(self.headers["content-length"])))
            said = answers[body["model"].rpartition("-")[2]]
            stream = bool(body.get("stream")) and said.stream is not None
            data = said.stream if stream else said.body
            data = data if isinstance(data, bytes) else msgspec.json.encode(data)
            self.send_response(said.status)
            self.send_header("content-type", SSE if stream else said.kind)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
