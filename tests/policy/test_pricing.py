"""Cost and worst case: exact, rounded once, never negative, unknown where a price is missing."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.model.limit import Bound
from headgate.model.money import MAX_NANO_USD
from headgate.model.price import FREE, UNKNOWN, Billing, Prices, Rate
from headgate.model.usage import Basis, Usage
from headgate.policy.pricing import cost_of, dearest, rate_at

METERED = Billing.METERED
CLASSES = (
    "input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "output",
    "input_audio",
    "cache_read_audio",
    "output_audio",
)

tokens = st.integers(0, 3_000_000)
usages = st.builds(Usage, **dict.fromkeys(CLASSES, tokens))


def worst_case(
    input_tokens: int, output_tokens: int, prices: Prices, billing: Billing, *, audio: bool = False
) -> int | None:
    """Return the most nano-USD that an attempt of these tokens costs; None: unpriced."""
    rates = dearest(input_tokens, prices, billing, has_output=output_tokens > 0, audio=audio)
    bound = Bound(input_tokens, input_tokens, output_tokens, 0, 1, *rates)
    return bound.nano(input_tokens, output_tokens) if bound.priced else None


@st.composite
def rates(draw: st.DrawFn) -> Rate:
    """Rates whose tiers rise, as all vendors' do."""
    prices = sorted(draw(st.lists(st.integers(0, 10**12), min_size=1, max_size=4)))
    starts = sorted(draw(st.sets(st.integers(1, 2_000_000), min_size=len(prices) - 1, max_size=len(prices) - 1)))
    return Rate(prices[0], tuple(zip(starts, prices[1:], strict=True)))


known = st.builds(Prices, **dict.fromkeys(CLASSES, rates()), request=st.integers(0, 10**9))


@given(usages, known)
def test_cost_is_the_exact_sum_rounded_half_up_once(usage: Usage, prices: Prices) -> None:
    exact = Fraction(prices.request)
    for name in CLASSES:
        exact += Fraction(getattr(usage, name) * rate_at(getattr(prices, name), usage.total_input), 1_000_000)
    cost = cost_of(usage, prices, METERED, None)
    assert cost.nano == (exact + Fraction(1, 2)).__floor__()
    assert cost.savings_nano >= 0


@given(usages, known, st.sampled_from(CLASSES), st.integers(1, 1_000_000))
def test_more_tokens_never_cost_less(usage: Usage, prices: Prices, name: str, more: int) -> None:
    larger = Usage(**{each: getattr(usage, each) + (more if each == name else 0) for each in CLASSES})
    less = cost_of(usage, prices, METERED, None).nano
    greater = cost_of(larger, prices, METERED, None).nano
    assert less is not None
    assert greater is not None
    assert less <= greater


@given(usages, known)
def test_worst_case_covers_every_usage_of_its_size(usage: Usage, prices: Prices) -> None:
    cost = cost_of(usage, prices, METERED, None).nano
    worst = worst_case(usage.total_input, usage.total_output, prices, METERED, audio=True)
    assert cost is not None
    assert worst is not None
    assert cost <= worst


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_with_tokens_and_no_price_makes_the_cost_unknown(name: str) -> None:
    all_known = dict.fromkeys(CLASSES, Rate(1))
    prices = Prices(**{**all_known, name: None})  # type: ignore[arg-type]
    unknown = cost_of(Usage(**{name: 1}), prices, METERED, None)
    assert (unknown.nano, unknown.basis) == (None, Basis.UNKNOWN)
    others = {each: 1 for each in CLASSES if each != name}
    assert cost_of(Usage(**others), prices, METERED, None).basis == Basis.COMPUTED


def test_a_class_without_tokens_needs_no_price() -> None:
    assert cost_of(Usage(), UNKNOWN, METERED, None).nano == 0


def test_halves_are_rounded_up_and_only_at_the_end() -> None:
    quarter = Prices(input=Rate(250_000), output=Rate(250_000))
    assert cost_of(Usage(input=1), quarter, METERED, None).nano == 0
    assert cost_of(Usage(input=2), quarter, METERED, None).nano == 1
    assert cost_of(Usage(input=1, output=1), quarter, METERED, None).nano == 1
    assert cost_of(Usage(input=3, output=2), quarter, METERED, None).nano == 1


