"""Who has been silent for too long, by the watcher's own clock and only while it watched.

On SQLite a worker that is stopped may hold the turn to write, and all others wait for it: the supervisor kills it.
"""

from collections.abc import Collection

SECOND_NS = 1_000_000_000
TICK_NS = SECOND_NS // 4
SILENCE_NS = 5 * SECOND_NS
"""A worker beats once a second."""
GAP_NS = 4 * TICK_NS
"""Ticks further apart than this: the watcher was stopped, or its machine asleep, and so may have been the others."""


class Watchman:
    """Counts how long each worker, by its pid, has been silent. Times are ns of a clock that never goes back."""

    def __init__(self, silence: int = SILENCE_NS, gap: int = GAP_NS) -> None:
        self._silence = silence
        self._gap = gap
        self._last: int | None = None
        self._silent: dict[int, int] = {}

    def heard(self, pid: int) -> None:
        """This worker has said something."""
        self._silent.pop(pid, None)

    def tick(self, now: int, watched: Collection[int]) -> list[int]:
        """Count the time since the last tick for all who are `watched`; return those who were silent for too long."""
        passed = None if self._last is None else now - self._last
        self._last = now
        if passed is None or passed > self._gap:
            self._silent.clear()
            return []
        self._silent = {pid: self._silent.get(pid, 0) + passed for pid in watched}
        return [pid for pid, silent in self._silent.items() if silent >= self._silence]
