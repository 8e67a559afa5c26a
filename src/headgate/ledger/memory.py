"""What a writer remembers of its own commits, in case the store goes back in time: open holds and recent batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec

from headgate.ledger.batch import CALL_ITSELF, Held, Work, open_holds
from headgate.model.limit import Grant

MOST_WORKS = 5_000
"""Pieces of work that are remembered; about 10 MB. A store that loses more loses rows."""


class Lost(msgspec.Struct, frozen=True, gc=False):
    """What a store has lost: rows with what they settle, and holds that are still open."""

    works: list[Work]
    held: list[Held]


class Memory:
    """Of one life of one writer, used by its thread only."""

    __slots__ = ("_batches", "_open", "_size")

    def __init__(self) -> None:
        self._batches: deque[tuple[int, Sequence[Work]]] = deque()
        self._open: dict[tuple[str, int], Grant] = {}
        self._size = 0

    def committed(self, counter: int, works: Sequence[Work]) -> None:
        """A batch is in, under this counter."""
        # What only asked has left nothing but its hold.
        kept = [work for work in works if work.call is not None or work.attempts or work.released or work.ended]
        if kept:
            self._batches.append((counter, kept))
            self._size += len(kept)
        while self._size > MOST_WORKS:
            self._size -= len(self._batches.popleft()[1])
        for work in works:
            self._close(work)
            if isinstance(work.answer, Grant):
                for no, grant in open_holds(work.answer):
                    self._open[(grant.call, no)] = grant

    def _close(self, work: Work) -> None:
        for grant in work.grants:
            if grant is not None:
                self._open.pop((grant.call, grant.no), None)
        for grant in (work.released, work.ended):
            if grant is not None:
                self._open.pop((grant.call, CALL_ITSELF), None)
        if work.released is not None:
            self._open.pop((work.released.call, work.released.no), None)

    def after(self, counter: int) -> Lost:
        """Return what was committed after `counter`: each piece of work once, without what it asked."""
        works = [
            msgspec.structs.replace(work, ask=None, waiter=None, answer=None)
            for number, batch in self._batches
            if number > counter
            for work in batch
        ]
        held = [(no, grant) for (_, no), grant in self._open.items() if grant.counter > counter]
        return Lost(works, held)

    def rewritten(self, since: int, counter: int, incarnation: int) -> None:
        """What was lost after `since` is in again, under this counter of this life."""
        kept = [(counter if number > since else number, batch) for number, batch in self._batches]
        self._batches = deque(kept)
        for grant in self._open.values():
            if grant.counter > since:
                grant.counter, grant.incarnation = counter, incarnation

    def forget(self) -> None:
        """This life is over: its holds are lost, and its rows are another counter's."""
        self._batches.clear()
        self._open.clear()
        self._size = 0
