"""The sim's own account of what it would have charged: the outside judge of every money test."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from headgate.model.money import TOKENS_PER_PRICE, divide_half_up
from headgate.model.price import Prices, Rate
from headgate.model.usage import Usage


class Outcome(StrEnum):
    """How an exchange ended, seen from the upstream."""

    COMPLETED = "completed"  # answered to its end
    CUT = "cut"  # the sim broke it, on demand
    CANCELLED = "cancelled"  # the client left before its end
    FAILED = "failed"  # an error status, or nothing generated


class BillLine(msgspec.Struct, frozen=True, gc=False):
    """One upstream request: `usage` is what is charged, which may be less than what was asked for."""

    model: str
    endpoint: str
    outcome: Outcome
    usage: Usage


class ModelTotal(msgspec.Struct):
    """What one model has cost so far."""

    requests: dict[Outcome, int]
    usage: Usage


class Bill:
    """Every charge since the start, line by line and by model."""

    def __init__(self) -> None:
        self.lines: list[BillLine] = []
        self.by_model: dict[str, ModelTotal] = {}

    def add(self, line: BillLine) -> None:
        self.lines.append(line)
        total = self.by_model.get(line.model)
        if total is None:
            total = self.by_model[line.model] = ModelTotal(dict.fromkeys(Outcome, 0), Usage())
        total.requests[line.outcome] += 1
        total.usage = add_usage(total.usage, line.usage)

    def clear(self) -> None:
        self.lines.clear()
        self.by_model.clear()

    @property
    def usage(self) -> Usage:
        """All tokens charged, of all models."""
        sum_ = Usage()
        for total in self.by_model.values():
            sum_ = add_usage(sum_, total.usage)
        return sum_

    def cost_nano(self, prices: Mapping[str, Prices]) -> int:
        """Return nano-USD of all lines, each rounded half up once.

        Raises KeyError for a model without prices, ValueError for a charged token class without one.
        """
        return sum(_line_cost(line.usage, prices[line.model]) for line in self.lines if line.usage != Usage())


def add_usage(left: Usage, right: Usage) -> Usage:
    """Return the sum of two usages, class by class."""
    return Usage(*(getattr(left, name) + getattr(right, name) for name in Usage.__struct_fields__))


def _line_cost(usage: Usage, prices: Prices) -> int:
    parts = 0
    for name in Usage.__struct_fields__:
        tokens = getattr(usage, name)
        if name == "reasoning" or not tokens:
            continue
        rate = getattr(prices, name)
        if rate is None:
            raise ValueError(f"no price for {name}")
        parts += tokens * _price(rate, usage.total_input)
    return divide_half_up(parts, TOKENS_PER_PRICE) + prices.request


def _price(rate: Rate, total_input: int) -> int:
    price = rate.base
    for above, tier in rate.tiers:
        if total_input > above:
            price = tier
    return price
