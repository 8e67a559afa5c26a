"""What a worker settles of a life in which it was taken for dead: the ledger has charged it as lost meanwhile."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection

from headgate.ledger import corrections, lost_calls
from headgate.ledger.batch import Work
from headgate.model.limit import Grant
from headgate.model.records import AttemptRow


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


def replace_lost(connection: Connection, work: Work, now: int) -> Work | None:
    """Put rows in the place of those that the loss of a hold has left; return what is left of `work`, None: all of it.

    Safe to do again.
    """
    kept = [pair for pair in _pairs(work) if not corrections.settle_unheld(connection, pair[0], now)]
    replaced = work.call is not None and lost_calls.replace_lost(connection, work.call, [row for row, _ in kept])
    if not replaced and len(kept) == len(work.attempts):
        return None
    return msgspec.structs.replace(
        work,
        call=None if replaced else work.call,
        attempts=[row for row, _ in kept],
        grants=[grant for _, grant in kept],
    )


def left_of(work: Work, incarnation: int) -> None:
    """Take out of `work` what `settle_late` has put into the ledger."""

    def stays(grant: Grant | None) -> bool:
        return grant is None or grant.incarnation == incarnation

    kept = [pair for pair in _pairs(work) if stays(pair[1])]
    if len(kept) < len(work.attempts):
        work.call = None
    work.attempts, work.grants = [row for row, _ in kept], [grant for _, grant in kept]
    # What a call itself holds is given back when its life is found dead.
    work.ended = work.ended if stays(work.ended) else None
    work.released = work.released if stays(work.released) else None


def _pairs(work: Work) -> list[tuple[AttemptRow, Grant | None]]:
    grants = [*work.grants, *[None] * (len(work.attempts) - len(work.grants))]
    return list(zip(work.attempts, grants, strict=True))
