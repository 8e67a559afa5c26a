"""The floor of this stack: Granian (RSGI) and pyreqwest passing bytes on, doing nothing else.

`python -m bench.relay PORT UPSTREAM_URL`
"""

import asyncio
import sys
from typing import Any

import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server
from pyreqwest.client import Client, ClientBuilder

CONNECTIONS = 4096
"""At once; Granian's own 128 would let most held streams wait."""


def client() -> Client:
    """Return a client that adds nothing and hides nothing."""
    builder = ClientBuilder().gzip(False).brotli(False).zstd(False).deflate(False)
    return builder.follow_redirects(False).referer(False).no_proxy().http1_lower_case_headers().build()


async def main(port: int, upstream: str) -> None:
    """Serve until killed."""
    http = client()

    async def relay(scope: Any, proto: Any) -> None:
        body = await proto()
        headers = [("content-type", "application/json")]
        asked = http.post(upstream + scope.path).headers(headers).body_bytes(body)
        async with asked.streamed_read_buffer_limit(0).build_streamed() as answer:
            reader = answer.body_reader
            if answer.headers["content-type"] == "text/event-stream":
                sink = proto.response_stream(answer.status, [("content-type", "text/event-stream")])
                while (chunk := await reader.read_chunk()) is not None:
                    await sink.send_bytes(bytes(chunk))
                return
            parts: list[bytes] = []
            while (chunk := await reader.read_chunk()) is not None:
                parts.append(bytes(chunk))
            proto.response_bytes(answer.status, headers, b"".join(parts))

    server = Server(
        relay,
        address="127.0.0.1",
        port=port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,
        log_enabled=False,
        websockets=False,
        backlog=CONNECTIONS,
        backpressure=CONNECTIONS,
    )
    await server.serve()


if __name__ == "__main__":
    try:
        uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(0)
