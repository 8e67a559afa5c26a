"""Ledger URLs: which engine, where, and how to name it without its password."""

from __future__ import annotations

from pathlib import Path

import msgspec
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from headgate.ledger.errors import LedgerUnusable

_FORMS = (
    "Write sqlite:///headgate.db (relative), sqlite:////var/lib/headgate.db (absolute) "
    "or postgresql://user:password@host/database."
)


class LedgerUrl(msgspec.Struct, frozen=True, gc=False):
    """Where a ledger is: `path` (absolute, links resolved) of SQLite, or `connect` (libpq keywords).

    `shown` is safe to print: it carries neither password nor query. `connect` may hold a password.
    """

    shown: str
    path: Path | None = None
    connect: tuple[tuple[str, str], ...] = ()

    @property
    def is_sqlite(self) -> bool:
        return self.path is not None

    @property
    def sqlite_path(self) -> Path:
        """The file of an SQLite ledger; LedgerUnusable for any other."""
        if self.path is None:
            raise LedgerUnusable(f"{self.shown} is not a file")
        return self.path

    @property
    def state_dir(self) -> Path | None:
        """The directory of lock files that belongs to an SQLite ledger, next to it; None for PostgreSQL."""
        return None if self.path is None else self.path.with_name(self.path.name + "-locks")

    def __repr__(self) -> str:
        return f"LedgerUrl({self.shown!r})"

    __str__ = __repr__


def parse_url(text: str) -> LedgerUrl:
    """Return the ledger that `text` names. Raises LedgerUnusable for others, never echoing a password."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise LedgerUnusable(f"ledger.url is not a URL of a ledger. {_FORMS}") from None
    if url.drivername == "sqlite":
        return _sqlite(url)
    if url.drivername in {"postgresql", "postgres", "postgresql+psycopg"}:
        return _postgresql(url)
    raise LedgerUnusable(f"ledger.url names {url.drivername!r}, which Headgate does not know. {_FORMS}")


def _sqlite(url: URL) -> LedgerUrl:
    if not url.database or ":memory:" in url.database or url.database.startswith("file:"):
        raise LedgerUnusable(f"ledger.url names a ledger in memory; a ledger is a file. {_FORMS}")
    if url.host or url.query:
        raise LedgerUnusable(f"ledger.url: an SQLite ledger takes neither host nor options. {_FORMS}")
    if "\0" in url.database:
        raise LedgerUnusable(f"ledger.url holds a NUL character. {_FORMS}")
    path = Path(url.database).expanduser().resolve()
    return LedgerUrl(shown=f"sqlite:///{path}", path=path)


def _postgresql(url: URL) -> LedgerUrl:
    if not url.database:
        raise LedgerUnusable(f"ledger.url names no database. {_FORMS}")
    words: dict[str, str] = {
        key: value if isinstance(value, str) else ",".join(value) for key, value in url.query.items()
    }
    named = {"host": url.host, "user": url.username, "password": url.password, "dbname": url.database}
    words.update({key: str(value) for key, value in named.items() if value})
    if url.port is not None:
        words["port"] = str(url.port)
    place = url.host or url.query.get("host") or "localhost"
    port = f":{url.port}" if url.port is not None else ""
    who = f"{url.username}@" if url.username else ""
    return LedgerUrl(shown=f"postgresql://{who}{place}{port}/{url.database}", connect=tuple(words.items()))
