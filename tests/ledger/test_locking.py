"""What is locked before what, and what is read only then: each of these tests fails without its rule."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.ledger.holding import NANO, ask_of, asking, limit, living, truth
from tests.ledger.rows import NOW

from headgate.ledger import corrections, incarnations, locks, tables
from headgate.ledger.batch import Batch
from headgate.ledger.connect import Durability
from headgate.ledger.engine import Ledger, open_ledger
from headgate.ledger.store import open_store
from headgate.model.limit import Grant, Refusal, Unit


@contextlib.contextmanager
def beside() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def waits_for_a_lock(url: str) -> bool:
    """Whether somebody in this database waits for a lock."""
    with psycopg.connect(url, autocommit=True) as look:
        query = "SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND datname = %s"
        return look.execute(query, (look.info.dbname,)).fetchone() is not None


def until_it_waits(url: str, done: Future[Any]) -> None:
    while not done.done() and not waits_for_a_lock(url):
        pass


@pytest.fixture
def on_postgres(postgres_url: str) -> Iterator[tuple[Ledger, str]]:
    made = open_ledger(postgres_url)
    made.migrate()
    yield made, postgres_url
    made.close()


# -- after a lost connection the counter is read once the old backend has ended --------------------------------------


def test_after_a_lost_connection_the_counter_waits_for_the_old_backend(
    on_postgres: tuple[Ledger, str], tmp_path: Path
) -> None:
    ledger, url = on_postgres
    with living(ledger, tmp_path) as life, psycopg.connect(url) as old, beside() as pool:
        old.execute("UPDATE incarnations SET counter = counter + 1 WHERE id = %s", (life.id,))
        standing = pool.submit(life.store.standing, life.id)
        until_it_waits(url, standing)
        old.commit()
        assert standing.result() == 1


# -- lock first, read after ------------------------------------------------------------------------------------------


def test_balances_and_clock_are_read_when_the_locks_are_held(on_postgres: tuple[Ledger, str], tmp_path: Path) -> None:
    ledger, url = on_postgres
    applied = limit(ledger, cap=NANO)
    with living(ledger, tmp_path) as life, psycopg.connect(url) as other, beside() as pool:
        life.hold(1, [applied])
        store = open_store(ledger.url, Durability.CALL)
        try:
            other.execute("SELECT id FROM limits FOR NO KEY UPDATE")
            refused, granted = (asking(ask_of(ledger, call, applied)) for call in (2, 3))
            written = pool.submit(store.write, life.id, NOW, Batch([refused]))
            until_it_waits(url, written)
            # Nothing is left when the lock is free.
            other.execute("UPDATE limit_balances SET held = 0, spent = %s", (NANO,))
            other.commit()
            assert written.result() is not None
            assert isinstance(refused.answer, Refusal)
            assert (refused.answer.standing.spent, refused.answer.standing.held) == (NANO, 0)
            other.execute("SELECT id FROM limits FOR NO KEY UPDATE")
            written = pool.submit(store.write, life.id, NOW, Batch([granted]))
            until_it_waits(url, written)
            other.execute("UPDATE limit_balances SET spent = 0")
            row = other.execute("SELECT (extract(epoch FROM clock_timestamp()) * 1000000000)::bigint").fetchone()
            other.commit()
            assert written.result() is not None
            assert isinstance(granted.answer, Grant)
            assert row is not None
            assert granted.answer.at >= row[0], "the clock is not that of the transaction's begin"
        finally:
            store.close()


def test_on_sqlite_balances_and_clock_are_read_when_the_transaction_has_begun(tmp_path: Path) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path / 'headgate.db'}")
    ledger.migrate()
    applied = limit(ledger, cap=NANO)
    is_free = threading.Event()
    told: list[bool] = []

    def clock() -> int:
        told.append(is_free.is_set())
        return NOW

    assert ledger.url.state_dir is not None
    with living(ledger, ledger.url.state_dir) as life, beside() as pool:
        life.hold(1, [applied])
        store = open_store(ledger.url, Durability.CALL, clock)
        other = sqlite3.connect(tmp_path / "headgate.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        work = asking(ask_of(ledger, 2, applied))
        written = pool.submit(store.write, life.id, NOW, Batch([work]))
        turn = locks.FileLock(ledger.url.state_dir / "turn")
        while turn.try_acquire() and not written.done():
            turn.release()
        other.execute("UPDATE limit_balances SET held = 0, spent = ?", (NANO,))
        is_free.set()
        other.execute("COMMIT")
        assert written.result() is not None
        assert told == [True]
        assert isinstance(work.answer, Refusal)
        assert work.answer.standing.spent == NANO
        turn.close()
        other.close()
        store.close()
    ledger.close()


# -- locks in one order ----------------------------------------------------------------------------------------------


def is_free(url: str, query: str, *values: int) -> bool:
    """Whether somebody else may lock these rows now."""
    with psycopg.connect(url, autocommit=True) as look:
        try:
            look.execute(query.encode(), values)
        except psycopg.errors.LockNotAvailable:
            return False
    return True


@pytest.mark.parametrize("who", ["a batch", "a reaper", "a late settle"])
def test_limits_are_locked_one_after_the_other_by_their_ids(
    on_postgres: tuple[Ledger, str], tmp_path: Path, who: str
) -> None:
    ledger, url = on_postgres
    first, second = limit(ledger), limit(ledger, Unit.TOKENS)
    assert first.limit.id < second.limit.id
    with ledger.write() as connection:
        # Its row is the last of the table now: a table that is read as it lies locks the other one first.
        connection.execute(tables.limits.update().where(tables.limits.c.id == first.limit.id).values(clamp=True))
    with psycopg.connect(url, autocommit=True) as admin:
        for way in (b"indexscan", b"bitmapscan"):
            admin.execute(b'ALTER DATABASE "%b" SET enable_%b = off' % (admin.info.dbname.encode(), way))
    ledger.close()  # its connections know nothing of that
    with living(ledger, tmp_path) as life, psycopg.connect(url) as other, beside() as pool:
        grant = life.hold(1, [second, first])
        work = asking(ask_of(ledger, 2, second, first))
        if who != "a batch":
            life.end()
        other.execute("SELECT id FROM limits WHERE id = %s FOR NO KEY UPDATE", (first.limit.id,))
        match who:
            case "a batch":
                waiting: Future[Any] = pool.submit(life.write, work)
            case "a reaper":
                waiting = pool.submit(incarnations.sweep, ledger, tmp_path, NOW)
            case _:
                waiting = pool.submit(settle_late, ledger, grant)
        until_it_waits(url, waiting)
        assert not waiting.done()
        assert is_free(url, "SELECT id FROM limits WHERE id > %s FOR NO KEY UPDATE NOWAIT", first.limit.id)
        other.commit()
        assert waiting.result() is not False


def settle_late(ledger: Ledger, grant: Grant) -> None:
    with ledger.write() as connection:
        corrections.settle_late(connection, truth(1), grant, None, NOW)


def test_a_batch_locks_its_life_before_any_limit(on_postgres: tuple[Ledger, str], tmp_path: Path) -> None:
    ledger, url = on_postgres
    applied = limit(ledger)
    with living(ledger, tmp_path) as life, psycopg.connect(url) as other, beside() as pool:
        other.execute("SELECT id FROM incarnations FOR NO KEY UPDATE")
        waiting = pool.submit(life.write, asking(ask_of(ledger, 1, applied)))
        until_it_waits(url, waiting)
        assert is_free(url, "SELECT id FROM limits FOR NO KEY UPDATE NOWAIT")
        other.commit()
        assert waiting.result()


# -- SQLite's turn is passed on --------------------------------------------------------------------------------------


def test_who_has_had_its_turn_lets_the_one_that_waits_go_first(tmp_path: Path) -> None:
    mine, theirs, gate = locks.Turn(tmp_path), locks.Turn(tmp_path), locks.FileLock(tmp_path / "gate")
    order: list[str] = []

    def wait() -> None:
        theirs.take()
        order.append("who waited")
        theirs.give_back()

    for _ in range(20):
        order.clear()
        mine.take()
        waiting = threading.Thread(target=wait)
        waiting.start()
        for _ in range(100_000):
            if not gate.try_acquire():
                break
            gate.release()
        mine.give_back()
        mine.take()
        order.append("who had it")
        mine.give_back()
        waiting.join()
        assert order == ["who waited", "who had it"]
    for one in (mine, theirs, gate):
        one.close()


def test_people_wait_for_their_turn_too(tmp_path: Path) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path / 'headgate.db'}")
    ledger.migrate()
    assert ledger.url.state_dir is not None
    turn, gate = locks.Turn(ledger.url.state_dir), locks.FileLock(ledger.url.state_dir / "gate")
    begun = threading.Event()

    def change() -> None:
        with ledger.write():
            begun.set()

    turn.take()
    changing = threading.Thread(target=change)
    changing.start()
    while gate.try_acquire() and not begun.is_set():
        gate.release()
    assert not begun.is_set()
    turn.give_back()
    changing.join()
    assert begun.is_set()
    turn.close()
    gate.close()
    ledger.close()
