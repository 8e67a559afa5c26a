"""An upstream that repeats the credential it was sent, in every place where it may say something went wrong."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec


class Echo(BaseHTTPRequestHandler):
    """The end of the model's name says how: `400`, `401`, `500`, `200` (an error in a good answer), `first`, `mid`."""

    def do_POST(self) -> None:
        body = msgspec.json.decode(self.rfile.read(int(self.headers["content-length"])))
        key = self.headers.get("x-api-key") or self.headers["authorization"]
        how = body["model"].rpartition("-")[2]
        error: dict[str, Any] = {"type": "error", "error": {"type": "api_error", "message": f"{key} is not good"}}
        data = msgspec.json.encode(error)
        if how in ("first", "mid"):
            frame = b"event: error\ndata: " + data + b"\n\n"
            self._say(200, (CONTENT if how == "mid" else b"") + frame, "text/event-stream")
        else:
            self._say(int(how), data, "application/json")

    def _say(self, status: int, data: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


CONTENT = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":"hi"},"choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'
)
"""Content in every dialect."""


@contextmanager
def echoing() -> Iterator[str]:
    """Serve and return the base URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
