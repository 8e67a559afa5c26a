"""What programs are shown: units, and what nobody knows."""

from datetime import UTC, datetime

import pytest

from headgate.surfaces.shown import moment, net_cost


def test_a_moment_is_utc_exact_to_the_millisecond() -> None:
    assert moment(0) == "1970-01-01T00:00:00.000Z"
    assert moment(1_999_999) == "1970-01-01T00:00:00.001Z"
    at = datetime(2026, 11, 21, 9, 7, 1, tzinfo=UTC)
    assert moment(int(at.timestamp()) * 10**9 + 999_999_999) == "2026-11-21T09:07:01.999Z"


@pytest.mark.parametrize(
    ("cost", "adjusted", "net"), [(None, 0, None), (None, 5, 5), (0, 0, 0), (7, -7, 0), (7, 5, 12)]
)
def test_a_cost_that_nobody_knows_is_unknown_until_it_is_corrected(
    cost: int | None, adjusted: int, net: int | None
) -> None:
    assert net_cost({"cost_nano": cost, "adjusted_nano": adjusted}) == net
