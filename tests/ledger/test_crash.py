"""Processes that are killed, and processes that write at once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headgate.ledger import incarnations
from headgate.ledger.engine import Ledger

ROOT = Path(__file__).parents[2]
LOAD = """
import asyncio, itertools, os, sys
from pathlib import Path
from headgate.ledger.connect import Durability
from headgate.ledger.engine import open_ledger
from headgate.ledger.writer import Writer
from tests.ledger.rows import attempt_row, call_row, work_of

async def client(writer, name, numbers):
    loop = asyncio.get_running_loop()
    for number in numbers:
        call_id = f"{os.getpid()}-{name}-{number}"
        waiter = loop.create_future()
        writer.submit(work_of(call_row(call_id), (attempt_row(call_id),), waiter))
        await waiter
        print(f"call-{call_id}", flush=True)

async def main():
    writer = Writer(open_ledger(sys.argv[1]), Durability.CALL, Path(sys.argv[2]))
    writer.start(asyncio.get_running_loop())
    numbers = lambda: range(int(sys.argv[3])) if len(sys.argv) > 3 else itertools.count()
    await asyncio.gather(*(client(writer, name, numbers()) for name in range(8)))
    assert await writer.close(10)

asyncio.run(main())
"""


@contextmanager
def load(url: str, lock_dir: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", LOAD, url, str(lock_dir), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"},
    ) as child:
        yield child


def test_whatever_was_acknowledged_before_a_kill_is_in(ledger: Ledger, ledger_url: str, lock_dir: Path) -> None:
    with load(ledger_url, lock_dir) as child:
        assert child.stdout is not None
        seen = [child.stdout.readline().strip() for _ in range(500)]
        child.kill()
        # The last line may be cut in the middle.
        seen += [line.strip() for line in child.stdout.readlines() if line.endswith("\n")]
    reader = ledger.reader()
    while True:  # the last commit of the killed process may still be under way in the store
        there = {row["id"] for row in reader.calls(limit=10**6)}
        counted = [row.spent for row in reader.balances("key", "key_ci") if row.unit == "requests"]
        if len(there) == len({row["id"] for row in reader.calls(limit=10**6)}):
            break
    assert set(seen) <= there
    assert counted == [len(there)] * 2
    assert len(incarnations.sweep(ledger, lock_dir, 1)) == 1


def test_several_processes_write_at_once_and_no_sum_is_lost(ledger: Ledger, ledger_url: str, lock_dir: Path) -> None:
    with load(ledger_url, lock_dir, "50") as one, load(ledger_url, lock_dir, "50") as two:
        for child in (one, two):
            assert len(child.communicate()[0].splitlines()) == 400
            assert child.returncode == 0
    assert ledger.reader().usage()[0].requests == 800
    counted = {(row.unit, row.spent) for row in ledger.reader().balances("account", "acme")}
    assert counted == {("requests", 800), ("usd", 800_000), ("tokens", 800 * 177)}
    assert incarnations.sweep(ledger, lock_dir, 1) == []
