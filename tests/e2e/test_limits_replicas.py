"""A cap over three gateways on one PostgreSQL: one is paused until it is taken for dead, one loses its database."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from tests.e2e.burn import Burn, at_rest, billed, burning, judge, judge_calls, kill_one, limits
from tests.e2e.gateway import Gateway
from tests.e2e.held import Held
from tests.e2e.limited import books, prepared
from tests.e2e.load import CHAT, ENDS, MESSAGES, RESPONSES
from tests.e2e.processes import apoll, living, status, status_of, workers
from tests.e2e.raw import Line
from tests.e2e.relay import Relay

from headgate.sim import SimThread

USD = 1_000_000_000
WORKERS = 2
CALLERS = 90
DEAD_AFTER = "15s"
"""The least that the configuration takes."""
SEED = random.SystemRandom().randrange(1 << 32)


@contextmanager
def replicas(folder: Path, sim: SimThread, *urls: str, cap: int) -> Iterator[tuple[list[Gateway], list[int]]]:
    """Run a gateway on each of these ways to one database; return them and the limits in force, on account and key."""
    made = []
    for number, url in enumerate(urls):
        own = folder / str(number)
        own.mkdir()
        ledger = f'ledger: {{url: "{url}", state_dir: "{own / "state"}", dead_after: {DEAD_AFTER}}}\n'
        made.append(Gateway(own, sim, burning(sim) + ledger, workers=WORKERS, ledger=url))
    ids = prepared(made[0], *limits(cap))
    with ExitStack() as stack:
        for one in made:
            one.key, one.key_id = made[0].key, made[0].key_id
            stack.enter_context(one)
        yield made, ids


def send_all(gateway: Gateway, sign: signal.Signals) -> None:
    """Send a signal to the supervisor, then to its workers."""
    children = workers(gateway)
    for process in (psutil.Process(gateway.pid), *children):
        process.send_signal(sign)


@contextmanager
def paused(gateway: Gateway) -> Iterator[set[int]]:
    """Stop all processes of a gateway for the block; give the incarnations of its workers."""
    known = {one["incarnation"] for one in status(gateway)["workers"]}
    send_all(gateway, signal.SIGSTOP)
    try:
        yield known
    finally:
        send_all(gateway, signal.SIGCONT)


async def cut_off(gateway: Gateway, relay: Relay) -> None:
    """Take a gateway's database away until it refuses calls, and give it back."""
    ready = f"{gateway.url}/readyz"
    relay.cut()
    await apoll(lambda: status_of(ready) == 503)
    relay.restore()
    await apoll(lambda: status_of(ready) == 200)


async def rounds(folder: Path, url: str, seed: int, *, cap: int, kills: int) -> None:
    """Let three gateways spend a cap together, one paused and one cut off on the way, then judge."""
    with (
        Relay(url) as relay,
        SimThread(seed=5) as sim,
        replicas(folder, sim, url, url, relay.url, cap=cap) as (all_, ids),
    ):
        sleeper, witness, cut = all_
        urls, chance = [one.url for one in all_], random.Random(seed)
        async with AsyncExitStack() as stack:
            streams = [
                Held(await stack.enter_async_context(Line(sleeper.url, sleeper.key)), path)
                for path in (CHAT, RESPONSES, MESSAGES)
            ]
            for stream in streams:
                await stream.begin(sim)
            burn = Burn(urls, sleeper.key, seed=seed, callers=CALLERS)
            async with asyncio.TaskGroup() as group:
                group.create_task(burn.run())
                await burn.answers(CALLERS)
                with paused(sleeper) as stopped:
                    await cut_off(cut, relay)
                    for _ in range(kills):
                        await kill_one(witness, chance)
                    await apoll(lambda: not stopped & set(living(witness)))
                    assert (await asyncio.to_thread(books, url)).lost > 0
                    sim.release()
                for stream in streams:
                    assert ENDS[stream.path] in await stream.finish()
        after_pause = await at_rest(url)
        assert after_pause.corrected > 0
        assert await asyncio.to_thread(billed, sim) <= cap
        # What the late settles have given back can be spent.
        again = Burn(urls, sleeper.key, seed=seed + 1, callers=3)
        await again.run()
        read = await at_rest(url)
        assert burn.odd == again.odd == []
        judge(await asyncio.to_thread(billed, sim), cap, ids, read)
        await asyncio.to_thread(judge_calls, sim, url, burn)
        for one in all_:
            assert await asyncio.to_thread(one.stop) == 0
            assert "Traceback" not in one.stderr


async def test_a_cap_holds_over_three_gateways_one_paused_one_cut_off(postgres_url: str, tmp_path: Path) -> None:
    await rounds(tmp_path, postgres_url, SEED, cap=USD * 4 // 10, kills=0)


@pytest.mark.soak
async def test_a_large_cap_holds_over_three_gateways_under_kills(postgres_url: str, tmp_path: Path) -> None:
    await rounds(tmp_path, postgres_url, SEED, cap=5 * USD, kills=3)
