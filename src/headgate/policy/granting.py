"""Whether a hold fits: decided inside the ledger's transaction, from balances read under their limits' locks.

A batch settles first, then decides its holds in the order they came; the book carries what each leaves to the next.
"""

from collections.abc import Iterable, Sequence

import msgspec

from headgate.model.limit import (
    MAX_AMOUNT,
    MAX_TOKENS,
    Applied,
    Ask,
    Bound,
    Entry,
    Grant,
    HoldFacts,
    Limit,
    Refusal,
    Scope,
    Shortage,
    Standing,
    Unit,
)
from headgate.model.money import TOKENS_PER_PRICE
from headgate.policy.windows import bucket_of, frees_at, opens, resets_at

Owner = tuple[int, str]
"""(limit id, subject)."""
Place = tuple[int, str, int]
"""(limit id, subject, bucket_start)."""

_OPEN_END = 1 << 62
"""More output than anything can make."""
_USD, _TOKENS, _REQUESTS, _CONCURRENCY = Unit
"""By themselves, since looking up a member of an enumeration costs as much as a sum, and all of this is under locks."""
_TOLD = frozenset({_TOKENS, _REQUESTS})


class Book:
    """Balances at the store's time `now` (ns since the epoch), and what is changed of them: {place: [spent, held]}."""

    __slots__ = ("_buckets", "_changed", "_rows", "_sums", "changes", "now")

    def __init__(self, now: int, rows: Iterable[tuple[int, str, int, int, int]]) -> None:
        """`rows`: (limit id, subject, bucket_start, spent, held) of every balance that an ask of the batch is on."""
        self.now = now
        self.changes: dict[Place, list[int]] = {}
        # The same lists as in `changes`, by balance.
        self._changed: dict[Owner, dict[int, list[int]]] = {}
        # What each balance has in its present window, with that window's start: reckoned once, then kept up.
        self._sums: dict[Owner, list[int]] = {}
        self._buckets: dict[int, int] = {}
        self._rows: dict[Owner, dict[int, tuple[int, int]]] = {}
        for limit, subject, bucket, spent, held in rows:
            self._rows.setdefault((limit, subject), {})[bucket] = spent, held

    def add(self, entry: Entry, spent: int, held: int) -> None:
        """Change a balance; it need not have been read."""
        limit, subject, bucket = entry.limit, entry.subject, entry.bucket
        changed = self.changes.get((limit, subject, bucket))
        if changed is None:
            changed = self.changes[(limit, subject, bucket)] = [spent, held]
            self._changed.setdefault((limit, subject), {})[bucket] = changed
        else:
            changed[0] += spent
            changed[1] += held
        sums = self._sums.get((limit, subject))
        if sums is not None and bucket >= sums[2]:
            sums[0] += spent
            sums[1] += held

    def used(self, applied: Applied) -> Sequence[int]:
        """Return what is spent and held in the present window, and when that has begun."""
        owner = (applied.limit.id, applied.subject)
        sums = self._sums.get(owner)
        if sums is None:
            limit = applied.limit
            start = 0 if limit.unit is _CONCURRENCY else opens(limit.window, self.now)
            present = [row for bucket, row in self._by_bucket(owner).items() if bucket >= start]
            sums = self._sums[owner] = [sum(spent for spent, _ in present), sum(held for _, held in present), start]
        return sums

    def _by_bucket(self, owner: Owner) -> dict[int, tuple[int, int]]:
        """Return {bucket_start: (spent, held)} of a balance after all that has been changed."""
        found = dict(self._rows.get(owner, ()))
        for bucket, (spent, held) in self._changed.get(owner, {}).items():
            before = found.get(bucket, (0, 0))
            found[bucket] = before[0] + spent, before[1] + held
        return found

    def bucket(self, limit: Limit) -> int:
        """Return the bucket that an amount of now counts in."""
        found = self._buckets.get(limit.id)
        if found is None:
            found = 0 if limit.unit is _CONCURRENCY else bucket_of(limit.window, self.now)
            self._buckets[limit.id] = found
        return found

    def standing(self, applied: Applied) -> Standing:
        spent, held, _ = self.used(applied)
        limit = applied.limit
        resets = None if limit.unit is _CONCURRENCY else resets_at(limit.window, self.now)
        return Standing(limit, applied.subject, spent, held, resets)

    def spent_by_bucket(self, applied: Applied) -> list[tuple[int, int]]:
        """Return (bucket_start, spent) of the present window's buckets, in order."""
        start = opens(applied.limit.window, self.now)
        known = self._by_bucket((applied.limit.id, applied.subject))
        return sorted((bucket, row[0]) for bucket, row in known.items() if bucket >= start)


def settle(book: Book, entries: Iterable[Entry], cost_nano: int | None, tokens: int, *, held: bool = True) -> None:
    """Replace a hold by the truth. A cost that nobody knows is what was held. `held`: the hold is in the store."""
    for entry in entries:
        unit = entry.unit
        back = -entry.amount if held else 0
        if unit is _USD:
            book.add(entry, entry.amount if cost_nano is None else cost_nano, back)
        elif unit is _TOKENS:
            book.add(entry, tokens, back)
        elif unit is _CONCURRENCY:
            book.add(entry, 0, back)
        elif not held:
            book.add(entry, entry.amount, 0)


