"""The store goes away while the gateway runs: nothing is let through unrecorded, and nothing is lost."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.e2e.gateway import PATIENCE, Gateway
from tests.e2e.held import ERRORS, PATHS, held
from tests.e2e.load import CHAT, ENDS, body
from tests.e2e.processes import apoll, ready_pids, workers
from tests.e2e.raw import Answer, Line
from tests.e2e.relay import Relay

from headgate.sim import SimThread

WORKERS = 2
LINES = 10


async def becomes(line: Line, status: int) -> None:
    """Ask for readiness on this connection until it is answered so."""
    async with asyncio.timeout(PATIENCE):
        while (await line.get("/readyz")).status != status:  # noqa: ASYNC110  another process makes it so
            await asyncio.sleep(0.02)


async def refused_for_every_key(gateway: Gateway, keys: list[str]) -> None:
    for key in keys:
        async with Line(gateway.url, key) as line:
            for path in PATHS:
                answer = await line.post(path, body(path))
                assert answer.status == 503
                assert b"ledger" in answer.body
                assert answer.headers["retry-after"] == "2"


def all_in(gateway: Gateway, calls: list[str]) -> None:
    gateway.until(lambda reader: all(reader.call(call) for call in calls))
    for call in calls:
        row = gateway.call(call)
        assert (row["outcome"], row["attempt_count"], len(row["attempts"])) == ("ok", 1, 1)
        assert row["cost_nano"]


@pytest.mark.parametrize("how", ["cut", pytest.param("stall", marks=pytest.mark.soak)])
async def test_a_lost_postgresql_refuses_calls_ends_streams_and_loses_no_row(
    postgres_url: str, tmp_path: Path, how: str
) -> None:
    with Relay(postgres_url) as relay, SimThread(seed=4) as sim:
        gateway = Gateway(tmp_path, sim, workers=WORKERS, ledger=relay.url)
        keys = [gateway.new_key("one"), gateway.new_key("two")]
        with gateway:
            await the_store_goes_and_returns(gateway, sim, relay, keys, how)
            await a_worker_that_dies_meanwhile_comes_back(gateway, relay)
            assert await asyncio.to_thread(gateway.stop) == 0


async def the_store_goes_and_returns(gateway: Gateway, sim: SimThread, relay: Relay, keys: list[str], how: str) -> None:
    async with AsyncExitStack() as stack, held(gateway, sim, PATHS * 2) as streams:
        lines = [await stack.enter_async_context(Line(gateway.url, gateway.key)) for _ in range(LINES)]
        await asyncio.gather(*(becomes(line, 200) for line in lines))
        getattr(relay, how)()
        sim.release()
        ends = asyncio.gather(*(stream.finish() for stream in streams))
        await asyncio.gather(*(becomes(line, 503) for line in lines))
        await refused_for_every_key(gateway, keys)
        for stream, data in zip(streams, await ends, strict=True):
            assert ENDS[stream.path] not in data
            assert ERRORS[stream.path] in data.rstrip().split(b"\n\n")[-1]
            assert b"ledger" in data
        relay.restore()
        await asyncio.gather(*(becomes(line, 200) for line in lines))
        answers = [await line.post(CHAT, body(CHAT)) for line in lines]
        assert {answer.status for answer in answers} == {200}
        await asyncio.to_thread(all_in, gateway, [stream.call for stream in streams])
        await asyncio.to_thread(all_in, gateway, [answer.call for answer in answers])


async def a_worker_that_dies_meanwhile_comes_back(gateway: Gateway, relay: Relay) -> None:
    relay.cut()
    before = await asyncio.to_thread(ready_pids, gateway)
    os.kill(min(before), signal.SIGKILL)
    await apoll(lambda: "worker could not start" in gateway.stderr)
    relay.restore()
    await apoll(lambda: len(now := ready_pids(gateway)) == WORKERS and now != before)


async def test_a_disk_that_fills_up_refuses_calls_and_loses_no_row(tmp_path: Path) -> None:
    """The limit on a file's size stands for the disk's end; it is lifted again."""
    with SimThread(seed=5) as sim, Gateway(tmp_path, sim) as gateway:
        [worker] = workers(gateway)
        _, hard = resource.prlimit(worker.pid, resource.RLIMIT_FSIZE)

        async def ask() -> Answer:
            async with Line(gateway.url, gateway.key) as line:
                return await line.post(CHAT, body(CHAT))

        async with Line(gateway.url, gateway.key) as line:
            await becomes(line, 200)
            resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (4096, hard))
            calls = [asyncio.create_task(ask()) for _ in range(4)]
            await becomes(line, 503)
            await refused_for_every_key(gateway, [gateway.key])
            resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (hard, hard))
            await becomes(line, 200)
        answers = await asyncio.gather(*calls)
        assert {answer.status for answer in answers} <= {200, 503}
        await asyncio.to_thread(all_in, gateway, [answer.call for answer in answers])
        assert (await ask()).status == 200
        assert await asyncio.to_thread(gateway.stop) == 0
