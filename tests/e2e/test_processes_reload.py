"""Reload by signal and by file under load: no call is dropped, a bad file changes nothing."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from tests.e2e.gateway import Gateway, standard
from tests.e2e.held import held
from tests.e2e.load import CHAT, ENDS, Load, body
from tests.e2e.processes import apoll, ready_pids
from tests.e2e.raw import Answer, Line

from headgate.sim import SimThread

RELOADED, REFUSED, LATER = "configuration reloaded", "configuration refused", "at the next start"
WORKERS = 2
NEW_MODEL = "models: {fast: {routes: [openai/gpt-sim]}}\n"


async def ask(gateway: Gateway, model: str) -> Answer:
    """Ask on a connection of its own, so by any worker."""
    async with Line(gateway.url, gateway.key) as line:
        return await line.post(CHAT, body(CHAT, model=model))


async def logged(gateway: Gateway, text: str, times: int) -> None:
    await apoll(lambda: gateway.stderr.count(text) >= times)


async def test_reloads_drop_no_call_and_a_bad_file_changes_nothing(tmp_path: Path) -> None:
    with SimThread(seed=3) as sim, Gateway(tmp_path, sim, workers=WORKERS) as gateway:
        async with held(gateway, sim) as streams, Load(gateway.url, gateway.key, count=4) as load:
            await load.more(20)
            assert (await ask(gateway, "fast")).status == 404

            gateway.process.send_signal(signal.SIGHUP)
            await logged(gateway, RELOADED, WORKERS)

            gateway.write(standard(sim) + NEW_MODEL)
            await logged(gateway, RELOADED, 2 * WORKERS)
            assert {(await ask(gateway, "fast")).status for _ in range(8)} == {200}

            gateway.write(standard(sim) + "modles: {}\n")
            await logged(gateway, REFUSED, 1)
            assert "did you mean 'models'" in gateway.stderr
            assert {(await ask(gateway, "fast")).status for _ in range(8)} == {200}

            await load.more(20)
            await load.stop()
            assert (load.broken, load.refused) == ([], [])
            sim.release()
            for stream in streams:
                assert ENDS[stream.path] in await stream.finish()

        await another_ledger_waits_for_the_next_start(gateway, sim)


async def another_ledger_waits_for_the_next_start(gateway: Gateway, sim: SimThread) -> None:
    """A worker that is replaced has the new configuration, but writes where the others write."""
    other = gateway.folder / "other.db"
    gateway.write(standard(sim) + NEW_MODEL.replace("fast", "faster") + f'ledger: {{url: "sqlite:///{other}"}}\n')
    await logged(gateway, RELOADED, 3 * WORKERS)
    assert LATER in gateway.stderr
    before = await asyncio.to_thread(ready_pids, gateway)
    os.kill(min(before), signal.SIGKILL)
    await apoll(lambda: len(now := ready_pids(gateway)) == WORKERS and now != before)
    answers = [await ask(gateway, "faster") for _ in range(16)]
    assert {answer.status for answer in answers} == {200}
    for answer in answers:
        assert gateway.call(answer.call)["outcome"] == "ok"
    assert not other.exists()
