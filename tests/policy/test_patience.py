"""Which timeout ends which wait."""

import pytest

from headgate.model.route import Timeouts
from headgate.policy.patience import DEADLINE, NO_ANSWER, NO_CONTENT, SILENT, overdue

TIMEOUTS = Timeouts(connect=1, answer=100, first_token=50, idle=20)
QUIET = {"stream": True, "content": False, "answered": True, "call_age": 0, "attempt_age": 0, "quiet": 0}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, None),
        ({"call_age": 1000}, None),
        ({"call_age": 1001}, DEADLINE),
        ({"call_age": 1001, "content": True}, None),
        ({"attempt_age": 50}, None),
        ({"attempt_age": 51}, NO_CONTENT),
        ({"attempt_age": 51, "content": True}, None),
        ({"attempt_age": 51, "stream": False}, None),
        ({"attempt_age": 100, "stream": False, "answered": False, "quiet": 100}, None),
        ({"attempt_age": 101, "stream": False, "answered": False}, NO_ANSWER),
        ({"quiet": 20}, None),
        ({"quiet": 21}, SILENT),
        ({"quiet": 21, "content": True}, SILENT),
        ({"quiet": 21, "stream": False}, SILENT),
    ],
)
def test_each_wait_has_its_end(said: dict[str, object], expected: object) -> None:
    assert overdue(TIMEOUTS, 1000, **(QUIET | said)) == expected  # type: ignore[arg-type]
