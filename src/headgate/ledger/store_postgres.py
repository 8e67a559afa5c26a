"""The hot statements on PostgreSQL: one transaction per batch, in one round trip, or two where holds are decided.

Rows travel as one JSON text per table. Without holds all is one statement, whose inserts depend on the fence, so that a
dead incarnation writes nothing. With holds, locks come first, and what they protect is read by a later statement.

The statements of a round trip travel in one message, of the simple protocol. The server begins on a message when it is
whole, and is idle when it is done: a process that is stopped anywhere in between holds its locks no longer than
`idle_in_transaction_session_timeout`. A pipeline that is stopped before its Sync would hold them for ever.
"""

from __future__ import annotations

import contextlib

import msgspec
import psycopg

from headgate.ledger.batch import Batch, Head
from headgate.ledger.connect import Durability, PgConnection, connect_postgres, translate_postgres
from headgate.ledger.errors import BadRow, StoreAbsent
from headgate.ledger.store import Clock
from headgate.ledger.tables import calls
from headgate.ledger.url import LedgerUrl
from headgate.policy.granting import Owner, Row

_STANDING = "SELECT counter FROM incarnations WHERE id = %s FOR UPDATE"
_RETIRE = "UPDATE incarnations SET dead_at = %s WHERE id = %s AND dead_at IS NULL"
_TYPES = {"TEXT": "text", "BIGINT": "bigint", "BOOLEAN": "boolean", "BLOB": "text"}


def _calls() -> str:
    """Insert from a JSON array of objects; bytes come as base64, as msgspec writes them."""
    names = ", ".join(f'"{column.name}"' for column in calls.columns)
    shape = ", ".join(f'"{column.name}" {_TYPES[str(column.type)]}' for column in calls.columns)
    taken = names.replace('"facts"', "decode(facts, 'base64')")
    return f"INSERT INTO calls ({names}) SELECT {taken} FROM json_to_recordset(%s::json) AS r({shape})"  # noqa: S608


def _rows(guard: str) -> str:
    """Insert calls, attempts and balances, where the guard holds."""
    return f"""
new_calls AS (
    {_calls()}{guard}
), new_attempts AS (
    INSERT INTO attempts SELECT * FROM json_populate_recordset(NULL::attempts, %s::json){guard}
), new_balances AS (
    INSERT INTO balances (scope, scope_id, unit, bucket_start, spent, held)
    SELECT r->>0, r->>1, r->>2, (r->>3)::bigint, (r->>4)::bigint, 0
    FROM json_array_elements(%s::json) WITH ORDINALITY AS t(r, n){guard} ORDER BY n
    ON CONFLICT (scope, scope_id, unit, bucket_start)
    DO UPDATE SET spent = balances.spent + excluded.spent
)"""  # noqa: S608  only names from tables.py


# Each text is kept under psycopg's MAX_CACHED_STATEMENT_LENGTH (4096): a longer one is parsed anew for every batch.
_ADVANCE = "UPDATE incarnations SET counter = counter + 1, seen_at = %s WHERE id = %s AND dead_at IS NULL"
_WRITE = f"""
WITH fence AS ({_ADVANCE} RETURNING counter), {_rows(" WHERE EXISTS (SELECT FROM fence)")}
SELECT fence.counter, ledger_state.epoch FROM fence, ledger_state
"""  # noqa: S608  only names from tables.py
_BEAT = f"{_ADVANCE} RETURNING counter, (SELECT epoch FROM ledger_state)"  # noqa: S608  no outside text
_LOCK = "SELECT id FROM limits WHERE id = ANY(%s::bigint[]) ORDER BY id FOR NO KEY UPDATE"
_NOW = "coalesce(%s::bigint, (extract(epoch FROM clock_timestamp()) * 1000000000)::bigint)"
# One row at least, for clock and epoch; a statement of its own, so that it sees what the locks have waited for.
_READ = f"""
WITH clock AS MATERIALIZED (SELECT {_NOW} AS now, epoch FROM ledger_state)
SELECT clock.now, clock.epoch, b.limit_id, b.subject, b.bucket_start, b.spent, b.held
FROM clock LEFT JOIN (json_array_elements(%s::json) AS r JOIN limit_balances AS b
    ON b.limit_id = (r->>0)::bigint AND b.subject = r->>1)
ON b.bucket_start >= coalesce(clock.now - (r->>2)::bigint, 0)
"""  # noqa: S608  no outside text
_INSERT = f"WITH {_rows('')} SELECT"
_HOLDS = """
WITH ended AS (
    DELETE FROM holds USING json_array_elements(%s::json) AS r WHERE call = r->>0 AND no = (r->>1)::bigint
), new_holds AS (
    INSERT INTO holds (call, no, incarnation, at, facts)
    SELECT r->>0, (r->>1)::bigint, (r->>2)::bigint, (r->>3)::bigint, r->>4 FROM json_array_elements(%s::json) AS r
    ON CONFLICT (call, no) DO UPDATE SET incarnation = excluded.incarnation, at = excluded.at, facts = excluded.facts
)
INSERT INTO limit_balances (limit_id, subject, bucket_start, spent, held)
SELECT (r->>0)::bigint, r->>1, (r->>2)::bigint, (r->>3)::bigint, (r->>4)::bigint
FROM json_array_elements(%s::json) WITH ORDINALITY AS t(r, n) ORDER BY n
ON CONFLICT (limit_id, subject, bucket_start)
DO UPDATE SET spent = limit_balances.spent + excluded.spent, held = limit_balances.held + excluded.held
"""
_PREPARED = {"beat": _BEAT, "lock": _LOCK, "read": _READ, "insert": _INSERT, "holds": _HOLDS}
_BEGIN = "BEGIN; EXECUTE beat(%s, %s); EXECUTE lock(%s); EXECUTE read(%s, %s)"
_END = "EXECUTE holds(%s, %s, %s); COMMIT"
_END_ROWS = f"EXECUTE insert(%s, %s, %s); {_END}"
_encode = msgspec.json.Encoder().encode


