"""The life of a gateway's processes: drain, a supervisor that is killed, frames on their way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from tests.e2e.gateway import PATIENCE, Gateway, standard
from tests.e2e.held import ERRORS, PATHS, Held, contents, held
from tests.e2e.load import CHAT, ENDS, body
from tests.e2e.processes import is_free, living, status_of, workers
from tests.e2e.raw import Line

from headgate.sim import SimThread


@pytest.fixture
def own_sim() -> Iterator[SimThread]:
    with SimThread(seed=2) as running:
        yield running


def configured(sim: SimThread, drain_timeout: str, *, port: int = 0, workers: int = 1) -> str:
    server = f"{{port: {port}, admin_port: 0, workers: {workers}, drain_timeout: {drain_timeout}}}"
    return f"{standard(sim)}\nserver: {server}\n"


@pytest.mark.parametrize("path", PATHS)
async def test_a_frame_reaches_the_client_while_the_upstream_stands_still(
    gateway: Gateway, sim: SimThread, path: str
) -> None:
    async with Line(gateway.url, gateway.key) as line:
        for after in (1, 2, 5):
            stream = Held(line, path)
            await stream.begin(sim, after)
            assert contents(path, stream.data) == after
            sim.release()
            assert ENDS[path] in await stream.finish()


async def test_a_drain_lets_streams_end_and_takes_nothing_new(tmp_path: Path, own_sim: SimThread) -> None:
    with Gateway(tmp_path, own_sim, configured(own_sim, "60s")) as gateway:
        async with held(gateway, own_sim) as streams, Line(gateway.url, gateway.key) as other:
            assert (await other.get("/readyz")).status == 200
            gateway.process.terminate()
            answer = await other.get("/readyz")
            while answer.status == 200:
                answer = await other.get("/readyz")
            assert answer.status == 503
            for path in PATHS:
                refused = await other.post(path, body(path))
                assert (refused.status, refused.headers["retry-after"]) == (503, "1")
            assert (await other.get("/healthz")).status == 200
            assert status_of(gateway.admin_url + "/readyz") == 503
            own_sim.release()
            for stream in streams:
                assert ENDS[stream.path] in await stream.finish()
        assert await asyncio.to_thread(gateway.wait) == 0
        for stream in streams:
            assert gateway.call(stream.call)["outcome"] == "ok"
        assert ended_well(gateway)


async def test_a_stream_longer_than_the_drain_ends_in_an_error_and_is_recorded(
    tmp_path: Path, own_sim: SimThread
) -> None:
    with Gateway(tmp_path, own_sim, configured(own_sim, "200ms")) as gateway:
        async with held(gateway, own_sim) as streams:
            gateway.process.terminate()
            for stream in streams:
                last = (await stream.finish()).rstrip().split(b"\n\n")[-1]
                assert ERRORS[stream.path] in last
                assert b"shut down" in last
        assert await asyncio.to_thread(gateway.wait) == 0
        for stream in streams:
            row = gateway.call(stream.call)
            assert (row["outcome"], row["attempts"][0]["failure"]) == ("broken", "deadline")
            assert row["cost_nano"]
        assert ended_well(gateway)


async def test_a_client_that_stands_still_does_not_hold_up_the_end(tmp_path: Path, own_sim: SimThread) -> None:
    """Half a head, half a body, and a connection that is kept for nothing."""
    with Gateway(tmp_path, own_sim, configured(own_sim, "200ms")) as gateway:
        async with (
            Line(gateway.url, gateway.key) as half,
            Line(gateway.url, gateway.key) as slow,
            Line(gateway.url, gateway.key) as idle,
        ):
            await half.raw(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n")
            await slow.raw(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
            assert (await idle.get("/healthz")).status == 200
            children = workers(gateway)
            gateway.process.terminate()
            assert await asyncio.to_thread(gateway.wait) == 0
        assert not any(child.is_running() for child in children)
        assert "killed" not in gateway.stderr
        assert ended_well(gateway)


@pytest.mark.soak
async def test_a_client_that_reads_nothing_does_not_hold_up_the_end_and_its_call_is_recorded(
    tmp_path: Path, own_sim: SimThread
) -> None:
    """It is given some seconds to take the error event; too long for the suite."""
    with Gateway(tmp_path, own_sim, configured(own_sim, "200ms")) as gateway:
        async with Line(gateway.url, gateway.key, receive_buffer=4096) as line:
            await line.stream(CHAT, body(CHAT, "[[sim tokens=2000000 frame=1000]]", stream=True))
            gateway.process.terminate()
            assert await asyncio.to_thread(gateway.wait) == 0
        assert gateway.call(line.headers["x-headgate-call"])["attempt_count"] == 1
        assert "killed" not in gateway.stderr
        assert ended_well(gateway)


async def test_workers_end_with_their_supervisor_and_the_next_one_takes_over(
    tmp_path: Path, own_sim: SimThread
) -> None:
    with Gateway(tmp_path, own_sim, workers=2) as gateway:
        port = int(gateway.url.rpartition(":")[2])
        async with held(gateway, own_sim) as streams, Line(gateway.url, gateway.key) as half:
            await half.raw(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n")
            children = workers(gateway)
            assert len(children) == 2
            await asyncio.to_thread(gateway.kill)
            for stream in streams:
                assert ERRORS[stream.path] in await stream.finish()
            gone, alive = await asyncio.to_thread(psutil.wait_procs, children, PATIENCE)
            assert (len(gone), alive) == (2, [])
        assert is_free(port)
        gateway.write(configured(own_sim, "30s", port=port))
        await asyncio.to_thread(gateway.start)
        assert gateway.url.endswith(f":{port}")
        for stream in streams:
            assert gateway.call(stream.call)["outcome"] == "broken"
        async with Line(gateway.url, gateway.key) as line:
            assert (await line.post(CHAT, body(CHAT))).status == 200


def ended_well(gateway: Gateway) -> bool:
    """No life was left open, and nothing was missing from the ledger."""
    return living(gateway) == [] and "critical" not in gateway.stderr
