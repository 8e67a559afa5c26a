"""What is promised of limits, in plain dictionaries and dates: what the ledger is compared with.

Nothing here is shared with the code under test but the names of things (`model/limit.py`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from tests.properties.limits_arithmetic import (
    DAY,
    ONCE,
    Charge,
    Held,
    Key,
    Last,
    Owner,
    Place,
    Try,
    first_counted,
    money,
    needs,
    period,
    tokens_of,
)

from headgate.model.limit import MAX_AMOUNT, Ask, Bound, Grant, HoldFacts, Limit, Per, Scope, Unit
from headgate.model.records import AttemptRow, CallRow


@dataclass
class Model:
    now: int
    epoch: int = 0
    limits: dict[int, Limit] = field(default_factory=dict)
    removed: set[int] = field(default_factory=set)
    unsteady: set[int] = field(default_factory=set)
    spent: Counter[Place] = field(default_factory=Counter)
    held: Counter[Place] = field(default_factory=Counter)
    open: dict[Key, Held] = field(default_factory=dict)
    tries: dict[Key, Try] = field(default_factory=dict)
    calls: dict[str, HoldFacts] = field(default_factory=dict)
    facts: dict[Key, HoldFacts] = field(default_factory=dict)
    last: dict[Owner, Last] = field(default_factory=dict)

    # -- which limits, and whether there is room ------------------------------------------------------

    def applies(self, limit: Limit, facts: HoldFacts, key_name: str) -> str | None:
        """Whose balance of the limit an attempt is on; None: it is on none."""
        if limit.id in self.removed:
            return None
        match limit.scope:
            case Scope.PROVIDER:
                return facts.provider if facts.provider == limit.name else None
            case Scope.ACCOUNT:
                return facts.account if facts.account == limit.name else None
        if limit.account not in ("", facts.account):
            return None
        if limit.scope is Scope.KEY:
            mine = limit.name in (facts.key, key_name) and fnmatchcase(facts.model, limit.pattern or "*")
            return facts.key if mine else None
        mine = facts.session is not None and limit.name in ("each", facts.session)
        return f"{facts.account}\x1f{facts.session}" if mine else None

    def applicable(self, facts: HoldFacts, key_name: str) -> tuple[set[Owner], set[Owner]]:
        """Those of an attempt itself, and those that its call takes once."""
        own: set[Owner] = set()
        whole: set[Owner] = set()
        for limit in self.limits.values():
            subject = self.applies(limit, facts, key_name)
            if subject is not None:
                once = limit.unit in ONCE and limit.scope is not Scope.PROVIDER
                (whole if once else own).add((limit.id, subject))
        return own, whole

    def used(self, owner: Owner, since: int) -> int:
        amounts: Iterable[Mapping[Place, int]] = (self.spent, self.held)
        return sum(n for part in amounts for place, n in part.items() if place[:2] == owner and place[2] >= since)

    def largest(self, owner: Owner, bound: Bound) -> int:
        """The largest output with which an attempt fits, its input as large as it can be; -1: none."""
        limit = self.limits[owner[0]]
        used = self.used(owner, first_counted(limit, self.now))
        free = limit.unit is Unit.USD and money(bound, 10**6, 10**6) == 0
        for output in range(bound.output, -1, -1):
            amount = needs(limit, bound, bound.input_most, output)
            if free or (used + amount <= limit.cap and amount <= MAX_AMOUNT):
                return output
        return -1

    def decide(self, ask: Ask) -> tuple[int, dict[int, int]]:
        """The output that an attempt gets, and what each limit would want that refuses it, by the limit's id."""
        bound = ask.bound
        owners = [(applied.limit.id, applied.subject) for applied in (*ask.limits, *ask.whole)]
        fits = {owner: self.largest(owner, bound) for owner in owners}
        lowers = {owner: bound.lowerable or self.limits[owner[0]].clamp for owner in owners}
        output = min([bound.output, *(fits[owner] for owner in owners if lowers[owner])])
        refusing = {}
        for owner in owners:
            least = bound.least if lowers[owner] else max(output, bound.least)
            if fits[owner] < least:
                refusing[owner[0]] = needs(self.limits[owner[0]], bound, bound.input_most, least)
        return output, refusing

    def never(self, wanted: Mapping[int, int], ask: Ask) -> bool:
        """Whether waiting mends nothing: it passes a total cap with what is spent, or any cap by itself."""
        for applied in (*ask.limits, *ask.whole):
            limit = self.limits[applied.limit.id]
            amount = wanted.get(limit.id)
            if amount is None:
                continue
            total = limit.window.per is Per.TOTAL and limit.unit is not Unit.CONCURRENCY
            spent = self.spent[(limit.id, applied.subject, 0)] if total else 0
            if spent + amount > min(limit.cap, MAX_AMOUNT if not total else limit.cap):
                return True
        return False

    # -- what happens ---------------------------------------------------------------------------------

    def change(self, place: Place, spent: int, held: int, *, granted: bool = False) -> None:
        self.spent[place] = max(0, self.spent[place] + spent)
        self.held[place] += held
        assert self.held[place] >= 0
        last = self.last.get(place[:2])
        if last is not None and not granted:
            last.excess += max(0, spent + held)

    def take(self, ask: Ask, output: int, life: int) -> None:
        """An attempt holds, and for its call's first one the call does."""
        bound = ask.bound
        parts = ((ask.no, ask.limits), (0, ask.whole))
        for no, applied in parts:
            charges = []
            for one in applied:
                limit = self.limits[one.limit.id]
                place = (limit.id, one.subject, period(limit, self.now))
                amount = needs(limit, bound, bound.input, output)
                charges.append(Charge(place, limit.unit, amount))
                if amount:
                    self.last[place[:2]] = Last(first_counted(limit, self.now), limit.cap)
            if no or charges:
                nano = money(bound, bound.input, output) if bound.priced else None
                self.put(ask.call, no, Held(life, ask.facts, charges, nano, bound.input + output * bound.n))

    def wait(self, ask: Ask, life: int) -> None:
        """A call's attempts are in, and its next one is not granted."""
        self.open[(ask.call, -1)] = Held(life, ask.facts, [], 0, 0)

    def put(self, call: str, no: int, hold: Held, *, granted: bool = True) -> None:
        for charge in hold.charges:
            once = charge.unit is Unit.REQUESTS
            self.change(charge.place, charge.amount * once, charge.amount * (not once), granted=granted)
        self.open[(call, no)] = hold

    def settle(self, row: AttemptRow, *, held: bool) -> None:
        """An attempt is over: the truth replaces its hold, or corrects what was lost with its worker.

        `held`: its call knows of a hold.
        """
        key = (row.call, row.no)
        known = self.tries.get(key)
        if known is not None:
            assert known.lost
            self.correct(known, row.cost_nano, tokens_of(row))
            return
        hold = self.open.pop(key, None) if held else None
        charges = hold.charges if hold is not None else []
        self.charge(charges, row.cost_nano, tokens_of(row))
        self.tries[key] = Try(self.facts[key], charges, row.cost_nano, tokens_of(row), lost=False)

    def charge(self, charges: Iterable[Charge], cost: int | None, tokens: int) -> None:
        for charge in charges:
            truth = {Unit.USD: charge.amount if cost is None else cost, Unit.TOKENS: tokens}
            held = 0 if charge.unit is Unit.REQUESTS else charge.amount
            self.change(charge.place, truth.get(charge.unit, 0), -held)

    def correct(self, known: Try, cost: int | None, tokens: int) -> None:
        more = 0 if cost is None or known.by_hand else cost - (known.net or 0)
        for charge in known.charges:
            amount = {Unit.USD: more, Unit.TOKENS: tokens - known.tokens}.get(charge.unit, 0)
            self.change(charge.place, amount, 0)
        known.tokens, known.heard = tokens, True
        if cost is not None and not known.by_hand:
            known.net = cost

    def is_lost(self, call: str, no: int) -> bool:
        return (call, no) in self.tries and self.tries[(call, no)].lost

    def record(self, call: CallRow | None) -> None:
        """A call's row is in; it counts as a request if it has asked any upstream."""
        if call is not None:
            self.open.pop((call.id, -1), None)
        tries = [] if call is None else [known for key, known in self.tries.items() if key[0] == call.id]
        if call is not None and tries:
            self.calls.setdefault(call.id, tries[0].facts)

    def release(self, grant: Grant) -> None:
        """A hold was granted and not used."""
        call, no = grant.call, grant.no
        if self.is_lost(call, no):
            if not self.tries[(call, no)].heard:
                self.correct(self.tries[(call, no)], 0, 0)
        elif (hold := self.open.pop((call, no), None)) is not None:
            self.charge(hold.charges, 0, 0)
        if grant.whole:
            self.give_back(call)

    def give_back(self, call: str) -> None:
        hold = self.open.pop((call, 0), None)
        self.charge(hold.charges if hold is not None else (), 0, 0)

    def die(self, life: int) -> None:
        """What a life held is lost, charged at its hold; what its calls held is free."""
        dead = {key: hold for key, hold in self.open.items() if hold.life == life}
        for (call, no), hold in dead.items():
            if no == 0:
                self.give_back(call)
                continue
            del self.open[(call, no)]
            if no < 0:
                continue
            if (call, no) in self.tries:
                self.charge(hold.charges, 0, 0)
                continue
            self.charge(hold.charges, hold.nano, hold.tokens)
            self.tries[(call, no)] = Try(hold.facts, hold.charges, hold.nano, hold.tokens, lost=True)
        for (call, _), hold in dead.items():
            if any(key[0] == call for key in self.tries):
                self.calls.setdefault(call, hold.facts)

    def by_hand(self, call: str, no: int, nano: int, key_name: str) -> None:
        """A person says what an attempt cost: a lost one where it was charged, another in today's limits."""
        known = self.tries[(call, no)]
        delta = nano - (known.net or 0)
        places = [charge.place for charge in known.charges if charge.unit is Unit.USD]
        if not known.lost:
            charged, places = set(places), []
            for limit in self.limits.values():
                subject = self.applies(limit, known.facts, key_name) if limit.unit is Unit.USD else None
                if subject is not None:
                    places.append((limit.id, subject, period(limit, known.facts.started_at)))
            self.unsteady.update(place[0] for place in charged.symmetric_difference(places))
        for place in places:
            self.change(place, delta, 0)
        known.net, known.by_hand = nano, True

    def came_back(self, number: int, found: Mapping[Place, tuple[int, int]]) -> None:
        """A limit is in force again: what was spent meanwhile may count, and nothing is forgotten."""
        most = sum(known.net or 0 for known in self.tries.values())
        most += sum(known.tokens for known in self.tries.values()) + len(self.facts)
        for place, (spent, _) in found.items():
            if place[0] == number:
                more = spent - self.spent[place]
                assert 0 <= more <= most
                self.change(place, more, 0)

    # -- what the ledger must say -----------------------------------------------------------------------

    def balances(self) -> dict[Place, tuple[int, int]]:
        found = {place: (self.spent[place], self.held[place]) for place in {*self.spent, *self.held}}
        return {place: amounts for place, amounts in found.items() if any(amounts)}

    def usage(self) -> dict[tuple[str, str, str, int], int]:
        """{(scope, id, unit, UTC day or 0): amount}."""
        sums: defaultdict[tuple[str, str, str, int], int] = defaultdict(int)

        def add(facts: HoldFacts, at: int, unit: str, amount: int) -> None:
            for scope, name in (("account", facts.account), ("key", facts.key)):
                sums[(scope, name, unit, 0)] += amount
                sums[(scope, name, unit, at // DAY * DAY)] += amount

        for known in self.tries.values():
            add(known.facts, known.facts.started_at, "usd", known.net or 0)
            add(known.facts, known.facts.started_at, "tokens", known.tokens)
        for facts in self.calls.values():
            add(facts, facts.call_started_at, "requests", 1)
        return {place: amount for place, amount in sums.items() if amount}

    def rows_say(self) -> dict[Place, int]:
        """What is spent of money and tokens, as the sum of the attempts; of limits that were in force all the time."""
        sums: Counter[Place] = Counter()
        for known in self.tries.values():
            for charge in known.charges:
                held = charge.amount if known.net is None else known.net
                amount = {Unit.USD: held, Unit.TOKENS: known.tokens}.get(charge.unit, 0)
                if charge.place[0] not in self.unsteady:
                    sums[charge.place] += amount
        return {place: amount for place, amount in sums.items() if amount}
