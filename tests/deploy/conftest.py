"""Two replicas on one PostgreSQL, each with a folder and a lock directory of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from tests.e2e.gateway import SECRETS, Gateway, standard
from tests.e2e.wire import until_status

from headgate.sim import SimThread

NAMES = ("one", "two")


@pytest.fixture(scope="module")
def sim() -> Iterator[SimThread]:
    with SimThread(seed=7) as running:
        yield running


@pytest.fixture(scope="module")
def database(postgres_server: str) -> Iterator[str]:
    """The URL of an empty database."""
    name = f"t_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    yield postgres_server.replace("/postgres?", f"/{name}?")
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture(scope="module")
def replicas(database: str, tmp_path_factory: pytest.TempPathFactory, sim: SimThread) -> Iterator[list[Gateway]]:
    """Started at the same moment on an empty database. Every test leaves both running."""
    folder = tmp_path_factory.mktemp("replicas")
    made = [replica(folder / name, database, sim) for name in NAMES]
    try:
        with ThreadPoolExecutor(len(made)) as pool:
            list(pool.map(Gateway.start, made))
        yield made
    finally:
        for one in made:
            one.stop()


@pytest.fixture
def key(replicas: list[Gateway]) -> str:
    """A new key, made at one replica and known to all. Their own is this one too."""
    made = replicas[0].new_key(f"app-{uuid.uuid4().hex}")
    for one in replicas:
        one.key = made
        until_status(one, made, 200)
    return made


def replica(folder: Path, ledger: str, sim: SimThread) -> Gateway:
    """Return one that is not started and makes no key by itself; its credential upstream ends in its folder's name."""
    folder.mkdir()
    providers = standard(sim).replace(SECRETS["openai"], f"sk-{folder.name}")
    config = f'{providers}\nledger: {{url: "{ledger}", state_dir: "{folder}/state"}}\n'
    gateway = Gateway(folder, sim, config, ledger=ledger)
    gateway.key = "made later"
    return gateway
