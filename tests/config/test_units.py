from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.config.units import MAX_TIME, NS_PER, parse_duration, parse_since, parse_size


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


NOW = 1_700_000_000 * NS_PER["s"]


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("all", 0),
        ("24h", NOW - 24 * NS_PER["h"]),
        ("3660d", 1_383_776_000 * NS_PER["s"]),
        ("2023-11-14", 1_699_920_000 * NS_PER["s"]),
        ("2023-11-14T22:13:20.000001Z", NOW + 1_000),
        ("2023-11-15T00:13:20+02:00", NOW),
        ("0001-01-01T00:00:00+14:00", 0),
        ("9999-12-31T23:59:59.999999-14:00", MAX_TIME),
    ],
)
def test_since_is_a_duration_back_a_time_or_all(text: str, ns: int) -> None:
    assert parse_since(text, NOW) == ns


@pytest.mark.parametrize("text", ["", "yesterday", "12", "4000d", "-1h", "2023-13-01"])
def test_what_says_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be a duration back|ten years"):
        parse_since(text, NOW)


def test_since_never_lies_before_the_epoch() -> None:
    assert parse_since("1d", 0) == 0


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=14)), timezone(-timedelta(hours=14))])))
def test_every_time_fits_in_64_bits_and_keeps_its_microseconds(at: datetime) -> None:
    ns = parse_since(at.isoformat(), NOW)
    assert 0 <= ns <= MAX_TIME
    if 0 < ns < MAX_TIME:
        assert datetime.fromtimestamp(ns // NS_PER["s"], UTC).replace(microsecond=ns % NS_PER["s"] // 1000) == at


def test_64_bits_end_where_they_should() -> None:
    assert parse_since("2262-04-11T23:47:16.854775Z", NOW) == MAX_TIME // 1000 * 1000
    assert parse_since("2262-04-11T23:47:16.854776Z", NOW) == MAX_TIME
