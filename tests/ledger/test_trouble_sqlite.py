"""What can be wrong with a file, and with the disk below it."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest
from tests.ledger.rows import attempt_row, call_row, until, work_of

from headgate.ledger import incarnations, locks
from headgate.ledger.connect import Durability
from headgate.ledger.engine import open_ledger
from headgate.ledger.errors import LedgerUnusable
from headgate.ledger.writer import Pace, Writer

ROOT = Path(__file__).parents[2]


def run(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_to_type_about_a_foreign_file_moves_nothing_and_is_quoted(tmp_path: Path) -> None:
    """A ledger may be a link: advice to move its target away would be about any file of the machine."""
    foreign = tmp_path / "a b; touch c"
    foreign.write_text("no database, and longer than a header of one" * 4)
    (tmp_path / "headgate.db").symlink_to(foreign)
    with pytest.raises(LedgerUnusable, match="is not an SQLite database") as caught:
        open_ledger(f"sqlite:///{tmp_path / 'headgate.db'}").migrate()
    typed = str(caught.value).partition("what it is: ")[2].partition("; then ")[0]
    assert shlex.split(typed) == ["file", str(foreign)]


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnusable, match=f"mkdir -p {tmp_path}/no"):
        open_ledger(f"sqlite:///{tmp_path}/no/l.db").migrate()


def test_a_directory_is_not_a_ledger(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnusable, match="is a directory"):
        open_ledger(f"sqlite:///{tmp_path}").migrate()


def test_a_file_of_another_kind_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes\n" * 1_000)
    handle = open_ledger(f"sqlite:///{path}")
    with pytest.raises(LedgerUnusable, match="is not an SQLite database") as caught:
        handle.migrate()
    assert str(path) in str(caught.value)
    assert path.read_text() == "my notes\n" * 1_000


def test_a_ledger_that_is_not_there_is_not_created_by_questions(tmp_path: Path) -> None:
    handle = open_ledger(f"sqlite:///{tmp_path}/l.db")
    with pytest.raises(LedgerUnusable, match="headgate serve"):
        handle.reader().usage()
    with pytest.raises(LedgerUnusable, match="headgate serve"), handle.write():
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_file_says_so() -> None:
    # Root may write anything, so the child becomes somebody else; tmp_path may be closed to them.
    folder = Path(tempfile.mkdtemp())
    try:
        folder.chmod(0o755)
        handle = open_ledger(f"sqlite:///{folder}/l.db")
        handle.migrate()
        handle.close()
        for path in (folder, *folder.rglob("*")):
            path.chmod(path.stat().st_mode & 0o555)
        said = run(
            """
            import os, sys
            import psycopg, alembic.command, sqlalchemy.dialects.sqlite
            from headgate.ledger.engine import open_ledger
            from headgate.ledger.errors import LedgerUnusable
            if os.geteuid() == 0:
                os.setuid(65534)
            try:
                open_ledger(sys.argv[1]).migrate()
            except LedgerUnusable as error:
                print(error)
            """,
            f"sqlite:///{folder}/l.db",
        )
        assert "read-only" in said
        assert "chmod u+w" in said
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """The limit on a file's size stands for the disk's end; it is lifted again."""
    said = run(
        """
        import asyncio, os, resource, sys
        from pathlib import Path
        from headgate.ledger import incarnations
        from headgate.ledger.connect import Durability
        from headgate.ledger.engine import open_ledger
        from headgate.ledger.writer import Pace, Writer
        from tests.ledger.rows import attempt_row, call_row, work_of

        async def main():
            ledger = open_ledger(sys.argv[1])
            ledger.migrate()
            loop = asyncio.get_running_loop()
            writer = Writer(ledger, Durability.CALL, incarnations.lock_directory(ledger, Path()),
                            pace=Pace(unavailable_after=0.1))
            writer.start(loop)
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, hard))
            waiters = []
            while writer.retries < 2:
                number = len(waiters)
                waiters.append(loop.create_future())
                writer.submit(work_of(call_row(number, facts=b"x" * 1000), (attempt_row(number),), waiters[-1]))
                await asyncio.sleep(0.001)
            while writer.available:
                await asyncio.sleep(0.01)
            print("open", any(not waiter.done() for waiter in waiters))
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            await asyncio.gather(*waiters)
            print("available", writer.available, "bad", writer.bad_rows)
            await writer.close(10)
            usage = ledger.reader().usage()[0]
            print("all", usage.requests == len(waiters))
            requests = [row.spent for row in ledger.reader().balances("key", "key_ci") if row.unit == "requests"]
            print("once", requests == [len(waiters)] * 2)

        asyncio.run(main())
        """,
        f"sqlite:///{tmp_path}/l.db",
    )
    assert said.splitlines() == ["open True", "available True bad 0", "all True", "once True"]


async def test_a_writer_that_does_not_get_its_turn_is_unavailable_then_recovers(tmp_path: Path) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path}/l.db")
    ledger.migrate()
    directory = incarnations.lock_directory(ledger, tmp_path)
    writer = Writer(ledger, Durability.CALL, directory, pace=Pace(unavailable_after=0.05))
    loop = asyncio.get_running_loop()
    writer.start(loop)
    turn = locks.Turn(directory)
    turn.take()
    waiter = loop.create_future()
    writer.submit(work_of(call_row(1), (attempt_row(1),), waiter))
    await until(lambda: not writer.available)
    assert not waiter.done()
    turn.give_back()
    await waiter
    assert writer.available
    turn.close()
    assert await writer.close(10)
    ledger.close()


async def test_closing_gives_up_in_time_and_says_what_is_missing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path}/l.db")
    ledger.migrate()
    writer = Writer(ledger, Durability.CALL, incarnations.lock_directory(ledger, tmp_path))
    loop = asyncio.get_running_loop()
    writer.start(loop)
    other = sqlite3.connect(tmp_path / "l.db", isolation_level=None)
    other.execute("ALTER TABLE calls RENAME TO gone")
    waiter = loop.create_future()
    writer.submit(work_of(call_row("lost"), (attempt_row("lost"),), waiter))
    await until(lambda: writer.retries)
    assert not await writer.close(0.01)
    with pytest.raises(LedgerUnusable, match="stopped"):
        await waiter
    assert "call-lost is not in the ledger" in caplog.text
    other.close()
    ledger.close()
