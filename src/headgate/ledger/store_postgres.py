"""The hot statements on PostgreSQL: rows travel as one JSON text per table, two round trips per batch."""

from __future__ import annotations

from typing import Any

import msgspec
import psycopg

from headgate.ledger.batch import Batch
from headgate.ledger.connect import Durability, PgConnection, connect_postgres, translate_postgres
from headgate.ledger.errors import BadRow, StoreAbsent
from headgate.ledger.store import Head
from headgate.ledger.tables import attempts, calls
from headgate.ledger.url import LedgerUrl

_ADVANCE = (
    "UPDATE incarnations SET counter = counter + 1, seen_at = %s WHERE id = %s AND dead_at IS NULL "
    "RETURNING counter, (SELECT epoch FROM ledger_state)"
)
_STANDING = "SELECT counter FROM incarnations WHERE id = %s FOR UPDATE"
_RETIRE = "UPDATE incarnations SET dead_at = %s WHERE id = %s AND dead_at IS NULL"
_BALANCES = (
    "INSERT INTO balances (scope, scope_id, unit, bucket_start, spent, held) "
    "SELECT r->>0, r->>1, r->>2, (r->>3)::bigint, (r->>4)::bigint, 0 "
    "FROM json_array_elements(%s::json) WITH ORDINALITY AS t(r, n) ORDER BY n "
    "ON CONFLICT (scope, scope_id, unit, bucket_start) DO UPDATE SET spent = balances.spent + excluded.spent"
)
_TYPES = {"TEXT": "text", "BIGINT": "bigint", "BOOLEAN": "boolean", "BLOB": "text"}


def _insert(table: Any) -> str:
    """Insert from a JSON array of objects; bytes come as base64, as msgspec writes them."""
    names = [f'"{column.name}"' for column in table.columns]
    types = [_TYPES[str(column.type)] for column in table.columns]
    taken = [
        f"decode(r.{name}, 'base64')" if str(column.type) == "BLOB" else f"r.{name}"
        for name, column in zip(names, table.columns, strict=True)
    ]
    shape = ", ".join(f"{name} {kind}" for name, kind in zip(names, types, strict=True))
    return (  # only names from tables.py
        f"INSERT INTO {table.name} ({', '.join(names)}) "  # noqa: S608
        f"SELECT {', '.join(taken)} FROM json_to_recordset(%s::json) AS r({shape})"
    )


_CALLS = _insert(calls)
_ATTEMPTS = _insert(attempts)
_encode = msgspec.json.Encoder().encode


class PostgresStore:
    """See store.Store."""

    def __init__(self, url: LedgerUrl, durability: Durability) -> None:
        self._url = url
        self._durability = durability
        self._connection: PgConnection | None = None

    def open(self) -> None:
        if self._connection is None:
            self._connection = connect_postgres(self._url, durability=self._durability)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def write(self, incarnation: int, now: int, batch: Batch) -> Head | None:
        connection = self._ready()
        try:
            rows = _encode(batch.calls).decode()
            attempt_rows = _encode(batch.attempts).decode()
            balances = batch.balances()
        except (OverflowError, ValueError, TypeError) as error:
            raise BadRow(str(error)) from error
        try:
            with connection.pipeline():
                connection.execute("BEGIN", prepare=True)
                head = connection.execute(_ADVANCE, (now, incarnation), prepare=True)
                if batch.calls:
                    connection.execute(_CALLS, (rows,), prepare=True)
                if batch.attempts:
                    connection.execute(_ATTEMPTS, (attempt_rows,), prepare=True)
                if balances:
                    connection.execute(_BALANCES, (_encode(balances).decode(),), prepare=True)
            found = head.fetchone()
            connection.execute("COMMIT" if found else "ROLLBACK", prepare=True)
        except psycopg.Error as error:
            meaning = translate_postgres(error, self._url)
            if isinstance(meaning, BadRow):
                self._roll_back(connection)
            raise meaning from error
        return Head(*found) if found else None

    def standing(self, incarnation: int) -> int | None:
        try:
            row = self._ready().execute(_STANDING, (incarnation,)).fetchone()
        except psycopg.Error as error:
            raise translate_postgres(error, self._url) from error
        return None if row is None else int(row[0])

    def retire(self, incarnation: int, now: int) -> None:
        try:
            self._ready().execute(_RETIRE, (now, incarnation))
        except psycopg.Error as error:
            raise translate_postgres(error, self._url) from error

    def _roll_back(self, connection: PgConnection) -> None:
        try:
            connection.execute("ROLLBACK")
        except psycopg.Error as error:
            raise translate_postgres(error, self._url) from error

    def _ready(self) -> PgConnection:
        if self._connection is None:
            raise StoreAbsent(f"The ledger {self._url.shown} is not open.")
        return self._connection
