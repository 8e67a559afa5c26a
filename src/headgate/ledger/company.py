"""How long a batch waits for company: until every call in flight is in it, or for a moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from headgate.ledger.batch import Work

LONGEST_WAIT = 0.001
"""Seconds that a batch waits for company when the last one had some: a row costs many times more CPU in a batch of two
than in one of sixteen."""

InFlight = Callable[[], int]
"""How many calls may have work for the writer. Called on both threads."""


class Company:
    """Tells a batch when all who may join it have done so. `joined` is called on the loop, the rest by the writer."""

    def __init__(self, in_flight: InFlight | None) -> None:
        """Without `in_flight` a batch waits its time."""
        self._in_flight = in_flight
        # Each is counted on one thread alone, so that no count is lost.
        self._asked = 0
        self._answered = 0
        self._awaited = False
        self._complete = threading.Event()

    def joined(self) -> None:
        """A call waits for the next batch."""
        self._asked += 1
        if self._awaited and self._is_complete():
            self._complete.set()

    def answered(self, works: Iterable[Work]) -> None:
        """Those who wait for this work are about to be told, and go on."""
        self._answered += sum([work.waiter is not None for work in works])

    def wait(self) -> bool:
        """Return when it has been long enough; True as soon as nobody else can come."""
        self._complete.clear()
        self._awaited = True  # before the look, or who joins between them would tell nobody
        complete = self._is_complete() or self._complete.wait(LONGEST_WAIT)
        self._awaited = False
        return complete

    def _is_complete(self) -> bool:
        if self._in_flight is None:
            return False
        waiting = self._asked - self._answered
        return 0 < waiting >= self._in_flight()
