"""Who elsewhere is silent: incarnations of other lock directories, whose counter stands still while we commit.

A living writer commits once a heartbeat even when idle. Only the observer's own clock counts, and only while it is not
interrupted: a store that takes no commits, or an observer that was stopped, says nothing about the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import sqlalchemy as sa
from sqlalchemy import Connection

from headgate.ledger.engine import Ledger
from headgate.ledger.tables import incarnations, ledger_state

SECOND_NS = 1_000_000_000
PERIOD_NS = 2 * SECOND_NS
"""Between two looks."""
PATIENCE_NS = 3 * PERIOD_NS
"""Looks whose commits lie further apart than this were interrupted."""


class Watch:
    """How long each counter has stood still. Times are ns of one clock that never goes back."""

    def __init__(self, dead_after: int, patience: int = PATIENCE_NS) -> None:
        self._dead_after = dead_after
        self._patience = patience
        self._last: int | None = None
        self._since: dict[int, tuple[int, int]] = {}

    def look(self, counters: Mapping[int, int], began: int, ended: int) -> dict[int, int]:
        """Take what a transaction of our own has read, {id: counter}; return those silent for `dead_after`.

        `began` was before it read, `ended` after it committed.
        """
        if self._last is None or ended - self._last > self._patience:
            self._since.clear()
        self._last = ended
        seen = {}
        for number, counter in counters.items():
            known = self._since.get(number)
            seen[number] = known if known is not None and known[0] == counter else (counter, ended)
        self._since = seen
        return {number: counter for number, (counter, since) in seen.items() if began - since >= self._dead_after}

    def interrupted(self) -> None:
        """A look has failed: count anew for everyone."""
        self._last = None


def observe(ledger: Ledger, owner: str, watch: Watch, mono: Callable[[], int]) -> dict[int, int]:
    """Look once at the living of other lock directories than `owner`; return {id: counter} of the silent ones.

    Raises LedgerError; then the watch counts anew.
    """
    began = mono()
    try:
        with ledger.reader().connection() as connection:
            counters = _elsewhere(connection, owner)
        if counters:
            began = mono()
            with ledger.write(brief=True) as connection:
                # A commit of our own: a store that only answers questions must not make everyone look silent.
                connection.execute(ledger_state.update().values(epoch=ledger_state.c.epoch))
                counters = _elsewhere(connection, owner)
    except BaseException:  # passed on: whatever it was, what was counted before says nothing any more
        watch.interrupted()
        raise
    return watch.look(counters, began, mono())


def _elsewhere(connection: Connection, owner: str) -> dict[int, int]:
    query = sa.select(incarnations.c.id, incarnations.c.counter).where(
        incarnations.c.dead_at.is_(None), incarnations.c.lock_dir != owner
    )
    return {row.id: row.counter for row in connection.execute(query)}
