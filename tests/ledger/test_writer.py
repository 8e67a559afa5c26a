from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.ledger.conftest import QUICK
from tests.ledger.holding import PRICED, balance, facts, limit
from tests.ledger.rows import DAY, NOW, attempt_row, call_row, work_of

from headgate.ledger import keys, tables
from headgate.ledger.batch import Work
from headgate.ledger.connect import Durability
from headgate.ledger.engine import Ledger
from headgate.ledger.errors import BadRow, WriterClosed
from headgate.ledger.writer import Writer
from headgate.model.limit import Answer, Ask, Grant, Unit
from headgate.model.records import AttemptRow, CallRow


def submit(writer: Writer, number: int | str, **changes: object) -> asyncio.Future[None]:
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    call = call_row(number, **changes)
    attempts = (attempt_row(number, started_at=call.started_at),) if call.attempts else ()
    writer.submit(work_of(call, attempts, waiter))
    return waiter


def count(ledger: Ledger, table: sa.Table) -> int:
    with ledger.reader().connection() as connection:
        return int(connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)


def lock_files(directory: Path) -> list[Path]:
    return list(directory.glob("incarnation-*"))


async def test_rows_come_back_as_they_went_in(writer: Writer, ledger: Ledger) -> None:
    call = call_row(1, session="s", error="e", dropped="d", cost_nano=None, ttft=None, facts=b"\x00\xff{}")
    attempts = (attempt_row(1, 1, failure="cut", message="é'\"%s\\"), attempt_row(1, 2, hold_nano=None))
    waiter = asyncio.get_running_loop().create_future()
    writer.submit(work_of(call, attempts, waiter))
    await waiter
    with ledger.reader().connection() as connection:
        found = connection.execute(sa.select(tables.calls)).one()
        rows = connection.execute(sa.select(tables.attempts).order_by(tables.attempts.c.no)).all()
    assert CallRow(*found) == call
    assert tuple(AttemptRow(*row) for row in rows) == attempts
    assert call.incarnation == attempts[0].incarnation == writer.incarnation


@pytest.mark.parametrize("number", [1, 31, 32, 33, 1_100])
async def test_what_arrives_during_a_commit_is_one_batch(writer: Writer, ledger: Ledger, number: int) -> None:
    await asyncio.gather(*(submit(writer, index) for index in range(number)))
    assert count(ledger, tables.calls) == count(ledger, tables.attempts) == number
    assert writer.committed_calls == number
    assert writer.committed_batches <= number // 2 + 3
    with ledger.reader().connection() as connection:
        row = connection.execute(sa.select(tables.incarnations)).one()
    assert row.counter == writer.committed_batches


async def test_balances_are_the_sums_by_day_and_in_total(writer: Writer, ledger: Ledger) -> None:
    await submit(writer, 1)
    await asyncio.gather(
        submit(writer, 2, started_at=NOW + DAY),
        submit(writer, 3, key="key_other", cost_nano=None),
        submit(writer, 4, attempts=0, outcome="rejected", cost_nano=0),
    )
    reader = ledger.reader()
    account = {(row.unit, row.bucket_start): row.spent for row in reader.balances("account", "acme")}
    assert account == {
        ("usd", 0): 3_000,
        ("tokens", 0): 3 * 177,
        ("requests", 0): 3,
        ("usd", 20_000 * DAY): 2_000,
        ("tokens", 20_000 * DAY): 2 * 177,
        ("requests", 20_000 * DAY): 2,
        ("usd", 20_001 * DAY): 1_000,
        ("tokens", 20_001 * DAY): 177,
        ("requests", 20_001 * DAY): 1,
    }
    other = reader.balances("key", "key_other", since=NOW)
    assert {(row.unit, row.bucket_start): (row.spent, row.held) for row in other} == {
        (unit, bucket): (spent, 0)
        for unit, spent in (("usd", 1_000), ("tokens", 177), ("requests", 1))
        for bucket in (0, 20_000 * DAY)
    }


