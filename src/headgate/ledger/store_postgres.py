"""The hot statement on PostgreSQL: one statement, one round trip, one transaction per batch.

Rows travel as one JSON text per table. The inserts depend on the fence, so a dead incarnation writes nothing.
"""

from __future__ import annotations

import msgspec
import psycopg

from headgate.ledger.batch import Batch, Head
from headgate.ledger.connect import Durability, PgConnection, connect_postgres, translate_postgres
from headgate.ledger.errors import BadRow, StoreAbsent
from headgate.ledger.tables import calls
from headgate.ledger.url import LedgerUrl

_STANDING = "SELECT counter FROM incarnations WHERE id = %s FOR UPDATE"
_RETIRE = "UPDATE incarnations SET dead_at = %s WHERE id = %s AND dead_at IS NULL"
_TYPES = {"TEXT": "text", "BIGINT": "bigint", "BOOLEAN": "boolean", "BLOB": "text"}


def _calls() -> str:
    """Insert from a JSON array of objects; bytes come as base64, as msgspec writes them."""
    names = ", ".join(f'"{column.name}"' for column in calls.columns)
    shape = ", ".join(f'"{column.name}" {_TYPES[str(column.type)]}' for column in calls.columns)
    taken = names.replace('"facts"', "decode(facts, 'base64')")
    return f"INSERT INTO calls ({names}) SELECT {taken} FROM json_to_recordset(%s::json) AS r({shape})"  # noqa: S608


# Kept under psycopg's MAX_CACHED_STATEMENT_LENGTH (4096): a longer text is parsed anew for every batch.
_WRITE = f"""
WITH fence AS (
    UPDATE incarnations SET counter = counter + 1, seen_at = %s WHERE id = %s AND dead_at IS NULL
    RETURNING counter
), new_calls AS (
    {_calls()} WHERE EXISTS (SELECT FROM fence)
), new_attempts AS (
    INSERT INTO attempts
    SELECT * FROM json_populate_recordset(NULL::attempts, %s::json) WHERE EXISTS (SELECT FROM fence)
), new_balances AS (
    INSERT INTO balances (scope, scope_id, unit, bucket_start, spent, held)
    SELECT r->>0, r->>1, r->>2, (r->>3)::bigint, (r->>4)::bigint, 0
    FROM json_array_elements(%s::json) WITH ORDINALITY AS t(r, n) WHERE EXISTS (SELECT FROM fence) ORDER BY n
    ON CONFLICT (scope, scope_id, unit, bucket_start)
    DO UPDATE SET spent = balances.spent + excluded.spent
)
SELECT fence.counter, ledger_state.epoch FROM fence, ledger_state
"""  # noqa: S608  only names from tables.py
_BEAT = """
UPDATE incarnations SET counter = counter + 1, seen_at = %s WHERE id = %s AND dead_at IS NULL
RETURNING counter, (SELECT epoch FROM ledger_state)
"""
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
            rows = tuple(_encode(part).decode() for part in (batch.calls, batch.attempts, batch.balances()))
        except (OverflowError, ValueError, TypeError) as error:
            raise BadRow(str(error)) from error
        try:
            cursor = connection.execute(
                _WRITE if batch.calls else _BEAT,
                (now, incarnation, *rows) if batch.calls else (now, incarnation),
                prepare=True,
            )
            found = cursor.fetchone()
        except psycopg.Error as error:
            raise translate_postgres(error, self._url) from error
        return None if found is None else Head(*found)

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

    def _ready(self) -> PgConnection:
        if self._connection is None:
            raise StoreAbsent(f"The ledger {self._url.shown} is not open.")
        return self._connection
