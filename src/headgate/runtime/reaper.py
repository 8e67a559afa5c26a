"""Finds the dead: workers of this host by their lock files, others by their silence; what they held becomes lost."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from headgate.ledger.death import declare_dead
from headgate.ledger.engine import Ledger
from headgate.ledger.errors import LedgerError
from headgate.ledger.incarnations import sweep
from headgate.ledger.locks import directory_id
from headgate.ledger.observer import PERIOD_NS, SECOND_NS, Watch, observe
from headgate.runtime.clock import Clock

log = structlog.get_logger("headgate.supervisor")

SWEEP_PERIOD = 1.0
"""Seconds between two looks at the lock files."""


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
            group.create_task(self._often(self._sweep, SWEEP_PERIOD))
            group.create_task(self._often(self._observe, PERIOD_NS / SECOND_NS))

    async def _often(self, look: Callable[[], None], period: float) -> None:
        while True:
            await asyncio.sleep(period)
            try:
                await asyncio.to_thread(look)
            except LedgerError as error:
                log.warning("dead workers could not be looked for; tried again", error=str(error))

    def _sweep(self) -> None:
        sweep(self._ledger, self._directory, self._clock.wall())

    def _observe(self) -> None:
        owner = directory_id(self._directory)
        silent = observe(self._ledger, owner, self._watch, self._clock.mono)
        dead = declare_dead(self._ledger, silent, self._clock.wall()) if silent else []
        if dead:
            log.warning("workers elsewhere are silent; what they held is lost", incarnations=dead)
