"""Granian's RSGI behind the transport seam."""

from collections.abc import AsyncIterator
from typing import Any

from granian.rsgi import ProtocolClosed, ProtocolError  # type: ignore[attr-defined]  # its public names

from headgate.runtime.transport import ClientLeft, Headers


class RsgiSender:
    __slots__ = ("_send",)

    def __init__(self, send: Any) -> None:
        self._send = send

    async def send(self, data: bytes) -> None:
        try:
            await self._send(data)
        except (ProtocolClosed, ProtocolError):
            raise ClientLeft from None


class RsgiTransport:
    """One RSGI request. `scope` and `proto` are Granian's."""

    __slots__ = ("_lines", "_proto", "header", "method", "path", "query")

    def __init__(self, scope: Any, proto: Any) -> None:
        self._proto = proto
        headers = scope.headers
        self.header = headers.get
        self._lines = headers.get_all
        self.method: str = scope.method
        self.path: str = scope.path
        self.query: str = scope.query_string

    def every(self, name: str) -> str | None:
        return ", ".join(self._lines(name)) or None

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._proto:
                yield bytes(chunk)
        except (ProtocolClosed, ProtocolError):
            raise ClientLeft from None

    async def body(self) -> bytes:
        try:
            return bytes(await self._proto())
        except (ProtocolClosed, ProtocolError):
            raise ClientLeft from None

    def answer(self, status: int, headers: Headers, body: bytes) -> None:
        try:
            self._proto.response_bytes(status, headers, body)
        except (ProtocolClosed, ProtocolError):
            return

    def stream(self, status: int, headers: Headers) -> RsgiSender:
        return RsgiSender(self._proto.response_stream(status, headers).send_bytes)

    async def left(self) -> None:
        await self._proto.client_disconnect()
