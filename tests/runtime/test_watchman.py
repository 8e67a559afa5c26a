"""Who has been silent for too long, by the watcher's own ticks."""

from __future__ import annotations

from headgate.runtime.watchman import GAP_NS, SILENCE_NS, TICK_NS, Watchman


def ticks(watchman: Watchman, since: int, until: int, *watched: int) -> list[int]:
    """Tick through; return the last answer."""
    found: list[int] = []
    for at in range(since, until + 1, TICK_NS):
        found = watchman.tick(at, watched)
    return found


def test_a_worker_is_silent_after_five_seconds() -> None:
    watchman = Watchman()
    assert ticks(watchman, 0, SILENCE_NS - TICK_NS, 1, 2) == []
    watchman.heard(2)
    assert ticks(watchman, SILENCE_NS, SILENCE_NS, 1, 2) == [1]


def test_a_word_counts_anew() -> None:
    watchman = Watchman()
    ticks(watchman, 0, SILENCE_NS - TICK_NS, 1)
    watchman.heard(1)
    assert ticks(watchman, SILENCE_NS, 2 * SILENCE_NS - 2 * TICK_NS, 1) == []
    assert ticks(watchman, 2 * SILENCE_NS - TICK_NS, 2 * SILENCE_NS - TICK_NS, 1) == [1]


def test_one_who_is_watched_later_has_his_own_time() -> None:
    watchman = Watchman()
    ticks(watchman, 0, SILENCE_NS - TICK_NS)
    assert ticks(watchman, SILENCE_NS, SILENCE_NS + TICK_NS, 1) == []


def test_a_watcher_that_was_stopped_counts_anew_for_everyone() -> None:
    watchman = Watchman()
    ticks(watchman, 0, SILENCE_NS - TICK_NS, 1)
    back = SILENCE_NS + 2 * GAP_NS
    assert ticks(watchman, back, back + SILENCE_NS - TICK_NS, 1) == []
    assert ticks(watchman, back + SILENCE_NS, back + SILENCE_NS, 1) == [1]
