"""Limits as the ledger and the data path see them; what an attempt asks of them, and what it is granted.

Amounts are in the unit of their limit: nano-USD, tokens, requests, or calls at once. Times are ns since the epoch.
"""

from datetime import UTC, tzinfo
from enum import StrEnum

import msgspec

from headgate.model.money import TOKENS_PER_PRICE

MAX_AMOUNT = 10**15
"""The most that one attempt may hold: a million USD, or as many tokens. More is larger than any cap."""
MAX_TOKENS = 10**12
"""The most tokens that one attempt is recorded with."""
MAX_CAP = 10**18
"""The largest cap: a billion USD. A sum of caps and holds stays within 64 bits."""
EACH = "each"
"""The name of a session limit that gives every session a cap of its own."""
SUBJECT_SEPARATOR = "\x1f"
"""Between account and session id in the subject of a session's balance; names hold no control characters."""


class Scope(StrEnum):
    ACCOUNT = "account"
    KEY = "key"
    PROVIDER = "provider"
    SESSION = "session"


class Unit(StrEnum):
    USD = "usd"
    TOKENS = "tokens"
    REQUESTS = "requests"
    CONCURRENCY = "concurrency"


class Per(StrEnum):
    TOTAL = "total"
    ROLLING = "rolling"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Window(msgspec.Struct, frozen=True):
    """`length` in ns, of a rolling window only. `zone` is an IANA name, `tz` the zone itself; calendars alone use them.

    `text` is how it is written and stored: total, 24h, day, week or month.
    """

    per: Per
    text: str
    length: int = 0
    zone: str = "UTC"
    tz: tzinfo = UTC


class Limit(msgspec.Struct, frozen=True):
    """A cap on one unit over one window. Its identity is all but `id`, `cap`, `clamp` and `source`.

    `name` is the account's, the key's id or name, the provider's, or a session's id (EACH: every session by itself).
    `account` says whose key or session that is ("": anybody's). `pattern` is a glob that the resolved model must match
    ("": any model); keys alone have one. `clamp`: an output maximum that the client asked for may be lowered to fit.
    `source` is "file" or "store".
    """

    id: int
    scope: Scope
    name: str
    unit: Unit
    window: Window
    cap: int
    account: str = ""
    pattern: str = ""
    clamp: bool = False
    source: str = "store"

    @property
    def is_of_call(self) -> bool:
        """Whether it is taken once by a call, whatever its route: where it refuses one route, it refuses all."""
        once = self.unit in (Unit.REQUESTS, Unit.CONCURRENCY)
        return once and self.scope is not Scope.PROVIDER and not self.pattern

    @property
    def title(self) -> str:
        """How people are told of it: `usd per month of account 'acme'`."""
        counted = self.unit.value
        if self.unit is not Unit.CONCURRENCY:
            counted += " in total" if self.window.per is Per.TOTAL else f" per {self.window.text}"
        whose = f"{self.scope.value} '{self.name}'" if self.name != EACH else "each session"
        if self.account and self.scope is not Scope.ACCOUNT:
            whose += f" of account '{self.account}'"
        if self.pattern:
            whose += f" on models '{self.pattern}'"
        return f"{counted} of {whose}"


class Applied(msgspec.Struct, frozen=True, gc=False):
    """A limit and whose balance of it counts: an account, a key's id, a provider, or account and session."""

    limit: Limit
    subject: str


class Bound(msgspec.Struct, frozen=True, gc=False):
    """How large one attempt can get. Tokens; rates in nano-USD per million tokens, None: unpriced.

    `input` is the estimate, `input_most` what it cannot pass (a token a byte). `output` is the maximum of one of `n`
    choices; it may be lowered to `least`. `lowerable`: the client has asked for no maximum, so it may be lowered
    whatever a limit says. `request` is nano-USD for the call itself.
    """

    input: int
    input_most: int
    output: int
    least: int
    n: int
    input_rate: int | None
    output_rate: int | None
    request: int = 0
    lowerable: bool = False

    @property
    def priced(self) -> bool:
        return self.input_rate is not None and self.output_rate is not None

    def tokens(self, input_tokens: int, output: int) -> int:
        """Return the most tokens at this many of input, and `output` of each choice."""
        return input_tokens + output * self.n

    def nano(self, input_tokens: int, output: int) -> int:
        """Return the most nano-USD at these, rounded up. The attempt must be priced."""
        assert self.input_rate is not None
        assert self.output_rate is not None
        sum_ = input_tokens * self.input_rate + output * self.n * self.output_rate
        return self.request - (-sum_ // TOKENS_PER_PRICE)


class Entry(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What one hold has set aside (or, of requests, has spent) on one balance."""

    limit: int
    subject: str
    bucket: int
    unit: Unit
    amount: int


class HoldFacts(msgspec.Struct, frozen=True, gc=False):
    """What the ledger keeps of a hold, to make a lost attempt of it: whose, where to, since when, how much.

    `input` and `output` are the tokens held, `nano` the money (None: unpriced). `entries` are to be released.
    """

    account: str
    key: str
    session: str | None
    endpoint: str
    model_asked: str
    call_model: str
    stream: bool
    call_started_at: int
    provider: str
    upstream_name: str
    backend: str
    model: str
    started_at: int
    input: int
    output: int
    nano: int | None
    entries: tuple[Entry, ...]


class Ask(msgspec.Struct, gc=False):
    """What an attempt asks to hold, all or none. `no` counts from 1 within the call.

    `limits` are the attempt's own. `whole` are those that the call takes once, with its first granted attempt: its
    requests and its concurrency. `epoch` is the ledger's under which both were chosen: under another none is granted.
    """

    call: str
    no: int
    epoch: int
    bound: Bound
    limits: tuple[Applied, ...]
    whole: tuple[Applied, ...]
    facts: HoldFacts


class Standing(msgspec.Struct, frozen=True, gc=False):
    """One balance of a limit as it stood at a grant or a refusal. `resets_at` None: never, or not by the clock."""

    limit: Limit
    subject: str
    spent: int
    held: int
    resets_at: int | None

    @property
    def left(self) -> int:
        return max(0, self.limit.cap - self.spent - self.held)


class Grant(msgspec.Struct, gc=False):
    """A hold that is committed. `output` is the maximum of one choice that was granted; `at` the store's time.

    `entries` are the attempt's, `whole` those that the call gives back at its end; `facts` says what is held in all.
    `incarnation` and `counter` name the batch it was committed in. `standings` include this hold: of the
    client's own limits on tokens and requests, which answers tell of.
    """

    call: str
    no: int
    incarnation: int
    counter: int
    at: int
    output: int
    entries: tuple[Entry, ...]
    whole: tuple[Entry, ...]
    standings: tuple[Standing, ...]
    facts: HoldFacts


class Shortage(StrEnum):
    """Why a hold does not fit."""

    QUOTA = "quota"  # spent + maximum passes a total cap, or the maximum alone passes any cap: waiting mends nothing
    WINDOW = "window"  # what is spent in this window is in the way
    HELD = "held"  # only what others hold is in the way


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """A hold that does not fit a limit. `wanted` is the least that it needs; `at` the store's time.

    `free_at` is when there will be room for it as far as the clock says, None where the clock does not.
    """

    standing: Standing
    wanted: int
    shortage: Shortage
    at: int
    free_at: int | None = None


class Stale(msgspec.Struct, frozen=True, gc=False):
    """Limits or keys have changed since the hold was built; it is to be built again under this epoch."""

    epoch: int


Answer = Grant | Refusal | Stale
