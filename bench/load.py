"""The loads: wrk for what is saturated, our own clients for paced streams and for one client's latency."""

import asyncio
import json
import re
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple, cast

from bench import answers, envelopes
from bench.machine import search_path

LUA = Path(__file__).with_name("post.lua")
CLIENTS = 32
_CHUNK = re.compile(rb"([0-9a-fA-F]+)\r\n")


class Target(NamedTuple):
    """Where to send, with which key and which further header lines (`name: value`).

    `exact`: answers must come as the bytes that the mock sent; else what they say must be the same.
    """

    port: int
    key: str
    headers: tuple[str, ...] = ()
    exact: bool = True


class Burst(NamedTuple):
    """What one run of wrk did."""

    calls: int
    seconds: float


class BadAnswers(Exception):
    """A figure would be worthless: answers were lost or wrong."""


def wrk(
    core: int,
    target: Target,
    model: str,
    seconds: float,
    *,
    stream: bool = False,
    clients: int = CLIENTS,
    refused: bool = False,
) -> Burst:
    """Run wrk on one core. Raises BadAnswers if any call failed; of calls that are `refused`, if any did not."""
    command = [
        "taskset",
        "-c",
        str(core),
        "wrk",
        "-t1",
        f"-c{clients}",
        f"-d{seconds:.0f}s",
        "--timeout",
        "20s",
    ]
    command += ["-s", str(LUA), f"http://127.0.0.1:{target.port}/v1/chat/completions"]
    env = {
        "PATH": search_path(),
        "BENCH_KEY": target.key,
        "BENCH_MODEL": model,
        "BENCH_STREAM": str(int(stream)),
        "BENCH_HEADERS": "\n".join(target.headers),
    }
    said = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=seconds + 60).stdout
    done = json.loads(said.splitlines()[-1])
    if done["errors"] or not done["requests"] or done["refused"] != done["requests"] * refused:
        raise BadAnswers(f"wrk on {model}: {said}")
    return Burst(done["requests"], done["us"] / 1e6)


def latencies(target: Target, calls: int) -> list[int]:
    """Return the ns of `calls` unary calls, one after the other on one connection."""
    asked = answers.request(target.port, target.key, "unary", stream=False, headers=target.headers)
    taken = []
    with socket.create_connection(("127.0.0.1", target.port), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(calls):
            begun = time.perf_counter_ns()
            connection.sendall(asked)
            got = connection.recv(65536)
            while not complete(got):
                more = connection.recv(65536)
                if not more:
                    raise BadAnswers(f"the connection ended in an answer: {got[:200]!r}")
                got += more
            taken.append(time.perf_counter_ns() - begun)
            if not got.startswith(b"HTTP/1.1 200"):
                raise BadAnswers(f"latency: {got[:200]!r}")
    return taken


def complete(got: bytes) -> bool:
    """Tell whether these bytes are a whole answer, by content-length or by chunks."""
    head, end, body = got.partition(b"\r\n\r\n")
    if not end:
        return False
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    return len(body) >= int(length[1]) if length else body.endswith(b"0\r\n\r\n")


def body_of(got: bytes) -> bytes:
    """Return the body of a whole answer, chunks joined."""
    head, _, body = got.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" not in head.lower():
        return body
    parts: list[bytes] = []
    at = 0
    while (size := _CHUNK.match(body, at)) and (length := int(size[1], 16)):
        parts.append(body[size.end() : size.end() + length])
        at = size.end() + length + 2
    return b"".join(parts)


class Reader(asyncio.Protocol):
    """One paced stream: sends its request when connected, keeps what comes, counts frames as they arrive."""

    def __init__(self, asked: bytes, ended: asyncio.Future[None]) -> None:
        self.asked = asked
        self.ended = ended
        self.parts: list[bytes] = []
        self.frames = 0
        self.reads = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self.asked)

    def data_received(self, data: bytes) -> None:
        self.parts.append(data)
        arrived = data.count(b"data: ")
        self.frames += arrived
        self.reads += bool(arrived)
        if data.endswith(b"0\r\n\r\n"):
            self.transport.close()

    def let_go(self) -> None:
        """Leave, whether or not the stream has ended, or even begun."""
        if hasattr(self, "transport"):
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 the protocol's signature
        if not self.ended.done():
            self.ended.set_result(None)


class Held:
    """Many streams of one model at once, over all of which things can be measured while they flow."""

    def __init__(self, target: Target, streams: int, model: str, count: int, client: str = "chat") -> None:
        """`client`: the dialect it is asked in; what comes back in another one is compared by its text."""
        self.client = client
        self.target = target
        self.streams = streams
        self.model = model
        self.expected = b"".join(answers.frames(model, count))
        self.readers: list[Reader] = []

    @property
    def frames(self) -> int:
        """Frames that have arrived on all streams."""
        return sum(reader.frames for reader in self.readers)

    @property
    def flowing(self) -> bool:
        """Whether every stream has had a frame."""
        return all(reader.frames for reader in self.readers)

    async def run(self, during: Callable[["Held"], Awaitable[bool]]) -> None:
        """Open all streams and await `during(self)`; then their ends if it returned True, else let go of them.

        Raises BadAnswers for wrong frames: of streams that were let go what has come is compared.
        """
        loop = asyncio.get_running_loop()
        asked = self._asked()
        try:
            for _ in range(self.streams):
                reader = Reader(asked, loop.create_future())
                self.readers.append(reader)
                await loop.create_connection(partial(_same, reader), "127.0.0.1", self.target.port)
            to_the_end = await during(self)
            if to_the_end:
                await asyncio.wait_for(asyncio.gather(*(reader.ended for reader in self.readers)), 60)
        except TimeoutError as error:
            raise BadAnswers(f"streams of {self.model} did not end in a minute after they should have") from error
        finally:
            for reader in self.readers:
                reader.let_go()
        wrong = [reader for reader in self.readers if not self._right(b"".join(reader.parts), whole=to_the_end)]
        if wrong:
            first = b"".join(wrong[0].parts)[:300]
            raise BadAnswers(f"{len(wrong)} of {self.streams} streams lost or changed frames: {first!r}")

    def alone(self) -> float:
        """Return reads per frame: 1.0 if every frame came alone, less if some came together."""
        return sum(reader.reads for reader in self.readers) / max(1, self.frames)

    def _asked(self) -> bytes:
        port, key = self.target.port, self.target.key
        if self.client != "chat":
            return answers.translated_request(port, key, self.model, self.client)
        return answers.request(port, key, self.model, stream=True, headers=self.target.headers)

    def _right(self, got: bytes, *, whole: bool) -> bool:
        if got and not got.startswith(b"HTTP/1.1 200"):
            return False
        if self.client != "chat":
            said, meant = envelopes.text_of_events(body_of(got)), envelopes.of_stream(self.expected).text
            return said == meant if whole else meant.startswith(said)
        return matches(body_of(got), self.expected, whole=whole, exact=self.target.exact)


def matches(body: bytes, expected: bytes, *, whole: bool, exact: bool) -> bool:
    """Tell whether a stream's body is what was sent, or (not `whole`) the beginning of it."""
    if exact:
        return body == expected if whole else expected.startswith(body)
    try:
        said, meant = envelopes.of_stream(body), envelopes.of_stream(expected)
    except ValueError:
        return False
    return said == meant if whole else meant.text.startswith(said.text)


def _same(reader: Reader) -> Reader:
    return reader
