"""What the demo knows while it runs: its calls, and what the ledger says of those that have ended."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from headgate.ledger.views import GroupBy, Reader, Usage
from headgate.surfaces.demo.scenario import Lane, Turn


class DemoFailed(Exception):
    """The demo cannot go on; the message says why and what to do."""


@dataclass(slots=True)
class Line:
    """One call. `row` is the ledger's once it has ended, with its attempts; times are the demo's, in seconds.

    Until then the rest is what its client has seen: `route` from the answer's head, `heard` bytes of the answer.
    """

    who: str
    asked: str
    turn: Turn
    began: float
    first: float | None = None
    heard: int = 0
    route: str = ""
    row: dict[str, Any] | None = None


@dataclass(slots=True)
class Board:
    """`total`, `models` and `providers` are read from the ledger after every call that ends."""

    clock: Callable[[], float] = time.monotonic
    lines: list[Line] = field(default_factory=list)
    note: str = ""
    problems: list[str] = field(default_factory=list)
    total: Usage | None = None
    models: list[Usage] = field(default_factory=list)
    providers: list[Usage] = field(default_factory=list)

    def begin(self, lane: Lane, turn: Turn) -> Line:
        """Note a call that is about to be sent."""
        line = Line(lane.who, lane.model, turn, self.clock())
        self.lines.append(line)
        return line

    def end(self, line: Line, row: dict[str, Any], reader: Reader) -> None:
        """Take the ledger's row of a call, and its sums with it."""
        line.row = row
        line.route = row["route"]
        self.note = line.turn.note or self.note
        self.problems += [f"{line.who}, {line.asked}: {problem}" for problem in _problems(line.turn, row)]
        [self.total] = reader.usage(GroupBy.ALL)
        self.models = reader.usage(GroupBy.MODEL)
        self.providers = reader.usage(GroupBy.PROVIDER)


def _problems(turn: Turn, row: dict[str, Any]) -> list[str]:
    """Return where a call's row is not as the scenario has it."""
    failed = tuple(one["provider"] for one in row["attempts"] if one["failure"] not in (None, "client_gone"))
    basis = "unknown" if turn.unpriced else "estimated" if turn.leave_after else "computed"
    seen = {
        "outcome": (row["outcome"], "client_gone" if turn.leave_after else "ok"),
        "route": (row["route"], turn.route),
        "failed providers": (failed, turn.failed),
        "attempts": (len(row["attempts"]), len(turn.failed) + 1),
        "basis of the cost": (row["basis"], basis),
        "unknown cost": (row["cost_nano"] is None, turn.unpriced),
        "read from a cache": (row["cache_read"] > 0, turn.cached),
    }
    return [f"{name}: {found!r}, not {wanted!r}" for name, (found, wanted) in seen.items() if found != wanted]
