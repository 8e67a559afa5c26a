"""Whether a hold fits: decided inside the ledger's transaction, from balances read under their limits' locks.

A batch settles first, then decides its holds in the order they came; the book carries what each leaves to the next.
"""

from collections import defaultdict
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
Row = tuple[int, int, int]
"""(bucket_start, spent, held)."""
Place = tuple[int, str, int]
"""(limit id, subject, bucket_start)."""

_OPEN_END = 1 << 62
"""More output than anything can make."""
_UNRECKONED = 1 << 64
"""Later than any bucket."""
_USD, _TOKENS, _REQUESTS, _CONCURRENCY = Unit
"""By themselves, since looking up a member of an enumeration costs as much as a sum, and all of this is under locks."""
_PROVIDER = Scope.PROVIDER


class Balance:
    """One balance of a limit: rows that were read, and what is changed of them by bucket: [spent, held].

    `spent` and `held` are those of its present window, which `opens`; `bucket` is the one that an amount of now counts
    in. They are reckoned when first asked for, and then kept up.
    """

    __slots__ = ("bucket", "changed", "held", "opens", "rows", "spent")

    def __init__(self) -> None:
        self.rows: Sequence[Row] = ()
        self.changed: dict[int, list[int]] = {}
        self.spent = self.held = self.bucket = 0
        self.opens = _UNRECKONED

    def add(self, bucket: int, spent: int, held: int) -> None:
        """Change a bucket; it need not have been read."""
        changed = self.changed.get(bucket)
        if changed is None:
            self.changed[bucket] = [spent, held]
        else:
            changed[0] += spent
            changed[1] += held
        if bucket >= self.opens:
            self.spent += spent
            self.held += held

    def reckon(self, limit: Limit, now: int) -> None:
        """Add up the window that is open at `now`, after all that was changed."""
        if limit.unit is not _CONCURRENCY:
            self.bucket = bucket_of(limit.window, now)
            self.opens = opens(limit.window, now)
        else:
            self.opens = 0
        for bucket, spent, held in self.rows:
            if bucket >= self.opens:
                self.spent += spent
                self.held += held
        for bucket, (spent, held) in self.changed.items():
            if bucket >= self.opens:
                self.spent += spent
                self.held += held

    def spent_by_bucket(self) -> list[tuple[int, int]]:
        """Return (bucket_start, spent) of the present window's buckets, in order."""
        found = {bucket: spent for bucket, spent, _ in self.rows}
        for bucket, (spent, _) in self.changed.items():
            found[bucket] = found.get(bucket, 0) + spent
        return sorted((bucket, spent) for bucket, spent in found.items() if bucket >= self.opens)


class Book:
    """Balances at the store's time `now` (ns since the epoch), and what is changed of them."""

    __slots__ = ("_balances", "now")

    def __init__(self, now: int, read: Iterable[tuple[Owner, Sequence[Row]]]) -> None:
        """`read`: the rows of every balance that an ask of the batch is on."""
        self.now = now
        self._balances: defaultdict[Owner, Balance] = defaultdict(Balance)
        for owner, rows in read:
            self._balances[owner].rows = rows

    @property
    def changes(self) -> dict[Place, list[int]]:
        """What is changed: {place: [spent, held]}."""
        return {
            (*owner, bucket): changed
            for owner, balance in self._balances.items()
            for bucket, changed in balance.changed.items()
        }

    def add(self, entry: Entry, spent: int, held: int) -> None:
        """Change the balance and bucket of an entry."""
        self._balances[(entry.limit, entry.subject)].add(entry.bucket, spent, held)

    def hold(self, entry: Entry) -> None:
        """Put down what a grant sets aside; requests are spent at once, and never given back."""
        if entry.unit is _REQUESTS:
            self.add(entry, entry.amount, 0)
        else:
            self.add(entry, 0, entry.amount)

    def used(self, applied: Applied) -> Balance:
        """Return a balance with what is spent and held in its present window."""
        limit = applied.limit
        balance = self._balances[(limit.id, applied.subject)]
        if balance.opens == _UNRECKONED:
            balance.reckon(limit, self.now)
        return balance

    def standing(self, applied: Applied) -> Standing:
        balance, limit = self.used(applied), applied.limit
        resets = None if limit.unit is _CONCURRENCY else resets_at(limit.window, self.now)
        return Standing(limit, applied.subject, balance.spent, balance.held, resets)


def settle(book: Book, entries: Iterable[Entry], cost_nano: int | None, tokens: int, *, held: bool = True) -> None:
    """Replace a hold by the truth. A cost that nobody knows is what was held. `held`: the hold is in the store."""
    for entry in entries:
        unit, amount = entry.unit, entry.amount
        back = -amount if held else 0
        if unit is _USD:
            book.add(entry, amount if cost_nano is None else cost_nano, back)
        elif unit is _TOKENS:
            book.add(entry, tokens, back)
        elif unit is _CONCURRENCY:
            book.add(entry, 0, back)
        elif not held:
            book.add(entry, amount, 0)


