import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.config.units import NS_PER, format_duration, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("500ms", 500_000_000),
        ("30s", 30_000_000_000),
        ("1.5s", 1_500_000_000),
        ("10m", 600_000_000_000),
        ("1h30m", 5_400_000_000_000),
        ("24h", 86_400_000_000_000),
        ("7d", 604_800_000_000_000),
        ("1w", 604_800_000_000_000),
        (0, 0),
        ("0s", 0),
    ],
)
def test_durations_are_ns(text: object, ns: int) -> None:
    assert parse_duration(text) == ns


@pytest.mark.parametrize("text", ["", "30", 30, "s", "-1s", "1 s", "1y", "1e3s", "٣s", True, None, "s30", ["1s"]])
def test_what_has_no_unit_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="with its unit"):
        parse_duration(text)


def test_a_duration_beyond_ten_years_is_refused() -> None:
    with pytest.raises(ValueError, match="ten years"):
        parse_duration("4000d")


@given(st.integers(min_value=0, max_value=10**16))
def test_a_formatted_duration_reads_back(ns: int) -> None:
    text = format_duration(ns)
    assert sum(text.endswith(unit) for unit in NS_PER) >= 1
    if len(text) <= 9 + 2:
        assert parse_duration(text) == ns


@pytest.mark.parametrize(
    ("text", "size"),
    [(65536, 65536), ("65536", 65536), ("512KiB", 524288), ("32MiB", 33554432), ("1.5kB", 1500), ("2 GB", 2 * 10**9)],
)
def test_sizes_are_bytes(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "32M", "-1", -1, True, "MiB", 1.5, None])
def test_what_is_no_size_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="must be a size"):
        parse_size(text)
