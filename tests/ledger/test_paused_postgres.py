"""A process that is stopped in the middle of what it sends to PostgreSQL must not hold up the others."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import pytest
from tests.ledger.holding import Life, balance, limit, living

from headgate.ledger import incarnations, tables
from headgate.ledger.engine import Ledger, open_ledger
from headgate.ledger.errors import LedgerError

POINTS = 12
"""Places at which the sender stops, spread over all that it sends for one batch."""


class Narrow:
    """A relay before the server's socket that passes on so many bytes of a client, and then no more."""

    def __init__(self, url: str) -> None:
        self._path = url.split("host=")[1] + "/.s.PGSQL.5432"
        self._database = urlsplit(url).path
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._lines: list[asyncio.StreamWriter] = []
        self.left: int | None = None
        self.passed = 0
        self.stuck = threading.Event()
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def stop_after(self, count: int) -> None:
        self.stuck.clear()
        self.left = count

    def hang_up(self) -> None:
        """End all connections, and pass on everything again."""
        self.left = None
        self._loop.call_soon_threadsafe(self._abort)

    def _abort(self) -> None:
        for line in self._lines:
            line.transport.abort()

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"postgresql://postgres@127.0.0.1:{port}{self._database}?sslmode=disable&gssencmode=disable"

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(self._path)
        self._lines += [writer, back]
        await asyncio.gather(self._send(reader, back), self._answer(there, writer))

    async def _send(self, reader: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                if self.left is not None:
                    data = data[: self.left]
                    self.left -= len(data)
                self.passed += len(data)
                server.write(data)
                if self.left == 0:
                    self.stuck.set()
        server.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                client.write(data)
        client.transport.abort()

    async def _stop(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        self._abort()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def narrow(postgres_url: str) -> Iterator[Narrow]:
    with Narrow(postgres_url) as relay:
        yield relay


@pytest.fixture
def direct(postgres_url: str) -> Iterator[Ledger]:
    made = open_ledger(postgres_url)
    made.migrate()
    yield made
    made.close()


def test_a_worker_that_stops_anywhere_in_a_batch_holds_nobody_up(
    direct: Ledger, narrow: Narrow, tmp_path: Path
) -> None:
    lock_dir = incarnations.lock_directory(direct, tmp_path)
    money = limit(direct)
    far = open_ledger(narrow.url)
    with living(far, lock_dir) as stopped, living(direct, lock_dir) as other:
        stopped.ledger = direct  # it reads the epoch by the straight way

        def batch(call: int) -> None:
            with contextlib.suppress(LedgerError):
                stopped.hold(call, [money])

        before = narrow.passed
        batch(1)
        whole = narrow.passed - before
        assert balance(direct, money)[0][1] > 0
        for point in range(POINTS):
            stopped.store.close()
            stopped.store.open()
            narrow.stop_after(max(1, whole * point // POINTS))
            running = threading.Thread(target=batch, args=(100 + point,))
            running.start()
            assert narrow.stuck.wait(10)
            other.hold(200 + point, [money])
            narrow.hang_up()
            running.join()
    far.close()


def test_a_gateway_that_stops_in_a_transaction_of_its_own_holds_nobody_up(direct: Ledger, tmp_path: Path) -> None:
    money = limit(direct)
    granted = []

    def stopped(other: Life) -> None:
        with direct.write(brief=True) as connection:
            connection.execute(tables.limits.update().values(created_at=1))
            granted.append(other.hold(1, [money]))
            connection.execute(tables.limits.update().values(created_at=2))

    with living(direct, incarnations.lock_directory(direct, tmp_path)) as other, pytest.raises(LedgerError):
        stopped(other)
    assert len(granted) == 1
