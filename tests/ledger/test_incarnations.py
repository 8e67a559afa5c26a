from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.ledger.rows import NOW, call_row, work_of

from headgate.ledger import incarnations, locks, tables
from headgate.ledger.batch import Batch
from headgate.ledger.connect import Durability
from headgate.ledger.engine import Ledger
from headgate.ledger.store import open_store

ROOT = Path(__file__).parents[2]
LIVE = """
import sys
from pathlib import Path
from headgate.ledger import incarnations
from headgate.ledger.engine import open_ledger
ledger = open_ledger(sys.argv[1])
life = incarnations.register(ledger, Path(sys.argv[2]), 1)
print(life.id, flush=True)
sys.stdin.read()
"""


def dead_at(ledger: Ledger) -> dict[int, int | None]:
    with ledger.reader().connection() as connection:
        rows = connection.execute(sa.select(tables.incarnations.c.id, tables.incarnations.c.dead_at))
        return {row.id: row.dead_at for row in rows}


def test_a_killed_process_is_found_dead_and_a_living_one_is_not(
    ledger: Ledger, ledger_url: str, lock_dir: Path
) -> None:
    mine = incarnations.register(ledger, lock_dir, NOW)
    child = subprocess.Popen(
        [sys.executable, "-c", LIVE, ledger_url, str(lock_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
    )
    assert child.stdout is not None
    assert child.stdin is not None
    other = int(child.stdout.readline())
    assert incarnations.sweep(ledger, lock_dir, NOW + 1) == []
    child.kill()
    child.wait()
    child.stdout.close()
    child.stdin.close()
    assert incarnations.sweep(ledger, lock_dir, NOW + 2) == [other]
    assert dead_at(ledger) == {mine.id: None, other: NOW + 2}
    assert incarnations.sweep(ledger, lock_dir, NOW + 3) == []
    assert [path.name for path in lock_dir.glob("incarnation-*")] == [f"incarnation-{mine.id}.lock"]
    mine.end()


def test_another_lock_directory_judges_nobody(ledger: Ledger, lock_dir: Path, tmp_path: Path) -> None:
    life = incarnations.register(ledger, lock_dir, NOW)
    life.end()
    assert incarnations.sweep(ledger, tmp_path / "elsewhere", NOW) == []
    assert incarnations.sweep(ledger, lock_dir, NOW) == [life.id]


def test_the_dead_write_nothing_more(ledger: Ledger, lock_dir: Path) -> None:
    life = incarnations.register(ledger, lock_dir, NOW)
    store = open_store(ledger.url, Durability.CALL)
    life.end()
    assert incarnations.sweep(ledger, lock_dir, NOW) == [life.id]
    assert store.write(life.id, NOW, Batch([work_of(call_row(3), ())])) is None
    assert ledger.reader().call("call-3") is None
    store.close()


def test_a_lock_directory_keeps_its_id(tmp_path: Path) -> None:
    first = locks.directory_id(tmp_path / "a")
    assert first == locks.directory_id(tmp_path / "a")
    assert first != locks.directory_id(tmp_path / "b")
    assert len(first) == 32


def test_a_held_file_is_held_once(tmp_path: Path) -> None:
    held = locks.try_hold(tmp_path / "serve")
    assert held is not None
    assert locks.try_hold(tmp_path / "serve") is None
    held.close()
    again = locks.try_hold(tmp_path / "serve")
    assert again is not None
    again.close()


@pytest.mark.parametrize("level", ["call"])
def test_a_dead_incarnation_keeps_its_counter(ledger: Ledger, lock_dir: Path, level: str) -> None:
    life = incarnations.register(ledger, lock_dir, NOW)
    store = open_store(ledger.url, Durability(level))
    head = store.write(life.id, NOW, Batch([]))
    assert head is not None
    assert (head.counter, store.standing(life.id)) == (1, 1)
    store.retire(life.id, NOW)
    assert store.write(life.id, NOW, Batch([])) is None
    assert store.standing(life.id) == 1
    assert store.standing(life.id + 1_000) is None
    store.close()
    life.end()
