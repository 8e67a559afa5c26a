"""A sim on a real socket, and a client that sees every byte of it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import h11
import msgspec
import pytest

from headgate.sim import SimServer

PATHS = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}


@dataclass
class Heard:
    """What came over the wire; `end` is complete, closed, reset or left (the client's own choice)."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    chunks: list[bytes] = field(default_factory=list)
    end: str = ""

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def data(self) -> list[Any]:
        """The JSON of every data line but [DONE]."""
        lines = [line[6:] for line in self.body.replace(b"\r\n", b"\n").split(b"\n") if line.startswith(b"data: ")]
        return [msgspec.json.decode(line) for line in lines if line != b"[DONE]"]


def body(dialect: str, text: str, /, **extra: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"model": "m", "stream": True}
    if dialect == "responses":
        given |= {"input": text}
    else:
        given |= {"messages": [{"role": "user", "content": text}]}
    if dialect == "messages":
        given |= {"max_tokens": 1000}
    return given | extra


async def talk(sim: SimServer, path: str, payload: Any, *, method: str = "POST", leave_after: int = -1) -> Heard:
    """Send one request and listen to its end, or leave after so many chunks of the body (0: after the head)."""
    data = payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
    head = f"{method} {path} HTTP/1.1\r\nhost: sim\r\nanthropic-version: 2023-06-01\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)
    try:
        writer.write(f"{head}content-length: {len(data)}\r\n\r\n".encode() + data)
        return await _listen(reader, method, leave_after)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _listen(reader: asyncio.StreamReader, method: str, leave_after: int) -> Heard:
    http = h11.Connection(h11.CLIENT)
    http.send(h11.Request(method=method, target="/", headers=[("host", "sim"), ("content-length", "0")]))
    http.send(h11.EndOfMessage())
    heard = Heard()
    while True:
        try:
            event = http.next_event()
            if event is h11.NEED_DATA:
                http.receive_data(await reader.read(65_536))
                continue
        except ConnectionResetError:
            heard.end = "reset"
            return heard
        except h11.RemoteProtocolError:
            heard.end = "closed"
            return heard
        if isinstance(event, h11.Response):
            heard.status = event.status_code
            heard.headers = {name.decode(): value.decode() for name, value in event.headers}
        elif isinstance(event, h11.Data):
            heard.chunks.append(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            heard.end = "complete"
            return heard
        if 0 <= leave_after <= len(heard.chunks) and heard.status:
            heard.end = "left"
            return heard


Ask = Callable[..., Coroutine[Any, Any, Heard]]


@pytest.fixture
async def sim() -> AsyncIterator[SimServer]:
    async with SimServer(seed=1) as server:
        yield server


@pytest.fixture
def ask(sim: SimServer) -> Ask:
    """Ask in a dialect: `ask("chat", "hello", stream=False)`."""

    async def ask_sim(dialect: str, text: str, /, *, leave_after: int = -1, **extra: Any) -> Heard:
        return await talk(sim, PATHS[dialect], body(dialect, text, **extra), leave_after=leave_after)

    return ask_sim


@pytest.fixture
def wire(sim: SimServer) -> Ask:
    """Send any request: `wire("GET", "/v1/models", b"")`."""

    async def send(method: str, path: str, payload: Any = b"", *, leave_after: int = -1) -> Heard:
        return await talk(sim, path, payload, method=method, leave_after=leave_after)

    return send
