"""Workers over a real ledger, whose clocks, commits and deaths are the test's: no thread, no sleep, no signal."""

from __future__ import annotations

import asyncio
import contextlib
import queue
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import msgspec
import sqlalchemy as sa
from sqlalchemy import Connection
from tests.ledger.rows import attempt_row, call_row

from headgate.ledger import incarnations, keys, limits, tables
from headgate.ledger.batch import Batch, Head, Work
from headgate.ledger.connect import Durability
from headgate.ledger.engine import Ledger
from headgate.ledger.errors import StoreAbsent
from headgate.ledger.life import Life
from headgate.ledger.store import Store, open_store
from headgate.ledger.writer import Writer
from headgate.model.identity import Principal
from headgate.model.limit import Answer, Ask, Bound, Grant, HoldFacts, Unit
from headgate.model.records import AttemptRow
from headgate.model.route import Route
from headgate.policy.applicable import Limits

COMMITTED, NOT_COMMITTED = "committed", "not committed"
"""What has become of a commit whose answer was lost."""


class Clock:
    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


class Faulty:
    """A store whose next writes fail as `plan` says, one word each; after that it is well."""

    def __init__(self, store: Store) -> None:
        self.plan: list[str] = []
        self._store = store
        self.open, self.close = store.open, store.close
        self.standing, self.retire = store.standing, store.retire

    def write(self, incarnation: int, now: int, batch: Batch) -> Head | None:
        fault = self.plan.pop(0) if self.plan else ""
        if fault == NOT_COMMITTED:
            raise StoreAbsent("the connection was lost")
        head = self._store.write(incarnation, now, batch)
        if fault == COMMITTED:
            raise StoreAbsent("the connection was lost")
        return head


class FaultyLedger:
    """The same of the transactions beside the batches: late settles, and the begin of another life."""

    def __init__(self, ledger: Ledger) -> None:
        self.plan: list[str] = []
        self.url, self.reader = ledger.url, ledger.reader
        self._write = ledger.write

    @contextlib.contextmanager
    def write(self, **how: Any) -> Iterator[Connection]:
        fault = self.plan.pop(0) if self.plan else ""
        with self._write(**how) as connection:
            yield connection
            if fault == NOT_COMMITTED:
                raise StoreAbsent("the connection was lost")
        if fault == COMMITTED:
            raise StoreAbsent("the connection was lost")


class _Inline:
    """Stands for the event loop: what it is told to call soon is called at once."""

    def call_soon_threadsafe(self, function: Callable[..., object], *arguments: object) -> None:
        function(*arguments)


class _Patient:
    """Stands for the event by which a writer is woken while it pauses: a pause is over at once."""

    def wait(self, timeout: float) -> bool:
        return False


class Worker:
    """A writer without its thread: `commit` is one batch, of all that was submitted."""

    def __init__(self, ledger: Ledger, lock_dir: Path, clock: Clock) -> None:
        self.notes: list[tuple[Call, Running, Work]] = []
        self._ledger = ledger
        writer = self.writer = Writer(ledger, Durability.BATCH, lock_dir, clock=clock, store_clock=clock)
        self.store = Faulty(open_store(ledger.url, Durability.BATCH, clock))
        self.ledger = FaultyLedger(ledger)
        writer._answers.loop = cast("asyncio.AbstractEventLoop", _Inline())
        writer._store = self.store
        writer._life = Life(cast("Ledger", self.ledger), self.store, lock_dir, clock)
        writer._closing = cast("Any", _Patient())
        self.read_limits()

    @property
    def epoch(self) -> int:
        """The one that its last batch has read."""
        return self.writer._epoch

    @property
    def life(self) -> int:
        return self.writer.incarnation

    def read_limits(self) -> None:
        with self._ledger.reader().connection() as connection:
            epoch = keys.read_epoch(connection)
            self.limits = Limits(limits.load_limits(connection), epoch)

    def queued(self) -> list[Work]:
        found: list[Work] = []
        with contextlib.suppress(queue.Empty):
            while True:
                work = self.writer._queue.get_nowait()
                assert work is not None
                found.append(work)
        return found

    def commit(self, works: Sequence[Work], faults: Sequence[str] = (), beside: Sequence[str] = ()) -> None:
        self.store.plan, self.ledger.plan = list(faults), list(beside)
        self.writer._commit(works)
        self.store.plan, self.ledger.plan = [], []
        assert self.writer.bad_rows == 0, "a row was refused"
        notes, self.notes = self.notes, []
        for call, running, work in notes:
            call.take_note(running, work.answer)

    def crash(self, works: Sequence[Work]) -> None:
        """Commit a batch and never hear of it."""
        assert self.writer._life.write(Batch(works)) is not None

    def die(self) -> None:
        """As the kernel does it for a process that was killed."""
        self.writer._life._incarnation._lock.close()
        self.store.close()


@dataclass
class Running:
    """An attempt in flight. `noted`: the ledger was asked to know of it, though no limit holds for it."""

    facts: HoldFacts
    bound: Bound
    grant: Grant | None
    noted: bool = False


