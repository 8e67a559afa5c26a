"""Rules that an attack on the ledger produced: each of these tests fails without its rule."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.ledger.holding import NANO, ask_of, asking, balance, call_of, limit, living, rows, truth
from tests.ledger.rows import NOW, attempt_row, call_row, work_of
from tests.properties.limits_rig import NOT_COMMITTED, Clock, Worker

from headgate.ledger import keys, tables
from headgate.ledger.batch import Work
from headgate.ledger.engine import Ledger
from headgate.ledger.errors import BadRow
from headgate.ledger.writer import Writer
from headgate.model.limit import MAX_AMOUNT, Applied, Grant, Refusal, Stale, Unit

# -- a granted hold whose waiter is gone is settled at 0 in the next batch -------------------------------------------


async def test_a_hold_whose_waiter_has_gone_is_given_back_in_the_next_batch(writer: Writer, ledger: Ledger) -> None:
    applied, requests = limit(ledger), limit(ledger, Unit.REQUESTS)
    ask = ask_of(ledger, 1, applied)
    ask.whole = (requests,)
    loop = asyncio.get_running_loop()
    gone, other = loop.create_future(), loop.create_future()
    writer.submit(Work("acme", "key_ci", ask=ask, waiter=gone))
    gone.cancel()
    writer.submit(work_of(call_row(2), (attempt_row(2),), other))
    await other
    last = loop.create_future()
    writer.submit(work_of(call_row(3), (attempt_row(3),), last))
    await last
    assert rows(ledger, tables.holds) == []
    assert balance(ledger, applied) == {0: (0, 0)}
    assert balance(ledger, requests) == {0: (1, 0)}, "a request is never given back"


# -- a batch that finds its life dead costs nobody else anything -----------------------------------------------------


def test_a_batch_that_finds_its_life_dead_writes_its_rows_and_holds_anew(ledger: Ledger, lock_dir: Path) -> None:
    applied = limit(ledger, cap=2 * NANO)
    worker = Worker(ledger, lock_dir, Clock(NOW))
    worker.commit([asking(ask_of(ledger, 1, applied))])
    first = worker.life
    with ledger.write() as connection:
        connection.execute(tables.incarnations.update().values(dead_at=NOW))
    held = asking(ask_of(ledger, 2, applied))
    worker.commit([work_of(call_row(3), (attempt_row(3),)), held])
    assert worker.life != first
    assert isinstance(held.answer, Grant)
    assert held.answer.incarnation == worker.life
    assert [(row.call, row.incarnation) for row in rows(ledger, tables.holds)] == [
        ("call-1", first),
        ("call-2", worker.life),
    ], "the dead life's hold is the sweep's"
    assert [row.id for row in rows(ledger, tables.calls)] == ["call-3"]
    worker.die()


# -- a lost connection, and a store that went back in time -----------------------------------------------------------


@pytest.mark.parametrize("row_is_gone", [False, True], ids=["an older copy", "a copy from before this life"])
def test_what_a_store_that_went_back_in_time_has_lost_is_held_and_written_before_anything_new(
    ledger: Ledger, lock_dir: Path, *, row_is_gone: bool
) -> None:
    applied = limit(ledger, cap=2 * NANO)
    worker = Worker(ledger, lock_dir, Clock(NOW))
    open_, settled = asking(ask_of(ledger, 1, applied)), asking(ask_of(ledger, 2, applied))
    worker.commit([open_, settled])
    assert isinstance(settled.answer, Grant)
    row = truth(2)
    worker.commit([Work("acme", "key_ci", [row], [settled.answer], call=call_of(2, row))])
    assert balance(ledger, applied) == {0: (700, NANO)}
    lives = tables.incarnations
    with ledger.write() as connection:
        for table in (tables.holds, tables.limit_balances, tables.balances, tables.attempts, tables.calls):
            connection.execute(table.delete())
        connection.execute(lives.delete() if row_is_gone else lives.update().values(counter=0))
        # The cap is smaller than what was held: what has been sent cannot be refused any more.
        connection.execute(tables.limits.update().values(cap=NANO))
    worker.read_limits()
    new = asking(ask_of(ledger, 3, worker_limit(worker, applied)))
    worker.commit([new], () if row_is_gone else [NOT_COMMITTED])
    # The store may give out again the epoch under which this was asked, for other limits.
    assert isinstance(new.answer, Stale)
    worker.read_limits()
    new = asking(ask_of(ledger, 3, worker_limit(worker, applied)))
    worker.commit([new])
    assert isinstance(new.answer, Refusal)
    assert new.answer.standing.held == NANO
    assert balance(ledger, applied) == {0: (700, NANO)}
    assert [held.call for held in rows(ledger, tables.holds)] == ["call-1"]
    assert [call.id for call in rows(ledger, tables.calls)] == ["call-2"]
    assert isinstance(open_.answer, Grant)
    last = truth(1)
    worker.commit([Work("acme", "key_ci", [last], [open_.answer], call=call_of(1, last))])
    assert balance(ledger, applied) == {0: (1400, 0)}
    worker.die()


def worker_limit(worker: Worker, applied: Applied) -> Applied:
    """The limit as the worker has read it last."""
    found = next(one for one in worker.limits._others if one.id == applied.limit.id)
    return Applied(found, applied.subject)


# -- one bad row fails alone -----------------------------------------------------------------------------------------


async def test_a_bad_ask_fails_alone_and_every_other_is_held_once(writer: Writer, ledger: Ledger) -> None:
    applied = limit(ledger, cap=20 * NANO)
    loop = asyncio.get_running_loop()
    waiters = []
    for number in range(20):
        waiters.append(loop.create_future())
        changes: dict[str, Any] = {"upstream_name": "a\ud800"} if number == 7 else {}
        writer.submit(Work("acme", "key_ci", ask=ask_of(ledger, number, applied, **changes), waiter=waiters[-1]))
        if number == 11:
            waiters.append(loop.create_future())
            writer.submit(work_of(call_row("huge"), (attempt_row("huge", cost_nano=MAX_AMOUNT + 1),), waiters[-1]))
    done = await asyncio.gather(*waiters, return_exceptions=True)
    assert [type(answer) for answer in done] == [
        BadRow if number in (7, 12) else Grant for number in range(len(waiters))
    ]
    assert balance(ledger, applied) == {0: (0, 19 * NANO)}
    assert len(rows(ledger, tables.holds)) == 19
    assert writer.available


# -- a hold that was built under another epoch is built again --------------------------------------------------------


def test_a_hold_built_under_another_epoch_is_not_granted(ledger: Ledger, lock_dir: Path) -> None:
    applied = limit(ledger)
    old = asking(ask_of(ledger, 1, applied))
    new = limit(ledger, cap=0)
    with living(ledger, lock_dir) as life:
        assert life.write(old)
        with ledger.reader().connection() as connection:
            epoch = keys.read_epoch(connection)
            held = connection.scalar(sa.select(sa.func.count()).select_from(tables.holds))
        assert old.answer == Stale(epoch)
        assert held == 0
        assert balance(ledger, new) == {}


# -- a fallback's hold shares the transaction of the failed attempt's settle -----------------------------------------


def test_what_a_failed_attempt_gives_back_is_there_for_the_next_in_the_same_batch(
    ledger: Ledger, lock_dir: Path
) -> None:
    applied = limit(ledger, cap=NANO)
    with living(ledger, lock_dir) as life:
        grant = life.hold(1, [applied])
        stranger = asking(ask_of(ledger, 2, applied))
        next_ = Work("acme", "key_ci", [truth(1, cost_nano=0)], [grant], ask=ask_of(ledger, 1, applied, no=2))
        assert life.write(stranger, next_)
        # Settles come first, then holds in the order they came.
        assert isinstance(stranger.answer, Grant)
        assert isinstance(next_.answer, Refusal)
        assert balance(ledger, applied) == {0: (0, NANO)}
