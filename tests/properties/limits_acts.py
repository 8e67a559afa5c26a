"""What calls and workers do in an example, as hypothesis draws it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, cast

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import rule
from tests.properties.limits_rig import COMMITTED, NOT_COMMITTED
from tests.properties.limits_world import PRINCIPALS, ROUTES, SESSIONS, at

from headgate.model.limit import Bound

SECOND = 1_000_000_000
STARTS = (
    at(2026, 3, 28, 21),  # the night in which Berlin's clocks go forward
    at(2026, 10, 31, 22),  # the end of a month, the night in which Havana's go back
    at(2026, 12, 31, 22),
)
STEPS = (1, 40, 300, 3_600, 7 * 3_600, 86_400, 32 * 86_400, -1, -3_600, -5 * 3_600, -26 * 3_600)
"""Seconds."""

ONE = Bound(10, 20, 40, 8, 1, 1_300_000, 2_700_001)
BOUNDS = (
    ONE,
    ONE,
    msgspec.structs.replace(ONE, lowerable=True),
    msgspec.structs.replace(ONE, input=0, n=3, output=12, least=12, request=7),
    msgspec.structs.replace(ONE, input_rate=0, output_rate=0),
    msgspec.structs.replace(ONE, output=0, least=0, input_most=10),
    msgspec.structs.replace(ONE, input_rate=None),
)


class Act(NamedTuple):
    """Something that a call or a worker does; `one` says which, numbers count in PRINCIPALS, ROUTES and BOUNDS."""

    what: str
    one: int
    who: int
    session: str | None
    route: int
    bound: int
    cost: str
    part: int


WHATS = ("begin", "begin", "begin", "end", "end", "fall back", "fall back", "go on", "commit", "commit", "commit")
RARE = ("leave", "stop waiting", "not used", "note", "tick", "tick", "tick")
which = st.integers(0, 255)
acts = st.builds(
    Act,
    st.sampled_from([*WHATS, *WHATS, *RARE]),
    which,
    st.integers(0, len(PRINCIPALS) - 1),
    st.sampled_from(SESSIONS),
    st.integers(0, len(ROUTES) - 1),
    st.integers(0, len(BOUNDS) - 1),
    st.sampled_from(["all", "less", "nothing", "more", "unknown"]),
    st.integers(0, 100),
)
faults = st.lists(st.sampled_from([COMMITTED, NOT_COMMITTED, ""]), max_size=3)
caps = st.integers(300, 5_000) | st.integers(60, 1_500) | st.integers(0, 5)


class Acting(Protocol):
    """A machine that can do an act."""

    def act(self, act: Act) -> None: ...


def busy(**strategies: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Any]:
    """A rule before which calls go on: rules that hypothesis leaves out of an example must not leave it idle."""

    def wrap(function: Callable[..., None]) -> Any:
        @functools.wraps(function)
        def run(self: Acting, traffic: Sequence[Act], **given: Any) -> None:
            for act in traffic:
                self.act(act)
            function(self, **given)

        return cast("Any", rule)(traffic=st.lists(acts, min_size=2, max_size=8), **strategies)(run)

    return wrap
