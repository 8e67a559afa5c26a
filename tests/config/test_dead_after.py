"""`ledger.dead_after`: how long silence is not yet death."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from headgate.config.compile import compile_document
from headgate.config.load import document
from headgate.config.problems import ConfigError

SECOND = 1_000_000_000


def dead_after(text: str) -> int:
    read = document(text, Path("/srv/headgate.yaml"), {})
    return compile_document(read, {}, datetime(2026, 1, 15, tzinfo=UTC)).settings.dead_after


def test_it_is_a_minute_unless_said() -> None:
    assert dead_after("") == 60 * SECOND
    assert dead_after("ledger: {dead_after: 15s}") == 15 * SECOND
    assert dead_after("ledger: {dead_after: 1h}") == 3_600 * SECOND


@pytest.mark.parametrize("text", ["14s", "0s", "10", "-60s", "14999ms", "soon"])
def test_a_living_worker_must_have_time_to_say_so(text: str) -> None:
    with pytest.raises(ConfigError, match=r"headgate\.yaml:1: ledger\.dead_after: "):
        dead_after(f"ledger: {{dead_after: {text}}}")
