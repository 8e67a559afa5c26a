"""The one writer thread of a worker: all that arrived while the last batch committed is the next batch.

Rows are never dropped: while the store is absent a batch is tried again until it is in, and the incarnation's
counter tells whether a commit whose answer was lost had happened, or whether the store went back in time: then what
it has lost is written again before anything else. A batch that the store refuses is halved until the bad row stands
alone; it alone fails. A worker that was taken for dead settles late what it held then (`corrections.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import queue
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from headgate.ledger.answers import Answers, Committed, EpochSeen, Failed
from headgate.ledger.batch import Batch, Head, Work
from headgate.ledger.company import Company, InFlight
from headgate.ledger.connect import Durability
from headgate.ledger.engine import Ledger
from headgate.ledger.errors import BadRow, LedgerUnusable, WriterClosed
from headgate.ledger.life import Life
from headgate.ledger.repair import scrub
from headgate.ledger.store import Clock, Store, open_store
from headgate.model.limit import Grant

_log = logging.getLogger("headgate.ledger")

MAX_BATCH = 1_000
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0


class Pace(msgspec.Struct, frozen=True, gc=False):
    """In seconds: how often an idle writer commits nothing, and when a waiting batch means trouble."""

    heartbeat: float = 5.0
    unavailable_after: float = 2.0


_PACE = Pace()


class Writer:
    """Makes rows durable. All its methods are called on the event loop's thread.

    The callbacks run on the loop: `on_epoch` with the ledger's epoch when a batch reads one that differs from
    the last; `on_commit` with the rows of each committed batch; `on_failure` if the thread ends too early: the
    writer then stays unavailable, and the worker should end.
    """

    def __init__(  # noqa: PLR0913  what it is told of, and two clocks for those who turn them
        self,
        ledger: Ledger,
        durability: Durability,
        lock_directory: Path,
        *,
        on_epoch: EpochSeen | None = None,
        on_commit: Committed | None = None,
        on_failure: Failed | None = None,
        in_flight: InFlight | None = None,
        clock: Clock = time.time_ns,
        store_clock: Clock | None = None,
        pace: Pace = _PACE,
    ) -> None:
        self.committed_calls = 0
        self.committed_batches = 0
        self.bad_rows = 0
        self.retries = 0
        self.failure: BaseException | None = None
        self._ledger = ledger
        self._durability = durability
        self._directory = lock_directory
        self._answers = Answers(on_epoch, on_commit, on_failure, self._unwanted)
        self._company = Company(in_flight)
        self._clock = clock
        self._store_clock = store_clock
        self._pace = pace
        self._queue: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._waiting_since = math.inf
        self._epoch = 0
        self._give_up_at = math.inf
        self._closing = threading.Event()
        self._closed = False
        self._crowded = False
        self._flushed = False

    def start(self, loop: asyncio.AbstractEventLoop, *, epoch: int = 0) -> None:
        """Connect, begin an incarnation and start the thread. `epoch` is that of the keys the caller holds.

        Blocks for a moment. Raises LedgerUnusable.
        """
        self._answers.loop = loop
        self._epoch = epoch
        self._store: Store = open_store(self._ledger.url, self._durability, self._store_clock)
        try:
            self._life = Life(self._ledger, self._store, self._directory, self._clock)
        except BaseException:  # passed on: the connection must not stay open whatever happened
            self._store.close()
            raise
        self._thread = threading.Thread(target=self._run, name="headgate-writer", daemon=True)
        self._thread.start()

    @property
    def incarnation(self) -> int:
        """The id of this worker's present incarnation; it changes if it was declared dead."""
        return self._life.incarnation

    @property
    def available(self) -> bool:
        """False while the oldest uncommitted batch has waited for more than 2 s, or the thread has died."""
        return time.monotonic() - self._waiting_since < self._pace.unavailable_after

    @property
    def pending(self) -> int:
        """Calls that wait for the next batch."""
        return self._queue.qsize()

    def submit(self, work: Work) -> None:
        """Hand over rows, which the caller changes no more, holds to settle, and what is asked for.

        Never blocks. The waiter gets the answer when all of it is in; it fails with BadRow if the store refuses it,
        with WriterClosed if the writer ends before. A grant that nobody waits for any more is given back.
        """
        if self._closed or self.failure is not None:
            if work.waiter is not None and not work.waiter.done():
                work.waiter.set_exception(WriterClosed("the ledger's writer has stopped"))
            if work.call is not None or work.attempts:
                _log.critical("call %s came after the writer had stopped; it is not in the ledger", work.name)
            return
        self._queue.put(work)
        if work.waiter is not None:
            self._company.joined()

    def _unwanted(self, work: Work) -> None:
        """A granted hold whose waiter is gone is settled at 0 in the next batch."""
        grant = work.answer
        if isinstance(grant, Grant) and not self._closed:
            self.submit(Work(work.account, work.key, released=grant))

    async def close(self, within: float) -> bool:
        """Write all that is queued, for at most about `within` s, then stop. True if all of it is in."""
        self._closed = True
        self._give_up_at = time.monotonic() + within
        self._closing.set()
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join, within + 1.0)
        return self._flushed

    def _run(self) -> None:
        try:
            while True:
                works, last = self._gather()
                self._crowded = len(works) > 1
                if works or not last:
                    self._commit(works)
                if last:
                    break
            self._retire()
            self._flushed = True
        except BaseException as error:  # noqa: BLE001  the edge of the thread: nothing above it would see the error
            self._fail(error)
        finally:
            self._store.close()

    def _gather(self) -> tuple[list[Work], bool]:
        """Wait for work for one heartbeat at most; return all there is, and whether it is the last."""
        works: list[Work] = []
        with contextlib.suppress(queue.Empty):
            work = self._queue.get(timeout=self._pace.heartbeat)
            if self._crowded and not self._closed:
                self._company.wait()
            while work is not None:
                works.append(work)
                if len(works) == MAX_BATCH:
                    return works, False
                work = self._queue.get_nowait()
            return works, True
        return works, False

    def _commit(self, works: Sequence[Work]) -> None:
        """Return when all of it is in, or what is bad of it has failed alone."""
        waiting = [works]
        try:
            while waiting:
                batch = Batch(waiting[-1])
                error = self._write(batch)
                waiting.pop()
                if error is not None:
                    waiting.extend(self._halve(batch, error))
        except BaseException as error:  # passed on: those who wait must hear of it whatever happened
            for rest in waiting:
                self._answers.refused(rest, WriterClosed(f"the ledger's writer has stopped: {error}"))
            raise

    def _write(self, batch: Batch) -> BadRow | None:
        """Return None when the batch is in, or why it is refused. Raises LedgerUnusable while closing."""
        self._waiting_since = time.monotonic()
        pause = _FIRST_PAUSE
        in_doubt = False
        refused: BadRow | None = None
        replaced = False
        while True:
            try:
                self._store.open()
                if refused is not None and not replaced:
                    replaced = self._life.replace_lost(batch)
                    if not replaced:
                        break
                if in_doubt and self._life.is_in():
                    self._deliver(batch, Head(self._life.counter + 1, self._epoch))
                    return None
                in_doubt = False
                head = self._life.write(batch)
                if head is None:
                    self._life.begin_again()
                    continue
            except BadRow as error:
                if refused is None and len(batch.works) == 1:
                    refused = error
                    continue
                refused = error
                break
            except LedgerUnusable as error:
                in_doubt = True
                pause = self._wait(error, pause, batch)
                continue
            self._deliver(batch, head)
            return None
        self._waiting_since = math.inf
        return refused

    def _wait(self, error: LedgerUnusable, pause: float, batch: Batch) -> float:
        """Sleep before the next try; return the next pause. Raises the error when closing takes too long."""
        self._store.close()
        self.retries += 1
        if pause == _FIRST_PAUSE:
            _log.error("%s Waiting with the work of %d calls.", error, len(batch.works))
        if time.monotonic() >= self._give_up_at:
            raise error
        if self._closing.wait(pause):
            time.sleep(_FIRST_PAUSE)
        return min(pause * 2, _LONGEST_PAUSE)

    def _halve(self, batch: Batch, error: BadRow) -> list[Sequence[Work]]:
        """Return what is to be tried next, last first; a row that is bad by itself fails."""
        works = batch.works
        if len(works) > 1:
            middle = len(works) // 2
            return [works[middle:], works[:middle]]
        if scrub(batch):
            _log.warning("call %s held text that the store cannot keep; it was replaced", works[0].name)
            return [works]
        self.bad_rows += len(works)
        self._company.answered(works)
        self._answers.refused(works, error)
        return [[left] for left in map(_given_back, works) if left is not None]

    def _deliver(self, batch: Batch, head: Head) -> None:
        self._waiting_since = math.inf
        self.committed_batches += 1
        self.committed_calls += len(batch.calls)
        self._life.wrote(batch.works, head)
        self._company.answered(batch.works)
        changed = head.epoch != self._epoch
        self._epoch = head.epoch
        if batch.works or changed:
            self._answers.committed(batch, head.epoch if changed else None)

    def _retire(self) -> None:
        try:
            self._store.open()
            self._life.retire()
        except LedgerUnusable as error:
            # The lock file goes with the process, so a sweep finds the incarnation dead later.
            _log.warning("incarnation %d stays open: %s", self._life.incarnation, error)

    def _fail(self, error: BaseException) -> None:
        self.failure = error
        self._waiting_since = -math.inf
        _log.critical("the ledger's writer has stopped: %s", error, exc_info=error)
        self._reject_queued()
        # Once more on the loop: what a submit that was under way has queued since.
        self._answers.soon(self._reject_queued)
        self._answers.ended(error)

    def _reject_queued(self) -> None:
        rest: list[Work] = []
        with contextlib.suppress(queue.Empty):
            while True:
                work = self._queue.get_nowait()
                if work is not None:
                    rest.append(work)
        if rest:
            self._answers.refused(rest, WriterClosed(f"the ledger's writer has stopped: {self.failure}"))


def _given_back(work: Work) -> Work | None:
    """Return what a work whose rows are refused gives back all the same: what its call itself holds.

    The holds of its attempts stay until this life ends, and are then charged as lost.
    """
    if (work.ended is None and work.released is None) or not (work.call or work.attempts or work.ask):
        return None
    return Work(work.account, work.key, ended=work.ended, released=work.released)
