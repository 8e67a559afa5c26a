"""A TCP relay before a PostgreSQL server: the store as one gateway sees it can go away and come back."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

_LIMIT = 1 << 16


class Relay:
    """`with Relay(postgres_url) as relay:`; `relay.url` names the same database through the relay."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._path = parse_qs(parts.query)["host"][0] + "/.s.PGSQL.5432"
        self._database = parts.path
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._lines: set[asyncio.StreamWriter] = set()
        self._passes = asyncio.Event()
        self._passes.set()
        self._away = False
        self.url = ""

    def cut(self) -> None:
        """Break every connection, and every new one."""
        self._on_loop(self._cut)

    def stall(self) -> None:
        """Pass nothing on, but keep all connections."""
        self._on_loop(self._passes.clear)

    def restore(self) -> None:
        self._away = False
        self._on_loop(self._passes.set)

    def _cut(self) -> None:
        self._away = True
        for line in self._lines:
            line.transport.abort()

    def _on_loop(self, function: object) -> None:
        self._loop.call_soon_threadsafe(function)  # type: ignore[arg-type]

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"postgresql://postgres@127.0.0.1:{port}{self._database}?sslmode=disable&gssencmode=disable"

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._away:
            writer.transport.abort()
            return
        there, back = await asyncio.open_unix_connection(self._path)
        self._lines |= {writer, back}
        await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
        self._lines -= {writer, back}

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(_LIMIT):
                await self._passes.wait()
                target.write(data)
                await target.drain()
        target.transport.abort()

    async def _stop(self) -> None:
        self._server.close()
        self._cut()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
