"""How long a dead worker's replacement waits."""

from headgate.runtime.respawn import FIRST_PAUSE_NS, LONGEST_PAUSE_NS, PROVEN_NS, Backoff


def test_a_worker_that_had_served_is_replaced_at_once() -> None:
    assert Backoff().after(PROVEN_NS).pause_ns == 0
    assert Backoff(9).after(PROVEN_NS) == Backoff()


def test_each_early_death_doubles_the_pause_up_to_a_bound() -> None:
    state, pauses = Backoff(), []
    for _ in range(40):
        state = state.after(0)
        pauses.append(state.pause_ns)
    assert pauses[:4] == [FIRST_PAUSE_NS, 2 * FIRST_PAUSE_NS, 4 * FIRST_PAUSE_NS, 8 * FIRST_PAUSE_NS]
    assert pauses == sorted(pauses)
    assert set(pauses[10:]) == {LONGEST_PAUSE_NS}


def test_a_life_that_was_too_short_counts_as_a_failure() -> None:
    assert Backoff().after(PROVEN_NS - 1) == Backoff(1)
