"""What the dead held is lost at its hold, once, in the windows it was held in."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from tests.ledger.holding import (
    INPUT,
    NANO,
    OUTPUT,
    UNPRICED,
    Life,
    balance,
    call_of,
    consistent,
    limit,
    living,
    rows,
    spent,
    truth,
)
from tests.ledger.rows import DAY, NOW, work_of

from headgate.ledger import incarnations, tables
from headgate.ledger.death import declare_dead
from headgate.ledger.engine import Ledger
from headgate.ledger.errors import BadRow
from headgate.ledger.views import Filter
from headgate.model.limit import Scope, Unit
from headgate.policy.windows import bucket_of, rolling

HOUR = rolling(3_600_000_000_000)
TODAY = NOW - NOW % DAY


def dies(ledger: Ledger, lock_dir: Path, life: Life) -> None:
    life.end()
    assert incarnations.sweep(ledger, lock_dir, NOW + 1) == [life.id]


def test_a_lost_attempt_is_charged_at_its_hold_where_it_was_held(ledger: Ledger, lock_dir: Path) -> None:
    usd, tokens = limit(ledger), limit(ledger, Unit.TOKENS, Scope.KEY, HOUR)
    own, calls = limit(ledger, Unit.CONCURRENCY, Scope.PROVIDER), limit(ledger, Unit.REQUESTS)
    at_once = limit(ledger, Unit.CONCURRENCY)
    with living(ledger, lock_dir) as life:
        life.hold(1, [usd, tokens, own], [calls, at_once])
        bucket = bucket_of(HOUR, NOW)
        assert balance(ledger, usd) == {0: (0, NANO)}
        assert balance(ledger, at_once) == {0: (0, 1)}
        dies(ledger, lock_dir, life)
        assert balance(ledger, usd) == {0: (NANO, 0)}
        assert balance(ledger, tokens) == {bucket: (INPUT + OUTPUT, 0)}
        assert balance(ledger, own) == {0: (0, 0)}
        assert balance(ledger, at_once) == {0: (0, 0)}
        assert balance(ledger, calls) == {0: (1, 0)}
        consistent(ledger)
    (attempt,) = rows(ledger, tables.attempts)
    assert (attempt.state, attempt.status, attempt.cost_nano, attempt.hold_nano) == ("lost", 0, NANO, NANO)
    assert (attempt.basis, attempt.input, attempt.output, attempt.hold_tokens) == ("estimated", INPUT, OUTPUT, 150)
    assert (attempt.incarnation, attempt.started_at, attempt.duration) == (life.id, NOW, 0)


def test_a_lost_call_has_a_row_that_sums_up_its_attempts(ledger: Ledger, lock_dir: Path) -> None:
    usd = limit(ledger)
    failed = truth(1, failure="rate_limited", status=429)
    with living(ledger, lock_dir) as life:
        life.hold(1, [usd], no=2, settled=[failed], session="s")
        dies(ledger, lock_dir, life)
    (call,) = ledger.reader().calls(Filter(outcome="lost"))
    assert (call["id"], call["attempts"], call["cost_nano"]) == ("call-1", 2, 700 + NANO)
    assert (call["input"], call["output"], call["session"], call["status"]) == (60 + INPUT, 30 + OUTPUT, "s", 0)
    assert (call["account"], call["key"], call["route"]) == ("acme", "key_ci", "openai/gpt-5-mini")
    assert (call["model_asked"], call["model"], call["basis"]) == ("fast", "gpt-5-mini", "estimated")
    assert spent(ledger, "key", "key_ci") == spent(ledger)
    assert spent(ledger)[("usd", TODAY)] == spent(ledger)[("usd", 0)] == 700 + NANO
    consistent(ledger)


def test_nothing_is_lost_twice(ledger: Ledger, lock_dir: Path) -> None:
    usd = limit(ledger)
    with living(ledger, lock_dir) as life:
        life.hold(1, [usd])
        dies(ledger, lock_dir, life)
        assert incarnations.sweep(ledger, lock_dir, NOW + 2) == []
    assert balance(ledger, usd) == {0: (NANO, 0)}
    consistent(ledger)


def test_what_the_living_hold_stays_held(ledger: Ledger, lock_dir: Path) -> None:
    usd = limit(ledger)
    with living(ledger, lock_dir) as other, living(ledger, lock_dir) as life:
        other.hold(1, [usd])
        life.hold(2, [usd])
        dies(ledger, lock_dir, life)
        assert balance(ledger, usd) == {0: (NANO, NANO)}
        assert [row.call for row in rows(ledger, tables.holds)] == ["call-1"]


def test_an_unpriced_hold_is_lost_at_a_cost_that_nobody_knows(ledger: Ledger, lock_dir: Path) -> None:
    tokens = limit(ledger, Unit.TOKENS)
    with living(ledger, lock_dir) as life:
        life.hold(1, [tokens], bound=UNPRICED)
        dies(ledger, lock_dir, life)
    (attempt,) = rows(ledger, tables.attempts)
    assert (attempt.cost_nano, attempt.basis) == (None, "unknown")
    assert [one.unknown_cost for one in ledger.reader().usage()] == [1]
    assert balance(ledger, tokens) == {0: (150, 0)}


def test_what_a_call_holds_between_attempts_is_given_back_and_its_cost_is_seen(ledger: Ledger, lock_dir: Path) -> None:
    at_once = limit(ledger, Unit.CONCURRENCY)
    with living(ledger, lock_dir) as life:
        grant = life.hold(1, [], [at_once])
        with ledger.write() as connection:
            # As between the settle of one attempt and the hold of the next.
            connection.execute(tables.holds.delete().where(tables.holds.c.no == grant.no))
            connection.execute(tables.attempts.insert().values(msgspec.structs.asdict(truth(1))))
        dies(ledger, lock_dir, life)
    assert balance(ledger, at_once) == {0: (0, 0)}
    (call,) = ledger.reader().calls(Filter(outcome="lost"))
    assert (call["attempts"], call["cost_nano"]) == (1, 700)


def test_a_call_that_ended_while_an_attempt_was_held_keeps_its_row_and_shows_the_cost(
    ledger: Ledger, lock_dir: Path
) -> None:
    usd = limit(ledger)
    with living(ledger, lock_dir) as life:
        life.hold(1, [usd], no=2, settled=[truth(1)])
        life.write(work_of(call_of(1, truth(1), outcome="client_gone"), ()))
        dies(ledger, lock_dir, life)
    (call,) = ledger.reader().calls()
    assert (call["outcome"], call["attempts"], call["cost_nano"]) == ("client_gone", 2, 700 + NANO)
    consistent(ledger)


def test_a_call_that_ended_without_an_attempt_becomes_a_request_when_its_hold_is_lost(
    ledger: Ledger, lock_dir: Path
) -> None:
    usd = limit(ledger)
    with living(ledger, lock_dir) as life:
        life.hold(1, [usd])
        life.write(work_of(call_of(1, outcome="client_gone"), ()))
        assert ("requests", 0) not in spent(ledger)
        dies(ledger, lock_dir, life)
    (call,) = ledger.reader().calls()
    assert (call["outcome"], call["attempts"], call["cost_nano"], call["basis"]) == (
        "client_gone",
        1,
        NANO,
        "estimated",
    )
    consistent(ledger)


def test_what_was_left_by_a_life_that_ended_by_itself_is_lost_too(ledger: Ledger, lock_dir: Path) -> None:
    usd = limit(ledger)
    with living(ledger, lock_dir) as life:
        life.hold(1, [usd])
        life.store.retire(life.id, NOW)
        assert incarnations.sweep(ledger, lock_dir, NOW) == []
    assert balance(ledger, usd) == {0: (NANO, 0)}
    consistent(ledger)


def test_a_removed_limit_is_charged_all_the_same(ledger: Ledger, lock_dir: Path) -> None:
    usd = limit(ledger)
    with living(ledger, lock_dir) as life:
        life.hold(1, [usd])
        with ledger.write() as connection:
            connection.execute(tables.limits.update().values(removed_at=NOW))
        dies(ledger, lock_dir, life)
    assert balance(ledger, usd) == {0: (NANO, 0)}


def test_many_calls_are_lost_in_one_transaction(ledger: Ledger, lock_dir: Path) -> None:
    usd, at_once = limit(ledger), limit(ledger, Unit.CONCURRENCY)
    with living(ledger, lock_dir) as life:
        for number in range(50):
            life.hold(number, [usd], [at_once])
        dies(ledger, lock_dir, life)
    assert balance(ledger, usd) == {0: (50 * NANO, 0)}
    assert len(ledger.reader().calls(Filter(outcome="lost"))) == 50
    consistent(ledger)


def test_a_hold_that_cannot_be_read_stays_held(ledger: Ledger, lock_dir: Path) -> None:
    usd = limit(ledger)
    with living(ledger, lock_dir) as life:
        life.hold(1, [usd])
        with ledger.write() as connection:
            connection.execute(tables.holds.update().values(facts="{}"))
        life.end()
        with pytest.raises(BadRow, match="call-1"):
            incarnations.sweep(ledger, lock_dir, NOW)
    assert balance(ledger, usd) == {0: (0, NANO)}
    with ledger.reader().connection() as connection:
        assert connection.scalar(sa.select(tables.incarnations.c.dead_at)) is None


def test_the_silent_are_dead_and_those_who_have_committed_since_are_not(ledger: Ledger, lock_dir: Path) -> None:
    usd = limit(ledger)
    with living(ledger, lock_dir) as paused, living(ledger, lock_dir) as well:
        paused.hold(1, [usd])
        well.hold(2, [usd])
        silent = {paused.id: 1, well.id: 1}
        assert well.write()
        assert declare_dead(ledger, silent, NOW) == [paused.id]
        assert declare_dead(ledger, silent, NOW) == []
        assert not paused.write()
        assert well.write()
    assert balance(ledger, usd) == {0: (NANO, NANO)}
