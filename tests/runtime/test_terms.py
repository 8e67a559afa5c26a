"""Keys and limits of a worker: read again whenever the ledger's epoch has moved, whatever goes wrong meanwhile."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runtime.desk import Desk
from tests.runtime.test_worker import CONFIG, Idle, start

from headgate.ledger.engine import Ledger, open_ledger
from headgate.ledger.errors import LedgerUnusable
from headgate.ledger.keys import Identity, bump_epoch
from headgate.model.identity import Principal
from headgate.policy.applicable import Limits
from headgate.runtime.clock import SYSTEM
from headgate.runtime.control import Channel
from headgate.runtime.worker import Worker


class Busy:
    """A writer that commits without pause, and has told of the epoch once."""

    def __init__(self) -> None:
        self._batches = 0

    @property
    def committed_batches(self) -> int:
        self._batches += 1
        return self._batches


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = open_ledger(f"sqlite:///{tmp_path / 'first.db'}")
    opened.migrate()
    yield opened
    opened.close()


async def test_terms_that_could_not_be_read_are_read_again_however_busy_the_worker_is(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = socket.socketpair()
    channel = await Channel.open(ours)
    told = start(CONFIG, ledger_url=f"sqlite:///{tmp_path / 'first.db'}", state_dir=str(tmp_path))
    worker = Worker(told, channel, Idle, SYSTEM)
    monkeypatch.setattr(worker, "_writer", Busy())
    reader = worker._ledger.reader()
    failures = [LedgerUnusable("The ledger is gone for a moment.")]
    epoch = reader.epoch

    def fails_first() -> int:
        if failures:
            raise failures.pop()
        return epoch()

    monkeypatch.setattr(reader, "epoch", fails_first)
    monkeypatch.setattr(worker._ledger, "reader", lambda: reader)
    await worker._read_terms()
    with ledger.write() as connection:
        bump_epoch(connection)
    polling = asyncio.create_task(worker._poll_terms())
    try:
        worker._terms_changed(1)
        async with asyncio.timeout(30):
            await worker.gate.renewed(epoch())
    finally:
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)
        await channel.close()
        theirs.close()
    assert not failures


async def test_a_key_is_in_force_as_long_as_the_last_of_its_secrets() -> None:
    desk = Desk([])
    now = desk.gate.clock.wall()
    ours, other = Principal("acme", "key_1"), Principal("acme", "key_2")
    for ends, valid in (
        ((now - 1,), False),
        ((now - 1, now + 1), True),
        ((now + 1, now - 1), True),
        ((None, now - 1), True),
        ((now - 1, None), True),
        ((), False),
    ):
        secrets = {bytes([number]): Identity(ours, end) for number, end in enumerate(ends)}
        desk.gate.renew({**secrets, b"other": Identity(other, None)}, Limits())
        assert desk.gate.still_valid(ours) is valid
        assert desk.gate.still_valid(other)
