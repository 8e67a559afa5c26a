"""What batches do to holds, one order of events at a time; the model test tries all orders."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.ledger.holding import NANO, balance, call_of, consistent, limit, living, rows, spent, truth
from tests.ledger.working import ask, declared_dead, ending, hold, holds, work
from tests.properties.limits_rig import COMMITTED, NOT_COMMITTED, Worker

from headgate.ledger import tables
from headgate.ledger.engine import Ledger
from headgate.model.limit import Grant, Refusal, Scope, Stale, Unit

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
