"""Who a batch waits for. A wait that must end by itself may last an hour here, so that one which does not is seen."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.ledger.rows import attempt_row, call_row, work_of

from headgate.ledger import company
from headgate.ledger.batch import Work
from headgate.ledger.company import Company
from headgate.ledger.connect import Durability
from headgate.ledger.engine import Ledger
from headgate.ledger.writer import Pace, Writer
from headgate.model.records import AttemptRow, CallRow

HOUR = 3600.0
PATIENCE = 60.0
CALLERS = 5
BATCHES = 20


async def test_a_batch_goes_as_soon_as_all_calls_in_flight_are_in_it(
    ledger: Ledger, lock_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(company, "LONGEST_WAIT", HOUR)
    sizes: list[int] = []

    def on_commit(calls: Sequence[CallRow], _attempts: Sequence[AttemptRow]) -> None:
        sizes.append(len(calls))

    writer = Writer(
        ledger, Durability.CALL, lock_dir, on_commit=on_commit, in_flight=lambda: CALLERS, pace=Pace(heartbeat=HOUR)
    )
    writer.start(asyncio.get_running_loop())

    async def caller(name: int) -> None:
        turn = 0
        while len(sizes) < BATCHES:
            turn += 1
            await submitted(writer, f"{name}-{turn}")

    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*map(caller, range(CALLERS)))
    await writer.close(10)
    alone = next(at for at, size in enumerate(sizes) if size > 1) + 1
    assert sizes[alone:] == [CALLERS] * (len(sizes) - alone)
    assert alone < BATCHES


async def submitted(writer: Writer, name: str) -> None:
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    call = call_row(name)
    writer.submit(work_of(call, (attempt_row(name, started_at=call.started_at),), waiter))
    await waiter


def waiting(number: int) -> list[Work]:
    """Return work that so many wait for; who they are is nobody's business here."""
    with asyncio.Runner() as runner:
        return [Work("a", "k", waiter=runner.get_loop().create_future()) for _ in range(number)]


def test_who_joins_last_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(company, "LONGEST_WAIT", HOUR)
    batch = Company(lambda: 2)
    batch.joined()
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(batch.wait()), daemon=True)
    thread.start()
    batch.joined()
    thread.join(PATIENCE)
    assert found == [True]


@pytest.mark.parametrize(
    ("in_flight", "joined", "answered", "complete"),
    [(3, 2, 0, False), (3, 3, 0, True), (3, 4, 0, True), (3, 4, 2, False), (3, 5, 2, True), (0, 0, 0, False)],
)
def test_a_batch_is_complete_when_all_in_flight_wait(
    monkeypatch: pytest.MonkeyPatch, in_flight: int, joined: int, answered: int, *, complete: bool
) -> None:
    monkeypatch.setattr(company, "LONGEST_WAIT", 0)
    batch = Company(lambda: in_flight)
    for _ in range(joined):
        batch.joined()
    batch.answered([Work("a", "k"), *waiting(answered)])
    assert batch.wait() is complete


def test_who_does_not_know_the_calls_waits_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(company, "LONGEST_WAIT", 0)
    batch = Company(None)
    batch.joined()
    assert not batch.wait()
