"""Workers over a real ledger, whose clocks, commits and deaths are the test's: no thread, no sleep, no signal."""

from __future__ import annotations

import asyncio
import contextlib
import queue
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy import Connection
from tests.properties.limits_calls import Call, Running

from headgate.ledger import incarnations, keys, limits, tables
from headgate.ledger.batch import Batch, Head, Work
from headgate.ledger.connect import Durability
from headgate.ledger.engine import Ledger
from headgate.ledger.errors import StoreAbsent
from headgate.ledger.life import Life
from headgate.ledger.store import Store, open_store
from headgate.ledger.writer import Writer
from headgate.policy.applicable import Limits

COMMITTED, NOT_COMMITTED = "committed", "not committed"
"""What has become of a commit whose answer was lost."""


class Clock:
    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


class Faulty:
    """A store whose next writes fail as `plan` says, one word each; after that it is well."""

    def __init__(self, store: Store) -> None:
        self.plan: list[str] = []
        self._store = store
        self.open, self.close = store.open, store.close
        self.standing, self.retire = store.standing, store.retire

    def write(self, incarnation: int, now: int, batch: Batch) -> Head | None:
        fault = self.plan.pop(0) if self.plan else ""
        if fault == NOT_COMMITTED:
            raise StoreAbsent("the connection was lost")
        head = self._store.write(incarnation, now, batch)
        if fault == COMMITTED:
            raise StoreAbsent("the connection was lost")
        return head


class FaultyLedger:
    """The same of the transactions beside the batches: late settles, and the begin of another life."""

    def __init__(self, ledger: Ledger) -> None:
        self.plan: list[str] = []
        self.url, self.reader = ledger.url, ledger.reader
        self._write = ledger.write

    @contextlib.contextmanager
    def write(self, **how: Any) -> Iterator[Connection]:
        fault = self.plan.pop(0) if self.plan else ""
        with self._write(**how) as connection:
            yield connection
            if fault == NOT_COMMITTED:
                raise StoreAbsent("the connection was lost")
        if fault == COMMITTED:
            raise StoreAbsent("the connection was lost")


MOST_PAUSES = 10
"""Of a writer that goes on while another pauses; a fault or a restored store takes one or two."""


class _Inline:
    """Stands for the event loop: what it is told to call soon is called at once."""

    def call_soon_threadsafe(self, function: Callable[..., object], *arguments: object) -> None:
        function(*arguments)


class Stuck(BaseException):
    """A writer waits for the lock of another, which cannot go on before this one returns: one thread cannot play it."""


class _Patient:
    """Stands for the event by which a writer is woken while it pauses: others go on, and the pause is over.

    `left`: how many pauses it may make before it counts as stuck; None: any number.
    """

    def __init__(self) -> None:
        self.others: Callable[[], None] = _nobody
        self.left: int | None = None

    def wait(self, timeout: float) -> bool:
        if self.left is not None:
            if self.left == 0:
                raise Stuck
            self.left -= 1
        self.others()
        return False


def _nobody() -> None:
    pass


class Worker:
    """A writer without its thread: `commit` is one batch, of all that was submitted."""

    def __init__(self, ledger: Ledger, lock_dir: Path, clock: Clock) -> None:
        self.notes: list[tuple[Call, Running, Work]] = []
        self.cut_off = False
        self._ledger = ledger
        writer = self.writer = Writer(ledger, Durability.BATCH, lock_dir, clock=clock, store_clock=clock)
        self.store = Faulty(open_store(ledger.url, Durability.BATCH, clock))
        self.ledger = FaultyLedger(ledger)
        writer._answers.loop = cast("asyncio.AbstractEventLoop", _Inline())
        writer._store = self.store
        writer._life = Life(cast("Ledger", self.ledger), self.store, lock_dir, clock)
        self.pause = _Patient()
        writer._closing = cast("Any", self.pause)
        self.read_limits()

    @property
    def epoch(self) -> int:
        """The one that its last batch has read."""
        return self.writer._epoch

    @property
    def life(self) -> int:
        return self.writer.incarnation

    def read_limits(self) -> None:
        with self._ledger.reader().connection() as connection:
            epoch = keys.read_epoch(connection)
            self.limits = Limits(limits.load_limits(connection), epoch)

    def queued(self) -> list[Work]:
        found: list[Work] = []
        with contextlib.suppress(queue.Empty):
            while True:
                work = self.writer._queue.get_nowait()
                assert work is not None
                found.append(work)
        return found

    def commit(self, works: Sequence[Work], faults: Sequence[str] = (), beside: Sequence[str] = ()) -> None:
        """Write a batch; the first of the faults comes first."""
        self.store.plan = [NOT_COMMITTED, *faults] if self.cut_off else list(faults)
        self.ledger.plan = list(beside)
        self.cut_off = False
        self.writer._commit(works)
        self.store.plan, self.ledger.plan = [], []
        assert self.writer.bad_rows == 0, "a row was refused"
        notes, self.notes = self.notes, []
        for call, running, work in notes:
            call.take_note(running, work.answer)

    def beat(self) -> None:
        """Commit nothing, while another may be in the middle of its commit. Raises Stuck."""
        self.pause.left = MOST_PAUSES
        try:
            self.commit([])
        finally:
            self.pause.left = None

    def lose_connection(self) -> None:
        """Its next write fails, whatever became of the store meanwhile."""
        self.store.close()
        self.cut_off = True

    def crash(self, works: Sequence[Work]) -> None:
        """Commit a batch and never hear of it."""
        assert self.writer._life.write(Batch(works)) is not None

    def die(self) -> None:
        """As the kernel does it for a process that was killed."""
        self.cut_off = False  # the dead notice nothing
        self.writer._life._incarnation._lock.close()
        self.store.close()


def lives(ledger: Ledger) -> dict[int, int]:
    """{id: counter} of the living."""
    table = tables.incarnations.c
    with ledger.reader().connection() as connection:
        query = sa.select(table.id, table.counter).where(table.dead_at.is_(None))
        return {row.id: row.counter for row in connection.execute(query)}


def sweep(ledger: Ledger, lock_dir: Path, now: int) -> list[int]:
    return incarnations.sweep(ledger, lock_dir, now)
