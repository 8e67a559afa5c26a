"""The one writer thread of a worker: all that arrived while the last batch committed is the next batch.

Rows are never dropped: while the store is absent a batch is tried again until it is in, and the incarnation's
counter tells whether a commit whose answer was lost had happened. A batch that the store refuses is halved
until the bad row stands alone; it alone fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from headgate.ledger import incarnations
from headgate.ledger.answers import Answers, Committed, EpochSeen, Failed
from headgate.ledger.batch import Batch, Head, Item
from headgate.ledger.connect import Durability
from headgate.ledger.engine import Ledger
from headgate.ledger.errors import BadRow, LedgerUnusable, WriterClosed
from headgate.ledger.repair import scrub
from headgate.ledger.store import Store, open_store
from headgate.model.records import AttemptRow, CallRow

_log = logging.getLogger("headgate.ledger")

MAX_BATCH = 1_000
GATHER = 0.001
"""Seconds that a batch waits for company when the last one had some: a call costs 55 µs of CPU in a batch of two
and 14 µs in one of sixteen. A call that is alone never waits."""
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

    def __init__(
        self,
        ledger: Ledger,
        durability: Durability,
        lock_directory: Path,
        *,
        on_epoch: EpochSeen | None = None,
        on_commit: Committed | None = None,
        on_failure: Failed | None = None,
        clock: Callable[[], int] = time.time_ns,
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
        self._answers = Answers(on_epoch, on_commit, on_failure)
        self._clock = clock
        self._pace = pace
        self._queue: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._waiting_since = math.inf
        self._counter = 0
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
        self._store: Store = open_store(self._ledger.url, self._durability)
        try:
            self._incarnation = incarnations.register(self._ledger, self._directory, self._clock())
        except BaseException:  # passed on: the connection must not stay open whatever happened
            self._store.close()
            raise
        self._thread = threading.Thread(target=self._run, name="headgate-writer", daemon=True)
        self._thread.start()

    @property
    def incarnation(self) -> int:
        """The id of this worker's present incarnation; it changes if it was declared dead."""
        return self._incarnation.id

    @property
    def available(self) -> bool:
        """False while the oldest uncommitted batch has waited for more than 2 s, or the thread has died."""
        return time.monotonic() - self._waiting_since < self._pace.unavailable_after

    @property
    def pending(self) -> int:
        """Calls that wait for the next batch."""
        return self._queue.qsize()

    def submit(self, call: CallRow, attempts: Sequence[AttemptRow], waiter: asyncio.Future[None] | None = None) -> None:
        """Hand over a call's rows, which the caller changes no more. `waiter` is resolved when they are in.

        Never blocks. The waiter fails with BadRow if the store refuses the rows, with WriterClosed if the
        writer ends before they are in.
        """
        if self._closed or self.failure is not None:
            if waiter is not None and not waiter.done():
                waiter.set_exception(WriterClosed("the ledger's writer has stopped"))
            _log.critical("call %s came after the writer had stopped; it is not in the ledger", call.id)
            return
        self._queue.put((call, attempts, waiter))

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
                items, last = self._gather()
                self._crowded = len(items) > 1
                if items or not last:
                    self._commit(items)
                if last:
                    break
            self._retire()
            self._flushed = True
        except BaseException as error:  # noqa: BLE001  the edge of the thread: nothing above it would see the error
            self._fail(error)
        finally:
            self._store.close()

    def _gather(self) -> tuple[list[Item], bool]:
        """Wait for work for one heartbeat at most; return all there is, and whether it is the last."""
        items: list[Item] = []
        with contextlib.suppress(queue.Empty):
            item = self._queue.get(timeout=self._pace.heartbeat)
            if self._crowded and not self._closed:
                time.sleep(GATHER)
            while item is not None:
                items.append(item)
                if len(items) == MAX_BATCH:
                    return items, False
                item = self._queue.get_nowait()
            return items, True
        return items, False

    def _commit(self, items: Sequence[Item]) -> None:
        """Return when the items are in, or the bad ones among them have failed alone."""
        waiting = [items]
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
        while True:
            try:
                self._store.open()
                if in_doubt and self._is_in():
                    self._deliver(batch, Head(self._counter, self._epoch))
                    return None
                batch.tag(self._incarnation.id)
                head = self._store.write(self._incarnation.id, self._clock(), batch)
                if head is None:
                    self._begin_again()
                    continue
            except BadRow as error:
                self._waiting_since = math.inf
                return error
            except LedgerUnusable as error:
                in_doubt = True
                pause = self._wait(error, pause, batch)
                continue
            self._deliver(batch, head)
            return None

    def _is_in(self) -> bool:
        """After a lost connection: whether the batch had committed. Waits for the old backend."""
        counter = self._store.standing(self._incarnation.id)
        if counter is None:
            _log.error("incarnation %d is not in the ledger any more: it was restored", self._incarnation.id)
            return False
        if counter < self._counter:
            _log.error("the ledger went back in time: counter %d, was %d", counter, self._counter)
        was = self._counter
        self._counter = counter
        return counter == was + 1

    def _begin_again(self) -> None:
        """Take a new incarnation: this one was declared dead while the process was paused, or is gone."""
        old = self._incarnation
        _log.warning("incarnation %d was declared dead; taking a new one", old.id)
        self._incarnation = incarnations.register(self._ledger, self._directory, self._clock())
        self._counter = 0
        old.end()

    def _wait(self, error: LedgerUnusable, pause: float, batch: Batch) -> float:
        """Sleep before the next try; return the next pause. Raises the error when closing takes too long."""
        self._store.close()
        self.retries += 1
        if pause == _FIRST_PAUSE:
            _log.error("%s Waiting with %d calls.", error, len(batch.calls))
        if time.monotonic() >= self._give_up_at:
            raise error
        if self._closing.wait(pause):
            time.sleep(_FIRST_PAUSE)
        return min(pause * 2, _LONGEST_PAUSE)

    def _halve(self, batch: Batch, error: BadRow) -> list[Sequence[Item]]:
        """Return what is to be tried next, last first; a row that is bad by itself fails."""
        if len(batch.items) > 1:
            middle = len(batch.items) // 2
            return [batch.items[middle:], batch.items[:middle]]
        if scrub(batch):
            _log.warning("call %s held text that the store cannot keep; it was replaced", batch.calls[0].id)
            return [batch.items]
        self.bad_rows += len(batch.items)
        self._answers.refused(batch.items, error)
        return []

    def _deliver(self, batch: Batch, head: Head) -> None:
        self._waiting_since = math.inf
        self.committed_batches += 1
        self.committed_calls += len(batch.calls)
        self._counter = head.counter
        changed = head.epoch != self._epoch
        self._epoch = head.epoch
        if batch.items or changed:
            self._answers.committed(batch, head.epoch if changed else None)

    def _retire(self) -> None:
        try:
            self._store.open()
            self._store.retire(self._incarnation.id, self._clock())
        except LedgerUnusable as error:
            # The lock file goes with the process, so a sweep finds the incarnation dead later.
            _log.warning("incarnation %d stays open: %s", self._incarnation.id, error)
            return
        self._incarnation.end()

    def _fail(self, error: BaseException) -> None:
        self.failure = error
        self._waiting_since = -math.inf
        _log.critical("the ledger's writer has stopped: %s", error, exc_info=error)
        self._reject_queued()
        # Once more on the loop: what a submit that was under way has queued since.
        self._answers.soon(self._reject_queued)
        self._answers.ended(error)

    def _reject_queued(self) -> None:
        rest: list[Item] = []
        with contextlib.suppress(queue.Empty):
            while True:
                item = self._queue.get_nowait()
                if item is not None:
                    rest.append(item)
        if rest:
            self._answers.refused(rest, WriterClosed(f"the ledger's writer has stopped: {self.failure}"))
