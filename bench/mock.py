"""The mock upstream: precomputed bytes on uvloop, several times faster than what it stands behind.

`python -m bench.mock PACED_FRAMES` listens on a free loopback port, which is its first line of output. The
model named in the request chooses the answer (see answers.MODELS).
"""

import asyncio
import random
import re
import sys
from typing import ClassVar, cast

import uvloop

from bench import answers

_STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_LENGTH = b"content-length:"
_MODEL = re.compile(rb'"model": ?"([a-z-]+)"')
_BACKLOG = 1024


def _chunk(frame: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(frame), frame)


def _whole(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


def _streamed(frames: list[bytes]) -> bytes:
    return _STREAM_HEAD + b"".join(map(_chunk, frames)) + b"0\r\n\r\n"


class Pacer:
    """One timer for all streams of one kind: each tick writes the next frame of every one."""

    def __init__(self, loop: asyncio.AbstractEventLoop, frames: list[bytes], gap_s: float) -> None:
        self.chunks = [_chunk(frame) for frame in frames]
        self.chunks[-1] += b"0\r\n\r\n"
        self.streams: dict[asyncio.Transport, int] = {}
        self.gap_s = gap_s
        self._loop = loop
        self._due = loop.time()

    def tick(self) -> None:
        """Write one frame to each stream, drop the finished ones, and arm the next tick without drift."""
        for transport, sent in list(self.streams.items()):
            transport.write(self.chunks[sent])
            if sent + 1 == len(self.chunks):
                del self.streams[transport]
            else:
                self.streams[transport] = sent + 1
        self._due = max(self._due + self.gap_s, self._loop.time())
        self._loop.call_at(self._due, self.tick)


class Mock(asyncio.Protocol):
    """One connection: reads requests with a content-length, answers each by the model that its body names."""

    transport: asyncio.Transport
    ready: ClassVar[dict[bytes, bytes]] = {
        b"unary": _whole(answers.unary()),
        b"odd": _whole(answers.odd()),
        b"burst": _streamed(answers.frames("burst", answers.BURST_FRAMES)),
        b"odd-stream": _streamed(answers.odd_frames()),
    }

    # The same waits in every run.
    chance: ClassVar[random.Random] = random.Random(1)

    def __init__(self, pacers: dict[bytes, Pacer]) -> None:
        self.pacers = pacers
        self.rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 the protocol's signature
        for pacer in self.pacers.values():
            pacer.streams.pop(self.transport, None)

    def data_received(self, data: bytes) -> None:
        data = self.rest + data
        while (end := data.find(b"\r\n\r\n")) >= 0:
            head = data[:end].lower()
            at = head.find(_LENGTH)
            if at < 0:
                self.transport.close()
                return
            end += 4 + int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0])
            if len(data) < end:
                break
            self.answer(data[:end])
            data = data[end:]
        self.rest = data

    def answer(self, request: bytes) -> None:
        """Write what the request's model stands for; a request without a model that we know ends the connection."""
        named = _MODEL.search(request)
        model = named[1] if named else b""
        if model in self.ready:
            self.transport.write(self.ready[model])
        elif model == b"spread":
            wait = self.chance.uniform(*answers.SPREAD_S)
            asyncio.get_running_loop().call_later(wait, self.transport.write, _whole(answers.unary("spread")))
        elif model in self.pacers:
            self.transport.write(_STREAM_HEAD)
            self.pacers[model].streams[self.transport] = 0
        else:
            self.transport.close()


async def main(paced_frames: int) -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    paced = Pacer(loop, answers.frames("paced", paced_frames), answers.GAP_S)
    held = Pacer(loop, answers.frames("held", answers.HELD_FRAMES), answers.HELD_GAP_S)
    for pacer in (paced, held):
        pacer.tick()
    pacers = {b"paced": paced, b"held": held}
    server = await loop.create_server(lambda: Mock(pacers), "127.0.0.1", 0, backlog=_BACKLOG)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
