"""Everything killed with SIGKILL at a random moment under load: what a client saw the end of is in the ledger."""

from __future__ import annotations

import asyncio
import random
from functools import partial
from pathlib import Path

import pytest
from tests.e2e.gateway import Gateway
from tests.e2e.load import Load
from tests.e2e.processes import kill_all

from headgate.ledger.views import Reader
from headgate.sim import SimThread

CLIENTS = 16
SEED = random.SystemRandom().randrange(1 << 32)


async def rounds(gateway: Gateway, count: int, seed: int) -> None:
    chance = random.Random(seed)
    print(f"seed {seed}")  # noqa: T201  to repeat a failure with
    seen: set[str] = set()
    for _ in range(count):
        calls, moment = chance.randint(150, 400), chance.uniform(0, 0.05)
        async with Load(gateway.url, gateway.key, count=CLIENTS, seed=chance.randrange(1 << 32)) as load:
            await load.more(calls)
            await asyncio.sleep(moment)  # the chance that is tested, not a wait
            await asyncio.to_thread(kill_all, gateway)
            load.leave()
        assert load.refused == []
        seen |= load.seen
        await asyncio.to_thread(gateway.start)
        gateway.read(partial(agrees, seen))
    assert await asyncio.to_thread(gateway.stop) == 0


def agrees(seen: set[str], reader: Reader) -> None:
    """All that was seen is there, whole, and counted once."""
    rows = reader.calls(limit=10**6)
    there = {row["id"] for row in rows}
    assert len(there) == len(rows)
    assert seen - there == set()
    attempts = [reader.call(call) for call in sorted(seen)[:: max(1, len(seen) // 50)]]
    assert all(call is not None and len(call["attempts"]) == 1 for call in attempts)
    counted = [row.spent for row in reader.balances("account", "tests") if row.unit == "requests"]
    assert set(counted) == {len(there)}


async def test_a_crash_loses_no_call_whose_end_was_seen(ledger_url: str, tmp_path: Path, sim: SimThread) -> None:
    with Gateway(tmp_path, sim, workers=2, ledger=ledger_url) as gateway:
        await rounds(gateway, 1, SEED)


@pytest.mark.soak
async def test_twenty_crashes_lose_no_call_whose_end_was_seen(ledger_url: str, tmp_path: Path, sim: SimThread) -> None:
    with Gateway(tmp_path, sim, workers=2, ledger=ledger_url) as gateway:
        await rounds(gateway, 20, SEED)
