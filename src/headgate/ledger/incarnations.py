"""Lives of worker processes: who may write, who is dead, and what the dead have left held.

On one host a worker is dead when its lock file can be taken. Lock files judge only incarnations that carry
the random id of their lock directory, so hosts that share a ledger cannot judge each other's.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from headgate.ledger import locks
from headgate.ledger.batch import Balance, spread
from headgate.ledger.engine import Ledger
from headgate.ledger.errors import LedgerUnusable
from headgate.ledger.tables import DAY_NS, attempts, balances, calls, incarnations, ledger_state
from headgate.model.records import AttemptState
from headgate.model.usage import Basis


class Incarnation:
    """One life of one worker: its row's id, and the lock file that is held for as long as it lives."""

    def __init__(self, number: int, lock: locks.FileLock) -> None:
        self.id = number
        self._lock = lock

    def end(self) -> None:
        """Give up the lock file of an incarnation that is marked dead."""
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
        with ledger.write() as connection:
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
    """Mark dead whoever of this lock directory no longer holds its lock file, and settle what they held.

    Returns their ids. Each held attempt becomes `lost`, charged at its hold. Raises LedgerUnusable.
    """
    owner = locks.directory_id(directory)
    living = sa.select(incarnations.c.id).where(incarnations.c.dead_at.is_(None), incarnations.c.lock_dir == owner)
    with ledger.reader().connection() as connection:
        suspects = list(connection.scalars(living))
    taken = {number: lock for number in suspects if (lock := _lock_of(directory, number)) is not None}
    if not taken:
        return []
    try:
        with ledger.write() as connection:
            again = living.where(incarnations.c.id.in_(taken)).order_by(incarnations.c.id)
            dead = list(connection.scalars(again.with_for_update(key_share=True)))
            connection.execute(incarnations.update().where(incarnations.c.id.in_(dead)).values(dead_at=now))
            lose_held(connection, dead)
        for lock in taken.values():
            lock.remove()
    finally:
        for lock in taken.values():
            lock.close()
    return dead


def lose_held(connection: Connection, dead: Sequence[int]) -> int:
    """Turn the held attempts of dead incarnations into lost ones, charged at their hold; return how many.

    A hold of unknown price stays of unknown cost. Balances are charged where a call's row says whose it was.
    """
    held = (
        sa.select(attempts.c.call, attempts.c.no, attempts.c.hold_nano)
        .where(attempts.c.incarnation.in_(dead), attempts.c.state == AttemptState.HELD.value)
        .order_by(attempts.c.call, attempts.c.no)
        .with_for_update(key_share=True)
    )
    rows = connection.execute(held).all()
    sums: dict[tuple[str, str, int], list[int]] = {}
    for row in rows:
        basis = Basis.UNKNOWN if row.hold_nano is None else Basis.ESTIMATED
        connection.execute(
            attempts.update()
            .where(attempts.c.call == row.call, attempts.c.no == row.no)
            .values(state=AttemptState.LOST.value, cost_nano=row.hold_nano, basis=basis.value)
        )
        owner = connection.execute(
            sa.select(calls.c.account, calls.c.key, calls.c.started_at).where(calls.c.id == row.call)
        ).one_or_none()
        if owner is not None and row.hold_nano:
            day = owner.started_at - owner.started_at % DAY_NS
            sums.setdefault((owner.account, owner.key, day), [0, 0, 0])[0] += row.hold_nano
    add_spent(connection, spread(sums))
    return len(rows)


def add_spent(connection: Connection, rows: Sequence[Balance]) -> None:
    """Add to balances, creating the rows that are missing. `rows` are in primary-key order."""
    for scope, scope_id, unit, bucket, amount in rows:
        values = {"scope": scope, "scope_id": scope_id, "unit": unit, "bucket_start": bucket}
        engine = sqlite if connection.dialect.name == "sqlite" else postgresql
        statement = engine.insert(balances).values(**values, spent=amount, held=0)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=list(values), set_={"spent": balances.c.spent + statement.excluded.spent}
            )
        )


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
