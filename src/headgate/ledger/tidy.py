"""Balances that no window will ever count again are deleted, a slice at a time.

A window looks back `reach`, and nothing counts what is older. A bucket goes only at twice that age and two days more,
beyond what clocks that step and settles that come late make of it, and only while nothing is held in it. Should one be
charged after all, it is made anew (`charging.change`), and goes again.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from headgate.ledger.engine import Ledger
from headgate.ledger.tables import DAY_NS, limit_balances, limits
from headgate.policy.granting import Place
from headgate.policy.windows import from_text, reach

SLICE = 250
"""Rows that one transaction deletes at most: calls wait for it (7 to 17 ms, measured on both engines)."""
MOST = 40 * SLICE
"""Rows that one look returns at most."""
MARGIN_NS = 2 * DAY_NS


def outdated(ledger: Ledger, now: int) -> list[Place]:
    """Return balances that nothing will count any more, at most MOST. `now` in ns; the store's clock, if it is behind.

    Never those of total windows and of calls at once. Raises LedgerError.
    """
    found: list[Place] = []
    with ledger.reader().connection() as connection:
        now = min(now, _clock(connection, now))
        for text in connection.scalars(sa.select(limits.c.per).distinct().order_by(limits.c.per)).all():
            back = _reach(text)
            if back is not None and len(found) < MOST:
                query = _older(text, now - 2 * back - MARGIN_NS).limit(MOST - len(found))
                found += [(row.limit_id, row.subject, row.bucket_start) for row in connection.execute(query)]
    return found


def delete(ledger: Ledger, places: Sequence[Place]) -> None:
    """Delete these balances, at most SLICE, in one transaction; those in which something is held stay.

    Raises LedgerError.
    """
    assert len(places) <= SLICE
    if not places:
        return
    balance = limit_balances.c
    with ledger.write(brief=True) as connection:
        ids = sorted({limit for limit, _, _ in places})
        query = sa.select(limits.c.id).where(limits.c.id.in_(ids)).order_by(limits.c.id)
        connection.execute(query.with_for_update(key_share=True)).all()
        statement = limit_balances.delete().where(
            balance.limit_id == sa.bindparam("its_limit"),
            balance.subject == sa.bindparam("its_subject"),
            balance.bucket_start == sa.bindparam("its_bucket"),
            balance.held == 0,
        )
        names = ("its_limit", "its_subject", "its_bucket")
        connection.execute(statement, [dict(zip(names, place, strict=True)) for place in sorted(places)])


def _older(text: str, before: int) -> sa.Select[tuple[int, str, int]]:
    balance = limit_balances.c
    return (
        sa.select(balance.limit_id, balance.subject, balance.bucket_start)
        .join(limits, limits.c.id == balance.limit_id)
        .where(limits.c.per == text, balance.bucket_start > 0, balance.bucket_start < before, balance.held == 0)
    )


def _reach(text: str) -> int | None:
    """Return how far back this window looks, in any zone; None: without end, or nobody here knows."""
    try:
        return reach(from_text(text))
    except ValueError:
        return None


def _clock(connection: Connection, now: int) -> int:
    """Return the store's time; SQLite's is this machine's."""
    if connection.dialect.name == "sqlite":
        return now
    seconds = sa.func.extract("epoch", sa.func.clock_timestamp())
    return int(connection.scalar(sa.select(sa.cast(seconds * 1_000_000_000, sa.BigInteger))) or 0)
