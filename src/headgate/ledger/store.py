"""The seam over the two engines for the hot statements; what holds for both is said here.

A store is used by one thread. `write` puts a batch into one transaction that advances the incarnation's
counter: fence (a dead incarnation writes nothing), heartbeat and batch id in one. Where the batch touches holds, the
limits' rows are locked first, and balances and the store's clock are read only then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from headgate.ledger.batch import Batch, Head
from headgate.ledger.connect import Durability
from headgate.ledger.url import LedgerUrl

Clock = Callable[[], int]
"""Returns ns since the epoch. It stands for the store's own clock where a test needs to turn it."""


class Store(Protocol):
    """Raises StoreAbsent where the same may succeed later, BadRow where it never will."""

    def open(self) -> None:
        """Connect, unless connected."""

    def close(self) -> None:
        """Drop the connection. After StoreAbsent it must be called before the next use."""

    def write(self, incarnation: int, now: int, batch: Batch) -> Head | None:
        """Commit the batch; None, and nothing written, if the incarnation is dead or unknown."""

    def standing(self, incarnation: int) -> int | None:
        """Return the counter, having waited for any older transaction on it; None if there is no such row."""

    def retire(self, incarnation: int, now: int) -> None:
        """Mark an incarnation dead that has nothing in flight."""


def open_store(url: LedgerUrl, durability: Durability, clock: Clock | None = None) -> Store:
    """Return the store of a ledger, connected. Raises StoreAbsent, LedgerUnusable."""
    # Here, so that each engine's driver is imported only where it is used.
    if url.is_sqlite:
        from headgate.ledger.store_sqlite import SqliteStore  # noqa: PLC0415

        store: Store = SqliteStore(url, durability, clock)
    else:
        from headgate.ledger.store_postgres import PostgresStore  # noqa: PLC0415

        store = PostgresStore(url, durability, clock)
    store.open()
    return store
