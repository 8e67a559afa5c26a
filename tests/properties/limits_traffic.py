"""Calls on their workers, and what each batch must do: the half of the machine that has no rules."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from hypothesis.stateful import RuleBasedStateMachine
from tests.properties.limits_acts import BOUNDS, STEPS, Act
from tests.properties.limits_arithmetic import SECOND, Key, first_counted
from tests.properties.limits_calls import Call, Running
from tests.properties.limits_model import Model
from tests.properties.limits_rig import Clock, Worker
from tests.properties.limits_world import PRINCIPALS, ROUTES, World

from headgate.ledger.batch import Work
from headgate.model.limit import Answer, Ask, Bound, Grant, Refusal, Shortage, Stale, Unit
from headgate.model.route import Route


class Traffic(RuleBasedStateMachine):
    """Workers and their calls over one ledger; `model` knows what it must say, as long as `followed` is true."""

    clock: Clock
    model: Model

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.ledger, self.lock_dir = world.fresh()
        self.workers: list[Worker] = []
        self.calls: list[Call] = []
        self.killed: set[int] = set()
        self.number = 0
        self.followed = True
        self.granted: dict[Key, Grant] = {}
        self.promised: list[tuple[Worker, int, set[str], set[Key]]] = []

    # -- calls -----------------------------------------------------------------------------------------

    def act(self, act: Act) -> None:
        if act.what == "commit":
            self._commit(self._worker(act.one))
            return
        if act.what == "tick":
            self._step(STEPS[act.one % len(STEPS)])
            return
        if act.what == "begin":
            self.number += 1
            call = Call(f"call-{self.number}", self._worker(act.one), PRINCIPALS[act.who], act.session, self.clock.now)
            self.calls.append(call)
            self._try(call, ROUTES[act.route], BOUNDS[act.bound])
            return
        found = [call for call in self.calls if act.what in call.may]
        if not found:
            return
        call = found[act.one % len(found)]
        match act.what:
            case "end":
                call.end_attempt(act.cost, act.part)
                self._end(call)
            case "fall back":
                call.end_attempt(act.cost, act.part)
                self._try(call, ROUTES[act.route], BOUNDS[act.bound])
            case "go on":
                self._try(call, ROUTES[act.route], BOUNDS[act.bound])
            case "leave":
                call.leave()
            case "stop waiting":
                call.stop_waiting()
                self._end(call)
            case "not used":
                call.release()
                self._end(call)
            case "note":
                call.note(self.world.loop.create_future())

    def _step(self, seconds: int) -> None:
        self.clock.now += seconds * SECOND
        self.model.now = self.clock.now

    def _worker(self, one: int) -> Worker:
        return self.workers[one % len(self.workers)]

    def _try(self, call: Call, route: Route, bound: Bound) -> None:
        facts = self.model.facts[(call.id, len(call.rows) + 1)] = call.facts(route, self.clock.now)
        limits = call.worker.limits
        own, whole = limits.apply(call.principal, call.session, route) or ((), ())
        if self.followed and limits.epoch == self.model.epoch:
            found = [{(one.limit.id, one.subject) for one in part} for part in (own, whole)]
            assert found == list(self.model.applicable(facts, call.principal.key_name))
        if not bound.priced and any(one.limit.unit is Unit.USD for one in own):
            bound = msgspec.structs.replace(bound, input_rate=1_300_000)
        if call.whole is not None:
            whole = ()
        if own or whole:
            ask = Ask(call.id, len(call.rows) + 1, limits.epoch, bound, tuple(own), tuple(whole), facts)
            call.ask(ask, self.world.loop.create_future())
        else:
            call.running = Running(facts, bound, None)

    def _end(self, call: Call) -> None:
        call.finish()
        self.calls.remove(call)

    # -- commits ---------------------------------------------------------------------------------------

    def _commit(self, worker: Worker, store: Sequence[str] = (), beside: Sequence[str] = ()) -> None:
        works = worker.queued()
        copies = [msgspec.structs.replace(work) for work in works]
        worker.commit(works, store, beside)
        self._promised(works, worker)
        if self.followed:
            self._follow(copies, works, worker)
        if worker.epoch != worker.limits.epoch:
            worker.read_limits()
        for call in self.calls:
            call.take_answer()

    def _promised(self, works: Sequence[Work], worker: Worker) -> None:
        """What is known to be in, by the life that wrote it."""
        calls = {work.call.id for work in works if work.call is not None}
        attempts = {(row.call, row.no) for work in works for row in work.attempts}
        self.promised.append((worker, worker.life, calls, attempts))
        for work in works:
            if isinstance(work.answer, Grant):
                self.granted[(work.answer.call, work.answer.no)] = work.answer

    def _follow(self, copies: Sequence[Work], works: Sequence[Work], worker: Worker) -> None:
        """Do in the model what the works did, as they were handed over; their answers must be the model's."""
        refused = {id(work) for work in copies if self._meets_the_lost(work)}
        for work in copies:
            self._late(work)
        for group in _halved(list(zip(copies, works, strict=True)), refused):
            for work, _ in group:
                self._settled(work)
            for work, answered in group:
                if work.ask is not None:
                    self._decided(work.ask, answered.answer)
                    over = any(other.call is not None and other.call.id == work.ask.call for other, _ in group)
                    if work.attempts and not over and not isinstance(answered.answer, Grant):
                        self.model.wait(work.ask, worker.life)

    def _late(self, work: Work) -> None:
        """What was lost is corrected before all else, and its call's row written with it."""
        model, settled = self.model, [row for row in work.attempts if (row.call, row.no) in self.model.tries]
        for row in settled:
            model.settle(row, held=True)
        if settled:
            model.record(work.call)
            work.call = None
        kept = [pair for pair in zip(work.attempts, work.grants, strict=True) if pair[0] not in settled]
        work.attempts, work.grants = [row for row, _ in kept], [grant for _, grant in kept]
        if work.released is not None and model.is_lost(work.released.call, work.released.no):
            model.release(work.released)
            work.released = None

    def _meets_the_lost(self, work: Work) -> bool:
        """Whether a row of it stands in the ledger already, and its hold does not tell that it is late."""
        lost = [
            grant for row, grant in zip(work.attempts, work.grants, strict=True) if self.model.is_lost(row.call, row.no)
        ]
        known = work.call is not None and work.call.id in self.model.calls
        return None in lost or (known and not lost)

    def _settled(self, work: Work) -> None:
        for row, grant in zip(work.attempts, work.grants, strict=True):
            self.model.settle(row, held=grant is not None)
        if work.released is not None:
            self.model.release(work.released)
        if work.ended is not None:
            self.model.give_back(work.ended.call)
        self.model.record(work.call)

    def _decided(self, ask: Ask, answer: Answer | None) -> None:
        model = self.model
        if ask.epoch != model.epoch:
            assert answer == Stale(model.epoch)
            return
        output, refusing = model.decide(ask)
        if refusing:
            assert isinstance(answer, Refusal), (answer, refusing)
            assert answer.wanted == refusing[answer.standing.limit.id]
            assert (answer.shortage is Shortage.QUOTA) == model.never(refusing, ask)
        else:
            assert isinstance(answer, Grant), answer
            assert answer.output == output
            model.take(ask, output, answer.incarnation)
        for standing in answer.standings if isinstance(answer, Grant) else (answer.standing,):
            since = first_counted(standing.limit, model.now)
            assert standing.spent + standing.held == model.used((standing.limit.id, standing.subject), since)


def _halved(works: list[tuple[Work, Work]], refused: set[int]) -> list[list[tuple[Work, Work]]]:
    """A batch that is refused for some of its works is halved until each of them stands alone."""
    if len(works) == 1 or not any(id(work) in refused for work, _ in works):
        return [works]
    middle = len(works) // 2
    return [*_halved(works[:middle], refused), *_halved(works[middle:], refused)]
