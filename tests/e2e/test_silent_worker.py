"""A worker that is stopped while it holds the turn to write: it is killed and replaced, the others go on."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from tests.e2e.gateway import Gateway
from tests.e2e.load import Load
from tests.e2e.processes import apoll, living, ready_pids

from headgate.sim import SimThread

TRIES = 20_000
"""Stops of a worker until one comes at the moment when it holds the turn."""


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with SimThread(seed=4) as sim, Gateway(tmp_path, sim, workers=2) as running:
        yield running


def stop_in_its_turn(gateway: Gateway, victim: psutil.Process) -> None:
    """Stop a worker at a moment when it holds the turn to write."""
    turn = (gateway.folder / "headgate.db-locks" / "turn").stat().st_ino
    for _ in range(TRIES):
        victim.send_signal(signal.SIGSTOP)
        if holds(victim.pid, turn):
            return
        victim.send_signal(signal.SIGCONT)
        time.sleep(0.0005)  # it must go on for a moment, or it is always stopped at the same place
    raise TimeoutError


def holds(pid: int, inode: int) -> bool:
    """Say whether a process holds the lock on a file; those that wait for one are marked by an arrow."""
    held = (line.split() for line in Path("/proc/locks").read_text().splitlines() if "->" not in line)
    return any(int(words[4]) == pid and words[5].endswith(f":{inode}") for words in held)


async def test_a_worker_stopped_in_its_turn_is_replaced_and_the_others_serve_on(gateway: Gateway) -> None:
    before = await asyncio.to_thread(ready_pids, gateway)
    victim = psutil.Process(min(before))
    async with Load(gateway.url, gateway.key, count=16, seed=1) as load:
        await load.more(20)
        await asyncio.to_thread(stop_in_its_turn, gateway, victim)
        others = before - {victim.pid}
        await apoll(lambda: len(now := ready_pids(gateway)) == 2 and others < now and victim.pid not in now)
        await load.more(50)
    assert "worker is silent; killed" in gateway.stderr
    await apoll(lambda: len(living(gateway)) == 2)
