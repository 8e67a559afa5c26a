"""Two replicas on one PostgreSQL, each with a folder and a lock directory of its own."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.e2e.gateway import SECRETS, Gateway, standard

from headgate.sim import SimThread

NAMES = ("one", "two")


@pytest.fixture
def sim() -> Iterator[SimThread]:
    with SimThread(seed=7) as running:
        yield running


@pytest.fixture
def replicas(postgres_url: str, tmp_path: Path, sim: SimThread) -> Iterator[list[Gateway]]:
    """Started at the same moment on an empty database, then given one key."""
    made = [replica(tmp_path / name, postgres_url, sim) for name in NAMES]
    try:
        with ThreadPoolExecutor(len(made)) as pool:
            list(pool.map(Gateway.start, made))
        key = made[0].new_key("app")
        for one in made:
            one.key = key
        yield made
    finally:
        for one in made:
            one.stop()


def replica(folder: Path, ledger: str, sim: SimThread) -> Gateway:
    """Return one that is not started and makes no key by itself; its credential upstream ends in its folder's name."""
    folder.mkdir()
    providers = standard(sim).replace(SECRETS["openai"], f"sk-{folder.name}")
    config = f'{providers}\nledger: {{url: "{ledger}", state_dir: "{folder}/state"}}\n'
    gateway = Gateway(folder, sim, config, ledger=ledger)
    gateway.key = "made later"
    return gateway
