"""A transport in memory behind the same seam: a request from values, its answer kept to be looked at."""

import asyncio
from collections.abc import AsyncIterator, Mapping

from headgate.runtime.transport import ClientLeft, Headers


class MemoryTransport:
    """`status`, `headers` and `sent` (the pieces in order) tell what was answered.

    `leave` closes the client's side; `sent_some` is set whenever something was sent.
    """

    def __init__(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None, query: str = ""
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.status: int | None = None
        self.headers: Headers = []
        self.sent: list[bytes] = []
        self.sent_some = asyncio.Event()
        self._body = body
        self._headers = {name.lower(): value for name, value in (headers or {}).items()}
        self._left = asyncio.Event()

    def header(self, name: str) -> str | None:
        return self._headers.get(name)

    def every(self, name: str) -> str | None:
        return self._headers.get(name)

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._body

    async def body(self) -> bytes:
        return self._body

    def answer(self, status: int, headers: Headers, body: bytes) -> None:
        self._begin(status, headers)
        self._take(body)

    def stream(self, status: int, headers: Headers) -> "MemoryTransport":
        self._begin(status, headers)
        return self

    async def send(self, data: bytes) -> None:
        if self._left.is_set():
            raise ClientLeft
        self._take(data)

    async def left(self) -> None:
        await self._left.wait()

    def leave(self) -> None:
        self._left.set()

    def answered(self, name: str) -> str | None:
        """Return a header of the answer by lower-case name."""
        return next((value for sent, value in self.headers if sent == name), None)

    @property
    def whole(self) -> bytes:
        return b"".join(self.sent)

    def _begin(self, status: int, headers: Headers) -> None:
        if self.status is not None:
            raise AssertionError("answered twice")
        self.status = status
        self.headers = headers

    def _take(self, data: bytes) -> None:
        self.sent.append(data)
        self.sent_some.set()
