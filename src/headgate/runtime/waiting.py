"""A task that can be woken: by a timeout, or because its client has left."""

import asyncio
from abc import ABC, abstractmethod
from enum import IntEnum

from headgate.exchange.events import Event
from headgate.model.failure import Failure
from headgate.runtime.clock import Clock


class Waiting(IntEnum):
    """What the task is suspended in; whoever wakes it must know."""

    NOTHING = 0
    UPSTREAM = 1
    CLIENT = 2
    COMMIT = 3
    TAIL = 4
    BODY = 5
    HOLD = 6


class Interruptible(ABC):
    """Base of a call. `interrupt` may be called from other tasks of the same loop; the rest is the task's own.

    Cancelling is the only way to wake a task out of a foreign await. `_woke` tells our own cancellations from
    those of a loop that shuts down, which go on.
    """

    __slots__ = ("_clock", "_interruption", "_task", "_waiting", "_waiting_since", "_woke")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._task: asyncio.Task[object] | None = None
        self._interruption: Event | None = None
        self._waiting = Waiting.NOTHING
        self._waiting_since = 0
        self._woke = False

    @abstractmethod
    def expire(self, now: int) -> None:
        """End what has taken too long; called a few times a second. `now` in monotonic ns."""

    @abstractmethod
    def end(self, failure: Failure) -> None:
        """End with an error of ours, because the worker ends."""

    def interrupt(self, event: Event | None) -> None:
        """Wake the task with what happened; None ends a wait that needs no event."""
        if event is not None and self._interruption is None:
            self._interruption = event
        if self._waiting != Waiting.NOTHING and self._task is not None:
            self._waiting = Waiting.NOTHING
            self._woke = True
            self._task.cancel()

    def _wait(self, waiting: Waiting) -> None:
        self._waiting = waiting
        self._waiting_since = self._clock.mono()

    def _wake(self) -> None:
        """Take back a cancellation that was ours; raise CancelledError for any other."""
        if not self._woke or self._task is None:
            raise asyncio.CancelledError
        self._woke = False
        self._task.uncancel()

    def _woken(self) -> Event:
        """Return the event that the task was woken for."""
        self._wake()
        event = self._take_interruption()
        if event is None:
            raise asyncio.CancelledError
        return event

    def _take_interruption(self) -> Event | None:
        event, self._interruption = self._interruption, None
        return event
