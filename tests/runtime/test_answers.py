"""What `/v1/usage` and `/v1/models` answer from a real ledger and catalog."""

import json
from pathlib import Path

import pytest

from headgate.ledger.engine import open_ledger
from headgate.model.errors import HeadgateError
from headgate.model.identity import Principal
from headgate.surfaces.data.answers import usage, usage_query

NOW = 1_800_000_000_000_000_000
ME = Principal("acme", "key_1")


async def test_usage_of_a_key_that_never_called(tmp_path: Path) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path}/l.db")
    ledger.migrate()
    told = json.loads(await usage(usage_query(ledger), ME, "", NOW))
    ledger.close()
    assert told["all_time"] == {"calls": 0, "tokens": 0, "cost_usd": "0"}
    assert (told["since"], told["models"]) == ("24h", [])


@pytest.mark.parametrize("query", ["since=yesterday", "since=-1h"])
async def test_a_time_that_is_none_is_refused_without_a_question(query: str) -> None:
    async def never(*_: object) -> tuple[list[object], list[object]]:
        raise AssertionError("asked")

    with pytest.raises(HeadgateError, match="since"):
        await usage(never, ME, query, NOW)  # type: ignore[arg-type]
