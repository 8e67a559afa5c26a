"""Calls that no limit holds for: a worker that dies in the middle of one leaves it in the ledger all the same."""

import os
import signal
from pathlib import Path

import sqlalchemy as sa
from tests.e2e.gateway import Gateway
from tests.e2e.held import PATHS, held
from tests.e2e.limited import ledger_of
from tests.e2e.processes import apoll, workers

from headgate.ledger.tables import holds
from headgate.sim import SimThread


def noted(gateway: Gateway) -> int:
    with ledger_of(gateway.ledger_url) as ledger, ledger.reader().connection() as connection:
        return int(connection.scalar(sa.select(sa.func.count()).select_from(holds)) or 0)


async def test_a_stream_of_a_killed_worker_is_lost_by_name_and_not_forgotten(sim: SimThread, tmp_path: Path) -> None:
    with Gateway(tmp_path, sim) as gateway:
        async with held(gateway, sim, PATHS[:1]) as (stream,):
            await apoll(lambda: noted(gateway) == 1)
            (worker,) = workers(gateway)
            os.kill(worker.pid, signal.SIGKILL)
            call = await apoll(lambda: gateway.read(lambda reader: reader.call(stream.call)))
        (attempt,) = call["attempts"]
        assert (call["outcome"], attempt["state"], call["account"]) == ("lost", "lost", "tests")
        assert attempt["cost_nano"] == attempt["hold_nano"] > 0
        await apoll(lambda: noted(gateway) == 0)


async def test_a_stream_that_ends_well_leaves_no_note(sim: SimThread, tmp_path: Path) -> None:
    with Gateway(tmp_path, sim) as gateway:
        async with held(gateway, sim, PATHS[:1]) as (stream,):
            await apoll(lambda: noted(gateway) == 1)
            sim.release()
            await stream.finish()
        call = gateway.call(stream.call)
        assert (call["outcome"], call["attempts"][0]["over_nano"]) == ("ok", 0)
        await apoll(lambda: noted(gateway) == 0)
