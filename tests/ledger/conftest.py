"""A running writer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.ledger.rows import NOW
from tests.properties.limits_rig import Clock, Worker

from headgate.ledger import incarnations
from headgate.ledger.connect import Durability
from headgate.ledger.engine import Ledger
from headgate.ledger.writer import Pace, Writer

QUICK = Pace(heartbeat=0.02, unavailable_after=0.1)


@pytest.fixture
def lock_dir(ledger: Ledger, tmp_path: Path) -> Path:
    return incarnations.lock_directory(ledger, tmp_path)


@pytest.fixture
async def writer(ledger: Ledger, lock_dir: Path) -> AsyncIterator[Writer]:
    """A writer that never beats by itself, so that every batch is one that the test made."""
    made = Writer(ledger, Durability.CALL, lock_dir, pace=Pace(heartbeat=3600, unavailable_after=0.1))
    made.start(asyncio.get_running_loop())
    yield made
    await made.close(10)


@pytest.fixture
def worker(ledger: Ledger, lock_dir: Path) -> Iterator[Worker]:
    """A writer without a thread, whose commits, faults and death are the test's."""
    made = Worker(ledger, lock_dir, Clock(NOW))
    yield made
    made.die()