def hold(book: Book, entries: Iterable[Entry]) -> None:
    """Put down what a grant sets aside; requests are spent at once, and never given back."""
    for entry in entries:
        if entry.unit is _REQUESTS:
            book.add(entry, entry.amount, 0)
        else:
            book.add(entry, 0, entry.amount)


def decide(book: Book, ask: Ask, incarnation: int, counter: int) -> Grant | Refusal:
    """Grant all that is asked, at the largest output that fits, or refuse by the limit that is hardest to meet."""
    bound = ask.bound
    output = bound.output
    asked = (*ask.limits, *ask.whole) if ask.whole else ask.limits
    short: list[tuple[Applied, int]] = []
    for applied in asked:
        fits = _largest_output(book, applied, bound)
        if fits >= bound.output:
            continue
        short.append((applied, fits))
        if fits < output and (bound.lowerable or applied.limit.clamp):
            output = fits
    if short and (refusals := _refusals(book, short, bound, output)):
        return max(refusals, key=_hardness)
    entries = tuple([_entry(book, applied, bound, output) for applied in ask.limits])
    whole = tuple([_entry(book, applied, bound, output) for applied in ask.whole])
    hold(book, entries)
    hold(book, whole)
    return Grant(
        ask.call,
        ask.no,
        incarnation,
        counter,
        book.now,
        output,
        entries,
        whole,
        tuple([book.standing(applied) for applied in asked if _is_shown(applied.limit)]),
        held_facts(ask.facts, bound, output, entries),
    )


def _refusals(book: Book, short: Iterable[tuple[Applied, int]], bound: Bound, output: int) -> list[Refusal]:
    """Return a refusal by each limit whose room is short of what it must leave.

    `output` is what those limits leave that may lower it; it is what the others count too, in whatever order they come.
    """
    found = []
    for applied, fits in short:
        least = bound.least if bound.lowerable or applied.limit.clamp else max(output, bound.least)
        if fits < least:
            found.append(_refusal(book, applied, _amount(applied.limit, bound, bound.input_most, least)))
    return found


def held_facts(facts: HoldFacts, bound: Bound, output: int, entries: tuple[Entry, ...] = ()) -> HoldFacts:
    """Return the facts with what is held at this output of one choice, cut off at what the ledger keeps."""
    nano = min(bound.nano(bound.input, output), MAX_AMOUNT) if bound.priced else None
    total = min(output * bound.n, MAX_TOKENS)
    return msgspec.structs.replace(facts, input=min(bound.input, MAX_TOKENS), output=total, nano=nano, entries=entries)


def _largest_output(book: Book, applied: Applied, bound: Bound) -> int:
    """Return the largest output of one choice with which the attempt fits; negative where none does.

    The input counts at the most that it can be: where plenty is left this refuses nobody, and where little is left an
    input that is larger than its estimate does not pass the cap.
    """
    limit = applied.limit
    spent, held, _ = book.used(applied)
    room = limit.cap - spent - held
    unit = limit.unit
    if unit is _USD:
        assert bound.input_rate is not None
        assert bound.output_rate is not None
        if not (bound.input_rate or bound.output_rate or bound.request):
            return _OPEN_END  # what is free stays usable, also where more was billed than the cap
        rate = bound.output_rate * bound.n
        left = (min(room, MAX_AMOUNT) - bound.request) * TOKENS_PER_PRICE - bound.input_most * bound.input_rate
        if rate == 0:
            return _OPEN_END if left >= 0 else -1
        return left // rate if left >= 0 else -1
    if unit is _TOKENS:
        left = min(room, MAX_AMOUNT) - bound.input_most
        return left // bound.n if left >= 0 else -1
    return _OPEN_END if room >= 1 else -1


def _amount(limit: Limit, bound: Bound, input_tokens: int, output: int) -> int:
    if limit.unit is _USD:
        return bound.nano(input_tokens, output)
    if limit.unit is _TOKENS:
        return bound.tokens(input_tokens, output)
    return 1


def _entry(book: Book, applied: Applied, bound: Bound, output: int) -> Entry:
    limit = applied.limit
    amount = _amount(limit, bound, bound.input, output)
    return Entry(limit.id, applied.subject, book.bucket(limit), limit.unit, amount)


def _refusal(book: Book, applied: Applied, wanted: int) -> Refusal:
    limit = applied.limit
    standing = book.standing(applied)
    free_at = None
    if wanted > min(limit.cap, MAX_AMOUNT):
        shortage = Shortage.QUOTA
    elif standing.spent + wanted <= limit.cap or limit.unit is _CONCURRENCY:
        shortage = Shortage.HELD
    else:
        buckets = book.spent_by_bucket(applied)
        free_at = frees_at(limit.window, book.now, buckets, standing.spent + wanted - limit.cap)
        shortage = Shortage.QUOTA if free_at is None else Shortage.WINDOW
    return Refusal(standing, wanted, shortage, book.now, free_at)


def _hardness(refusal: Refusal) -> tuple[int, int]:
    """All limits must be met, so the client is told of the one that takes longest."""
    order = (Shortage.HELD, Shortage.WINDOW, Shortage.QUOTA).index(refusal.shortage)
    return order, refusal.free_at or 0


def _is_shown(limit: Limit) -> bool:
    """Clients are told how their own limits stand, in the units that vendors have headers for; never a provider's."""
    return limit.unit in _TOLD and limit.scope is not Scope.PROVIDER
