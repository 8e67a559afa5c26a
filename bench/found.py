"""All that one run found: written to build/bench.json, so that tables and chart can be made again without measuring."""

from dataclasses import dataclass, field

import msgspec

from bench.budget import Budget
from bench.figures import Figures, Scale


@dataclass
class Found:
    """What was measured, when and on what. `bytes_kept`: of a unary answer and of a stream, by peer."""

    figures: Figures
    load_before: float
    scale: Scale
    quick: bool
    date: str
    machine: list[str]
    versions: list[str]
    budget: Budget | None = None
    recorded: tuple[int, int] | None = None
    """Calls whose end clients saw, and calls in the ledger: more by those that wrk broke off when its time was up."""
    bytes_kept: dict[str, tuple[bool, bool]] = field(default_factory=dict)

    @property
    def peers(self) -> list[str]:
        """Names of what was compared, in the order of the run."""
        return list(self.figures.cpu_call)


def dump(found: Found) -> bytes:
    """Return a run as JSON."""
    return msgspec.json.format(msgspec.json.encode(found), indent=1)


def load(text: bytes) -> Found:
    """Return the run of `dump`. Raises msgspec.ValidationError."""
    return msgspec.json.decode(text, type=Found)
