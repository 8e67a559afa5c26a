"""A handle on one ledger: migrate it, read it, change it now and then. Hot writes go through writer.py."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool, QueuePool

from headgate.ledger import connect, locks, migrate
from headgate.ledger.connect import Durability
from headgate.ledger.errors import LedgerError, LedgerUnusable
from headgate.ledger.url import LedgerUrl, parse_url
from headgate.ledger.views import Reader

_ADMIN_STATEMENT_TIMEOUT_MS = 30_000
_ADMIN_IDLE_TIMEOUT_MS = 30_000
_BRIEF_IDLE_TIMEOUT_MS = 1_000
"""Less than a writer waits for a lock: a process that is stopped with one in hand fails no batch of the others."""


class Ledger:
    """One ledger, by its URL. Made cheaply: nothing is opened before it is needed. Close it at the end."""

    def __init__(self, url: LedgerUrl) -> None:
        self.url = url
        self._writes: sa.Engine | None = None
        self._reads: sa.Engine | None = None

    def migrate(self) -> None:
        """Create the ledger or bring it to this version's schema, under a lock.

        Raises LedgerTooNew if a newer Headgate has written it, LedgerUnusable where it cannot be used.
        """
        if self.url.path is not None:
            connect.connect_sqlite(self.url.path, durability=Durability.FSYNC, create=True).close()
        with self.translated():
            migrate.upgrade(self.url, self._write_engine())

    def check(self) -> None:
        """Raise LedgerTooNew or LedgerUnusable unless the ledger has exactly this version's schema."""
        with self.translated(), self._read_engine().connect() as connection:
            migrate.check_version(connection, self.url.shown)

    @contextlib.contextmanager
    def write(self, *, brief: bool = False) -> Iterator[sa.Connection]:
        """One transaction with the store's write lock, committed at the end of the block.

        For rare administrative changes; `brief` for those that a gateway makes by itself, beside its calls. On SQLite
        it waits for its turn among the writers.
        """
        idle = _BRIEF_IDLE_TIMEOUT_MS if brief else _ADMIN_IDLE_TIMEOUT_MS
        with self._turn(), self.translated(), self._write_engine().begin() as connection:
            if not self.url.is_sqlite:
                # The writer's own limit is for its prepared batches; people's commands may be slow between statements.
                connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = {idle}")
            yield connection

    def reader(self) -> Reader:
        """Questions to the ledger; usable from several threads. Lives as long as this handle."""
        return Reader(self._read_engine(), self.translated)

    def close(self) -> None:
        for engine in (self._reads, self._writes):
            if engine is not None:
                engine.dispose()
        self._reads = self._writes = None

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        """Turn the drivers' errors into LedgerUnusable or BadRow."""
        try:
            yield
        except DBAPIError as error:
            if isinstance(error.orig, psycopg.Error):
                raise connect.translate_postgres(error.orig, self.url) from None
            if isinstance(error.orig, sqlite3.Error):
                raise connect.translate_sqlite(error.orig, self.url.sqlite_path) from None
            raise LedgerError(
                f"The ledger {self.url.shown} said: {error.orig}. Check it with: headgate check"
            ) from None
        except sqlite3.Error as error:
            raise connect.translate_sqlite(error, self.url.sqlite_path) from None
        except psycopg.Error as error:
            raise connect.translate_postgres(error, self.url) from None

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        directory = self.url.state_dir
        if directory is None:
            yield
            return
        if not self.url.sqlite_path.exists():
            raise LedgerUnusable(
                f"There is no ledger at {self.url.sqlite_path} yet; "
                "make one with `headgate keys create` or `headgate serve`."
            )
        locks.make_directory(directory)
        try:
            turn = locks.Turn(directory)
        except OSError as error:
            raise LedgerUnusable(
                f"Cannot use the lock files in {directory}: {error.strerror}. "
                f"Make them writable for this user: chmod u+w {directory}"
            ) from None
        try:
            turn.take()
            yield
        finally:
            turn.close()

    def _write_engine(self) -> sa.Engine:
        if self._writes is None:
            self._writes = _engine(self.url, Durability.FSYNC)
        return self._writes

    def _read_engine(self) -> sa.Engine:
        if self._reads is None:
            self._reads = _engine(self.url, None)
        return self._reads


def open_ledger(url: str) -> Ledger:
    """Return a handle on the ledger that `url` names. Raises LedgerUnusable for a URL that names none."""
    return Ledger(parse_url(url))


def _engine(url: LedgerUrl, durability: Durability | None) -> sa.Engine:
    if url.path is None:
        return sa.create_engine(
            "postgresql+psycopg://",
            creator=lambda: _pg(url, durability),
            poolclass=QueuePool,
            pool_size=4,
            pool_pre_ping=True,
        )
    path = url.path
    engine = sa.create_engine(
        "sqlite://",
        creator=lambda: connect.connect_sqlite(path, durability=durability),
        poolclass=NullPool if durability else QueuePool,
    )
    begin = "BEGIN" if durability is None else "BEGIN IMMEDIATE"

    def on_begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "begin", on_begin)
    return engine


def _pg(url: LedgerUrl, durability: Durability | None) -> Any:
    connection = connect.connect_postgres(url, durability=durability, statement_timeout_ms=_ADMIN_STATEMENT_TIMEOUT_MS)
    connection.autocommit = False
    return connection
