"""A cap under fire: hundreds of callers, upstreams that fail after billing, workers that are killed."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from tests.e2e.burn import Burn, at_rest, billed, burning, judge, judge_calls, kill_one, limits
from tests.e2e.gateway import Gateway
from tests.e2e.limited import prepared

from headgate.sim import SimThread

USD = 1_000_000_000
WORKERS = 4
SEED = random.SystemRandom().randrange(1 << 32)
BETWEEN = 120
"""Answers between two kills of a short round."""
PERIOD = 8.0
"""Seconds between two kills of a long one."""


async def spend(gateway: Gateway, sim: SimThread, seed: int, cap: int, *, kills: int, period: float = 0) -> None:
    """Let callers spend a cap to its end, judge. `kills` workers are killed on the way, or one every `period` s."""
    ids = prepared(gateway, *limits(cap))
    chance = random.Random(seed)
    with gateway:
        burn = Burn([gateway.url], gateway.key, seed=seed)
        killed = 0
        async with asyncio.TaskGroup() as group:
            running = group.create_task(burn.run())
            while not burn.ended and (period or killed < kills):
                if period:
                    await asyncio.wait({running}, timeout=period)
                else:
                    await burn.answers(BETWEEN * (killed + 1))
                if not burn.ended:
                    await kill_one(gateway, chance)
                    killed += 1
        read = await at_rest(gateway.ledger_url)
        assert burn.odd == []
        assert killed >= kills
        assert read.lost > 0
        judge(await asyncio.to_thread(billed, sim), cap, ids, read)
        await asyncio.to_thread(judge_calls, sim, gateway.ledger_url, burn)
        again = Burn([gateway.url], gateway.key, seed=seed, callers=3)
        await again.run()
        assert again.statuses == {429: 3}
        assert await asyncio.to_thread(gateway.stop) == 0
    assert "Traceback" not in gateway.stderr


async def test_a_cap_holds_while_workers_are_killed(tmp_path: Path) -> None:
    with SimThread(seed=2) as sim:
        gateway = Gateway(tmp_path, sim, burning(sim), workers=WORKERS)
        await spend(gateway, sim, SEED, USD * 3 // 10, kills=2)


async def test_a_cap_holds_on_postgresql_while_workers_are_killed(postgres_url: str, tmp_path: Path) -> None:
    with SimThread(seed=2) as sim:
        gateway = Gateway(tmp_path, sim, burning(sim), workers=WORKERS, ledger=postgres_url)
        await spend(gateway, sim, SEED, USD * 3 // 10, kills=1)


@pytest.mark.soak
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_a_cap_holds_while_a_worker_is_killed_every_eight_seconds(
    request: pytest.FixtureRequest, tmp_path: Path, engine: str
) -> None:
    url = request.getfixturevalue("postgres_url") if engine == "postgresql" else None
    with SimThread(seed=2) as sim:
        gateway = Gateway(tmp_path, sim, burning(sim), workers=WORKERS, ledger=url)
        await spend(gateway, sim, SEED, 6 * USD, kills=5, period=PERIOD)