def test_a_tier_holds_strictly_above_its_threshold_for_all_tokens() -> None:
    rate = Rate(1, ((10, 2), (20, 4)))
    assert [rate_at(rate, total) for total in (0, 10, 11, 20, 21)] == [1, 1, 2, 2, 4]


def test_a_cost_that_the_provider_names_wins_and_savings_stay() -> None:
    prices = Prices(input=Rate(2_000_000), cache_read=Rate(1_000_000), output=Rate(1_000_000))
    cost = cost_of(Usage(cache_read=10, output=1), prices, METERED, 7)
    assert (cost.nano, cost.basis, cost.savings_nano) == (7, Basis.REPORTED, 10)
    assert cost_of(Usage(input=1), UNKNOWN, METERED, 0).nano == 0


@pytest.mark.parametrize("senseless", [-1, MAX_NANO_USD + 1])
def test_a_senseless_reported_cost_is_not_believed(senseless: int) -> None:
    cost = cost_of(Usage(input=1), Prices(input=Rate(3_000_000)), METERED, senseless)
    assert (cost.nano, cost.basis) == (3, Basis.COMPUTED)


def test_a_subscription_costs_nothing_whatever_is_said() -> None:
    cost = cost_of(Usage(input=1), UNKNOWN, Billing.SUBSCRIPTION, 5)
    assert (cost.nano, cost.basis, cost.savings_nano) == (0, Basis.SUBSCRIPTION, 0)
    assert worst_case(10, 10, UNKNOWN, Billing.SUBSCRIPTION) == 0


def test_a_cache_dearer_than_fresh_input_saves_nothing() -> None:
    prices = Prices(input=Rate(1_000_000), cache_read=Rate(2_000_000))
    assert cost_of(Usage(cache_read=5), prices, METERED, None).savings_nano == 0


def test_savings_are_zero_where_the_fresh_price_is_unknown() -> None:
    assert cost_of(Usage(cache_read=5), Prices(cache_read=Rate(1)), METERED, None).savings_nano == 0


def test_amounts_stay_within_64_bits() -> None:
    assert cost_of(Usage(input=10**15), Prices(input=Rate(10**15)), METERED, None).nano == MAX_NANO_USD


def test_the_basis_of_a_priced_cost_can_be_named() -> None:
    assert cost_of(Usage(input=1), FREE, METERED, None, Basis.ESTIMATED).basis == Basis.ESTIMATED


def test_worst_case_takes_the_dearest_input_class_and_the_highest_tier_in_reach() -> None:
    prices = Prices(
        input=Rate(1_000_000, ((10, 3_000_000),)),
        output=Rate(5_000_000),
        cache_read=Rate(1_000_000),
        cache_write_5m=Rate(2_000_000),
        cache_write_1h=Rate(2_500_000),
        input_audio=Rate(50_000_000),
        cache_read_audio=Rate(50_000_000),
        output_audio=Rate(80_000_000),
        request=7,
    )
    assert worst_case(10, 2, prices, METERED) == 25 + 10 + 7  # 10 × 2.5 + 2 × 5 + the request
    assert worst_case(11, 2, prices, METERED) == 33 + 10 + 7  # 11 × 3
    assert worst_case(10, 2, prices, METERED, audio=True) == 500 + 160 + 7


def test_worst_case_rounds_up() -> None:
    prices = Prices(Rate(1), Rate(1), Rate(1), Rate(1), Rate(1))
    assert worst_case(1, 0, prices, METERED) == 1


def test_worst_case_of_an_unpriced_class_is_unknown_but_for_output_that_cannot_be() -> None:
    no_write = Prices(input=Rate(1), output=Rate(1), cache_read=Rate(1), cache_write_5m=Rate(1))
    embedding = Prices(Rate(10**6), None, Rate(10**6), Rate(10**6), Rate(10**6))
    assert worst_case(1, 1, no_write, METERED) is None
    assert worst_case(1, 1, embedding, METERED) is None
    assert worst_case(3, 0, embedding, METERED) == 3
