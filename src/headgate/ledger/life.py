"""One worker's standing in the ledger: its incarnation, its counter, and what to do when either is not as it was."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from headgate.ledger import incarnations
from headgate.ledger.batch import Batch, Head, Work
from headgate.ledger.engine import Ledger
from headgate.ledger.errors import BadRow, StoreAbsent
from headgate.ledger.late import left_of, replace_lost, settle_late
from headgate.ledger.memory import Memory
from headgate.ledger.store import Clock, Store

_log = logging.getLogger("headgate.ledger")


class Life:
    """Used by the writer's thread only, after `begin`. All methods raise LedgerUnusable."""

    def __init__(self, ledger: Ledger, store: Store, directory: Path, clock: Clock) -> None:
        self.counter = 0
        self._ledger = ledger
        self._store = store
        self._directory = directory
        self._clock = clock
        self._memory = Memory()
        self._incarnation = self._register()

    @property
    def incarnation(self) -> int:
        return self._incarnation.id

    def write(self, batch: Batch) -> Head | None:
        """Write a batch, what it settles of earlier lives first; None where this life is over."""
        self._settle_late(batch)
        batch.tag(self.incarnation)
        return self._store.write(self.incarnation, self._clock(), batch)

    def wrote(self, works: Sequence[Work], head: Head) -> None:
        """A batch is in."""
        self.counter = head.counter
        if works:
            self._memory.committed(head.counter, works)

    def is_in(self) -> bool:
        """After a lost connection: whether the last batch had committed. Waits for the old backend.

        A counter behind ours means that the store went back in time: what it has lost is written again.
        """
        counter = self._store.standing(self.incarnation)
        if counter == self.counter + 1:
            return True
        if counter is not None and counter < self.counter:
            self._restore(counter)
        return False

    def begin_again(self) -> None:
        """Take a new incarnation: this one was declared dead while the process was paused, or went with its store."""
        old = self._incarnation
        gone = self._store.standing(old.id) is None
        self._incarnation = self._register()
        old.end()
        if gone:
            _log.error("incarnation %d is not in the ledger any more: it was restored", old.id)
            self._restore(-1)
            return
        _log.warning("incarnation %d was declared dead; taking a new one", old.id)
        self._memory.forget()
        self.counter = 0

    def replace_lost(self, batch: Batch) -> bool:
        """Whether a row that was refused stood where a lost call's did, and has replaced it."""
        with self._ledger.write(brief=True) as connection:
            found = [work for work in batch.works if replace_lost(connection, work, self._clock())]
        batch.look_again()
        return bool(found)

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

    def _restore(self, since: int) -> None:
        """Write again, whatever the caps say, what was committed after the batch `since`."""
        lost = self._memory.after(since)
        _log.error("the ledger went back in time; the work of %d calls is written again", len(lost.works))
        batches = [Batch((), since=since, restored=lost.held), *(Batch([work], since=since) for work in lost.works)]
        for batch in batches:
            batch.tag(self.incarnation)
            try:
                head = self._store.write(self.incarnation, self._clock(), batch)
            except BadRow as error:
                _log.critical("%r is not in the ledger any more: %s", batch.works, error)
                continue
            if head is None:
                raise StoreAbsent("The ledger is being restored.")
            self.counter = head.counter
        self._memory.rewritten(since, self.counter, self.incarnation)
