"""The supervisor's looks at the ledger beside serving."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.ledger.holding import balance, limit, rows
from tests.ledger.rows import NOW
from tests.ledger.test_tidy import HOUR, SECOND, put

from headgate.ledger import incarnations, tables
from headgate.ledger.engine import Ledger
from headgate.model.limit import Per, Unit
from headgate.policy.windows import calendar, rolling
from headgate.runtime.clock import SYSTEM, Clock
from headgate.runtime.reaper import Reaper


async def test_the_supervisor_deletes_more_than_one_look_finds(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name, value in (
        ("headgate.ledger.tidy", "MOST", 20),
        ("headgate.runtime.reaper", "MOST", 20),
        ("headgate.runtime.reaper", "SLICE", 7),
        ("headgate.runtime.reaper", "TIDY_PERIOD", 0.0),
    ):
        monkeypatch.setattr(f"{module}.{name}", value)
    one, other = limit(ledger, window=rolling(HOUR)), limit(ledger, Unit.TOKENS, window=calendar(Per.DAY))
    put(ledger, one, range(1, 50))
    put(ledger, other, range(1, 10))
    put(ledger, one, [NOW])
    lock_dir = incarnations.lock_directory(ledger, tmp_path)
    reaping = asyncio.create_task(Reaper(ledger, lock_dir, 60 * SECOND, Clock(lambda: NOW, SYSTEM.mono)).run())
    async with asyncio.timeout(60):
        while len(await asyncio.to_thread(rows, ledger, tables.limit_balances)) > 1:
            assert not reaping.done()
    reaping.cancel()
    await asyncio.gather(reaping, return_exceptions=True)
    assert balance(ledger, one) == {NOW: (7, 0)}
