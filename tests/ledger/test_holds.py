"""What batches do to holds, one order of events at a time; the model test tries all orders."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.ledger.holding import NANO, ask_of, balance, call_of, consistent, limit, living, rows, spent, truth
from tests.ledger.rows import NOW
from tests.properties.limits_rig import COMMITTED, NOT_COMMITTED, Clock, Worker

from headgate.ledger import death, incarnations, keys, tables
from headgate.ledger.batch import Work
from headgate.ledger.engine import Ledger
from headgate.ledger.life import MOST_AGAIN
from headgate.model.limit import Applied, Ask, Grant, Refusal, Scope, Stale, Unit
from headgate.model.records import AttemptRow, CallRow


@pytest.fixture
def worker(ledger: Ledger, lock_dir: Path) -> Iterator[Worker]:
    made = Worker(ledger, lock_dir, Clock(NOW))
    yield made
    made.die()


def work(**parts: Any) -> Work:
    return Work("acme", "key_ci", **parts)


def ask(ledger: Ledger, call: int, *own: Applied, whole: tuple[Applied, ...] = (), no: int = 1) -> Ask:
    made = ask_of(ledger, call, *own, no=no)
    made.whole = whole
    return made


def hold(
    worker: Worker, ledger: Ledger, call: int, *own: Applied, whole: tuple[Applied, ...] = (), no: int = 1
) -> Grant:
    asked = work(ask=ask(ledger, call, *own, whole=whole, no=no))
    worker.commit([asked])
    assert isinstance(asked.answer, Grant)
    return asked.answer


def ending(row: AttemptRow, grant: Grant | None, call: CallRow, **parts: Any) -> Work:
    return work(attempts=[row], grants=[grant], call=call, **parts)


def holds(ledger: Ledger) -> list[tuple[str, int]]:
    return [(row.call, row.no) for row in rows(ledger, tables.holds)]


def declared_dead(ledger: Ledger, worker: Worker) -> None:
    with ledger.reader().connection() as connection:
        table = tables.incarnations.c
        counter = connection.scalar(sa.select(table.counter).where(table.id == worker.life))
    assert counter is not None
    assert death.declare_dead(ledger, {worker.life: counter}, NOW) == [worker.life]


# -- one life ----------------------------------------------------------------------------------------------------------


def test_a_call_takes_its_own_limits_once_and_a_providers_with_each_attempt(ledger: Ledger, worker: Worker) -> None:
    calls, at_once = limit(ledger, Unit.REQUESTS), limit(ledger, Unit.CONCURRENCY, cap=1)
    tries = limit(ledger, Unit.REQUESTS, Scope.PROVIDER)
    first = hold(worker, ledger, 1, tries, whole=(calls, at_once))
    second = work(attempts=[truth(1)], grants=[first], ask=ask(ledger, 1, tries, no=2))
    other = work(ask=ask(ledger, 2, tries, whole=(calls, at_once)))
    worker.commit([second, other])
    assert isinstance(second.answer, Grant)
    assert isinstance(other.answer, Refusal)
    assert balance(ledger, at_once) == {0: (0, 1)}
    last = truth(1, 2)
    worker.commit([ending(last, second.answer, call_of(1, truth(1), last), ended=first)])
    assert balance(ledger, calls) == {0: (1, 0)}
    assert balance(ledger, tries) == {0: (2, 0)}
    assert balance(ledger, at_once) == {0: (0, 0)}
    consistent(ledger)


def test_a_request_that_was_admitted_is_not_given_back(ledger: Ledger, worker: Worker) -> None:
    calls, usd = limit(ledger, Unit.REQUESTS), limit(ledger)
    grant = hold(worker, ledger, 1, usd, whole=(calls,))
    worker.commit([work(released=grant)])
    assert balance(ledger, calls) == {0: (1, 0)}
    assert balance(ledger, usd) == {0: (0, 0)}
    assert holds(ledger) == []


def test_a_client_that_leaves_makes_room_while_its_call_goes_on(ledger: Ledger, worker: Worker) -> None:
    at_once, usd = limit(ledger, Unit.CONCURRENCY, cap=1), limit(ledger)
    grant = hold(worker, ledger, 1, usd, whole=(at_once,))
    other = work(ask=ask(ledger, 2, usd, whole=(at_once,)))
    worker.commit([work(ended=grant), other])
    assert isinstance(other.answer, Grant)
    assert holds(ledger) == [("call-1", 1), ("call-2", 0), ("call-2", 1)]
    row = truth(1)
    worker.commit([ending(row, grant, call_of(1, row)), work(released=other.answer)])
    assert balance(ledger, at_once) == {0: (0, 0)}
    consistent(ledger)


def test_a_call_may_hold_anew_in_the_batch_in_which_its_first_hold_ends(ledger: Ledger, worker: Worker) -> None:
    at_once = limit(ledger, Unit.CONCURRENCY)
    first = hold(worker, ledger, 1, whole=(at_once,))
    again = work(attempts=[truth(1)], grants=[first], ask=ask(ledger, 1, whole=(at_once,), no=2))
    worker.commit([work(ended=first), again])
    assert holds(ledger) == [("call-1", 0), ("call-1", 2)]
    assert balance(ledger, at_once) == {0: (0, 1)}


@pytest.mark.parametrize("stale", [False, True], ids=["refused", "asked under another epoch"])
def test_nothing_is_kept_of_a_call_that_waits_without_a_hold_once_its_row_is_in(
    ledger: Ledger, worker: Worker, *, stale: bool
) -> None:
    none, row = limit(ledger, cap=0), truth(1)
    wanted = ask(ledger, 1, none, no=2)
    wanted.epoch -= stale
    waits = work(attempts=[row], grants=[None], ask=wanted)
    worker.commit([waits])
    assert isinstance(waits.answer, Stale if stale else Refusal)
    assert holds(ledger) == [("call-1", -1)]
    worker.commit([work(call=call_of(1, row))])
    assert holds(ledger) == []
    # Its client leaves while it waits: both are one batch.
    other = truth(2)
    wanted = ask(ledger, 2, none, no=2)
    worker.commit([work(attempts=[other], grants=[None], ask=wanted), work(call=call_of(2, other))])
    consistent(ledger)


@pytest.mark.parametrize("fault", [COMMITTED, NOT_COMMITTED])
def test_a_hold_whose_answer_was_lost_is_held_once(ledger: Ledger, worker: Worker, fault: str) -> None:
    usd = limit(ledger)
    asked = work(ask=ask(ledger, 1, usd))
    worker.commit([asked], [fault, NOT_COMMITTED])
    assert isinstance(asked.answer, Grant)
    assert balance(ledger, usd) == {0: (0, NANO)}
    row = truth(1)
    worker.commit([ending(row, asked.answer, call_of(1, row))], [fault])
    assert balance(ledger, usd) == {0: (700, 0)}
    consistent(ledger)


def test_what_is_left_of_a_cap_is_granted_once_to_workers_that_ask_at_the_same_time(
    ledger: Ledger, lock_dir: Path
) -> None:
    usd = limit(ledger, cap=30 * NANO)
    granted: list[int] = []

    def take(life: Any, first: int) -> None:
        for number in range(first, first + 20):
            asked = work(ask=ask(ledger, number, usd))
            assert life.write(asked)
            if isinstance(asked.answer, Grant):
                granted.append(number)

    with living(ledger, lock_dir) as one, living(ledger, lock_dir) as two, living(ledger, lock_dir) as three:
        threads = [threading.Thread(target=take, args=(life, life.id * 100)) for life in (one, two, three)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(granted) == 30
    assert balance(ledger, usd) == {0: (0, 30 * NANO)}


# -- another life ------------------------------------------------------------------------------------------------------


def test_a_call_row_takes_the_place_of_the_one_that_a_lost_hold_left(ledger: Ledger, worker: Worker) -> None:
    usd, at_once = limit(ledger), limit(ledger, Unit.CONCURRENCY)
    grant = hold(worker, ledger, 1, usd, whole=(at_once,))
    first = truth(1)
    worker.commit([work(attempts=[first], grants=[grant], ask=ask(ledger, 1, limit(ledger, cap=0, name="acme"), no=2))])
    declared_dead(ledger, worker)
    assert [row.outcome for row in rows(ledger, tables.calls)] == ["lost"]
    worker.commit([work(call=call_of(1, first, outcome="ok"), ended=grant)])
    assert [row.outcome for row in rows(ledger, tables.calls)] == ["ok"]
    assert spent(ledger)[("requests", 0)] == 1
    consistent(ledger)


def test_a_call_that_waited_in_this_life_and_lost_in_another_leaves_nothing(ledger: Ledger, worker: Worker) -> None:
    usd = limit(ledger)
    grant = hold(worker, ledger, 1, usd)
    declared_dead(ledger, worker)
    first, second = truth(1), truth(1, 2)
    none = limit(ledger, cap=0, scope=Scope.KEY)
    waits = work(attempts=[first, second], grants=[grant, None], ask=ask(ledger, 1, none, no=3))
    worker.commit([waits])
    assert holds(ledger) == [("call-1", -1)]
    worker.commit([work(call=call_of(1, first, second))])
    assert balance(ledger, usd) == {0: (700, 0)}
    consistent(ledger)


@pytest.mark.parametrize("released_first", [False, True])
def test_an_attempt_that_ended_before_it_heard_of_its_note_is_corrected_by_its_row(
    ledger: Ledger, worker: Worker, *, released_first: bool
) -> None:
    note = hold(worker, ledger, 1)
    declared_dead(ledger, worker)
    row = truth(1)
    told = [work(released=note), ending(row, None, call_of(1, row))]
    for one in told if released_first else reversed(told):
        worker.commit([one], beside=[COMMITTED])
        worker.commit([])
    (attempt,) = rows(ledger, tables.attempts)
    assert (attempt.state, attempt.reported_nano, attempt.message) == ("lost", 700, None)
    assert ledger.reader().usage()[0].cost_nano == 700
    consistent(ledger)


def test_what_another_life_held_and_what_this_one_holds_settle_together(ledger: Ledger, worker: Worker) -> None:
    usd = limit(ledger)
    old = hold(worker, ledger, 1, usd)
    declared_dead(ledger, worker)
    new = hold(worker, ledger, 1, usd, no=2)
    assert balance(ledger, usd) == {0: (NANO, NANO)}
    tries = [truth(1), truth(1, 2, cost_nano=40)]
    worker.commit([work(attempts=tries, grants=[old, new], call=call_of(1, *tries))], beside=[COMMITTED, NOT_COMMITTED])
    assert balance(ledger, usd) == {0: (740, 0)}
    consistent(ledger)


# -- a store that goes back in time ------------------------------------------------------------------------------------


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


# -- rows that a store refuses -----------------------------------------------------------------------------------------


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


def test_a_waiter_that_has_gone_gives_its_hold_back_after_a_lost_answer_too(ledger: Ledger, worker: Worker) -> None:
    usd = limit(ledger)
    loop = asyncio.new_event_loop()
    waiter: asyncio.Future[Any] = loop.create_future()
    waiter.cancel()
    worker.commit([work(ask=ask(ledger, 1, usd), waiter=waiter)], [COMMITTED])
    assert balance(ledger, usd) == {0: (0, NANO)}
    worker.commit(worker.queued())
    assert balance(ledger, usd) == {0: (0, 0)}
    assert holds(ledger) == []
    loop.close()