async def test_a_bad_row_fails_alone(writer: Writer, ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    await submit(writer, 0)
    with caplog.at_level(logging.CRITICAL, "headgate.ledger"):
        waiters = [
            *(submit(writer, index) for index in range(1, 20)),
            submit(writer, 0),  # its id is taken
            submit(writer, "huge", cost_nano=2**80),
            submit(writer, "wide", duration=2**80),
            submit(writer, "none", model=None),
            *(submit(writer, index) for index in range(20, 40)),
        ]
        done = await asyncio.gather(*waiters, return_exceptions=True)
    assert [type(result) for result in done[19:23]] == [BadRow] * 4
    assert [result for result in done[:19] + done[23:] if result is not None] == []
    assert count(ledger, tables.calls) == count(ledger, tables.attempts) == 40
    assert writer.bad_rows == 4
    assert "call-huge" in caplog.text
    requests = [row.spent for row in ledger.reader().balances("key", "key_ci") if row.unit == "requests"]
    assert requests == [40, 40]
    await submit(writer, "after")
    assert writer.available


async def test_a_call_whose_rows_are_refused_is_no_call_at_once_any_more(writer: Writer, ledger: Ledger) -> None:
    at_once = limit(ledger, Unit.CONCURRENCY)
    with ledger.reader().connection() as connection:
        epoch = keys.read_epoch(connection)
    asked: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
    ask = Ask("call-1", 1, epoch, PRICED, (), (at_once,), facts())
    writer.submit(Work("acme", "key_ci", ask=ask, waiter=asked))
    grant = await asked
    assert isinstance(grant, Grant)
    assert balance(ledger, at_once) == {0: (0, 1)}
    over: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
    writer.submit(Work("acme", "key_ci", call=call_row(1, cost_nano=2**80), ended=grant, waiter=over))
    with pytest.raises(BadRow):
        await over
    await submit(writer, 2)
    assert balance(ledger, at_once) == {0: (0, 0)}


async def test_text_that_a_store_cannot_keep_does_not_cost_the_row(writer: Writer, ledger: Ledger) -> None:
    await asyncio.gather(
        submit(writer, 1), submit(writer, 2, session="a\ud800b", model_asked="x\0y" * 3), submit(writer, 3)
    )
    assert count(ledger, tables.calls) == 3
    found = ledger.reader().call("call-2")
    assert found is not None
    assert found["session"] == "a\ufffdb"
    assert found["model_asked"].replace("\ufffd", "\0") == "x\0y" * 3


async def test_a_waiter_that_has_gone_disturbs_nobody(writer: Writer, ledger: Ledger) -> None:
    gone, stays = submit(writer, 1), submit(writer, 2)
    gone.cancel()
    await stays
    assert count(ledger, tables.calls) == 2


async def test_close_writes_what_is_queued_and_ends_the_life(ledger: Ledger, lock_dir: Path) -> None:
    writer = Writer(ledger, Durability.BATCH, lock_dir)
    writer.start(asyncio.get_running_loop())
    for index in range(50):
        writer.submit(work_of(call_row(index), (attempt_row(index),), None))
    assert await writer.close(10)
    assert count(ledger, tables.calls) == 50
    with ledger.reader().connection() as connection:
        assert connection.scalar(sa.select(tables.incarnations.c.dead_at)) is not None
    assert lock_files(lock_dir) == []
    with pytest.raises(WriterClosed):
        await submit(writer, "late")


@pytest.mark.parametrize("durability", list(Durability))
async def test_all_durability_levels_commit(ledger: Ledger, lock_dir: Path, durability: Durability) -> None:
    writer = Writer(ledger, durability, lock_dir)
    writer.start(asyncio.get_running_loop())
    await submit(writer, 1)
    assert await writer.close(10)
    assert count(ledger, tables.calls) == 1


async def test_an_idle_writer_beats_and_sees_the_epoch_change(ledger: Ledger, lock_dir: Path) -> None:
    seen: asyncio.Queue[int] = asyncio.Queue()
    epoch = ledger.reader().epoch()
    writer = Writer(ledger, Durability.CALL, lock_dir, on_epoch=seen.put_nowait, pace=QUICK)
    writer.start(asyncio.get_running_loop(), epoch=epoch)
    with ledger.write() as connection:
        keys.create_key(connection, account="acme", name="ci", now=NOW)
    assert await seen.get() > epoch
    assert writer.committed_batches > 0
    assert writer.committed_calls == 0
    await writer.close(10)


async def test_committed_rows_are_reported_once(ledger: Ledger, lock_dir: Path) -> None:
    seen: list[str] = []

    def on_commit(calls: Sequence[CallRow], attempts: Sequence[AttemptRow]) -> None:
        assert len(calls) == len(attempts)
        seen.extend(call.id for call in calls)

    writer = Writer(ledger, Durability.CALL, lock_dir, on_commit=on_commit)
    writer.start(asyncio.get_running_loop())
    await asyncio.gather(*(submit(writer, index) for index in range(20)))
    await writer.close(10)
    assert seen == [f"call-{index}" for index in range(20)]


async def test_a_writer_declared_dead_goes_on_as_another(writer: Writer, ledger: Ledger) -> None:
    await submit(writer, 1)
    first = writer.incarnation
    with ledger.write() as connection:
        connection.execute(tables.incarnations.update().values(dead_at=NOW))
    await submit(writer, 2)
    assert writer.incarnation != first
    owners = {row["id"]: row["incarnation"] for row in ledger.reader().calls()}
    assert owners == {"call-1": first, "call-2": writer.incarnation}


async def test_an_error_in_the_thread_is_loud(
    ledger: Ledger, lock_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
    writer = Writer(ledger, Durability.CALL, lock_dir, on_failure=failed.set_result)
    writer.start(asyncio.get_running_loop())

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(writer._store, "write", broken)
    waiter = submit(writer, 1)
    with pytest.raises(WriterClosed):
        await waiter
    assert isinstance(await failed, ZeroDivisionError)
    assert not writer.available
    assert "call-1" in caplog.text
    with pytest.raises(WriterClosed):
        await submit(writer, 2)
    assert not await writer.close(1)
