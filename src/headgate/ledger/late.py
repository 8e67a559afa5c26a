"""What a worker settles of a life in which it was taken for dead: the ledger has charged it as lost meanwhile."""

from __future__ import annotations

from sqlalchemy import Connection

from headgate.ledger import corrections, lost_calls
from headgate.ledger.batch import Work
from headgate.model.limit import Grant


def settle_late(connection: Connection, work: Work, incarnation: int, now: int) -> None:
    """Correct what was charged for the holds of other lives, and leave in `work` what is still to be written.

    Safe to do again: a correction that is there already adds nothing.
    """
    call = work.call
    for attempt, grant in zip(work.attempts, work.grants, strict=False):
        if grant is not None and grant.incarnation != incarnation:
            attempt.incarnation = incarnation
            corrections.settle_late(connection, attempt, grant, call, now)
    if work.released is not None and work.released.incarnation != incarnation:
        corrections.release_late(connection, work.released, now)


def replace_lost(connection: Connection, work: Work) -> bool:
    """Put a call's row in the place of one that the loss of an earlier attempt has left; say whether there was one."""
    if work.call is None or not lost_calls.replace_lost(connection, work.call, work.attempts):
        return False
    work.call = None
    return True


def left_of(work: Work, incarnation: int) -> None:
    """Take out of `work` what `settle_late` has put into the ledger."""

    def stays(grant: Grant | None) -> bool:
        return grant is None or grant.incarnation == incarnation

    grants = [*work.grants, *[None] * (len(work.attempts) - len(work.grants))]
    kept = [pair for pair in zip(work.attempts, grants, strict=True) if stays(pair[1])]
    if len(kept) < len(work.attempts):
        work.call = None
    work.attempts, work.grants = [row for row, _ in kept], [grant for _, grant in kept]
    # What a call itself holds is given back when its life is found dead.
    work.ended = work.ended if stays(work.ended) else None
    work.released = work.released if stays(work.released) else None
