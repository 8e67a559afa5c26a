"""Finds the dead: workers of this host by their lock files, others by their silence; what they held becomes lost.

Beside that it takes away what no limit counts any more.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import structlog

from headgate.ledger.death import declare_dead
from headgate.ledger.engine import Ledger
from headgate.ledger.errors import LedgerError
from headgate.ledger.incarnations import sweep
from headgate.ledger.locks import directory_id
from headgate.ledger.observer import PERIOD_NS, SECOND_NS, Watch, observe
from headgate.ledger.tidy import MOST, SLICE, delete, outdated
from headgate.runtime.clock import Clock

log = structlog.get_logger("headgate.supervisor")

SWEEP_PERIOD = 1.0
"""Seconds between two looks at the lock files."""
TIDY_PERIOD = 60.0
"""Seconds between two looks for balances that nothing counts any more."""


class Reaper:
    """Runs beside the supervisor. `directory` is this host's lock directory, `dead_after` in ns."""

    def __init__(self, ledger: Ledger, directory: Path, dead_after: int, clock: Clock) -> None:
        self._ledger = ledger
        self._directory = directory
        self._clock = clock
        self._watch = Watch(dead_after)

    async def run(self) -> None:
        """Look for the dead until cancelled; a ledger that cannot be used is asked again."""
        async with asyncio.TaskGroup() as group:
            for look, period, what in (
                (self._sweep, SWEEP_PERIOD, "dead workers could not be looked for; tried again"),
                (self._observe, PERIOD_NS / SECOND_NS, "silent workers could not be looked for; tried again"),
            ):
                group.create_task(self._often(partial(asyncio.to_thread, look), period, what))
            group.create_task(self._often(self._tidy, TIDY_PERIOD, "old balances could not be deleted; tried again"))

    async def _often(self, look: Callable[[], Awaitable[None]], period: float, what: str) -> None:
        while True:
            await asyncio.sleep(period)
            try:
                await look()
            except LedgerError as error:
                log.warning(what, error=str(error))

    async def _tidy(self) -> None:
        """Delete balances in slices, each in its own turn, so that calls and the end of serving get theirs between."""
        places = None
        while places is None or len(places) == MOST:
            places = await asyncio.to_thread(outdated, self._ledger, self._clock.wall())
            for first in range(0, len(places), SLICE):
                await asyncio.to_thread(delete, self._ledger, places[first : first + SLICE])

    def _sweep(self) -> None:
        sweep(self._ledger, self._directory, self._clock.wall())

    def _observe(self) -> None:
        owner = directory_id(self._directory)
        silent = observe(self._ledger, owner, self._watch, self._clock.mono)
        dead = declare_dead(self._ledger, silent, self._clock.wall()) if silent else []
        if dead:
            log.warning("workers elsewhere are silent; what they held is lost", incarnations=dead)
