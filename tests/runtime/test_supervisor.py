"""The supervisor over processes that are workers only in how they die."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from headgate.config.settings import NO_OVERRIDES
from headgate.runtime import respawn, supervisor
from headgate.runtime.clock import SYSTEM
from headgate.runtime.control import Drain, Fixed, Message, Reload, Start
from headgate.runtime.supervisor import StartFailed, Supervisor
from headgate.runtime.watchman import TICK_NS, Watchman

PRETEND = Path(__file__).with_name("pretend_worker.py")
FIXED = Fixed("127.0.0.1", 1, "sqlite:///none", "call", "none", "info")
SECOND_NS = 1_000_000_000


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(respawn, "FIRST_PAUSE_NS", 1_000_000)


def start(config: str) -> Callable[[int], Start]:
    return lambda index: Start(index, FIXED, "headgate.yaml", "/", config, NO_OVERRIDES)


def supervised(
    folder: Path, *behaviours: str, count: int = 1, drain: int = 60 * SECOND_NS, watchman: Watchman | None = None
) -> Supervisor:
    command = [sys.executable, "-S", str(PRETEND), str(folder), *behaviours]
    return Supervisor(command, count, start("first: 1"), SYSTEM, drain, watchman)


@contextlib.asynccontextmanager
async def running(made: Supervisor) -> AsyncIterator[Supervisor]:
    task = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        made.stop()
        await task


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  another process makes it true
            await asyncio.sleep(0.002)


def said(folder: Path, index: int, life: int) -> list[Message]:
    """What a worker was told after its start."""
    found = sorted(folder.glob(f"said-{index}-{life}-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    return [msgspec.json.decode(path.read_bytes(), type=Reload | Drain) for path in found]


def lives(folder: Path, index: int) -> int:
    return len(list(folder.glob(f"{index}-*")))


async def test_it_is_ready_when_all_workers_serve(tmp_path: Path) -> None:
    async with running(supervised(tmp_path, "serve", count=3)) as made:
        assert not made.ready.is_set()
        await made.ready.wait()
        workers = made.workers()
        assert [(one["index"], one["incarnation"], one["ready"]) for one in workers] == [
            (0, 1, True),
            (1, 1, True),
            (2, 1, True),
        ]
        assert len({one["pid"] for one in workers}) == 3
    assert made.workers() == []


async def test_it_is_not_ready_while_one_worker_does_not_serve(tmp_path: Path) -> None:
    (tmp_path / "1-0").touch()  # index 1 begins in its second life
    async with running(supervised(tmp_path, "serve", "die", "die", "serve", count=2)) as made:
        await until(lambda: (tmp_path / "1-2").exists() and made.workers()[0]["ready"])
        assert not made.ready.is_set()
        await made.ready.wait()


async def test_stop_drains_every_worker_and_waits_for_it(tmp_path: Path) -> None:
    async with running(supervised(tmp_path, "serve", count=2)) as made:
        await made.ready.wait()
        made.stop()
        made.stop()
        assert made.draining
    assert [said(tmp_path, index, 1) for index in (0, 1)] == [[Drain(60 * SECOND_NS)]] * 2


async def test_a_worker_born_into_a_drain_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = supervised(tmp_path, "serve")
    loop = asyncio.get_running_loop()

    async def stop() -> None:
        made.stop()

    def late(*args: Any, **options: Any) -> subprocess.Popen[bytes]:
        asyncio.run_coroutine_threadsafe(stop(), loop).result()
        return popen(*args, **options)

    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", late)
    await made.run()
    assert said(tmp_path, 0, 1) == [Drain(60 * SECOND_NS)]


async def test_a_killed_worker_is_replaced(tmp_path: Path) -> None:
    async with running(supervised(tmp_path, "serve", count=2)) as made:
        await made.ready.wait()
        first, second = made.workers()
        os.kill(first["pid"], signal.SIGKILL)
        await until(lambda: made.workers()[0]["incarnation"] == 2)
        assert made.workers()[0]["pid"] != first["pid"]
        assert made.workers()[1] == second


async def test_a_worker_that_dies_in_the_middle_of_a_message_is_replaced(tmp_path: Path) -> None:
    async with running(supervised(tmp_path, "half", "serve")) as made:
        await until(lambda: [one["incarnation"] for one in made.workers()] == [2])


async def test_workers_that_die_before_they_serve_are_tried_again(tmp_path: Path) -> None:
    async with running(supervised(tmp_path, "die", "die", "serve")) as made:
        await made.ready.wait()
        assert made.workers()[0]["incarnation"] == 3


async def test_a_start_that_never_works_fails(tmp_path: Path) -> None:
    made = supervised(tmp_path, "die")
    with pytest.raises(StartFailed, match="no worker could start"):
        await made.run()
    assert lives(tmp_path, 0) == supervisor.HOPELESS


async def test_a_start_that_cannot_work_says_why_and_ends_the_others(tmp_path: Path) -> None:
    (tmp_path / "1-0").touch()  # index 1 begins in its second life
    made = supervised(tmp_path, "serve", "fatal", count=2)
    with pytest.raises(StartFailed, match="the ledger is on fire"):
        await made.run()
    assert made.workers() == []


async def test_a_worker_that_cannot_come_back_now_does_not_end_the_gateway(tmp_path: Path) -> None:
    async with running(supervised(tmp_path, "half", "fatal", "fatal", "die", "serve")) as made:
        await until(lambda: [one["incarnation"] for one in made.workers()] == [5])
        assert not made.draining


async def test_a_command_that_is_not_there_fails_the_start(tmp_path: Path) -> None:
    made = Supervisor([str(tmp_path / "none")], 1, start(""), SYSTEM, 0)
    with pytest.raises(StartFailed):
        await made.run()


async def test_a_reload_reaches_present_and_future_workers(tmp_path: Path) -> None:
    async with running(supervised(tmp_path, "serve", count=2)) as made:
        await made.ready.wait()
        made.reload(start("second: 2"), Reload("second: 2"), 7)
        await until(lambda: all(said(tmp_path, index, 1) == [Reload("second: 2")] for index in (0, 1)))
        os.kill(made.workers()[0]["pid"], signal.SIGKILL)
        await until(lambda: made.workers()[0]["incarnation"] == 2)
    told = msgspec.json.decode((tmp_path / "0-2").read_bytes(), type=Start)
    assert (told.config, told.fixed) == ("second: 2", FIXED)
    assert said(tmp_path, 1, 1)[-1] == Drain(7)


async def test_counters_outlive_a_worker_and_gauges_do_not(tmp_path: Path) -> None:
    async with running(supervised(tmp_path, "half", "serve")) as made:
        await until(lambda: made.metrics().refused == {"path_not_found": 10})
        assert (made.metrics().in_flight, made.metrics().uncommitted) == (3, 2)
    assert made.metrics().refused == {"path_not_found": 10}
    assert (made.metrics().in_flight, made.metrics().uncommitted) == (0, 0)


async def test_a_worker_that_does_not_drain_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "KILL_GRACE_NS", 1_000_000)
    async with running(supervised(tmp_path, "deaf", drain=0)) as made:
        await made.ready.wait()
        pid = made.workers()[0]["pid"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_worker_that_closes_its_channel_and_stays_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "REAP_GRACE_NS", 1_000_000)
    async with running(supervised(tmp_path, "hangs", "serve")) as made:
        await until(lambda: [one["incarnation"] for one in made.workers()] == [2])


async def test_a_worker_that_falls_silent_is_killed_and_one_that_beats_is_not(tmp_path: Path) -> None:
    watchman = Watchman(silence=4 * TICK_NS, gap=SECOND_NS * 60)
    async with running(supervised(tmp_path, "beats", count=2, watchman=watchman)) as made:
        await made.ready.wait()
        first, second = made.workers()
        os.kill(first["pid"], signal.SIGSTOP)
        await until(lambda: made.workers()[0]["incarnation"] == 2)
        assert made.workers()[1] == second
    assert lives(tmp_path, 1) == 1


async def test_a_worker_that_does_not_serve_yet_may_be_silent(tmp_path: Path) -> None:
    watchman = Watchman(silence=1, gap=SECOND_NS * 60)
    async with running(supervised(tmp_path, "slow", watchman=watchman)) as made:
        await made.ready.wait()
        assert lives(tmp_path, 0) == 1


async def test_nobody_is_killed_for_silence_in_a_drain(tmp_path: Path) -> None:
    watchman = Watchman(silence=4 * TICK_NS, gap=SECOND_NS * 60)
    async with running(supervised(tmp_path, "lingers", watchman=watchman)) as made:
        await made.ready.wait()
        made.stop()
    assert (tmp_path / "lingered").exists()
