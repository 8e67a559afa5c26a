"""Lives of worker processes: who may write, and who of this host is dead. What the dead held: `death.py`.

On one host a worker is dead when its lock file can be taken. Lock files judge only incarnations that carry
the random id of their lock directory, so hosts that share a ledger cannot judge each other's.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import sqlalchemy as sa

from headgate.ledger import locks
from headgate.ledger.death import left_over, lose_holds, mark_dead
from headgate.ledger.engine import Ledger
from headgate.ledger.errors import LedgerUnusable
from headgate.ledger.tables import incarnations, ledger_state


class Incarnation:
    """One life of one worker: its row's id, and the lock file that is held for as long as it lives."""

    def __init__(self, number: int, lock: locks.FileLock) -> None:
        self.id = number
        self._lock = lock
        self._ended = False

    def end(self) -> None:
        """Give up the lock file of an incarnation that is marked dead, or gone. Again is harmless."""
        if not self._ended:
            # Once only: the file of this name may be another's later.
            self._ended = True
            self._lock.remove()


def lock_directory(ledger: Ledger, state_dir: Path) -> Path:
    """Return this host's directory of lock files for a ledger: next to SQLite's file, else in `state_dir`."""
    if ledger.url.state_dir is not None:
        return ledger.url.state_dir
    with ledger.reader().connection() as connection:
        number = connection.scalar(sa.select(ledger_state.c.ledger_id))
    return state_dir / f"ledger-{str(number)[:16]}"


def register(ledger: Ledger, directory: Path, now: int) -> Incarnation:
    """Begin a life: a row, and its lock held before anyone can see the row. Raises LedgerUnusable."""
    owner = locks.directory_id(directory)
    lock: locks.FileLock | None = None
    try:
        with ledger.write(brief=True) as connection:
            statement = incarnations.insert().values(
                host=socket.gethostname(),
                pid=os.getpid(),
                lock_dir=owner,
                counter=0,
                started_at=now,
                seen_at=now,
            )
            number = int(connection.execute(statement.returning(incarnations.c.id)).scalar_one())
            lock = _lock_of(directory, number)
            if lock is None:
                _refuse_stranger(_lock_path(directory, number))
    except BaseException:  # passed on: the lock file must not stay whatever happened
        if lock is not None:
            lock.remove()
        raise
    return Incarnation(number, lock)


def _refuse_stranger(path: Path) -> NoReturn:
    raise LedgerUnusable(
        f"Another process holds {path}: it serves a ledger that stood here before. "
        f"Stop it first; find it with: fuser {path}"
    )


def sweep(ledger: Ledger, directory: Path, now: int) -> list[int]:
    """Mark dead whoever of this lock directory no longer holds its lock file; return their ids. Raises LedgerError.

    What they held is lost, and so is what others held who are marked dead already.
    """
    owner = locks.directory_id(directory)
    living = sa.select(incarnations.c.id).where(incarnations.c.dead_at.is_(None), incarnations.c.lock_dir == owner)
    with ledger.reader().connection() as connection:
        suspects = list(connection.scalars(living))
    taken = {number: lock for number in suspects if (lock := _lock_of(directory, number)) is not None}
    dead = _mark(ledger, living, taken, now) if taken else []
    with ledger.reader().connection() as connection:
        rest = left_over(connection)
    if rest:
        with ledger.write(brief=True) as connection:
            lose_holds(connection, rest)
    return dead


def _mark(ledger: Ledger, living: sa.Select[Any], taken: Mapping[int, locks.FileLock], now: int) -> list[int]:
    """Mark dead those of the living whose lock files are taken here; the files go."""
    try:
        with ledger.write(brief=True) as connection:
            again = living.where(incarnations.c.id.in_(taken)).order_by(incarnations.c.id)
            dead = list(connection.scalars(again.with_for_update(key_share=True)))
            mark_dead(connection, dead, now)
        for lock in taken.values():
            lock.remove()
    finally:
        for lock in taken.values():
            lock.close()
    return dead


def _lock_path(directory: Path, number: int) -> Path:
    return directory / f"incarnation-{number}.lock"


def _lock_of(directory: Path, number: int) -> locks.FileLock | None:
    try:
        return locks.try_hold(_lock_path(directory, number))
    except OSError as error:
        raise LedgerUnusable(
            f"Cannot use the lock directory {directory}: {error.strerror}. "
            f"Make it writable for this user: chmod u+rwx {directory}"
        ) from error
