"""Tokens per byte, learned from settled calls."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from headgate.policy.density import CEILING, FLOOR, MAX_MODELS, MIN_BYTES, NEEDED, REMEMBERED, Density
from headgate.policy.estimate import TOKENS_PER_BYTE

BYTES = 10_000


def taught(*densities: float, model: str = "m") -> Density:
    density = Density()
    for each in densities:
        density.saw(model, BYTES, round(each * BYTES))
    return density


def test_the_default_holds_until_enough_calls_are_known() -> None:
    assert taught(*[0.3] * (NEEDED - 1)).rate("m") == TOKENS_PER_BYTE
    assert 0.3 <= taught(*[0.3] * NEEDED).rate("m") <= 0.35
    assert taught(*[0.3] * NEEDED).rate("another") == TOKENS_PER_BYTE


def test_one_dense_call_among_few_counts_and_among_many_does_not() -> None:
    assert taught(*[0.25] * (NEEDED - 1), 0.6).rate("m") >= 0.6
    assert taught(0.6, *[0.25] * (REMEMBERED - 1)).rate("m") < 0.3
    assert taught(*[0.6] * 5, *[0.25] * (REMEMBERED - 5)).rate("m") >= 0.6


def test_what_is_long_past_is_forgotten() -> None:
    assert taught(*[0.9] * REMEMBERED, *[0.25] * REMEMBERED).rate("m") < 0.3


def test_the_rate_stays_between_floor_and_ceiling() -> None:
    assert taught(*[0.001] * REMEMBERED).rate("m") == FLOOR
    assert taught(*[7.0] * REMEMBERED).rate("m") == CEILING


def test_small_and_empty_requests_teach_nothing() -> None:
    density = Density()
    for _ in range(NEEDED):
        density.saw("m", MIN_BYTES - 1, MIN_BYTES)
        density.saw("m", BYTES, 0)
    assert density.rate("m") == TOKENS_PER_BYTE


def test_the_model_unheard_of_for_longest_is_forgotten_first() -> None:
    density = taught(*[0.3] * NEEDED, model="kept")
    for number in range(MAX_MODELS):
        density.saw("kept", BYTES, 3_000)
        density.saw(f"m{number}", BYTES, 3_000)
    assert density.rate("kept") < TOKENS_PER_BYTE
    for number in range(MAX_MODELS):
        density.saw(f"n{number}", BYTES, 3_000)
    assert density.rate("kept") == TOKENS_PER_BYTE


@given(st.integers(0, 2**32))
def test_at_most_one_call_in_a_hundred_is_denser_than_the_rate(seed: int) -> None:
    random = Random(seed)
    calls = [random.betavariate(2, 6) for _ in range(random.randrange(NEEDED, 2 * REMEMBERED))]
    rate = taught(*calls).rate("m")
    last = calls[-REMEMBERED:]
    assert sum(each > rate for each in last) <= len(last) // 100


@given(st.lists(st.integers(1, 100), min_size=1, max_size=60), st.integers(1, 5))
def test_the_rate_is_that_of_a_sort_after_every_call(steps: list[int], times: int) -> None:
    density = Density()
    seen: list[int] = []
    for step in (steps * (NEEDED * times // len(steps) + 2))[: 2 * REMEMBERED]:
        density.saw("m", 100 * BYTES, step * BYTES)
        seen.append(step)
        last = sorted(seen[-REMEMBERED:], reverse=True)
        if len(seen) >= NEEDED and len(seen) % 7 == 0:
            assert density.rate("m") == min(max(last[len(last) // 100] * 1.1 / 100, FLOOR), CEILING)
