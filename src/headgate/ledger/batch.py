"""One transaction's worth of work: settles first, then holds in the order they came, then rows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import msgspec

from headgate.ledger.errors import BadRow
from headgate.ledger.tables import DAY_NS, TOTAL_BUCKET
from headgate.model.limit import MAX_AMOUNT, MAX_TOKENS, Answer, Applied, Ask, Entry, Grant, Stale
from headgate.model.records import AttemptRow, CallRow
from headgate.policy import granting
from headgate.policy.windows import reach

Balance = tuple[str, str, str, int, int]
"""(scope, scope_id, unit, bucket_start in ns, what is added to spent)."""

Held = tuple[int, Grant]
"""A hold that is open: 0 for what the call itself holds of the grant, else the attempt's number."""
CALL_ITSELF = 0
"""`holds.no` of what the call holds, and not one of its attempts."""
TO_BE_ENDED = -1
"""`holds.no` of a call with attempts in the ledger, no hold and no row yet: if its worker dies, they have an owner."""

UNWRITTEN = 1 << 62
"""`counter` of a grant that its store has lost by going back in time."""

_MOST_TOKENS = 8 * MAX_TOKENS
"""Of an attempt: each of its classes is bounded by itself."""

_encode = msgspec.json.Encoder().encode


class Work(msgspec.Struct, gc=False):
    """What is handed to the writer at once, all of one call. `account` and `key` are whose it is.

    `attempts` are over; `grants` are the holds that they settle, in the same order (None: it had none). `ask` is the
    next attempt's. `ended` is the grant whose `whole` the call gives back. `released` was granted and not used.
    `waiter` is resolved with `answer`, which is None where nothing was asked.
    """

    account: str
    key: str
    attempts: Sequence[AttemptRow] = ()
    grants: Sequence[Grant | None] = ()
    call: CallRow | None = None
    ask: Ask | None = None
    ended: Grant | None = None
    released: Grant | None = None
    waiter: asyncio.Future[Answer | None] | None = None
    answer: Answer | None = None

    def __repr__(self) -> str:
        return f"Work({self.name})"

    def is_late(self, incarnation: int) -> bool:
        """Whether it settles what another life of this worker has held."""
        for grant in self.grants:
            if grant is not None and grant.incarnation != incarnation:
                return True
        ended, released = self.ended, self.released
        return (ended is not None and ended.incarnation != incarnation) or (
            released is not None and released.incarnation != incarnation
        )

    @property
    def ends_more(self) -> bool:
        """Whether it is a call of which some attempts are in the ledger already."""
        return self.call is not None and self.call.attempts > len(self.attempts)

    @property
    def name(self) -> str:
        """The call's id."""
        for part in (self.call, self.released, self.ended):
            if part is not None:
                return part.id if isinstance(part, CallRow) else part.call
        return self.ask.call if self.ask is not None else self.attempts[0].call if self.attempts else "nothing"


class Head(msgspec.Struct, frozen=True, gc=False):
    """What a committed batch has read: its incarnation's counter after it, and the ledger's epoch."""

    counter: int
    epoch: int


class Writes(msgspec.Struct, frozen=True, gc=False):
    """What the holds of a batch change. `holds`: rows that are new or replaced; `ended`: (call, no) of rows that go.

    `balances`: (limit id, subject, bucket_start, added to spent, added to held), in the order of the primary key.
    """

    holds: list[tuple[str, int, int, int, str]]
    ended: list[tuple[str, int]]
    balances: list[tuple[int, str, int, int, int]]


