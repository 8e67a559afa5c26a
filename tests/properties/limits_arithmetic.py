"""Windows, amounts and what an attempt leaves behind, as limits are promised to count them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

from headgate.model.limit import Bound, HoldFacts, Limit, Per, Unit
from headgate.model.records import AttemptRow

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
ONCE = (Unit.REQUESTS, Unit.CONCURRENCY)

Owner = tuple[int, str]
"""(limit id, subject)."""
Place = tuple[int, str, int]
"""(limit id, subject, period)."""
Key = tuple[str, int]
"""(call, attempt), 0 for what the call itself holds; -1: it has attempts in the ledger, and waits without a hold."""


def period(limit: Limit, at: int) -> int:
    """Number the periods of a limit so that later ones are larger; a rolling one has sixty in its length."""
    per = Per.TOTAL if limit.unit is Unit.CONCURRENCY else limit.window.per
    if per is Per.TOTAL:
        return 0
    if per is Per.ROLLING:
        return at // (limit.window.length // 60)
    date = datetime.fromtimestamp(at // SECOND, UTC).astimezone(ZoneInfo(limit.window.zone)).date()
    if per is Per.MONTH:
        return date.year * 12 + date.month
    return date.toordinal() if per is Per.DAY else date.toordinal() - date.weekday()


def first_counted(limit: Limit, now: int) -> int:
    """The oldest period that counts: one that slides leaves when it is wholly older than the length."""
    return period(limit, now - limit.window.length if limit.window.per is Per.ROLLING else now)


def money(bound: Bound, tokens_in: int, output: int) -> int:
    assert bound.input_rate is not None
    assert bound.output_rate is not None
    rated = tokens_in * bound.input_rate + output * bound.n * bound.output_rate
    return bound.request + math.ceil(Fraction(rated, 10**6))


def needs(limit: Limit, bound: Bound, tokens_in: int, output: int) -> int:
    if limit.unit is Unit.USD:
        return money(bound, tokens_in, output)
    return 1 if limit.unit in ONCE else tokens_in + output * bound.n


def tokens_of(row: AttemptRow) -> int:
    cached = row.cache_read + row.cache_write_5m + row.cache_write_1h
    return row.input + cached + row.output + row.input_audio + row.cache_read_audio + row.output_audio


@dataclass
class Charge:
    place: Place
    unit: Unit
    amount: int


@dataclass
class Held:
    life: int
    facts: HoldFacts
    charges: list[Charge]
    nano: int | None
    tokens: int


@dataclass
class Try:
    """An attempt whose row is in; `net` is what it costs by now, None: nobody knows. `heard`: of a lost one's end."""

    facts: HoldFacts
    charges: list[Charge]
    net: int | None
    tokens: int
    lost: bool
    by_hand: bool = False
    heard: bool = False


@dataclass
class Last:
    """The last grant on a balance: since when it counted, under which cap, and what came over it afterwards."""

    since: int
    cap: int
    excess: int = 0
