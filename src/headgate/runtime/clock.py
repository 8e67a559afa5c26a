"""Time, passed in: the only module that asks the operating system for it."""

import time
from collections.abc import Callable

import msgspec


class Clock(msgspec.Struct, frozen=True):
    """`wall`: ns since the Unix epoch (UTC), for records. `mono`: ns that never go back, for durations."""

    wall: Callable[[], int]
    mono: Callable[[], int]


SYSTEM = Clock(time.time_ns, time.monotonic_ns)