class Batch:
    """The work of some calls, in the order it came.

    `restored` are holds that a store which went back in time has lost: they are put back, whatever the caps say.
    """

    __slots__ = ("attempts", "calls", "restored", "works")

    def __init__(self, works: Sequence[Work], *, restored: Sequence[Held] = ()) -> None:
        self.works = works
        self.restored = restored
        self.look_again()

    def tag(self, incarnation: int) -> None:
        """Make every row belong to the incarnation that writes it."""
        for call in self.calls:
            call.incarnation = incarnation
        for attempt in self.attempts:
            attempt.incarnation = incarnation

    def look_again(self) -> None:
        """Gather the rows; again where some of the work has been taken out."""
        self.calls = [work.call for work in self.works if work.call is not None]
        self.attempts = [attempt for work in self.works for attempt in work.attempts]

    # -- holds -----------------------------------------------------------------------------------

    @property
    def has_holds(self) -> bool:
        """Whether any limit or hold is touched."""
        return bool(self.restored) or any(
            work.ask is not None
            or work.ended is not None
            or work.released is not None
            or any(work.grants)
            or work.ends_more
            for work in self.works
        )

    def limits(self) -> list[int]:
        """Return the ids of all limits whose balances this may change, in the order in which they are locked."""
        found = {entry.limit for grant in self._grants() for entry in (*grant.entries, *grant.whole)}
        found.update(applied.limit.id for applied in self._asked())
        return sorted(found)

    def reads(self) -> list[tuple[int, str, int | None]]:
        """Return (limit id, subject, how many ns to look back; None: all) of the balances that holds are decided by."""
        found = {(applied.limit.id, applied.subject): applied.limit for applied in self._asked()}
        return [(*place, reach(limit.window)) for place, limit in found.items()]

    def decide(
        self,
        now: int,
        epoch: int,
        incarnation: int,
        counter: int,
        read: Iterable[tuple[granting.Owner, Sequence[granting.Row]]],
    ) -> Writes:
        """Settle, decide, and return what is to be written. `read` is what `reads` asked for, under its locks.

        Sets each work's `answer`. May be called again where the transaction failed.
        """
        book = granting.Book(now, read)
        ended: list[tuple[str, int]] = []
        for work in self.works:
            self._settle(book, work, ended)
        new = list(self.restored)
        for held in new:
            granting.hold(book, _entries(held))
        owned: list[Ask] = []
        for work in self.works:
            ask = work.ask
            if ask is None:
                continue
            stale = ask.epoch != epoch
            answer = work.answer = Stale(epoch) if stale else granting.decide(book, ask, incarnation, counter)
            if isinstance(answer, Grant):
                new += open_holds(answer)
            elif work.attempts:
                owned.append(ask)
        over = {call.id for call in self.calls} if owned else ()
        rows_of_calls = [
            (ask.call, TO_BE_ENDED, incarnation, now, _encode(ask.facts).decode())
            for ask in owned
            if ask.call not in over
        ]
        holds = {row[:2]: row for row in [_hold_row(held, incarnation) for held in new] + rows_of_calls}
        return Writes(
            list(holds.values()),
            [place for place in ended if place not in holds],
            [(*place, spent, held) for place, (spent, held) in sorted(book.changes.items()) if spent or held],
        )

    def _settle(self, book: granting.Book, work: Work, ended: list[tuple[str, int]]) -> None:
        """Settle what this work has held; `ended` gets (call, no) of each hold that is over."""
        if work.grants:
            for attempt, grant in zip(work.attempts, work.grants, strict=False):
                if grant is not None:
                    granting.settle(book, grant.entries, attempt.cost_nano, tokens_of(attempt), held=_is_in(grant))
                    ended.append((grant.call, grant.no))
        if work.call is not None and work.ends_more:
            ended.append((work.call.id, TO_BE_ENDED))
        released, whole = work.released, work.ended
        if released is not None:
            granting.settle(book, released.entries, 0, 0, held=_is_in(released))
            ended.append((released.call, released.no))
        for grant in (released, whole):
            if grant is not None and grant.whole:
                granting.settle(book, grant.whole, 0, 0, held=_is_in(grant))
                ended.append((grant.call, CALL_ITSELF))

    def _grants(self) -> Iterable[Grant]:
        yield from (grant for _, grant in self.restored)
        for work in self.works:
            yield from (grant for grant in work.grants if grant is not None)
            yield from (grant for grant in (work.ended, work.released) if grant is not None)

    def _asked(self) -> Iterable[Applied]:
        for work in self.works:
            if work.ask is not None:
                yield from work.ask.limits
                yield from work.ask.whole

    # -- balances of accounts and keys ------------------------------------------------------------

    def balances(self) -> list[Balance]:
        """Return what the batch adds, once per distinct row, in primary-key order. Raises BadRow."""
        sums: dict[tuple[str, str, int], list[int]] = {}
        for work in self.works:
            for attempt in work.attempts:
                cost, tokens = attempt.cost_nano or 0, tokens_of(attempt)
                if not (0 <= cost <= MAX_AMOUNT and 0 <= tokens <= _MOST_TOKENS):
                    raise BadRow(f"call {attempt.call}: an amount is negative or beyond all bounds")
                known = _of_day(sums, work, attempt.started_at)
                known[0] += cost
                known[1] += tokens
            if work.call is not None and work.call.attempts:
                _of_day(sums, work, work.call.started_at)[2] += 1
        return spread(sums)


def tokens_of(row: AttemptRow) -> int:
    """Return all tokens of an attempt; reasoning is part of its output."""
    return (
        row.input
        + row.cache_read
        + row.cache_write_5m
        + row.cache_write_1h
        + row.output
        + row.input_audio
        + row.cache_read_audio
        + row.output_audio
    )


def _of_day(sums: dict[tuple[str, str, int], list[int]], work: Work, at: int) -> list[int]:
    return sums.setdefault((work.account, work.key, at - at % DAY_NS), [0, 0, 0])


def _is_in(grant: Grant) -> bool:
    return grant.counter != UNWRITTEN


def open_holds(grant: Grant) -> list[Held]:
    """Return what a grant has opened: its attempt's hold, and the call's where there is one."""
    own = (grant.no, grant)
    return [own, (CALL_ITSELF, grant)] if grant.whole else [own]


def _entries(held: Held) -> tuple[Entry, ...]:
    no, grant = held
    return grant.whole if no == CALL_ITSELF else grant.entries


def _hold_row(held: Held, incarnation: int) -> tuple[str, int, int, int, str]:
    no, grant = held
    facts = grant.facts
    if no == CALL_ITSELF:
        facts = msgspec.structs.replace(facts, input=0, output=0, nano=0, entries=grant.whole)
    return grant.call, no, incarnation, grant.at, _encode(facts).decode()


def spread(sums: dict[tuple[str, str, int], list[int]]) -> list[Balance]:
    """Turn {(account, key, day): [nano-USD, tokens, requests]} into rows: day and total, account and key."""
    rows: dict[tuple[str, str, str, int], int] = {}
    for (account, key, day), amounts in sums.items():
        for unit, amount in zip(("usd", "tokens", "requests"), amounts, strict=True):
            if amount:
                for place in (
                    ("account", account, unit, TOTAL_BUCKET),
                    ("account", account, unit, day),
                    ("key", key, unit, TOTAL_BUCKET),
                    ("key", key, unit, day),
                ):
                    rows[place] = rows.get(place, 0) + amount
    return [(*place, rows[place]) for place in sorted(rows)]
