"""The hot statements on SQLite: few steps per batch, since each gives up the interpreter lock."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from itertools import chain
from typing import Any

import msgspec

from headgate.ledger import locks
from headgate.ledger.batch import Batch, Head
from headgate.ledger.connect import Durability, connect_sqlite, translate_sqlite
from headgate.ledger.errors import BadRow, LedgerUnusable, StoreAbsent
from headgate.ledger.store import Clock
from headgate.ledger.url import LedgerUrl
from headgate.model.records import AttemptRow, CallRow

_ADVANCE = (
    "UPDATE incarnations SET counter = counter + 1, seen_at = ? WHERE id = ? AND dead_at IS NULL "
    "RETURNING counter, (SELECT epoch FROM ledger_state)"
)
_STANDING = "SELECT counter FROM incarnations WHERE id = ?"
_RETIRE = "UPDATE incarnations SET dead_at = ? WHERE id = ? AND dead_at IS NULL"
_ON_CONFLICT = " ON CONFLICT (scope, scope_id, unit, bucket_start) DO UPDATE SET spent = spent + excluded.spent"
_BALANCE_COLUMNS = ("scope", "scope_id", "unit", "bucket_start", "spent", "held")
_MOST_ROWS = 32
"""Rows per statement at most: each number of rows is a statement of its own, and all must fit the cache."""
CACHED_STATEMENTS = 7 * _MOST_ROWS


class _Insert:
    """Multi-row inserts into one table: one step for up to 32 rows."""

    def __init__(self, table: str, columns: Sequence[str], row: str, tail: str = "") -> None:
        names = ", ".join(f'"{name}"' for name in columns)
        head = f"INSERT INTO {table} ({names}) VALUES "  # noqa: S608  only names from records.py
        self._by_size = [head + ", ".join([row] * size) + tail for size in range(_MOST_ROWS + 1)]

    def run(self, connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        for start in range(0, len(rows), _MOST_ROWS):
            part = rows[start : start + _MOST_ROWS]
            connection.execute(self._by_size[len(part)], tuple(chain.from_iterable(part)))


def _marks(count: int) -> str:
    return "(" + ", ".join("?" * count) + ")"


class _Delete:
    """Deletes by primary key, up to 32 rows a step."""

    def __init__(self, head: str, row: str) -> None:
        self._by_size = [f"{head} (VALUES {', '.join([row] * size)})" for size in range(_MOST_ROWS + 1)]

    def run(self, connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        for start in range(0, len(rows), _MOST_ROWS):
            part = rows[start : start + _MOST_ROWS]
            connection.execute(self._by_size[len(part)], tuple(chain.from_iterable(part)))


_CALLS = _Insert("calls", CallRow.__struct_fields__, _marks(len(CallRow.__struct_fields__)))
_ATTEMPTS = _Insert("attempts", AttemptRow.__struct_fields__, _marks(len(AttemptRow.__struct_fields__)))
_BALANCES = _Insert("balances", _BALANCE_COLUMNS, "(?, ?, ?, ?, ?, 0)", _ON_CONFLICT)
_HOLDS = _Insert(
    "holds",
    ("call", "no", "incarnation", "at", "facts"),
    "(?, ?, ?, ?, ?)",
    " ON CONFLICT (call, no) DO UPDATE SET incarnation = excluded.incarnation, at = excluded.at,"
    " facts = excluded.facts",
)
_ENDED = _Delete("DELETE FROM holds WHERE (call, no) IN", "(?, ?)")
_LIMITS = _Insert(
    "limit_balances",
    ("limit_id", "subject", "bucket_start", "spent", "held"),
    "(?, ?, ?, ?, ?)",
    " ON CONFLICT (limit_id, subject, bucket_start) DO UPDATE SET spent = spent + excluded.spent,"
    " held = held + excluded.held",
)
_READ = "SELECT bucket_start, spent, held FROM limit_balances WHERE limit_id = ? AND subject = ? AND bucket_start >= ?"


class SqliteStore:
    """See store.Store. Writers take turns by file lock; SQLite's own lock starves some of them under load."""

    def __init__(self, url: LedgerUrl, durability: Durability, clock: Clock | None = None) -> None:
        """`clock` stands for the store's own, which is this machine's."""
        self._clock = clock or time.time_ns
        self._path = url.sqlite_path
        directory = url.state_dir
        if directory is None:
            raise LedgerUnusable(f"{url.shown} is not a file")
        self._directory = directory
        self._durability = durability
        self._connection: sqlite3.Connection | None = None
        self._turn: locks.Turn | None = None

    def open(self) -> None:
        if self._connection is None:
            locks.make_directory(self._directory)
            try:
                self._turn = self._turn or locks.Turn(self._directory)
            except OSError as error:
                raise StoreAbsent(f"Cannot use the lock files in {self._directory}: {error.strerror}.") from error
            self._connection = connect_sqlite(
                self._path, durability=self._durability, cached_statements=CACHED_STATEMENTS
            )

    def close(self) -> None:
        connection, self._connection = self._connection, None
        turn, self._turn = self._turn, None
        if connection is not None:
            connection.close()
        if turn is not None:
            turn.close()

    def write(self, incarnation: int, now: int, batch: Batch) -> Head | None:
        # Row work first: the turn is held for as short as can be.
        calls = list(map(msgspec.structs.astuple, batch.calls))
        attempts = list(map(msgspec.structs.astuple, batch.attempts))
        try:
            balances = batch.balances()
        except TypeError as error:
            raise BadRow(str(error)) from error
        head: Head | None = None
        connection, turn = self._ready()
        turn.take()
        try:
            connection.execute("BEGIN IMMEDIATE")
            found = connection.execute(_ADVANCE, (now, incarnation)).fetchall()
            if found:
                head = Head(*found[0])
                if batch.has_holds:
                    self._holds(connection, incarnation, head, batch)
                _CALLS.run(connection, calls)
                _ATTEMPTS.run(connection, attempts)
                _BALANCES.run(connection, balances)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise translate_sqlite(error, self._path) from error
        except (OverflowError, ValueError, TypeError) as error:
            raise BadRow(str(error)) from error
        finally:
            try:
                if connection.in_transaction:
                    connection.rollback()
            finally:
                turn.give_back()
        return head

    def _holds(self, connection: sqlite3.Connection, incarnation: int, head: Head, batch: Batch) -> None:
        """Settle and decide; the write lock is held, so that nobody else changes what is read here."""
        now = self._clock()
        read = []
        for limit, subject, back in batch.reads():
            since = 0 if back is None else now - back
            rows = connection.execute(_READ, (limit, subject, since)).fetchall()
            read.append(((limit, subject), rows))
        writes = batch.decide(now, head.epoch, incarnation, head.counter, read)
        _ENDED.run(connection, writes.ended)
        _HOLDS.run(connection, writes.holds)
        _LIMITS.run(connection, writes.balances)

    def standing(self, incarnation: int) -> int | None:
        connection, turn = self._ready()
        turn.take()
        try:
            row = connection.execute(_STANDING, (incarnation,)).fetchone()
        except sqlite3.Error as error:
            raise translate_sqlite(error, self._path) from error
        finally:
            turn.give_back()
        return None if row is None else int(row[0])

    def retire(self, incarnation: int, now: int) -> None:
        connection, turn = self._ready()
        turn.take()
        try:
            connection.execute(_RETIRE, (now, incarnation))
        except sqlite3.Error as error:
            raise translate_sqlite(error, self._path) from error
        finally:
            turn.give_back()

    def _ready(self) -> tuple[sqlite3.Connection, locks.Turn]:
        if self._connection is None or self._turn is None:
            raise StoreAbsent(f"The ledger {self._path} is not open.")
        return self._connection, self._turn
