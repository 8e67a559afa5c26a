"""Any order of calls, failures, deaths and changes: caps hold after every step, and at rest the sums are the rows'.

The ledger of each engine is compared with the model of `limits_model.py` after every step.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from tests.properties.limits_model import Model
from tests.properties.limits_rig import COMMITTED, NOT_COMMITTED, Call, Clock, Running, Worker, lives, sweep
from tests.properties.limits_world import (
    CATALOG,
    PRINCIPALS,
    ROUTES,
    SESSIONS,
    World,
    at,
    at_rest,
    balances,
    differences,
    epoch_of,
    key_name,
)

from headgate.ledger import corrections, death
from headgate.ledger import limits as ledger_limits
from headgate.ledger.batch import Work
from headgate.ledger.engine import Ledger
from headgate.model.limit import Answer, Ask, Bound, Grant, Limit, Refusal, Shortage, Stale, Unit
from headgate.model.route import Route

SECOND = 1_000_000_000
STARTS = (
    at(2026, 3, 28, 21),  # the night in which Berlin's clocks go forward
    at(2026, 10, 31, 22),  # the end of a month, the night in which Havana's go back
    at(2026, 12, 31, 22),
)
STEPS = (1, 40, 300, 3_600, 7 * 3_600, 86_400, 32 * 86_400, -1, -3_600, -5 * 3_600, -26 * 3_600)
"""Seconds."""

ONE = Bound(10, 20, 40, 8, 1, 1_300_000, 2_700_001)
BOUNDS = (
    ONE,
    ONE,
    msgspec.structs.replace(ONE, lowerable=True),
    msgspec.structs.replace(ONE, input=0, n=3, output=12, least=12, request=7),
    msgspec.structs.replace(ONE, input_rate=0, output_rate=0),
    msgspec.structs.replace(ONE, output=0, least=0, input_most=10),
    msgspec.structs.replace(ONE, input_rate=None),
)


class Act(NamedTuple):
    """Something that a call or a worker does; `one` says which, numbers count in PRINCIPALS, ROUTES and BOUNDS."""

    what: str
    one: int
    who: int
    session: str | None
    route: int
    bound: int
    cost: str
    part: int


WHATS = ("begin", "begin", "begin", "end", "end", "fall back", "fall back", "go on", "commit", "commit", "commit")
RARE = ("leave", "stop waiting", "not used", "note")
which = st.integers(0, 255)
acts = st.builds(
    Act,
    st.sampled_from([*WHATS, *WHATS, *RARE]),
    which,
    st.integers(0, len(PRINCIPALS) - 1),
    st.sampled_from(SESSIONS),
    st.integers(0, len(ROUTES) - 1),
    st.integers(0, len(BOUNDS) - 1),
    st.sampled_from(["all", "less", "nothing", "more", "unknown"]),
    st.integers(0, 100),
)
faults = st.lists(st.sampled_from([COMMITTED, NOT_COMMITTED, ""]), max_size=3)
caps = st.integers(300, 5_000) | st.integers(60, 1_500) | st.integers(0, 5)


def busy(**strategies: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Any]:
    """A rule before which calls go on: rules that hypothesis leaves out of an example must not leave it idle."""

    def wrap(function: Callable[..., None]) -> Any:
        @rule(traffic=st.lists(acts, min_size=2, max_size=8), **strategies)
        @functools.wraps(function)
        def run(self: LimitsMachine, traffic: Sequence[Act], **given: Any) -> None:
            for act in traffic:
                self.act(act)
            function(self, **given)

        return run

    return wrap


class LimitsMachine(RuleBasedStateMachine):
    """Workers, their calls, an operator and a clock; `model` knows what the ledger must say."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.ledger, self.lock_dir = world.fresh()
        self.workers: list[Worker] = []
        self.calls: list[Call] = []
        self.killed: set[int] = set()
        self.number = 0

    @initialize(
        start=st.sampled_from(STARTS),
        chosen=st.dictionaries(st.sampled_from(range(len(CATALOG))), caps, min_size=1, max_size=7),
        workers=st.integers(1, 3),
    )
    def begin(self, start: int, chosen: dict[int, int], workers: int) -> None:
        self.clock = Clock(start)
        self.model = Model(start)
        for number, cap in chosen.items():
            self._set(msgspec.structs.replace(CATALOG[number], cap=cap))
        for _ in range(workers):
            self.workers.append(Worker(self.ledger, self.lock_dir, self.clock))

    # -- calls -----------------------------------------------------------------------------------------

    def act(self, act: Act) -> None:
        if act.what == "commit":
            self._commit(self._worker(act.one))
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

    def _worker(self, one: int) -> Worker:
        return self.workers[one % len(self.workers)]

    def _try(self, call: Call, route: Route, bound: Bound) -> None:
        facts = self.model.facts[(call.id, len(call.rows) + 1)] = call.facts(route, self.clock.now)
        limits = call.worker.limits
        own, whole = limits.apply(call.principal, call.session, route) or ((), ())
        if limits.epoch == self.model.epoch:
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

    @busy()
    def nothing_else_happens(self) -> None:
        pass

    @busy(one=which, store=faults, beside=faults)
    def answers_of_commits_are_lost(self, one: int, store: Sequence[str], beside: Sequence[str]) -> None:
        self._commit(self._worker(one), store, beside)

    def _commit(self, worker: Worker, store: Sequence[str] = (), beside: Sequence[str] = ()) -> None:
        works = worker.queued()
        copies = [msgspec.structs.replace(work) for work in works]
        worker.commit(works, store, beside)
        self._follow(copies, works, worker)
        if worker.epoch != worker.limits.epoch:
            worker.read_limits()
        for call in self.calls:
            call.take_answer()

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

    # -- deaths ----------------------------------------------------------------------------------------

    @busy(one=which, commits=st.booleans())
    def a_worker_is_killed(self, one: int, commits: bool) -> None:
        """Before its last batch, or after its commit and before anybody heard of it."""
        number = one % len(self.workers)
        worker = self.workers[number]
        works = worker.queued()
        copies = [msgspec.structs.replace(work) for work in works]
        meets = any(self._meets_the_lost(work) for work in works)
        if commits and worker.life in lives(self.ledger) and not meets:
            worker.crash(works)
            self._follow(copies, works, worker)
        worker.die()
        self.killed.add(worker.life)
        self.calls = [call for call in self.calls if call.worker is not worker]
        self.workers[number] = Worker(self.ledger, self.lock_dir, self.clock)

    @busy(one=which)
    def a_paused_worker_is_taken_for_dead(self, one: int) -> None:
        life = self._worker(one).life
        counter = lives(self.ledger).get(life)
        if counter is not None:
            assert death.declare_dead(self.ledger, {life: counter + 1}, self.clock.now) == []
            assert death.declare_dead(self.ledger, {life: counter}, self.clock.now) == [life]
            self.model.die(life)

    @busy()
    def the_dead_are_swept(self) -> None:
        self._sweep()

    def _sweep(self) -> None:
        dead = set(sweep(self.ledger, self.lock_dir, self.clock.now))
        assert self.killed & set(lives(self.ledger)) == set()
        assert dead & {worker.life for worker in self.workers} == set()
        for life in self.killed:
            self.model.die(life)
        self.killed.clear()

    # -- people and clocks -----------------------------------------------------------------------------

    @busy(seconds=st.sampled_from(STEPS))
    def the_clock_steps(self, seconds: int) -> None:
        self.clock.now += seconds * SECOND
        self.model.now = self.clock.now

    @busy(one=which, cap=caps, clamp=st.booleans())
    def a_cap_changes(self, one: int, cap: int, clamp: bool) -> None:
        """Of a limit in force, or of one that comes back."""
        known = list(self.model.limits.values())
        self._set(msgspec.structs.replace(known[one % len(known)], cap=cap, clamp=clamp))

    @busy(one=which)
    def a_limit_is_removed(self, one: int) -> None:
        known = [number for number in self.model.limits if number not in self.model.removed]
        if known:
            with self.ledger.write() as connection:
                removed = ledger_limits.remove_limit(connection, known[one % len(known)], self.clock.now)
            self.model.removed.add(removed)
            self.model.unsteady.add(removed)
            self._read_epoch()

    def _set(self, limit: Limit) -> None:
        with self.ledger.write() as connection:
            made = ledger_limits.set_limit(connection, limit, self.clock.now)
        self.model.limits[made.id] = made
        self._read_epoch()
        if made.id in self.model.removed:
            self.model.removed.remove(made.id)
            self.model.came_back(made.id, balances(self.ledger, self.model))

    def _read_epoch(self) -> None:
        epoch = epoch_of(self.ledger)
        assert epoch > self.model.epoch
        self.model.epoch = epoch

    @busy(one=which, nano=st.integers(0, 400))
    def a_person_says_what_an_attempt_cost(self, one: int, nano: int) -> None:
        known = [key for key in self.model.tries if key[0] in self.model.calls]
        if known:
            call, no = known[one % len(known)]
            with self.ledger.write() as connection:
                corrections.settle_by_hand(
                    connection, call, no, nano, author="ann", reason="the bill", now=self.clock.now
                )
            self.model.by_hand(call, no, nano, key_name(self.model.tries[(call, no)].facts.key))

    # -- what must hold --------------------------------------------------------------------------------

    @invariant()
    def the_ledger_is_as_the_model_has_it(self) -> None:
        found = differences(self.ledger, self.model)
        assert not found, found

    @invariant()
    def no_cap_is_passed_but_by_what_exceeded_its_hold(self) -> None:
        for owner, last in self.model.last.items():
            assert self.model.used(owner, last.since) <= last.cap + last.excess, owner

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:
                self._come_to_rest()
        finally:
            for worker in self.workers:
                worker.die()
            self.world.done(self.ledger)

    def _come_to_rest(self) -> None:
        """Every call ends, every batch commits, and the dead are swept."""
        waiting = True
        while waiting:
            for call in list(self.calls):
                if call.running is not None:
                    call.end_attempt("all", 0)
                if call.asked is None:
                    self._end(call)
            waiting = False
            for worker in self.workers:
                works = worker.queued()
                for work in works:
                    worker.writer.submit(work)
                self._commit(worker)
                waiting = waiting or bool(works)
        self._sweep()
        self.the_ledger_is_as_the_model_has_it()
        assert not any(self.model.held.values())
        assert not self.model.open
        found = at_rest(self.ledger, self.model)
        assert not found, found


def _halved(works: list[tuple[Work, Work]], refused: set[int]) -> list[list[tuple[Work, Work]]]:
    """A batch that is refused for some of its works is halved until each of them stands alone."""
    if len(works) == 1 or not any(id(work) in refused for work, _ in works):
        return [works]
    middle = len(works) // 2
    return [*_halved(works[:middle], refused), *_halved(works[middle:], refused)]


@pytest.fixture
def world(ledger: Ledger, tmp_path: Path) -> Iterator[World]:
    made = World(ledger, tmp_path)
    yield made
    made.close()


SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
SHORT = settings(
    max_examples=60, stateful_step_count=25, deadline=None, report_multiple_bugs=False, suppress_health_check=SLOW
)
LONG = settings(SHORT, max_examples=4_000, stateful_step_count=50)


def run(world: World, how: settings) -> None:
    run_state_machine_as_test(lambda: LimitsMachine(world), settings=how)


def test_caps_hold_and_sums_agree(world: World) -> None:
    run(world, SHORT)


@pytest.mark.soak
def test_caps_hold_and_sums_agree_for_long(world: World) -> None:
    run(world, LONG)
