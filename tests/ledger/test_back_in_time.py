"""A store that goes back in time gets again what it has lost: a copy from before, or a standby that lagged."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.ledger.holding import NANO, ask_of, balance, call_of, consistent, limit, living, rows, spent, truth
from tests.ledger.rows import NOW
from tests.ledger.working import ask, declared_dead, ending, hold, holds, work
from tests.properties.limits_rig import COMMITTED, NOT_COMMITTED, Clock, Worker

from headgate.ledger import incarnations, keys, tables
from headgate.ledger.engine import Ledger
from headgate.ledger.life import MOST_AGAIN
from headgate.model.limit import Grant, Stale, Unit


class Past:
    """What a ledger holds of calls, limits' balances and lives at one moment, to be put back."""

    _TABLES = (
        *(tables.holds, tables.lost_holds, tables.limit_balances, tables.balances, tables.adjustments),
        *(tables.attempts, tables.calls, tables.incarnations, tables.ledger_state, tables.limits),
    )

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._rows = {table: [row._asdict() for row in rows(ledger, table)] for table in self._TABLES}

    def comes_back(self) -> None:
        with self._ledger.write() as connection:
            for table, found in self._rows.items():
                connection.execute(table.delete())
                if found:
                    connection.execute(table.insert(), found)


def test_both_parts_of_a_grant_come_back_as_they_were_left(ledger: Ledger, worker: Worker) -> None:
    usd, at_once, calls = limit(ledger), limit(ledger, Unit.CONCURRENCY), limit(ledger, Unit.REQUESTS)
    past = Past(ledger)
    grant = hold(worker, ledger, 1, usd, whole=(at_once, calls))
    row = truth(1)
    again = work(attempts=[row], grants=[grant], ask=ask(ledger, 1, usd, no=2))
    worker.commit([again])
    past.comes_back()
    worker.commit([], [NOT_COMMITTED])
    assert balance(ledger, usd) == {0: (700, NANO)}
    assert balance(ledger, at_once) == {0: (0, 1)}
    assert balance(ledger, calls) == {0: (1, 0)}
    assert holds(ledger) == [("call-1", 0), ("call-1", 2)]
    last = truth(1, 2)
    assert isinstance(again.answer, Grant)
    worker.commit([ending(last, again.answer, call_of(1, row, last), ended=grant)])
    assert balance(ledger, usd) == {0: (1_400, 0)}
    consistent(ledger)


@pytest.mark.parametrize("fault", [COMMITTED, NOT_COMMITTED])
def test_what_is_lost_is_written_once_though_the_store_fails_meanwhile(
    ledger: Ledger, worker: Worker, fault: str
) -> None:
    usd, past = limit(ledger), Past(ledger)
    number = MOST_AGAIN + 3
    grants = [hold(worker, ledger, one, usd) for one in range(2)]
    worker.commit([ending(truth(one), None, call_of(one, truth(one))) for one in range(2, number)])
    past.comes_back()
    new = work(ask=ask(ledger, number, usd))
    worker.commit([new], [NOT_COMMITTED, fault, fault, fault])
    assert isinstance(new.answer, Stale)
    assert balance(ledger, usd) == {0: (0, 2 * NANO)}
    assert len(rows(ledger, tables.calls)) == number - 2
    worker.commit([ending(truth(one), grant, call_of(one, truth(one))) for one, grant in enumerate(grants)])
    assert balance(ledger, usd) == {0: (1_400, 0)}
    assert spent(ledger)[("requests", 0)] == number
    consistent(ledger)


def test_it_goes_back_again_while_it_is_written_again(ledger: Ledger, worker: Worker) -> None:
    usd, past = limit(ledger), Past(ledger)
    grant, row = hold(worker, ledger, 1, usd), truth(2)
    worker.commit([ending(row, None, call_of(2, row))])
    for _ in range(3):
        past.comes_back()
        worker.commit([], [NOT_COMMITTED, "", COMMITTED])
        assert balance(ledger, usd) == {0: (0, NANO)}
        assert [call.id for call in rows(ledger, tables.calls)] == ["call-2"]
    worker.commit([ending(truth(1), grant, call_of(1, truth(1)))])
    consistent(ledger)


