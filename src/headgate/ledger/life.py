"""One worker's standing in the ledger: its incarnation, its counter, and what to do when either is not as it was."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from headgate.ledger import incarnations
from headgate.ledger.batch import Batch, Head, Work
from headgate.ledger.engine import Ledger
from headgate.ledger.errors import BadRow
from headgate.ledger.keys import pass_epoch
from headgate.ledger.late import left_of, replace_lost, settle_late
from headgate.ledger.memory import Memory
from headgate.ledger.store import Clock, Store
from headgate.ledger.tables import limits

_log = logging.getLogger("headgate.ledger")

NOBODY = 0
"""No incarnation has this number."""
MOST_AGAIN = 200
"""Pieces of work that are written again in one transaction."""


class Life:
    """Used by the writer's thread only, after `begin`. All methods raise LedgerUnusable."""

    def __init__(self, ledger: Ledger, store: Store, directory: Path, clock: Clock) -> None:
        self.counter = 0
        self._ledger = ledger
        self._store = store
        self._directory = directory
        self._clock = clock
        self._memory = Memory()
        self._again: Batch | None = None
        self._epoch = 0
        self._incarnation = self._register()

    @property
    def incarnation(self) -> int:
        return self._incarnation.id

    def write(self, batch: Batch) -> Head | None:
        """Write a batch; None where this life is over.

        Before it goes what the store has lost, and what the batch settles of earlier lives.
        """
        if not self._write_again():
            return None
        self._settle_late(batch)
        return self._write(batch)

    def wrote(self, works: Sequence[Work], head: Head) -> None:
        """A batch is in."""
        self._passed(head)
        if works:
            self._memory.committed(head.counter, works)

    def is_in(self) -> bool:
        """After a lost connection: whether the last batch had committed. Waits for the old backend.

        A counter behind ours means that the store went back in time: what it has lost is to be written again.
        """
        counter = self._store.standing(self.incarnation)
        again, self._again = self._again, None
        if counter == self.counter + 1:
            if again is None:
                return True
            self._memory.rewritten(again, counter, self.incarnation)
            self.counter = counter
        elif counter is not None and counter < self.counter:
            self._lose(counter)
            self.counter = counter
        return False

    def begin_again(self) -> None:
        """Take a new incarnation: this one was declared dead while the process was paused, or went with its store."""
        old = self._incarnation
        if self._store.standing(old.id) is None:
            _log.error("incarnation %d is not in the ledger any more: it was restored", old.id)
            self._lose(-1)
            # A ledger that went back gives out its numbers again: the next one may be this one, and not ours.
            old.end()
            old.id = NOBODY
        else:
            _log.warning("incarnation %d was declared dead; taking a new one", old.id)
        self._incarnation = self._register()
        old.end()
        self._memory.begin_again(self.incarnation)
        self.counter = 0

    def replace_lost(self, batch: Batch) -> bool:
        """Whether a row that was refused stood where a lost call's did, and has replaced it."""
        with self._ledger.write(brief=True) as connection:
            found = [(work, replace_lost(connection, work, self._clock())) for work in batch.works]
        # Only now that it is committed: what is not would be asked for again.
        for work, left in found:
            if left is not None:
                work.call, work.attempts, work.grants = left.call, left.attempts, left.grants
        batch.look_again()
        return any(left is not None for _, left in found)

    def retire(self) -> None:
        """End: nothing is in flight any more."""
        self._store.retire(self.incarnation, self._clock())
        self._incarnation.end()

    def _register(self) -> incarnations.Incarnation:
        return incarnations.register(self._ledger, self._directory, self._clock())

    def _settle_late(self, batch: Batch) -> None:
        """What was held by a life that was taken for dead has been charged as lost: correct it, and leave it out."""
        late = [work for work in batch.works if work.is_late(self.incarnation)]
        if not late:
            return
        with self._ledger.write(brief=True) as connection:
            for work in late:
                settle_late(connection, work, self.incarnation, self._clock())
        for work in late:
            left_of(work, self.incarnation)
        batch.look_again()

    def _write(self, batch: Batch) -> Head | None:
        batch.tag(self.incarnation)
        return self._store.write(self.incarnation, self._clock(), batch)

    def _passed(self, head: Head) -> None:
        self.counter = head.counter
        self._epoch = max(self._epoch, head.epoch)

    def _lose(self, counter: int) -> None:
        """The store went back in time, to the batch `counter`."""
        with self._ledger.write(brief=True) as connection:
            # Nobody may take the limits of an epoch that is gone for those of one that comes.
            pass_epoch(connection, self._epoch)
            known = frozenset(connection.scalars(sa.select(limits.c.id)))
        number = self._memory.lose(counter, known)
        _log.error("the ledger went back in time; the work of %d calls is written again", number)

    def _write_again(self) -> bool:
        """Write, whatever the caps say, what the store has lost; False where this life is over."""
        most = MOST_AGAIN
        while (batch := self._memory.lost(most)) is not None:
            self._again = batch
            try:
                head = self._write_lost(batch)
            except BadRow as error:
                if batch.restored or len(batch.works) == 1:
                    _log.critical("%r is not in the ledger any more: %s", batch.works or batch.restored, error)
                    self._memory.give_up(batch)
                most, self._again = 1, None
                continue
            self._again = None
            if head is None:
                return False
            self._memory.rewritten(batch, head.counter, self.incarnation)
            self._passed(head)
        return True

    def _write_lost(self, batch: Batch) -> Head | None:
        self._settle_late(batch)
        try:
            return self._write(batch)
        except BadRow:
            if len(batch.works) != 1 or not self.replace_lost(batch):
                raise
            return self._write(batch)
