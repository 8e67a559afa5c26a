"""Exact prices: whole nano-USD per million tokens, quantised once at load."""

from enum import StrEnum

import msgspec


class Billing(StrEnum):
    METERED = "metered"
    SUBSCRIPTION = "subscription"


class Rate(msgspec.Struct, frozen=True, gc=False):
    """The price of one token class in nano-USD per million tokens.

    `tiers` are (total input tokens above which it applies, price), ascending; the highest one passed
    prices *all* tokens of the class.
    """

    base: int
    tiers: tuple[tuple[int, int], ...] = ()


class Prices(msgspec.Struct, frozen=True, gc=False):
    """Prices of a route by token class. `None` for a class means unknown, which is not zero.

    A cache class without a price of its own is compiled to the class that the vendor bills it as,
    so `None` here always means that nobody knows.
    """

    input: Rate | None = None
    output: Rate | None = None
    cache_read: Rate | None = None
    cache_write_5m: Rate | None = None
    cache_write_1h: Rate | None = None
    input_audio: Rate | None = None
    cache_read_audio: Rate | None = None
    output_audio: Rate | None = None
    request: int = 0
    """nano-USD per request."""


FREE_RATE = Rate(0)
FREE = Prices(FREE_RATE, FREE_RATE, FREE_RATE, FREE_RATE, FREE_RATE, FREE_RATE, FREE_RATE, FREE_RATE, 0)
UNKNOWN = Prices()


class Cost(msgspec.Struct, frozen=True, gc=False):
    """The cost of one attempt in nano-USD (`None`: unknown) and what cache reads saved against fresh input."""

    nano: int | None
    basis: str
    savings_nano: int = 0
