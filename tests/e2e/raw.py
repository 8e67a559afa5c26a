"""A small, fast HTTP/1.1 client on a raw socket: it sees every chunk as it comes, and how a connection ends."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import msgspec

PATIENCE = 60.0
"""Seconds of silence after which a test counts as broken."""


class Answer(msgspec.Struct):
    """A whole answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def call(self) -> str:
        return self.headers.get("x-headgate-call", "")

    def json(self) -> Any:
        return json.loads(self.body)


class Line:
    """One connection, kept alive over requests. Raises ConnectionError or EOFError where it breaks."""

    def __init__(self, url: str, key: str = "", *, receive_buffer: int = 0) -> None:
        """`receive_buffer` in bytes: small, so that the other side soon notices that nobody reads; 0: as usual."""
        self._place = urlsplit(url)
        self._receive_buffer = receive_buffer
        self._key = key
        self._ends: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.status = 0
        self.headers: dict[str, str] = {}

    async def get(self, path: str) -> Answer:
        return await self._whole("GET", path, b"")

    async def post(self, path: str, body: Mapping[str, Any]) -> Answer:
        return await self._whole("POST", path, json.dumps(body).encode())

    async def stream(self, path: str, body: Mapping[str, Any]) -> AsyncIterator[bytes]:
        """Send, then return the answer's body as it comes; `status` and `headers` are those of its head."""
        async with asyncio.timeout(PATIENCE):
            await self._send("POST", path, json.dumps(body).encode())
            await self._head()
        return self._chunks()

    async def raw(self, data: bytes) -> None:
        """Send bytes that need not be a request."""
        _, writer = await self._opened()
        writer.write(data)
        await writer.drain()

    async def ended(self) -> bytes:
        """Return what comes until the other side closes."""
        reader, _ = await self._opened()
        try:
            async with asyncio.timeout(PATIENCE):
                return await reader.read()
        except ConnectionError:
            return b""

    def close(self) -> None:
        ends, self._ends = self._ends, None
        if ends is not None:
            ends[1].transport.abort()

    async def _whole(self, method: str, path: str, body: bytes) -> Answer:
        async with asyncio.timeout(PATIENCE):
            await self._send(method, path, body)
            await self._head()
            data = b"".join([chunk async for chunk in self._chunks()])
        return Answer(self.status, self.headers, data)

    async def _opened(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._ends is None:
            sock = socket.socket()
            if self._receive_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
            sock.setblocking(False)
            try:
                await asyncio.get_running_loop().sock_connect(sock, (self._place.hostname, self._place.port))
                self._ends = await asyncio.open_connection(sock=sock)
            except BaseException:  # passed on: the socket must not stay open whatever happened
                sock.close()
                raise
        return self._ends

    async def _send(self, method: str, path: str, body: bytes) -> None:
        head = [f"{method} {path} HTTP/1.1", f"host: {self._place.netloc}", f"content-length: {len(body)}"]
        if self._key:
            head.append(f"authorization: Bearer {self._key}")
        await self.raw("\r\n".join([*head, "", ""]).encode() + body)

    async def _head(self) -> None:
        reader, _ = await self._opened()
        data = await reader.readuntil(b"\r\n\r\n")
        first, *lines = data.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1])
        pairs = (line.partition(":") for line in lines if line)
        self.headers = {name.lower(): value.strip() for name, _, value in pairs}

    async def _chunks(self) -> AsyncIterator[bytes]:
        reader, _ = await self._opened()
        if self.headers.get("transfer-encoding") != "chunked":
            yield await reader.readexactly(int(self.headers.get("content-length", "0")))
            return
        while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
            yield (await reader.readexactly(size + 2))[:-2]
        await reader.readuntil(b"\r\n")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
