"""Prices from the file, and what is billed as what where a class has no price."""

from decimal import Decimal

import pytest

from headgate.config.prices import dearer, override
from headgate.model.dialect import Kind
from headgate.model.price import FREE, Rate


def test_prices_from_the_file_are_exact() -> None:
    prices = override({"input": "0.1", "output": 0.3, "cache_read": Decimal("0.0000000005")})
    assert prices.input == Rate(100_000_000)
    assert prices.output == Rate(300_000_000)
    assert prices.cache_read == Rate(1)  # half a nano-dollar, rounded half up


def test_what_the_file_does_not_price_is_billed_as_fresh_input() -> None:
    prices = override({"input": 2, "output": 8})
    fresh = Rate(2_000_000_000)
    assert (prices.cache_read, prices.cache_write_5m, prices.cache_write_1h) == (fresh, fresh, fresh)
    assert (prices.input_audio, prices.cache_read_audio) == (fresh, fresh)
    assert prices.output_audio == Rate(8_000_000_000)


def test_on_anthropics_dialect_unpriced_writes_take_anthropics_multiples() -> None:
    prices = override({"input": 2, "output": 8}, Kind.ANTHROPIC)
    assert prices.cache_write_5m == Rate(2_500_000_000)
    assert prices.cache_write_1h == Rate(4_000_000_000)


def test_an_output_price_alone_leaves_input_unknown() -> None:
    assert override({"output": 1}).input is None


def test_genai_prices_names_of_classes_are_understood() -> None:
    prices = override({"input_mtok": 1, "cache_audio_read_mtok": 3, "cache_write": 2, "requests_kcount": 5})
    assert prices.input == Rate(1_000_000_000)
    assert prices.cache_read_audio == Rate(3_000_000_000)
    assert prices.cache_write_5m == Rate(2_000_000_000)
    assert prices.request == 5_000_000


def test_free_is_free() -> None:
    assert override("free") is FREE


@pytest.mark.parametrize(
    "value", [-1, "-0.1", "nan", float("nan"), "inf", float("inf"), 1_000_001, "cheap", "", None, True, [1]]
)
def test_a_senseless_price_is_refused_by_the_name_of_its_class(value: object) -> None:
    with pytest.raises(ValueError, match="cache_read"):
        override({"input": 1, "cache_read": value})


@pytest.mark.parametrize("spec", [{"inptu": 1}, {"input": 1, "input_mtok": 1}, "gratis", {"web_searches_kcount": 1}])
def test_an_unknown_or_doubled_class_is_refused(spec: str | dict[str, object]) -> None:
    with pytest.raises(ValueError):
        override(spec)


def test_of_two_rates_the_dearer_counts_on_every_tier() -> None:
    one = Rate(10, ((100, 30),))
    other = Rate(20, ((200, 25),))
    assert dearer(one, other) == Rate(20, ((100, 30), (200, 30)))
