"""Calls as `runtime/` makes them: what they hold, and how they hand it over to their worker's writer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from tests.ledger.rows import attempt_row, call_row

from headgate.ledger.batch import Work
from headgate.model.identity import Principal
from headgate.model.limit import Answer, Ask, Bound, Grant, HoldFacts, Unit
from headgate.model.records import AttemptRow
from headgate.model.route import Route

if TYPE_CHECKING:
    from tests.properties.limits_rig import Worker


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