def _prepare(name: str, text: str) -> str:
    """Return the statement that prepares another, whose placeholders are psycopg's."""
    first, *others = text.split("%s")
    return f"PREPARE {name} AS " + first + "".join(f"${at}{part}" for at, part in enumerate(others, 1))


_PREPARE = "; ".join(_prepare(name, text) for name, text in _PREPARED.items()).encode()


class PostgresStore:
    """See store.Store."""

    def __init__(self, url: LedgerUrl, durability: Durability, clock: Clock | None = None) -> None:
        """`clock` stands for the server's own."""
        self._clock = clock
        self._url = url
        self._durability = durability
        self._connection: PgConnection | None = None

    def open(self) -> None:
        if self._connection is None:
            connection = connect_postgres(self._url, durability=self._durability)
            try:
                connection.execute(_PREPARE)
            except BaseException as error:  # passed on: the connection must not stay open whatever happened
                connection.close()
                if isinstance(error, psycopg.Error):
                    raise translate_postgres(error, self._url) from error
                raise
            self._connection = connection

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def write(self, incarnation: int, now: int, batch: Batch) -> Head | None:
        connection = self._ready()
        try:
            rows = tuple(_text(part) for part in (batch.calls, batch.attempts, batch.balances()))
        except (OverflowError, ValueError, TypeError) as error:
            raise BadRow(str(error)) from error
        try:
            if batch.has_holds:
                return self._with_holds(connection, incarnation, now, batch, rows)
            some = bool(batch.calls or batch.attempts)
            cursor = connection.execute(
                _WRITE if some else _BEAT, (now, incarnation, *rows) if some else (now, incarnation), prepare=True
            )
            found = cursor.fetchone()
        except psycopg.Error as error:
            raise translate_postgres(error, self._url) from error
        except (OverflowError, ValueError, TypeError) as error:  # what is asked cannot be written as it is
            raise BadRow(str(error)) from error
        return None if found is None else Head(*found)

    def _with_holds(
        self, connection: PgConnection, incarnation: int, now: int, batch: Batch, rows: tuple[str, ...]
    ) -> Head | None:
        """Two round trips: lock, then read what the locks protect; decide; write and commit."""
        at = None if self._clock is None else self._clock()
        try:
            cursor = psycopg.ClientCursor(connection)
            cursor.execute(_BEGIN, (now, incarnation, batch.limits(), at, _text(batch.reads())))
            cursor.nextset()
            found = cursor.fetchone()
            if found is None:
                connection.execute("ROLLBACK")
                return None
            cursor.nextset()
            cursor.nextset()
            known = cursor.fetchall()
            head = Head(found[0], known[0][1])
            read: dict[Owner, list[Row]] = {}
            for _, _, limit, subject, bucket, spent, held in known:
                if limit is not None:
                    read.setdefault((limit, subject), []).append((bucket, spent, held))
            writes = batch.decide(known[0][0], head.epoch, incarnation, head.counter, read.items())
            holds = tuple(_text(part) for part in (writes.ended, writes.holds, writes.balances))
            if batch.calls or batch.attempts:
                cursor.execute(_END_ROWS, (*rows, *holds))
            else:
                cursor.execute(_END, holds)
        except BaseException:  # passed on: a transaction that stays open would hold up everybody
            _roll_back(connection)
            raise
        return head

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


def _text(part: object) -> str:
    return _encode(part).decode()


def _roll_back(connection: PgConnection) -> None:
    with contextlib.suppress(psycopg.Error):  # a connection that is gone has rolled back
        if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            connection.execute("ROLLBACK")