def hold(book: Book, entries: Iterable[Entry]) -> None:
    """Put down what a grant sets aside, whatever the caps say."""
    for entry in entries:
        book.hold(entry)


def decide(book: Book, ask: Ask, incarnation: int, counter: int) -> Grant | Refusal:
    """Grant all that is asked, at the largest output that fits, or refuse by the limit that is hardest to meet."""
    bound = ask.bound
    output = bound.output
    asked = (*ask.limits, *ask.whole) if ask.whole else ask.limits
    # Clients are told how their own limits stand, in the units that vendors have headers for; never a provider's.
    shown: list[Applied] = []
    short: list[tuple[Applied, int]] = []
    most = _amounts(bound, bound.input_most, output)
    for applied in asked:
        limit, balance = applied.limit, book.used(applied)
        unit = limit.unit
        if (unit is _TOKENS or unit is _REQUESTS) and limit.scope is not _PROVIDER:
            shown.append(applied)
        wanted = _of_unit(unit, most)
        if wanted <= limit.cap - balance.spent - balance.held and wanted <= MAX_AMOUNT:
            continue
        fits = _largest_output(book, applied, bound)
        if fits >= bound.output:
            continue
        short.append((applied, fits))
        if fits < output and (bound.lowerable or limit.clamp):
            output = fits
    if short and (refusals := _refusals(book, short, bound, output)):
        return max(refusals, key=_hardness)
    amounts = _amounts(bound, bound.input, output)
    entries = tuple([_taken(book, applied, amounts) for applied in ask.limits])
    whole = tuple([_taken(book, applied, amounts) for applied in ask.whole]) if ask.whole else ()
    standings = tuple([book.standing(applied) for applied in shown]) if shown else ()
    facts = _held(ask.facts, bound, output, amounts[0], entries)
    return Grant(ask.call, ask.no, incarnation, counter, book.now, output, entries, whole, standings, facts)


def _amounts(bound: Bound, input_tokens: int, output: int) -> tuple[int, int]:
    """Return nano-USD and tokens at these. What has no price is more than any cap."""
    return bound.nano(input_tokens, output) if bound.priced else _OPEN_END, bound.tokens(input_tokens, output)


def _taken(book: Book, applied: Applied, amounts: tuple[int, int]) -> Entry:
    """Put down on one balance what a grant takes of it."""
    limit, balance = applied.limit, book.used(applied)
    entry = Entry(limit.id, applied.subject, balance.bucket, limit.unit, _of_unit(limit.unit, amounts))
    book.hold(entry)
    return entry


def _of_unit(unit: Unit, amounts: tuple[int, int]) -> int:
    return amounts[0] if unit is _USD else amounts[1] if unit is _TOKENS else 1


def _refusals(book: Book, short: Iterable[tuple[Applied, int]], bound: Bound, output: int) -> list[Refusal]:
    """Return a refusal by each limit whose room is short of what it must leave.

    `output` is what those limits leave that may lower it; it is what the others count too, in whatever order they come.
    """
    found = []
    for applied, fits in short:
        least = bound.least if bound.lowerable or applied.limit.clamp else max(output, bound.least)
        if fits < least:
            wanted = _of_unit(applied.limit.unit, _amounts(bound, bound.input_most, least))
            found.append(_refusal(book, applied, wanted))
    return found


def _held(facts: HoldFacts, bound: Bound, output: int, nano: int, entries: tuple[Entry, ...]) -> HoldFacts:
    """Return the facts with what is held at this output of one choice, cut off at what the ledger keeps."""
    return msgspec.structs.replace(
        facts,
        input=min(bound.input, MAX_TOKENS),
        output=min(output * bound.n, MAX_TOKENS),
        nano=min(nano, MAX_AMOUNT) if bound.priced else None,
        entries=entries,
    )


def _largest_output(book: Book, applied: Applied, bound: Bound) -> int:
    """Return the largest output of one choice with which the attempt fits; negative where none does.

    The input counts at the most that it can be: where plenty is left this refuses nobody, and where little is left an
    input that is larger than its estimate does not pass the cap.
    """
    limit, balance = applied.limit, book.used(applied)
    room = limit.cap - balance.spent - balance.held
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


def _refusal(book: Book, applied: Applied, wanted: int) -> Refusal:
    limit = applied.limit
    standing = book.standing(applied)
    free_at = None
    if wanted > min(limit.cap, MAX_AMOUNT):
        shortage = Shortage.QUOTA
    elif standing.spent + wanted <= limit.cap or limit.unit is _CONCURRENCY:
        shortage = Shortage.HELD
    else:
        buckets = book.used(applied).spent_by_bucket()
        free_at = frees_at(limit.window, book.now, buckets, standing.spent + wanted - limit.cap)
        shortage = Shortage.QUOTA if free_at is None else Shortage.WINDOW
    return Refusal(standing, wanted, shortage, book.now, free_at)


def _hardness(refusal: Refusal) -> tuple[int, int]:
    """All limits must be met, so the client is told of the one that takes longest."""
    order = (Shortage.HELD, Shortage.WINDOW, Shortage.QUOTA).index(refusal.shortage)
    return order, refusal.free_at or 0
