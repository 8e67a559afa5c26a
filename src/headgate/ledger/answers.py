"""What the writer's thread tells the event loop: rows that are in or refused, a new epoch, its own end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence

from headgate.ledger.batch import Batch, Work
from headgate.model.limit import Answer, Grant
from headgate.model.records import AttemptRow, CallRow

_log = logging.getLogger("headgate.ledger")

EpochSeen = Callable[[int], None]
Committed = Callable[[Sequence[CallRow], Sequence[AttemptRow]], None]
Failed = Callable[[BaseException], None]
Unwanted = Callable[[Work], None]


class Answers:
    """Resolves those who wait, and calls back; all on `loop`, whichever thread says it."""

    loop: asyncio.AbstractEventLoop

    def __init__(
        self, on_epoch: EpochSeen | None, on_commit: Committed | None, on_failure: Failed | None, unwanted: Unwanted
    ) -> None:
        """`unwanted` is told of work whose grant nobody waits for any more."""
        self._unwanted = unwanted
        self._on_epoch = on_epoch
        self._on_commit = on_commit
        self._on_failure = on_failure

    def committed(self, batch: Batch, epoch: int | None) -> None:
        """The batch is in; `epoch` is the ledger's where it has changed."""
        self.soon(self._committed, batch, epoch)

    def refused(self, works: Sequence[Work], error: Exception) -> None:
        """This work is not in and will not be."""
        for work in works:
            if work.call is not None or work.attempts:
                _log.critical("call %s is not in the ledger: %s", work.name, error)
        self.soon(_refuse, [work.waiter for work in works if work.waiter is not None], error)

    def ended(self, error: BaseException) -> None:
        """The thread has ended too early."""
        if self._on_failure is not None:
            self.soon(self._on_failure, error)

    def soon(self, function: Callable[..., object], *arguments: object) -> None:
        """Call a function on the loop."""
        # A loop that is closed has nobody left who waits.
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(function, *arguments)

    def _committed(self, batch: Batch, epoch: int | None) -> None:
        for work in batch.works:
            # The writer remembers its work for a while; what has been answered need not live as long.
            waiter, work.waiter = work.waiter, None
            if waiter is not None and not waiter.done():
                waiter.set_result(work.answer)
            elif isinstance(work.answer, Grant):
                self._unwanted(work)
        if self._on_commit is not None and batch.works:
            self._on_commit(batch.calls, batch.attempts)
        if epoch is not None and self._on_epoch is not None:
            self._on_epoch(epoch)


def _refuse(waiters: Sequence[asyncio.Future[Answer | None]], error: Exception) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_exception(error)
