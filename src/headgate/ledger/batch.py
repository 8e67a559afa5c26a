"""One transaction's worth of rows, and what they add to the balances."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from headgate.ledger.errors import BadRow
from headgate.ledger.tables import DAY_NS, TOTAL_BUCKET
from headgate.model.records import AttemptRow, CallRow

Item = tuple[CallRow, Sequence[AttemptRow], "asyncio.Future[None] | None"]
"""What is submitted at once: a call, its attempts, and who waits for their commit."""

Balance = tuple[str, str, str, int, int]
"""(scope, scope_id, unit, bucket_start in ns, what is added to spent)."""

MAX_NANO = 10**15
"""A million USD for one call: sums of such amounts stay within 64 bits."""
MAX_TOKENS = 10**12


class Head(msgspec.Struct, frozen=True, gc=False):
    """What a committed batch has read: its incarnation's counter after it, and the ledger's epoch."""

    counter: int
    epoch: int


class Batch:
    """The rows of some items, in the order they came."""

    __slots__ = ("attempts", "calls", "items")

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items
        self.calls = [item[0] for item in items]
        self.attempts = [attempt for item in items for attempt in item[1]]

    def tag(self, incarnation: int) -> None:
        """Make every row belong to the incarnation that writes it."""
        for call in self.calls:
            call.incarnation = incarnation
        for attempt in self.attempts:
            attempt.incarnation = incarnation

    def balances(self) -> list[Balance]:
        """Return what the batch adds, once per distinct row, in primary-key order. Raises BadRow."""
        sums: dict[tuple[str, str, int], list[int]] = {}
        for call, attempts, _ in self.items:
            if call.attempts == 0:
                continue
            cost = call.cost_nano
            if cost is None:
                cost = sum(attempt.cost_nano or 0 for attempt in attempts)
            tokens = (
                call.input
                + call.cache_read
                + call.cache_write_5m
                + call.cache_write_1h
                + call.output
                + call.input_audio
                + call.cache_read_audio
                + call.output_audio
            )
            if not (0 <= cost <= MAX_NANO and 0 <= tokens <= MAX_TOKENS):
                raise BadRow(f"call {call.id}: an amount is negative or beyond all bounds")
            owner = (call.account, call.key, call.started_at - call.started_at % DAY_NS)
            known = sums.get(owner)
            if known is None:
                sums[owner] = [cost, tokens, 1]
            else:
                known[0] += cost
                known[1] += tokens
                known[2] += 1
        return spread(sums)


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
