"""Tokens of one attempt, normalised once: every dialect's counts are turned into these classes."""

from collections.abc import Iterable
from enum import StrEnum

import msgspec


class Basis(StrEnum):
    """What a cost rests on, from the best truth to none."""

    REPORTED = "reported"  # the provider named its own cost
    COMPUTED = "computed"  # reported tokens × our price
    ESTIMATED = "estimated"  # no usage came: settled at the hold or at what was seen
    SUBSCRIPTION = "subscription"  # billed by subscription: 0
    UNKNOWN = "unknown"  # no price is known; the cost is unknown, not zero


_WEAKEST_FIRST = (Basis.UNKNOWN, Basis.ESTIMATED, Basis.COMPUTED, Basis.REPORTED, Basis.SUBSCRIPTION)


def weakest(bases: Iterable[str]) -> Basis:
    """Return what a sum rests on: the weakest of its parts' bases, of which there is one at least."""
    return min((Basis(basis) for basis in bases), key=_WEAKEST_FIRST.index)


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Token counts by class. All classes are disjoint, but `reasoning`, which is part of `output`.

    `input` is fresh input only: no cached tokens, no cache writes, no audio.
    `output` holds text and reasoning, not audio.
    """

    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0
    input_audio: int = 0
    cache_read_audio: int = 0
    output_audio: int = 0

    @property
    def total_input(self) -> int:
        """All input classes together; what price tiers and token limits count."""
        return (
            self.input
            + self.cache_read
            + self.cache_write_5m
            + self.cache_write_1h
            + self.input_audio
            + self.cache_read_audio
        )

    @property
    def total_output(self) -> int:
        return self.output + self.output_audio


class Reported(msgspec.Struct, frozen=True, gc=False):
    """What an upstream said of one attempt: its tokens and, where it names one, its own cost in nano-USD."""

    usage: Usage
    cost_nano: int | None = None
