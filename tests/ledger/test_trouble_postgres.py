"""A PostgreSQL that goes away, and an answer that gets lost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import select
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self

import psycopg
import pytest
from tests.ledger.rows import attempt_row, call_row, until, work_of

from headgate.ledger import incarnations
from headgate.ledger.connect import Durability, connect_postgres, translate_postgres
from headgate.ledger.engine import open_ledger
from headgate.ledger.errors import BadRow, LedgerUnusable
from headgate.ledger.url import parse_url
from headgate.ledger.writer import Pace, Writer


@contextlib.asynccontextmanager
async def running(url: str, folder: Path) -> AsyncIterator[Writer]:
    ledger = open_ledger(url)
    ledger.migrate()
    writer = Writer(
        ledger,
        Durability.CALL,
        incarnations.lock_directory(ledger, folder),
        pace=Pace(heartbeat=3600, unavailable_after=0.05),
    )
    writer.start(asyncio.get_running_loop())
    yield writer
    assert await writer.close(10)
    ledger.close()


def submit(writer: Writer, number: int | str) -> asyncio.Future[None]:
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    writer.submit(work_of(call_row(number), (attempt_row(number),), waiter))
    return waiter


def requests(url: str) -> tuple[int, list[int]]:
    """The number of calls, and the balances that count them."""
    ledger = open_ledger(url)
    reader = ledger.reader()
    spent = [row.spent for row in reader.balances("key", "key_ci") if row.unit == "requests"]
    number = reader.usage()[0].requests
    ledger.close()
    return number, spent


async def test_a_lost_connection_is_made_again(postgres_url: str, postgres_server: str, tmp_path: Path) -> None:
    async with running(postgres_url, tmp_path) as writer:
        await submit(writer, 1)
        await end_connections(postgres_server, postgres_url, allow=True)
        await asyncio.gather(*(submit(writer, index) for index in range(2, 30)))
        assert writer.retries > 0
        assert writer.available
    assert requests(postgres_url) == (29, [29, 29])


async def test_an_outage_is_seen_and_nothing_is_lost(postgres_url: str, postgres_server: str, tmp_path: Path) -> None:
    async with running(postgres_url, tmp_path) as writer:
        await submit(writer, 1)
        await end_connections(postgres_server, postgres_url, allow=False)
        waiters = [submit(writer, index) for index in range(2, 30)]
        await until(lambda: not writer.available)
        assert not any(waiter.done() for waiter in waiters)
        await end_connections(postgres_server, postgres_url, allow=True)
        await asyncio.gather(*waiters)
        assert writer.available
    assert requests(postgres_url) == (29, [29, 29])


@pytest.mark.parametrize("answered", [True, False])
async def test_a_batch_whose_answer_was_lost_is_in_once(postgres_url: str, tmp_path: Path, *, answered: bool) -> None:
    """A relay cuts the line after the server has answered a batch, or before the server has seen it."""
    with Relay(postgres_url) as relay:
        async with running(relay.url, tmp_path) as writer:
            await submit(writer, 1)
            relay.cut_next(answered=answered)
            await submit(writer, 2)
            assert relay.cuts == 1
            assert writer.retries == 1
            await submit(writer, 3)
            assert writer.committed_batches == 3
    assert requests(postgres_url) == (3, [3, 3])


async def test_a_ledger_restored_from_the_past_is_written_on(
    postgres_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Relay(postgres_url) as relay:
        async with running(relay.url, tmp_path) as writer:
            await asyncio.gather(submit(writer, 1))
            await asyncio.gather(submit(writer, 2))
            with psycopg.connect(postgres_url, autocommit=True) as other:
                other.execute("UPDATE incarnations SET counter = 0")
            relay.cut_next(answered=False)
            with caplog.at_level(logging.ERROR, "headgate.ledger"):
                await submit(writer, 3)
            assert "went back in time" in caplog.text
    assert requests(postgres_url)[0] == 3


def test_a_missing_database_and_missing_tables_are_told(postgres_url: str) -> None:
    with pytest.raises(LedgerUnusable, match="createdb"):
        open_ledger(postgres_url.replace("/t_", "/none_")).migrate()
    empty = open_ledger(postgres_url)
    with pytest.raises(LedgerUnusable, match="headgate serve"):
        empty.reader().usage()
    empty.close()


@pytest.mark.parametrize(("durability", "commit"), [("batch", "off"), ("call", "on"), ("fsync", "on")])
def test_a_connection_cannot_hold_up_the_others(postgres_url: str, durability: str, commit: str) -> None:
    connection = connect_postgres(parse_url(postgres_url), durability=Durability(durability))
    wanted = {
        "synchronous_commit": commit,
        "statement_timeout": "2s",
        "idle_in_transaction_session_timeout": "500ms",
        "default_transaction_read_only": "off",
    }
    found = {name: connection.execute(f"SHOW {name}".encode()).fetchone() for name in wanted}
    wire = connection.info.get_parameters()
    connection.close()
    # Of a server that has gone without a word.
    assert (wire["tcp_user_timeout"], wire["connect_timeout"], wire["keepalives_idle"]) == ("2000", "2", "2")
    assert found == {name: (value,) for name, value in wanted.items()}


def test_a_reader_may_look_at_its_rows_for_longer(postgres_url: str) -> None:
    connection = connect_postgres(parse_url(postgres_url), durability=None)
    found = connection.execute("SHOW idle_in_transaction_session_timeout").fetchone()
    connection.close()
    assert found == ("30s",)


async def test_a_transaction_that_stood_still_is_no_read_only_server(postgres_url: str) -> None:
    url = parse_url(postgres_url)
    connection = connect_postgres(url, durability=Durability.CALL)
    connection.execute("SET idle_in_transaction_session_timeout = 1")
    connection.execute("BEGIN")
    with psycopg.connect(postgres_url, autocommit=True) as other:
        mine = "SELECT 1 FROM pg_stat_activity WHERE pid = %s"
        await until(lambda: other.execute(mine, (connection.info.backend_pid,)).fetchone() is None)
    with pytest.raises(psycopg.Error) as caught:
        connection.execute("SELECT 1")
    connection.close()
    assert "stood still" in str(translate_postgres(caught.value, url))


def test_what_the_same_batch_would_meet_again_is_no_absence(postgres_url: str) -> None:
    twice = "INSERT INTO t VALUES (1), (1) ON CONFLICT (a) DO UPDATE SET a = excluded.a"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (a integer PRIMARY KEY)")
        for statement in (twice, "SELECT 1 / 0", "INSERT INTO t VALUES (NULL)"):
            with pytest.raises(psycopg.Error) as caught:
                connection.execute(statement.encode())
            assert isinstance(translate_postgres(caught.value, parse_url(postgres_url)), BadRow)


def database(url: str) -> str:
    return url.partition("@/")[2].partition("?")[0]


async def end_connections(server: str, url: str, *, allow: bool) -> None:
    """Cut every connection to one database; with `allow` False it takes no new ones."""
    name = database(url)
    async with await psycopg.AsyncConnection.connect(server, autocommit=True) as admin:
        await admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {str(allow).lower()}'.encode())
        await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))


class Relay:
    """A TCP relay to the server's socket that can cut its connections around the next insert of rows."""

    def __init__(self, url: str) -> None:
        self._path = url.split("host=")[1] + "/.s.PGSQL.5432"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._armed: bool | None = None
        self.cuts = 0
        place = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = f"postgresql://postgres@{place}/{database(url)}?sslmode=disable&gssencmode=disable"
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def cut_next(self, *, answered: bool) -> None:
        self._armed = answered

    def _serve(self) -> None:
        peers: dict[socket.socket, socket.socket] = {}
        watched: list[socket.socket] = [self._listener]
        while True:
            for ready in select.select(watched, [], [])[0]:
                if ready is self._listener:
                    try:
                        client, _ = ready.accept()
                    except OSError:
                        for line in peers:
                            line.close()
                        return
                    server = socket.socket(socket.AF_UNIX)
                    server.connect(self._path)
                    peers |= {client: server, server: client}
                    watched += [client, server]
                elif ready in peers and not self._pass_on(ready, peers[ready]):
                    for line in (ready, peers[ready]):
                        del peers[line]
                        watched.remove(line)
                        line.close()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> bool:
        """Move what is there; False if the two lines are to be closed."""
        try:
            data = source.recv(1 << 16)
        except ConnectionError:
            return False
        if self._armed is None or target.family != socket.AF_UNIX or b"call-" not in data:
            with contextlib.suppress(ConnectionError):
                target.sendall(data)
            return bool(data)
        answered, self._armed = self._armed, None
        self.cuts += 1
        if answered:
            target.sendall(data)
            target.recv(1)
        return False