def test_a_life_that_is_dead_in_the_past_goes_on_as_another(ledger: Ledger, worker: Worker) -> None:
    usd, calls = limit(ledger), limit(ledger, Unit.REQUESTS)
    old = hold(worker, ledger, 1, usd)
    past = Past(ledger)
    lost, ended = hold(worker, ledger, 2, usd), hold(worker, ledger, 3, usd, whole=(calls,))
    worker.commit([ending(truth(3), ended, call_of(3, truth(3)), ended=ended)])
    worker.commit([ending(truth(1), old, call_of(1, truth(1)))])
    past.comes_back()
    life = worker.life
    declared_dead(ledger, worker)
    assert balance(ledger, usd) == {0: (NANO, 0)}
    worker.commit([], [NOT_COMMITTED])
    assert worker.life != life
    assert balance(ledger, usd) == {0: (1_400, NANO)}
    assert balance(ledger, calls) == {0: (1, 0)}
    assert [(row.call, row.incarnation) for row in rows(ledger, tables.holds)] == [("call-2", worker.life)]
    worker.commit([ending(truth(2), lost, call_of(2, truth(2)))])
    assert balance(ledger, usd) == {0: (2_100, 0)}
    consistent(ledger)


def test_a_life_that_the_past_does_not_know_is_not_taken_for_the_next_of_its_number(
    ledger: Ledger, lock_dir: Path
) -> None:
    usd, past = limit(ledger), Past(ledger)
    one, two = Worker(ledger, lock_dir, Clock(NOW)), Worker(ledger, lock_dir, Clock(NOW))
    first, second = hold(one, ledger, 1, usd), hold(two, ledger, 2, usd)
    past.comes_back()
    if ledger.url.is_sqlite:
        with ledger.write() as connection:
            connection.execute(sa.text("UPDATE sqlite_sequence SET seq = 0 WHERE name = 'incarnations'"))
    two.pause.others = lambda: one.commit([])
    # Its answer is lost just when it begins again: a row of its old number is there, and is nobody's.
    two.commit([], [NOT_COMMITTED], ["", COMMITTED])
    one.commit([])
    assert one.life != two.life
    dead = incarnations.sweep(ledger, lock_dir, NOW)
    assert not {one.life, two.life} & set(dead)
    assert balance(ledger, usd) == {0: (0, 2 * NANO)}
    one.commit([ending(truth(1), first, call_of(1, truth(1)))])
    two.commit([ending(truth(2), second, call_of(2, truth(2)))])
    consistent(ledger)
    one.die()
    two.die()


def test_a_limit_that_the_past_does_not_know_is_not_charged_under_its_old_number(
    ledger: Ledger, worker: Worker
) -> None:
    past = Past(ledger)
    usd = limit(ledger)
    open_, ended = hold(worker, ledger, 1, usd), hold(worker, ledger, 2, usd)
    worker.commit([ending(truth(2), ended, call_of(2, truth(2)))])
    past.comes_back()
    worker.commit([], [NOT_COMMITTED])
    assert rows(ledger, tables.limit_balances) == []
    worker.commit([ending(truth(1), open_, call_of(1, truth(1)))])
    assert rows(ledger, tables.limit_balances) == []
    consistent(ledger)


def test_an_epoch_that_is_gone_is_not_given_out_again(ledger: Ledger, worker: Worker) -> None:
    past = Past(ledger)
    usd = limit(ledger)
    worker.commit([])
    worker.read_limits()
    seen = worker.limits.epoch
    past.comes_back()
    limit(ledger, name="other")
    asked = work(ask=ask_of(ledger, 1, usd))
    assert asked.ask is not None
    asked.ask.epoch = seen
    worker.commit([asked], [NOT_COMMITTED])
    assert isinstance(asked.answer, Stale)
    with ledger.reader().connection() as connection:
        assert keys.read_epoch(connection) > seen


def test_what_the_past_refuses_fails_alone(ledger: Ledger, worker: Worker) -> None:
    usd, past = limit(ledger), Past(ledger)
    grant = hold(worker, ledger, 1, usd)
    worker.commit([ending(truth(one), None, call_of(one, truth(one))) for one in (2, 3, 4)])
    past.comes_back()
    with living(ledger, worker.writer._directory) as other:
        assert other.write(ending(truth(3), None, call_of(3, truth(3), outcome="failed")))
    worker.commit([], [NOT_COMMITTED])
    assert [(row.id, row.outcome) for row in rows(ledger, tables.calls)] == [
        ("call-2", "ok"),
        ("call-3", "failed"),
        ("call-4", "ok"),
    ]
    worker.commit([ending(truth(1), grant, call_of(1, truth(1)))])
    consistent(ledger)
