"""All that can happen to limits, as rules; what must hold after each of them, and when all has ended."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant
from tests.properties.limits_acts import STARTS, STEPS, busy, caps, faults, which
from tests.properties.limits_model import Model
from tests.properties.limits_rig import Clock, Worker, lives, sweep
from tests.properties.limits_traffic import Traffic
from tests.properties.limits_world import CATALOG, at_rest, balances, differences, epoch_of, key_name, still_held

from headgate.ledger import corrections, death
from headgate.ledger import limits as ledger_limits
from headgate.model.limit import Limit


class LimitsMachine(Traffic):
    """Workers, their calls, operators and a clock."""

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
            self.workers.append(self._new_worker())

    def _new_worker(self) -> Worker:
        return Worker(self.ledger, self.lock_dir, self.clock)

    @busy()
    def nothing_else_happens(self) -> None:
        pass

    @busy(one=which, store=faults, beside=faults)
    def answers_of_commits_are_lost(self, one: int, store: Sequence[str], beside: Sequence[str]) -> None:
        self._commit(self._worker(one), store, beside)

    # -- deaths ----------------------------------------------------------------------------------------

    @busy(one=which, commits=st.booleans())
    def a_worker_is_killed(self, one: int, commits: bool) -> None:
        """Before its last batch, or after its commit and before anybody heard of it."""
        number = one % len(self.workers)
        worker = self.workers[number]
        works = worker.queued()
        copies = [msgspec.structs.replace(work) for work in works]
        meets = any(self._meets_the_lost(work) for work in works)
        if commits and self.followed and worker.life in lives(self.ledger) and not meets:
            worker.crash(works)
            self._follow(copies, works, worker)
        worker.die()
        self.killed.add(worker.life)
        self.calls = [call for call in self.calls if call.worker is not worker]
        self.workers[number] = self._new_worker()

    @busy(one=which)
    def a_paused_worker_is_taken_for_dead(self, one: int) -> None:
        life = self._worker(one).life
        counter = lives(self.ledger).get(life)
        if counter is not None:
            assert death.declare_dead(self.ledger, {life: counter + 1}, self.clock.now) == []
            assert death.declare_dead(self.ledger, {life: counter}, self.clock.now) == [life]
            if self.followed:
                self.model.die(life)

    @busy()
    def the_dead_are_swept(self) -> None:
        self._sweep()

    def _sweep(self) -> None:
        dead = set(sweep(self.ledger, self.lock_dir, self.clock.now))
        assert not self.followed or not self.killed & set(lives(self.ledger))
        assert dead & {worker.life for worker in self.workers} == set()
        for life in self.killed if self.followed else ():
            self.model.die(life)
        self.killed.clear()

    # -- people and clocks -----------------------------------------------------------------------------

    @busy(seconds=st.sampled_from(STEPS))
    def the_clock_steps(self, seconds: int) -> None:
        self._step(seconds)

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
            if self.followed:
                self.model.came_back(made.id, balances(self.ledger, self.model))

    def _read_epoch(self) -> None:
        epoch = epoch_of(self.ledger)
        assert epoch > self.model.epoch
        self.model.epoch = epoch

    @busy(one=which, nano=st.integers(0, 400))
    def a_person_says_what_an_attempt_cost(self, one: int, nano: int) -> None:
        known = [key for key in self.model.tries if key[0] in self.model.calls]
        # Those first of which their workers may still say the truth.
        known = [key for key in known if self.model.tries[key].lost and not self.model.tries[key].heard] or known
        if known and self.followed:
            call, no = known[one % len(known)]
            with self.ledger.write() as connection:
                corrections.settle_by_hand(
                    connection, call, no, nano, author="ann", reason="the bill", now=self.clock.now
                )
            self.model.by_hand(call, no, nano, key_name(self.model.tries[(call, no)].facts.key))

    # -- what must hold --------------------------------------------------------------------------------

    @invariant()
    def the_ledger_is_as_the_model_has_it(self) -> None:
        found = differences(self.ledger, self.model) if self.followed else ""
        assert not found, found

    @invariant()
    def no_cap_is_passed_but_by_what_exceeded_its_hold(self) -> None:
        for owner, last in self.model.last.items() if self.followed else ():
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
        held = still_held(self.ledger)
        assert not held, held
        if self.followed:
            self.the_ledger_is_as_the_model_has_it()
            found = at_rest(self.ledger, self.model)
            assert not found, found
