"""Who elsewhere is silent: by the observer's own clock, while it commits itself."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.ledger.holding import living
from tests.ledger.rows import NOW

from headgate.ledger import locks, tables
from headgate.ledger.engine import Ledger, open_ledger
from headgate.ledger.errors import LedgerError
from headgate.ledger.observer import Watch, observe

SECOND = 1_000_000_000
DEAD_AFTER = 60 * SECOND
STEP = 2 * SECOND


class Time:
    """A clock that goes on by as much as is said, at each question."""

    def __init__(self, step: int = 0) -> None:
        self.now = 0
        self._step = step

    def __call__(self) -> int:
        self.now += self._step
        return self.now


def looks(watch: Watch, until: int, counters: dict[int, int], since: int = 0) -> dict[int, int]:
    """Look every 2 s; return the last answer."""
    found: dict[int, int] = {}
    for at in range(since, until + 1, STEP):
        found = watch.look(counters, at, at)
    return found


def test_a_counter_that_stands_still_long_enough_is_silent() -> None:
    assert looks(Watch(DEAD_AFTER), 58 * SECOND, {1: 7}) == {}
    assert looks(Watch(DEAD_AFTER), 60 * SECOND, {1: 7, 2: 9}) == {1: 7, 2: 9}


def test_a_counter_that_moves_counts_anew() -> None:
    watch = Watch(DEAD_AFTER)
    looks(watch, 40 * SECOND, {1: 7, 2: 7})
    assert looks(watch, 80 * SECOND, {1: 8, 2: 7}, 42 * SECOND) == {2: 7}
    assert looks(watch, 102 * SECOND, {1: 8}, 82 * SECOND) == {1: 8}


def test_a_counter_that_went_back_is_another_one() -> None:
    watch = Watch(DEAD_AFTER)
    looks(watch, 58 * SECOND, {1: 7})
    assert looks(watch, 70 * SECOND, {1: 6}, 60 * SECOND) == {}


def test_one_that_appears_late_has_its_own_time() -> None:
    watch = Watch(DEAD_AFTER)
    looks(watch, 30 * SECOND, {1: 7})
    assert looks(watch, 62 * SECOND, {1: 7, 2: 1}, 32 * SECOND) == {1: 7}


def test_an_observer_that_was_stopped_counts_anew_for_everyone() -> None:
    watch = Watch(DEAD_AFTER)
    looks(watch, 40 * SECOND, {1: 7})
    assert watch.look({1: 7}, 100 * SECOND, 100 * SECOND) == {}
    assert looks(watch, 158 * SECOND, {1: 7}, 102 * SECOND) == {}
    assert looks(watch, 160 * SECOND, {1: 7}, 160 * SECOND) == {1: 7}


def test_a_look_that_failed_counts_anew_for_everyone() -> None:
    watch = Watch(DEAD_AFTER)
    looks(watch, 58 * SECOND, {1: 7})
    watch.interrupted()
    assert watch.look({1: 7}, 60 * SECOND, 60 * SECOND) == {}


def test_a_commit_that_took_long_says_nothing_of_the_others() -> None:
    watch = Watch(DEAD_AFTER)
    looks(watch, 58 * SECOND, {1: 7})
    assert watch.look({1: 7}, 60 * SECOND, 68 * SECOND) == {}


def test_only_the_time_between_two_commits_counts() -> None:
    watch = Watch(10 * SECOND)
    watch.look({1: 7}, 0, 4 * SECOND)
    watch.look({1: 7}, 9 * SECOND, 9 * SECOND)
    assert watch.look({1: 7}, 13 * SECOND, 15 * SECOND) == {}
    assert watch.look({1: 7}, 15 * SECOND, 15 * SECOND) == {1: 7}


def test_those_of_another_lock_directory_are_observed_and_our_own_are_not(
    ledger: Ledger, lock_dir: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    owner = locks.directory_id(lock_dir)
    time, watch = Time(), Watch(STEP)
    with living(ledger, lock_dir), living(ledger, elsewhere) as silent, living(ledger, elsewhere) as well:
        assert observe(ledger, owner, watch, time) == {}
        time.now += STEP
        assert well.write()
        assert observe(ledger, owner, watch, time) == {silent.id: 0}
        with ledger.write() as connection:
            connection.execute(
                tables.incarnations.update().where(tables.incarnations.c.id == silent.id).values(dead_at=NOW)
            )
        time.now += STEP
        assert observe(ledger, owner, watch, time) == {well.id: 1}


def test_a_ledger_that_takes_no_commits_judges_nobody(
    ledger: Ledger, ledger_url: str, lock_dir: Path, tmp_path: Path
) -> None:
    if ledger_url.startswith("sqlite"):
        refuse: tuple[str, ...] = (
            "CREATE TRIGGER no BEFORE UPDATE ON ledger_state BEGIN SELECT RAISE(ABORT, 'no commits'); END",
        )
        again = "DROP TRIGGER no"
    else:
        raising = "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no commits'; END $$"
        refuse = (raising, "CREATE TRIGGER no BEFORE UPDATE ON ledger_state FOR EACH ROW EXECUTE FUNCTION no()")
        again = "DROP TRIGGER no ON ledger_state"
    owner = locks.directory_id(lock_dir)
    time, watch = Time(), Watch(2 * STEP)
    with living(ledger, tmp_path / "elsewhere") as silent:
        assert observe(ledger, owner, watch, time) == {}
        time.now += STEP
        with ledger.write() as connection:
            for statement in refuse:
                connection.exec_driver_sql(statement)
        with pytest.raises(LedgerError):
            observe(ledger, owner, watch, time)
        with ledger.write() as connection:
            connection.exec_driver_sql(again)
        time.now += STEP
        assert observe(ledger, owner, watch, time) == {}
        time.now += 2 * STEP
        assert observe(ledger, owner, watch, time) == {silent.id: 0}


def test_a_gateway_that_is_alone_writes_nothing(ledger: Ledger, lock_dir: Path) -> None:
    with living(ledger, lock_dir), ledger.write() as connection:
        connection.execute(tables.ledger_state.update().values(epoch=1))
        done: list[dict[int, int]] = []
        other = open_ledger(f"sqlite:///{ledger.url.path}") if ledger.url.is_sqlite else ledger
        look = threading.Thread(
            target=lambda: done.append(observe(other, locks.directory_id(lock_dir), Watch(1), Time(1))), daemon=True
        )
        look.start()
        look.join(60)
        assert done == [{}]


def test_a_look_changes_no_epoch(ledger: Ledger, lock_dir: Path, tmp_path: Path) -> None:
    before = ledger.reader().epoch()
    with living(ledger, tmp_path / "elsewhere"):
        observe(ledger, locks.directory_id(lock_dir), Watch(1), Time(1))
    assert ledger.reader().epoch() == before
    with ledger.reader().connection() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.ledger_state)) == 1
