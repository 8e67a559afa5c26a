"""When a dead worker is replaced: at once if it had lived, after a growing pause if it had not."""

import msgspec

SECOND_NS = 1_000_000_000
PROVEN_NS = SECOND_NS
"""A worker that served this long died of something that happened, not of how it was started."""
FIRST_PAUSE_NS = SECOND_NS // 5
LONGEST_PAUSE_NS = 10 * SECOND_NS


class Backoff(msgspec.Struct, frozen=True):
    """`failures`: lives in a row that ended before the worker was proven."""

    failures: int = 0

    def after(self, life_ns: int) -> "Backoff":
        """Return the state after a life of so many ns of serving (0: it never served)."""
        return Backoff() if life_ns >= PROVEN_NS else Backoff(self.failures + 1)

    @property
    def pause_ns(self) -> int:
        if self.failures == 0:
            return 0
        return min(LONGEST_PAUSE_NS, FIRST_PAUSE_NS << min(self.failures - 1, 16))
