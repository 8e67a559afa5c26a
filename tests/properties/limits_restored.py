"""The same machine over a store that goes back in time: a copy of its file takes its place.

From then on no model says what must be where; what must hold is said at rest: see `at_rest_again`.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import msgspec
import sqlalchemy as sa
from hypothesis import reject
from hypothesis import strategies as st
from tests.properties.limits_acts import busy, faults
from tests.properties.limits_arithmetic import DAY, Key, Place, period, tokens_of
from tests.properties.limits_machine import LimitsMachine
from tests.properties.limits_rig import Stuck, Worker
from tests.properties.limits_world import World, balances, epoch_of

from headgate.ledger import limits as ledger_limits
from headgate.ledger import tables
from headgate.ledger.engine import Ledger
from headgate.model.limit import Entry, HoldFacts, Unit
from headgate.model.records import AttemptRow


class RestoredMachine(LimitsMachine):
    """What a living worker was told is in, comes back; nothing stays held, and all sums agree."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        assert self.ledger.url.path is not None
        self.path = self.ledger.url.path
        self.copy = self.path.with_suffix(".copy")
        self.playable = True
        self.must_be_in: list[tuple[Worker, set[str], set[Key]]] = []

    @busy()
    def the_file_is_copied(self) -> None:
        self.copy.unlink(missing_ok=True)
        with closing(sqlite3.connect(self.path)) as source, closing(sqlite3.connect(self.copy)) as target:
            source.backup(target)

    @busy(soon=st.booleans(), store=faults, beside=faults)
    def the_copy_takes_its_place(self, soon: bool, store: list[str], beside: list[str]) -> None:
        if not self.copy.exists():
            return
        for worker in self.workers:
            worker.lose_connection()
            worker.pause.others = self._others_beat
        self.ledger.close()
        for path in (self.path, Path(f"{self.path}-wal"), Path(f"{self.path}-shm")):
            path.unlink(missing_ok=True)
        with closing(sqlite3.connect(self.copy)) as source, closing(sqlite3.connect(self.path)) as target:
            source.backup(target)
            target.execute("PRAGMA journal_mode=WAL")
        self.followed = False
        self._read_limits()
        self._remember_promises()
        for worker in self.workers if soon else ():
            self._commit(worker, store, beside)

    def _new_worker(self) -> Worker:
        """None begins while one lives that does not know yet that its ledger is another."""
        self._others_beat()
        return super()._new_worker()

    def _others_beat(self) -> None:
        """While one pauses, the others notice: each at its next heartbeat, with nothing to write."""
        for worker in self.workers:
            if worker.cut_off:
                self._beats(worker)

    def _beats(self, worker: Worker) -> None:
        """One that gets the number of another, which does not know yet that its ledger is gone, waits for its lock."""
        try:
            worker.beat()
        except Stuck:
            self.playable = False
            reject()

    def _read_limits(self) -> None:
        with self.ledger.reader().connection() as connection:
            found = ledger_limits.list_limits(connection, everything=True)
            known = {limit.id for limit in ledger_limits.load_limits(connection)}
        self.model.limits = {limit.id: limit for limit in found}
        self.model.removed = set(self.model.limits) - known
        self.model.epoch = epoch_of(self.ledger)

    def _remember_promises(self) -> None:
        """What is in by the present life of a worker is remembered by it, and nothing else is.

        The rest is forgotten here: a later life may get the number of the one that had promised it.
        """
        self.promised = [one for one in self.promised if one[0] in self.workers and one[0].life == one[1]]
        self.must_be_in = [(worker, calls, attempts) for worker, _, calls, attempts in self.promised]

    def _come_to_rest(self) -> None:
        if not self.playable:
            return
        super()._come_to_rest()
        if not self.followed:
            calls = {one for worker, found, _ in self.must_be_in if worker in self.workers for one in found}
            tries = {one for worker, _, found in self.must_be_in if worker in self.workers for one in found}
            at_rest_again(self.ledger, self, calls, tries)


def at_rest_again(ledger: Ledger, machine: LimitsMachine, calls: set[str], tries: set[Key]) -> None:
    """All of `calls` and `tries` are in; limits and usage have spent what the attempts cost that are in."""
    model = machine.model
    with ledger.reader().connection() as connection:
        rows = [AttemptRow(*row) for row in connection.execute(sa.select(tables.attempts))]
        fixes = connection.execute(sa.select(tables.adjustments)).all()
        lost = {(row.call, row.no): row.facts for row in connection.execute(sa.select(tables.lost_holds))}
        known = {row.id: row for row in connection.execute(sa.select(tables.calls))}
        kept = connection.execute(sa.select(tables.balances)).all()
    assert calls <= set(known)
    assert tries <= {(row.call, row.no) for row in rows}
    spent: Counter[Place] = Counter()
    usage: Counter[tuple[str, str, str, int]] = Counter()
    for row in rows:
        key = (row.call, row.no)
        cost = (row.cost_nano or 0) + sum(fix.delta_nano for fix in fixes if (fix.call, fix.no) == key)
        amounts = {Unit.USD: cost, Unit.TOKENS: tokens_of(row)}
        for entry in _entries(machine, key, lost):
            if entry.unit in amounts and entry.limit not in model.unsteady:
                spent[(entry.limit, entry.subject, period(model.limits[entry.limit], entry.bucket))] += amounts[
                    entry.unit
                ]
        facts = model.facts[key]
        for scope, name in (("account", facts.account), ("key", facts.key)):
            for at in (0, facts.started_at // DAY * DAY):
                usage[(scope, name, "usd", at)] += cost
                usage[(scope, name, "tokens", at)] += tokens_of(row)
    found = {
        place: amount
        for place, (amount, _) in balances(ledger, model).items()
        if place[0] not in model.unsteady and model.limits[place[0]].unit in (Unit.USD, Unit.TOKENS)
    }
    assert found == {place: amount for place, amount in spent.items() if amount}
    said = {(row.scope, row.scope_id, row.unit, row.bucket_start): row.spent for row in kept if row.unit != "requests"}
    assert {key: amount for key, amount in said.items() if amount} == {key: n for key, n in usage.items() if n}


def _entries(machine: LimitsMachine, key: Key, lost: dict[Key, str]) -> tuple[Entry, ...]:
    if key in lost:
        return msgspec.json.decode(lost[key], type=HoldFacts).entries
    grant = machine.granted.get(key)
    return grant.entries if grant is not None else ()
