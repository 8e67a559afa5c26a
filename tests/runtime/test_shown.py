"""Output tokens a second, from what a row holds."""

import pytest

from headgate.surfaces.shown import speed

MS = 1_000_000


@pytest.mark.parametrize(
    ("output", "duration", "ttft", "expected"),
    [
        (100, 1_100 * MS, 100 * MS, 100.0),
        (100, 1_000 * MS, None, 100.0),
        (100, 1_000 * MS, 950 * MS, 100.0),  # too short to count from the first content
        (0, 1_000 * MS, None, None),
        (5, 0, None, None),
    ],
)
def test_speed(output: int, duration: int, ttft: int | None, expected: float | None) -> None:
    row = {"output": output, "output_audio": 0, "duration": duration, "ttft": ttft, "basis": "computed"}
    assert speed(row) == expected
    assert speed({**row, "basis": "estimated"}) is None  # nobody counted them
