"""Read-only questions to the ledger."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import sqlalchemy as sa

from headgate.ledger import keys
from headgate.ledger.keys import Identity


class Reader:
    """Questions to one ledger, each in a read-only transaction of its own. Usable from several threads."""

    def __init__(self, engine: sa.Engine, translated: Callable[[], contextlib.AbstractContextManager[None]]) -> None:
        self._engine = engine
        self._translated = translated

    @contextlib.contextmanager
    def connection(self) -> Iterator[sa.Connection]:
        """A read-only connection, in one transaction: what is read on it is of one moment on SQLite."""
        with self._translated(), self._engine.connect() as connection, connection.begin():
            yield connection

    def identities(self, now: int) -> tuple[int, dict[bytes, Identity]]:
        """Return the epoch, and the identity of every secret that works now by its SHA-256."""
        with self.connection() as connection:
            epoch = keys.read_epoch(connection)
            return epoch, keys.load_identities(connection, now=now)
