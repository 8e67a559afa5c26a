"""What was lost is corrected: by the worker that was only paused, or by a person; in the windows it was charged in."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from tests.ledger.holding import NANO, UNPRICED, balance, call_of, consistent, limit, living, rows, truth
from tests.ledger.rows import DAY, NOW, work_of

from headgate.ledger import corrections, incarnations, tables
from headgate.ledger.batch import Work
from headgate.ledger.engine import Ledger
from headgate.ledger.errors import CannotSettle, UnknownName
from headgate.ledger.lost_calls import replace_lost
from headgate.model.limit import MAX_AMOUNT, Applied, Grant, Scope, Unit
from headgate.model.records import AttemptRow, CallRow
from headgate.policy.windows import bucket_of, rolling
from headgate.surfaces import shown

HOUR = rolling(3_600_000_000_000)
LATER = NOW + 3 * DAY


def lost(ledger: Ledger, lock_dir: Path, *own: Applied, **changes: Any) -> Grant:
    """A hold of call 1 whose life was found dead."""
    with living(ledger, lock_dir) as life:
        grant = life.hold(1, own, **changes)
        life.end()
        assert incarnations.sweep(ledger, lock_dir, NOW) == [life.id]
    return grant


def late(ledger: Ledger, row: AttemptRow, grant: Grant, call: CallRow | None = None) -> None:
    with ledger.write() as connection:
        corrections.settle_late(connection, row, grant, call, LATER)


def by_hand(ledger: Ledger, nano: int, no: int | None = None, call: str = "call-1") -> corrections.Correction:
    with ledger.write() as connection:
        return corrections.settle_by_hand(connection, call, no, nano, author="ann", reason="the invoice", now=LATER)


def net(ledger: Ledger) -> list[int | None]:
    """What each call costs, corrections included."""
    return [shown.net_cost(call) for call in ledger.reader().calls()]


def adjusted(ledger: Ledger) -> list[tuple[int, int, str]]:
    return [(row.delta_nano, row.target_nano, row.author) for row in rows(ledger, tables.adjustments)]


# -- late settles ------------------------------------------------------------------------------------------------------


def test_a_late_settle_corrects_the_charge_in_the_window_of_the_hold(ledger: Ledger, lock_dir: Path) -> None:
    usd, tokens = limit(ledger, window=HOUR), limit(ledger, Unit.TOKENS, Scope.KEY)
    grant = lost(ledger, lock_dir, usd, tokens)
    row = truth(1, duration=77, ttft=5)
    for _ in range(2):
        late(ledger, row, grant, call_of(1, row, status=200, outcome="ok"))
        assert balance(ledger, usd) == {bucket_of(HOUR, NOW): (700, 0)}
        assert balance(ledger, tokens) == {0: (90, 0)}
        assert adjusted(ledger) == [(700 - NANO, 700, "late settle")]
        assert net(ledger) == [700]
        consistent(ledger)
    (attempt,) = rows(ledger, tables.attempts)
    assert (attempt.state, attempt.cost_nano, attempt.hold_nano, attempt.basis) == ("lost", NANO, NANO, "computed")
    assert (attempt.status, attempt.duration, attempt.ttft, attempt.reported_nano) == (200, 77, 5, 700)
    (call,) = ledger.reader().calls()
    assert (call["outcome"], call["status"], call["input"], call["output"]) == ("ok", 200, 60, 30)


def test_a_late_settle_may_cost_more_than_was_held(ledger: Ledger, lock_dir: Path) -> None:
    usd = limit(ledger)
    grant = lost(ledger, lock_dir, usd)
    row = truth(1, cost_nano=NANO + 500, over_nano=500)
    late(ledger, row, grant, call_of(1, row))
    assert balance(ledger, usd) == {0: (NANO + 500, 0)}
    consistent(ledger)


def test_a_late_settle_of_unknown_cost_leaves_what_was_charged(ledger: Ledger, lock_dir: Path) -> None:
    usd = limit(ledger)
    grant = lost(ledger, lock_dir, usd)
    row = truth(1, cost_nano=None, basis="unknown", failure="cut")
    late(ledger, row, grant)
    assert balance(ledger, usd) == {0: (NANO, 0)}
    (attempt,) = rows(ledger, tables.attempts)
    assert (attempt.failure, attempt.cost_nano, attempt.basis) == ("cut", NANO, "estimated")
    consistent(ledger)


def test_a_lost_attempt_of_unknown_cost_becomes_known(ledger: Ledger, lock_dir: Path) -> None:
    grant = lost(ledger, lock_dir, limit(ledger, Unit.TOKENS), bound=UNPRICED)
    row = truth(1)
    late(ledger, row, grant, call_of(1, row))
    assert ledger.reader().usage()[0].cost_nano == 700
    assert [one.unknown_cost for one in ledger.reader().usage()] == [0]
    consistent(ledger)


def test_a_late_settle_after_a_correction_by_hand_changes_no_money(ledger: Ledger, lock_dir: Path) -> None:
    usd, tokens = limit(ledger), limit(ledger, Unit.TOKENS)
    grant = lost(ledger, lock_dir, usd, tokens)
    by_hand(ledger, 123)
    row = truth(1)
    late(ledger, row, grant, call_of(1, row))
    assert balance(ledger, usd) == {0: (123, 0)}
    assert balance(ledger, tokens) == {0: (90, 0)}
    assert adjusted(ledger) == [(123 - NANO, 123, "ann")]
    assert net(ledger) == [123]
    consistent(ledger)


def test_a_call_may_go_on_after_a_late_settle(ledger: Ledger, lock_dir: Path) -> None:
    usd = limit(ledger)
    grant = lost(ledger, lock_dir, usd)
    first, second = truth(1, failure="cut"), truth(1, 2, cost_nano=40)
    late(ledger, first, grant)
    consistent(ledger)
    with living(ledger, lock_dir) as life:
        again = life.hold(1, [usd], no=2)
        call = call_of(1, first, second)
        with ledger.write() as connection:
            assert replace_lost(connection, call, [second])
            assert replace_lost(connection, call, [second])
        life.write(work_of(call_of(9), (second,), grants=[again]))
    whole = ledger.reader().call("call-1")
    assert whole is not None
    assert (whole["outcome"], whole["attempt_count"]) == ("ok", 2)
    assert whole["cost_nano"] + sum(fix["delta_nano"] for fix in whole["adjustments"]) == 740
    assert balance(ledger, usd) == {0: (740, 0)}


def test_what_a_person_has_said_stays_when_the_call_goes_on(ledger: Ledger, lock_dir: Path) -> None:
    grant = lost(ledger, lock_dir, limit(ledger))
    by_hand(ledger, 5)
    first, second = truth(1, failure="cut"), truth(1, 2, cost_nano=40)
    late(ledger, first, grant)
    with living(ledger, lock_dir) as life:
        with ledger.write() as connection:
            assert replace_lost(connection, call_of(1, first, second), [second])
        life.write(Work("acme", "key_ci", [second]))
    assert net(ledger) == [45]
    consistent(ledger)


def test_only_a_lost_call_is_replaced(ledger: Ledger, lock_dir: Path) -> None:
    with living(ledger, lock_dir) as life:
        life.write(work_of(call_of(1, truth(1)), (truth(1),)))
    with ledger.write() as connection:
        assert not replace_lost(connection, call_of(1, truth(1), duration=3, outcome="failed"))
        assert not replace_lost(connection, call_of(2))


def test_a_late_settle_before_the_sweep_settles_the_hold(ledger: Ledger, lock_dir: Path) -> None:
    usd, at_once = limit(ledger), limit(ledger, Unit.CONCURRENCY)
    with living(ledger, lock_dir) as life:
        grant = life.hold(1, [usd], [at_once])
        life.store.retire(life.id, NOW)
        row = truth(1)
        for _ in range(2):
            late(ledger, row, grant, call_of(1, row))
            assert balance(ledger, usd) == {0: (700, 0)}
        incarnations.sweep(ledger, lock_dir, NOW)
    assert balance(ledger, at_once) == {0: (0, 0)}
    assert [row.state for row in rows(ledger, tables.attempts)] == ["settled"]
    assert adjusted(ledger) == []
    consistent(ledger)


def test_a_late_settle_that_the_store_has_forgotten_is_charged(ledger: Ledger, lock_dir: Path) -> None:
    usd, calls = limit(ledger), limit(ledger, Unit.REQUESTS, Scope.PROVIDER)
    with living(ledger, lock_dir) as life:
        grant = life.hold(1, [usd, calls])
        with ledger.write() as connection:
            for table in (tables.holds, tables.limit_balances):
                connection.execute(table.delete())
        row = truth(1)
        for _ in range(2):
            late(ledger, row, grant, call_of(1, row))
            assert balance(ledger, usd) == {0: (700, 0)}
            assert balance(ledger, calls) == {0: (1, 0)}
    consistent(ledger)


def test_a_forgotten_limit_is_not_charged_under_its_old_number(ledger: Ledger, lock_dir: Path) -> None:
    usd = limit(ledger)
    with living(ledger, lock_dir) as life:
        grant = life.hold(1, [usd])
        with ledger.write() as connection:
            for table in (tables.holds, tables.limit_balances, tables.limits):
                connection.execute(table.delete())
        late(ledger, truth(1), grant)
    assert rows(ledger, tables.limit_balances) == []


def test_a_hold_that_was_never_used_costs_nothing_after_all(ledger: Ledger, lock_dir: Path) -> None:
    usd, tokens = limit(ledger), limit(ledger, Unit.TOKENS)
    grant = lost(ledger, lock_dir, usd, tokens)
    for _ in range(2):
        with ledger.write() as connection:
            corrections.release_late(connection, grant, LATER)
        assert balance(ledger, usd) == balance(ledger, tokens) == {0: (0, 0)}
        consistent(ledger)


def test_a_hold_that_was_never_used_is_released_before_the_sweep(ledger: Ledger, lock_dir: Path) -> None:
    usd = limit(ledger)
    with living(ledger, lock_dir) as life:
        grant = life.hold(1, [usd])
        for _ in range(2):
            with ledger.write() as connection:
                corrections.release_late(connection, grant, LATER)
        assert balance(ledger, usd) == {0: (0, 0)}
        assert rows(ledger, tables.holds) == rows(ledger, tables.attempts) == []


def test_a_late_settle_and_the_sweep_at_once_charge_the_truth_once(ledger: Ledger, lock_dir: Path) -> None:
    usd = limit(ledger)
    with living(ledger, lock_dir) as life:
        grants = [life.hold(number, [usd]) for number in range(20)]
        life.end()
        found: list[list[int]] = []
        thread = threading.Thread(target=lambda: found.append(incarnations.sweep(ledger, lock_dir, NOW)))
        thread.start()
        for number, grant in enumerate(grants):
            row = truth(number)
            late(ledger, row, grant, call_of(number, row))
        thread.join()
        assert found == [[life.id]]
    assert balance(ledger, usd) == {0: (20 * 700, 0)}
    consistent(ledger)


# -- by hand -----------------------------------------------------------------------------------------------------------


def test_a_lost_attempt_is_settled_by_hand_where_it_was_charged(ledger: Ledger, lock_dir: Path) -> None:
    usd, provider = limit(ledger, window=HOUR), limit(ledger, scope=Scope.PROVIDER)
    lost(ledger, lock_dir, usd, provider)
    assert by_hand(ledger, 50) == corrections.Correction("call-1", 1, "lost", NANO, 50)
    assert by_hand(ledger, 50) == corrections.Correction("call-1", 1, "lost", 50, 50)
    assert adjusted(ledger) == [(50 - NANO, 50, "ann")]
    assert by_hand(ledger, 9_000).before == 50
    assert balance(ledger, usd) == {bucket_of(HOUR, NOW): (9_000, 0)}
    assert balance(ledger, provider) == {0: (9_000, 0)}
    assert net(ledger) == [9_000]
    consistent(ledger)


def test_a_settled_attempt_is_corrected_in_the_limits_of_today(ledger: Ledger, lock_dir: Path) -> None:
    row = truth(1)
    with living(ledger, lock_dir) as life:
        life.write(work_of(call_of(1, row, session="s"), (row,)))
    with ledger.write() as connection:
        connection.execute(tables.accounts.insert().values(name="acme", source="store", created_at=NOW))
        named = {"id": "key_ci", "account": "acme", "name": "ci", "source": "store", "created_at": NOW}
        connection.execute(tables.keys.insert().values(named))
    charged = [limit(ledger), limit(ledger, scope=Scope.PROVIDER), limit(ledger, scope=Scope.SESSION, window=HOUR)]
    charged += [limit(ledger, scope=Scope.KEY, pattern="gpt-*"), limit(ledger, scope=Scope.KEY, name="ci")]
    others = [
        limit(ledger, scope=Scope.KEY, pattern="claude-*"),
        limit(ledger, name="other"),
        limit(ledger, Unit.TOKENS),
    ]
    before = [balance(ledger, one) for one in others]
    assert by_hand(ledger, 1_000) == corrections.Correction("call-1", 1, "settled", 700, 1_000)
    assert [list(balance(ledger, one).values()) for one in charged] == [[(1_000, 0)]] * 5
    assert [balance(ledger, one) for one in others] == before
    consistent(ledger)


def test_an_unknown_cost_becomes_known_by_hand(ledger: Ledger, lock_dir: Path) -> None:
    lost(ledger, lock_dir, limit(ledger, Unit.TOKENS), bound=UNPRICED)
    assert by_hand(ledger, 0) == corrections.Correction("call-1", 1, "lost", None, 0)
    assert [one.unknown_cost for one in ledger.reader().usage()] == [0]
    assert by_hand(ledger, 5).before == 0
    assert ledger.reader().usage()[0].cost_nano == 5
    consistent(ledger)


def test_a_call_is_known_when_its_unknown_part_is(ledger: Ledger, lock_dir: Path) -> None:
    lost(ledger, lock_dir, limit(ledger, Unit.TOKENS), bound=UNPRICED, no=2, settled=[truth(1)])
    assert net(ledger) == [None]
    by_hand(ledger, 5)
    assert net(ledger) == [705]
    consistent(ledger)


def test_of_several_attempts_the_lost_one_is_meant(ledger: Ledger, lock_dir: Path) -> None:
    usd = limit(ledger)
    lost(ledger, lock_dir, usd, no=2, settled=[truth(1)])
    assert by_hand(ledger, 1).no == 2
    assert by_hand(ledger, 2, no=1).no == 1
    assert net(ledger) == [3]
    consistent(ledger)


def test_which_of_several_attempts_is_asked(ledger: Ledger, lock_dir: Path) -> None:
    tries = (truth(1), truth(1, 2))
    with living(ledger, lock_dir) as life:
        life.write(work_of(call_of(1, *tries), tries))
    with pytest.raises(CannotSettle, match="--attempt 1 or --attempt 2"):
        by_hand(ledger, 1)
    with pytest.raises(UnknownName, match="no attempt 3; it has 1, 2"):
        by_hand(ledger, 1, no=3)
    assert adjusted(ledger) == []


def test_what_cannot_be_settled_is_said(ledger: Ledger, lock_dir: Path) -> None:
    usd = limit(ledger)
    with living(ledger, lock_dir) as life:
        life.hold(1, [usd], no=2, settled=[truth(1)])
        life.write(work_of(call_of(2)))
        life.write(work_of(call_of(3, attempts=0)))
        for no in (None, 1, 2):
            with pytest.raises(CannotSettle, match="still in flight"):
                by_hand(ledger, 1, no)
        with pytest.raises(CannotSettle, match="asked no upstream"):
            by_hand(ledger, 1, call="call-3")
        for call in ("call-77", "", "' OR 1=1 --", "%"):
            with pytest.raises(UnknownName, match="There is no call"):
                by_hand(ledger, 1, call=call)
        for nano in (-1, MAX_AMOUNT + 1, 10**40):
            with pytest.raises(CannotSettle, match="costs from 0 to"):
                by_hand(ledger, nano, 1)
    assert balance(ledger, usd) == {0: (0, NANO)}
    assert adjusted(ledger) == []


def test_corrections_at_once_come_after_each_other(ledger: Ledger, lock_dir: Path) -> None:
    usd = limit(ledger)
    lost(ledger, lock_dir, usd)
    threads = [threading.Thread(target=by_hand, args=(ledger, nano)) for nano in (10, 20, 30, 40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = adjusted(ledger)[-1][1]
    assert balance(ledger, usd) == {0: (last, 0)}
    assert net(ledger) == [last]
    assert NANO + sum(delta for delta, _, _ in adjusted(ledger)) == last
    consistent(ledger)


def test_no_correction_takes_a_balance_below_nothing(ledger: Ledger, lock_dir: Path) -> None:
    usd = limit(ledger)
    lost(ledger, lock_dir, usd)
    with ledger.write() as connection:
        connection.execute(tables.limit_balances.update().values(spent=100))
    by_hand(ledger, 0)
    assert balance(ledger, usd) == {0: (0, 0)}
