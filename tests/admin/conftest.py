"""An admin plane on a free port, with a real ledger and a supervisor that has not started any worker."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.admin.client import Client, Configuration, make_settings

from headgate.config.settings import NO_OVERRIDES
from headgate.ledger.engine import Ledger, open_ledger
from headgate.runtime.clock import SYSTEM
from headgate.runtime.control import Fixed, Start
from headgate.runtime.supervisor import Supervisor
from headgate.surfaces.admin.server import AdminServer

WORKER = "tests.admin.pretend_worker"
ROOT = Path(__file__).parents[2]


def make_supervisor(count: int = 1) -> Supervisor:
    def start(index: int) -> Start:
        return Start(index, Fixed("127.0.0.1", 0, "", "call", "", "error"), "", "", "", NO_OVERRIDES)

    command = ["env", f"PYTHONPATH={ROOT}", sys.executable, "-m", WORKER]
    return Supervisor(command, count, start, SYSTEM, 10**9)


async def start(supervisor: Supervisor) -> asyncio.Task[None]:
    """Run the supervisor until its workers are ready; return the task that runs it."""
    running = asyncio.create_task(supervisor.run())
    ready = asyncio.create_task(supervisor.ready.wait())
    await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        ready.cancel()
        running.result()
    return running


@pytest.fixture
def sqlite_ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = open_ledger(f"sqlite:///{tmp_path / 'headgate.db'}")
    made.migrate()
    yield made
    made.close()


@pytest.fixture
def supervisor() -> Supervisor:
    return make_supervisor()


@pytest.fixture
def configuration() -> Configuration:
    return Configuration(make_settings("sqlite:///nowhere.db"))


@pytest.fixture
async def client(sqlite_ledger: Ledger, supervisor: Supervisor, configuration: Configuration) -> AsyncIterator[Client]:
    server = AdminServer(configuration.compiled.settings, sqlite_ledger, supervisor, configuration)
    async with server.running():
        yield Client(server.port)


@pytest.fixture
async def any_client(ledger: Ledger, supervisor: Supervisor, configuration: Configuration) -> AsyncIterator[Client]:
    """On both engines."""
    server = AdminServer(configuration.compiled.settings, ledger, supervisor, configuration)
    async with server.running():
        yield Client(server.port)
