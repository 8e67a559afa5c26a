"""What the ledger holds and has lost in all, looked up at most every few seconds however often it is scraped."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import structlog

from headgate.ledger.engine import Ledger
from headgate.ledger.errors import LedgerUnusable
from headgate.ledger.limit_views import Total, held_totals, lost_totals
from headgate.runtime.clock import Clock

log = structlog.get_logger("headgate.admin")

LASTS_NS = 5_000_000_000
"""How long an answer is told again."""


class Totals(NamedTuple):
    """What the ledger knows of all gateways on it: attempts that hold something now, and those whose worker died."""

    held: Total
    lost: Total


def read_totals(ledger: Ledger) -> Totals:
    """Look both up. Raises LedgerUnusable."""
    with ledger.reader().connection() as connection:
        return Totals(held_totals(connection), lost_totals(connection))


class TotalsCache:
    """`look` reads them. To be asked on one event loop."""

    def __init__(self, look: Callable[[], Awaitable[Totals]], clock: Clock) -> None:
        self._look = look
        self._clock = clock
        self._lock = asyncio.Lock()
        self._known: Totals | None = None
        self._read_at: int | None = None

    async def get(self) -> Totals | None:
        """Return them; None while the ledger cannot be read, which is no reason to tell no metrics at all."""
        # Whoever comes while one looks waits for what that one finds.
        async with self._lock:
            now = self._clock.mono()
            if self._read_at is None or now - self._read_at >= LASTS_NS:
                try:
                    self._known = await self._look()
                except LedgerUnusable as error:
                    self._known = None
                    log.warning("metrics of holds cannot be read", error=str(error))
                self._read_at = now
            return self._known