@dataclass
class Call:
    """What a call of `runtime/` keeps of its holds, and how it hands them over."""

    id: str
    worker: Worker
    principal: Principal
    session: str | None
    started_at: int
    rows: list[AttemptRow] = field(default_factory=list)
    grants: list[Grant | None] = field(default_factory=list)
    handed: int = 0
    whole: Grant | None = None
    running: Running | None = None
    asked: Work | None = None

    @property
    def may(self) -> tuple[str, ...]:
        """What can happen to it now."""
        if self.asked is not None:
            return ("stop waiting",)
        return ("go on", "leave") if self.running is None else ("end", "fall back", "leave", "not used", "note")

    def facts(self, route: Route, now: int) -> HoldFacts:
        who = self.principal
        asked = (who.account, who.key, self.session, "chat/completions", "fast", route.model, True, self.started_at)
        return HoldFacts(*asked, route.provider.name, route.upstream_name, "", route.model, now, 0, 0, None, ())

    def submit(self, **parts: Any) -> Work:
        """Hand over what was not handed over yet, and more."""
        rows, grants = self.rows[self.handed :], self.grants[self.handed :]
        self.handed = len(self.rows)
        return self.alone(attempts=rows, grants=grants, **parts)

    def alone(self, **parts: Any) -> Work:
        work = Work(self.principal.account, self.principal.key, **parts)
        self.worker.writer.submit(work)
        return work

    def ask(self, ask: Ask, waiter: asyncio.Future[Any]) -> None:
        self.asked = self.submit(ask=ask, waiter=waiter)

    def stop_waiting(self) -> None:
        """Its client has left: what is granted now is not used."""
        asked, self.asked = self.asked, None
        assert asked is not None
        assert asked.waiter is not None
        asked.waiter.cancel()

    def note(self, waiter: asyncio.Future[Any]) -> None:
        running = self.running
        assert running is not None
        if running.grant is None and not running.noted:
            running.noted = True
            facts, epoch = running.facts, self.worker.limits.epoch
            ask = Ask(self.id, len(self.rows) + 1, epoch, running.bound, (), (), facts)
            self.worker.notes.append((self, running, self.alone(ask=ask, waiter=waiter)))

    def take_note(self, running: Running, answer: Answer | None) -> None:
        if isinstance(answer, Grant) and self.running is running:
            running.grant = answer
        elif isinstance(answer, Grant):
            self.alone(released=answer)
        else:
            running.noted = False

    def take_answer(self) -> None:
        if self.asked is None or self.asked.answer is None:
            return
        asked, self.asked = self.asked, None
        if isinstance(asked.answer, Grant):
            assert asked.ask is not None
            if asked.answer.whole:
                self.whole = asked.answer
            self.running = Running(asked.ask.facts, asked.ask.bound, asked.answer)

    def end_attempt(self, cost: str, part: int) -> None:
        """`cost`: nothing, less, all or more of what was held, or unknown; `part` in percent, or tokens more."""
        running, self.running = self.running, None
        assert running is not None
        held = running.facts if running.grant is None else running.grant.facts
        counted = running.grant is not None and any(entry.unit is Unit.USD for entry in running.grant.entries)
        nano: int | None = 50 if running.grant is None else held.nano
        paid, made = nano or 0, held.output
        if cost == "unknown" and counted:
            cost = "all"
        paid = {"nothing": 0, "less": paid * part // 100, "more": paid + part}.get(cost, paid)
        made = {"nothing": 0, "less": made * part // 100, "more": made + part}.get(cost, made)
        known = cost != "unknown" and nano is not None
        self.rows.append(
            attempt_row(
                "",
                len(self.rows) + 1,
                call=self.id,
                provider=running.facts.provider,
                model=running.facts.model,
                started_at=running.facts.started_at,
                input=held.input,
                output=made,
                reasoning=made // 2,
                hold_nano=held.nano,
                cost_nano=paid if known else None,
                basis="computed" if known else "unknown",
                over_nano=max(0, paid - nano) if known and nano is not None and counted else 0,
            )
        )
        self.grants.append(running.grant)

    def release(self) -> None:
        """What it was granted is not used; what the call took with it is given back in one."""
        running, self.running = self.running, None
        grant = None if running is None else running.grant
        if grant is not None:
            fresh = self.whole is grant
            self.whole = None if fresh else self.whole
            self.alone(released=grant if fresh else msgspec.structs.replace(grant, whole=()))

    def finish(self) -> None:
        costs = [row.cost_nano for row in self.rows]
        row = call_row(
            "",
            id=self.id,
            account=self.principal.account,
            key=self.principal.key,
            session=self.session,
            started_at=self.started_at,
            attempts=len(self.rows),
            cost_nano=None if None in costs else sum(cost or 0 for cost in costs),
        )
        whole, self.whole = self.whole, None
        self.submit(call=row, ended=whole)

    def leave(self) -> None:
        whole, self.whole = self.whole, None
        if whole is not None:
            self.alone(ended=whole)


def lives(ledger: Ledger) -> dict[int, int]:
    """{id: counter} of the living."""
    table = tables.incarnations.c
    with ledger.reader().connection() as connection:
        query = sa.select(table.id, table.counter).where(table.dead_at.is_(None))
        return {row.id: row.counter for row in connection.execute(query)}


def sweep(ledger: Ledger, lock_dir: Path, now: int) -> list[int]:
    return incarnations.sweep(ledger, lock_dir, now)
