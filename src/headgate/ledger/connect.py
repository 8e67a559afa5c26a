"""Connections to both engines, and what their errors mean: the store is absent, or a row is bad."""

from __future__ import annotations

import shlex
import sqlite3
from enum import StrEnum
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from headgate.ledger.errors import BadRow, LedgerUnusable, StoreAbsent
from headgate.ledger.url import LedgerUrl

PgConnection = psycopg.Connection[tuple[Any, ...]]

BUSY_TIMEOUT_MS = 2_000
STATEMENT_TIMEOUT_MS = 2_000
IDLE_TIMEOUT_MS = 500
READ_IDLE_TIMEOUT_MS = 30_000
"""A reader holds up nobody, and may look at many rows between two statements."""
_CONNECT_WORDS: dict[str, str | int] = {
    "connect_timeout": 2,
    "tcp_user_timeout": 2_000,
    "keepalives": 1,
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 2,
    "application_name": "headgate",
}


class Durability(StrEnum):
    """What a commit survives: `batch` and `call` SIGKILL of the worker, `fsync` power loss.

    With `batch` nobody waits for the commit, and PostgreSQL may lose its last 600 ms if it crashes itself.
    """

    BATCH = "batch"
    CALL = "call"
    FSYNC = "fsync"


def connect_sqlite(
    path: Path, *, durability: Durability | None, create: bool = False, cached_statements: int = 32
) -> sqlite3.Connection:
    """Open an SQLite ledger in autocommit mode; `durability` None opens it read-only.

    Raises StoreAbsent or LedgerUnusable with what to do.
    """
    if not path.parent.is_dir():
        raise LedgerUnusable(
            f"The directory {path.parent} of the ledger does not exist. Create it: mkdir -p {path.parent}"
        )
    if path.is_dir():
        raise LedgerUnusable(f"{path} is a directory; ledger.url must name a file, such as {path / 'headgate.db'}")
    if not create and _is_missing(path):
        raise StoreAbsent(
            f"There is no ledger at {path} yet; make one with `headgate keys create` or `headgate serve`."
        )
    mode = "ro" if durability is None else "rwc" if create else "rw"
    quoted = str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    try:
        connection = sqlite3.connect(
            f"file:{quoted}?mode={mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=BUSY_TIMEOUT_MS / 1000,
            cached_statements=cached_statements,
        )
    except sqlite3.Error as error:
        raise translate_sqlite(error, path) from error
    try:
        if durability is not None:
            level = "FULL" if durability is Durability.FSYNC else "NORMAL"
            connection.execute(f"PRAGMA synchronous={level}")
        connection.execute("PRAGMA foreign_keys=ON")
    except sqlite3.Error as error:
        connection.close()
        raise translate_sqlite(error, path) from error
    return connection


def _is_missing(path: Path) -> bool:
    """Say whether there is surely no file; what this user may not look at is not missing."""
    try:
        return not path.exists()
    except OSError:
        return False


def connect_postgres(
    url: LedgerUrl, *, durability: Durability | None, statement_timeout_ms: int = STATEMENT_TIMEOUT_MS
) -> PgConnection:
    """Open a PostgreSQL ledger in autocommit mode; `durability` None: read-only. Raises StoreAbsent."""
    words: dict[str, Any] = {**_CONNECT_WORDS, **dict(url.connect)}
    try:
        connection = psycopg.Connection.connect(autocommit=True, row_factory=tuple_row, **words)
    except psycopg.Error as error:
        raise translate_postgres(error, url) from None
    read_only, idle = ("on", READ_IDLE_TIMEOUT_MS) if durability is None else ("off", IDLE_TIMEOUT_MS)
    commit = "off" if durability is Durability.BATCH else "on"
    try:
        connection.execute(
            f"SET statement_timeout = {int(statement_timeout_ms)};"
            f"SET idle_in_transaction_session_timeout = {idle};"
            f"SET default_transaction_read_only = {read_only}; SET synchronous_commit = {commit};"
            "SET client_min_messages = error".encode()
        )
    except psycopg.Error as error:
        connection.close()
        raise translate_postgres(error, url) from None
    return connection


_SQLITE_ADVICE = {
    sqlite3.SQLITE_READONLY: "is read-only. Make it and its directory writable: chmod u+w {folder} {path}",
    sqlite3.SQLITE_PERM: "may not be opened. Make it readable and writable for this user: chmod u+rw {path}",
    sqlite3.SQLITE_FULL: "cannot grow: the disk is full. Free some space (look with: df -h {folder})",
    sqlite3.SQLITE_IOERR: "cannot be read or written (I/O error). Look at the disk: df -h {folder}; dmesg",
    sqlite3.SQLITE_NOTADB: "is not an SQLite database. Look what it is: file {path}; then name another in ledger.url",
    sqlite3.SQLITE_CORRUPT: "is damaged. Restore it from a backup, or rescue it: "
    "sqlite3 {path} .recover | sqlite3 {path}.rescued",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened. May this user read and write it and its directory? "
    "Look with: ls -la {folder}",
    sqlite3.SQLITE_BUSY: "is locked by another program. Find it: fuser {path}",
    sqlite3.SQLITE_LOCKED: "is locked by another program. Find it: fuser {path}",
}
_SQLITE_BAD_ROW = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)


def translate_sqlite(error: sqlite3.Error, path: Path) -> StoreAbsent | BadRow:
    """Say what an error of SQLite means: a full disk, a lock, damage, a missing table are its absence."""
    if isinstance(error, _SQLITE_BAD_ROW):
        return BadRow(str(error))
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_TOOBIG:
        return BadRow(str(error))
    advice = _SQLITE_ADVICE.get(code)
    if advice is None:
        return StoreAbsent(f"The ledger {path} cannot be used: {error}. Check it with: headgate check")
    return StoreAbsent(
        f"The ledger {path} " + advice.format(path=shlex.quote(str(path)), folder=shlex.quote(str(path.parent)))
    )


_PG_ADVICE = {
    "28": "refuses this user or password. Check ledger.url, and try: psql -h HOST -U USER DATABASE",
    "3D": "has no such database. Create it: createdb NAME.",
    "42": "lacks tables or rights that Headgate needs. Start `headgate serve` once so that it migrates, "
    "as a user who may create tables.",
    "25P03": "ended a transaction that stood still for too long. Is this machine overloaded?",
    "25": "is read-only now. Point ledger.url at the primary server.",
    "53": "is out of disk, memory or connections. Free some, then try again.",
    "57": "stopped the statement or is shutting down. It is tried again.",
    "08": "cannot be reached. Is the server running, and are host and port in ledger.url right?",
}
_PG_BAD_ROW = ("21", "22", "23", "54")


def translate_postgres(error: psycopg.Error, url: LedgerUrl) -> StoreAbsent | BadRow:
    """Say what an error of PostgreSQL means, by its SQLSTATE class. Passwords are cut out of what it says."""
    said = (error.diag.message_primary or str(error)).strip().replace("\n", " ")
    password = dict(url.connect).get("password")
    if password:
        said = said.replace(password, "***")
    state = error.sqlstate or ""
    if state[:2] in _PG_BAD_ROW or (not state and isinstance(error, psycopg.DataError)):
        return BadRow(said)
    if not state and "password authentication failed" in said:
        state = "28"
    if not state and "does not exist" in said:
        state = "3D"
    advice = _PG_ADVICE.get(state) or _PG_ADVICE.get(
        state[:2] or "08", "cannot be used now. Is the server well? Try: psql -h HOST -U USER DATABASE"
    )
    return StoreAbsent(f"The ledger {url.shown} {advice} ({said[:300]})")
