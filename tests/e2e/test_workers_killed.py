"""Workers killed under load: the others serve on, each is replaced, and memory and file descriptors return."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from tests.e2e.gateway import Gateway
from tests.e2e.load import Load
from tests.e2e.processes import apoll, living, ready_pids, status, workers

from headgate.ledger.engine import open_ledger
from headgate.sim import SimThread

WORKERS = 3
CLIENTS = 16
CALLS = 60
"""Seen to their end between two kills, and before memory is looked at."""
SEED = random.SystemRandom().randrange(1 << 32)
GROWTH = 1.25
"""What memory may have grown by, new workers' different histories included."""
SPARE_FILES = 3
"""Files that may be open at the end and not at the start: the supervisor opens the ledger when it first reads."""


async def settled(gateway: Gateway, seed: int) -> tuple[int, int]:
    """Put the same load on all workers, then return memory (PSS, bytes) and file descriptors of all processes.

    Connections to upstreams that are kept for use again are as many as the load happened to need, and not counted.
    """
    async with Load(gateway.url, gateway.key, count=CLIENTS, seed=seed) as load:
        await load.more(5 * CALLS)
    processes = [psutil.Process(gateway.pid), *workers(gateway)]
    assert len(processes) == WORKERS + 1
    memory = sum(process.memory_full_info().pss for process in processes)
    return memory, sum(process.num_fds() - connections(process) for process in processes)


def connections(process: psutil.Process) -> int:
    return sum(one.status != psutil.CONN_LISTEN for one in process.net_connections("tcp"))


async def kill_one(gateway: Gateway, chance: random.Random, load: Load) -> int:
    """Kill a worker, see the others serve, and wait until it is replaced; return its pid."""
    before = await asyncio.to_thread(ready_pids, gateway)
    victim = chance.choice(sorted(before))
    os.kill(victim, signal.SIGKILL)
    await load.more(CALLS)
    others = before - {victim}
    await apoll(lambda: len(now := ready_pids(gateway)) == WORKERS and others < now and victim not in now)
    return victim


async def rounds(gateway: Gateway, seed: int, kills: int, period: float) -> None:
    print(f"seed {seed}")  # noqa: T201  to repeat a failure with
    chance = random.Random(seed)
    memory, files = await settled(gateway, seed)
    killed = set()
    async with Load(gateway.url, gateway.key, count=CLIENTS, seed=seed) as load:
        await load.more(CALLS)
        for _ in range(kills):
            began = time.monotonic()
            killed.add(await kill_one(gateway, chance, load))
            await asyncio.sleep(max(0.0, period - (time.monotonic() - began)))  # the pace of the kills
        await load.more(CALLS)
    assert load.refused == []
    assert len(load.broken) <= kills * CLIENTS
    assert len(killed) == kills
    whose = pids_of_calls(gateway)
    assert {whose[broken.call[-8:]] for broken in load.broken if broken.call} <= killed
    there = {row["id"] for row in gateway.read(lambda reader: reader.calls(limit=10**6))}
    assert load.seen - there == set()
    await apoll(lambda: living(gateway) == sorted(one["incarnation"] for one in status(gateway)["workers"]))
    memory_after, files_after = await settled(gateway, seed)
    assert memory_after <= memory * GROWTH
    assert files_after <= files + SPARE_FILES


def pids_of_calls(gateway: Gateway) -> dict[str, int]:
    """Return which process made the calls whose ids end so: each worker has its own ending."""
    ledger = open_ledger(gateway.ledger_url)
    try:
        with ledger.reader().connection() as connection:
            rows = connection.exec_driver_sql(
                "SELECT DISTINCT substr(calls.id, length(calls.id) - 7), incarnations.pid "
                "FROM calls JOIN incarnations ON incarnations.id = calls.incarnation"
            ).all()
    finally:
        ledger.close()
    return {str(ending): int(pid) for ending, pid in rows}


async def test_killed_workers_are_replaced_while_the_others_serve(tmp_path: Path) -> None:
    with SimThread(seed=6) as sim, Gateway(tmp_path, sim, workers=WORKERS) as gateway:
        await rounds(gateway, SEED, kills=2, period=0)


@pytest.mark.soak
async def test_a_worker_killed_every_two_seconds_for_a_minute_leaves_nothing_behind(tmp_path: Path) -> None:
    with SimThread(seed=6) as sim, Gateway(tmp_path, sim, workers=WORKERS) as gateway:
        await rounds(gateway, SEED, kills=30, period=2)
