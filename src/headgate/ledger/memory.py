"""What a writer remembers of its own commits, in case the store goes back in time: open holds and recent batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable, Sequence
from itertools import islice

import msgspec

from headgate.ledger.batch import CALL_ITSELF, UNWRITTEN, Batch, Work, open_holds
from headgate.model.limit import Entry, Grant

MOST_WORKS = 5_000
"""Pieces of work that are remembered; about 10 MB. A store that loses more loses rows."""


class Memory:
    """Of one life of one writer, used by its thread only."""

    __slots__ = ("_batches", "_lost", "_open", "_size")

    def __init__(self) -> None:
        self._batches: deque[tuple[int, Sequence[Work]]] = deque()
        self._lost: deque[Work] = deque()
        self._open: dict[tuple[str, int], Grant] = {}
        self._size = 0

    def committed(self, counter: int, works: Sequence[Work]) -> None:
        """A batch is in, under this counter."""
        kept = []
        for work in works:
            granted = work.answer
            # What only asked has left nothing but its hold.
            if work.call is not None or work.attempts or work.released or work.ended:
                kept.append(work)
                self._close(work)
            if isinstance(granted, Grant):
                for no, grant in open_holds(granted):
                    self._open[(grant.call, no)] = grant
        self._keep(counter, kept)

    def _keep(self, counter: int, works: Sequence[Work]) -> None:
        if works:
            self._batches.append((counter, works))
            self._size += len(works)
        while self._size > MOST_WORKS:
            self._size -= len(self._batches.popleft()[1])

    def _close(self, work: Work) -> None:
        for grant in work.grants:
            if grant is not None:
                self._open.pop((grant.call, grant.no), None)
        for grant in (work.released, work.ended):
            if grant is not None:
                self._open.pop((grant.call, CALL_ITSELF), None)
        if work.released is not None:
            self._open.pop((work.released.call, work.released.no), None)

    # -- a store that goes back in time ----------------------------------------------------------

    def lose(self, counter: int, limits: Container[int]) -> int:
        """The store has lost what came after the batch `counter`; it knows these limits. Return how much work it is.

        What was held on other limits is held no more: another limit may get the number of one that is forgotten.
        """
        while self._batches and self._batches[-1][0] > counter:
            works = self._batches.pop()[1]
            self._size -= len(works)
            self._lost.extendleft(reversed(works))
        for grant in (*self._open.values(), *(grant for work in self._lost for grant in _grants_of(work))):
            if grant.counter > counter:
                grant.counter = UNWRITTEN
                grant.entries, grant.whole = _known(grant.entries, limits), _known(grant.whole, limits)
                grant.facts = msgspec.structs.replace(grant.facts, entries=grant.entries)
        return len(self._lost)

    def lost(self, most: int) -> Batch | None:
        """Return what is to be written again next: work without its asks, then the holds that are open still.

        In this order, since a grant whose attempt is over may be the one that its call holds by.
        """
        works = [msgspec.structs.replace(one, ask=None, waiter=None, answer=None) for one in islice(self._lost, most)]
        if works:
            return Batch(works)
        held = [(no, grant) for (_, no), grant in self._open.items() if grant.counter == UNWRITTEN]
        return Batch((), restored=held) if held else None

    def rewritten(self, batch: Batch, counter: int, incarnation: int) -> None:
        """A batch of what was lost is in, under this counter of this life."""
        for _, grant in batch.restored:
            grant.counter, grant.incarnation = counter, incarnation
        self._keep(counter, [self._lost.popleft() for _ in batch.works])

    def give_up(self, batch: Batch) -> None:
        """The store refuses this part of what it has lost."""
        for no, grant in batch.restored:
            self._open.pop((grant.call, no), None)
        for _ in batch.works:
            self._lost.popleft()

    def begin_again(self, incarnation: int) -> None:
        """Another life begins. What the last one has written is another counter's; what is lost is still to be."""
        self._batches.clear()
        self._size = 0
        self._open = {place: grant for place, grant in self._open.items() if grant.counter == UNWRITTEN}
        for grant in (*self._open.values(), *(grant for work in self._lost for grant in _grants_of(work))):
            if grant.counter == UNWRITTEN:
                grant.incarnation = incarnation


def _grants_of(work: Work) -> Iterable[Grant]:
    return (grant for grant in (*work.grants, work.released, work.ended) if grant is not None)


def _known(entries: tuple[Entry, ...], limits: Container[int]) -> tuple[Entry, ...]:
    return tuple(entry for entry in entries if entry.limit in limits)
