"""Many at once against limits: clients that leave at every moment, an operator who changes limits without pause."""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import msgspec
import pytest
import sqlalchemy as sa
from tests.e2e.gateway import Gateway
from tests.e2e.limited import books, ledger_of, limit, of_account, prepared
from tests.e2e.processes import apoll
from tests.e2e.raw import Line
from tests.e2e.wire import CHAT, body_of, headers_of

from headgate.ledger.limits import set_limit
from headgate.ledger.tables import limit_balances
from headgate.model.limit import EACH, Scope, Unit
from headgate.sim import SimThread

USD = 10**9
PATH = f"/v1/{CHAT}"
LEAVERS = 1_000
SESSIONS = 400


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, sim: SimThread) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path_factory.mktemp("crowds"), sim, workers=2)
    prepared(
        gateway,
        of_account(10_000 * USD),
        of_account(10**6, Unit.REQUESTS),
        of_account(3 * LEAVERS, Unit.CONCURRENCY),
        limit(Scope.PROVIDER, "openai", Unit.CONCURRENCY, 3 * LEAVERS),
        limit(Scope.SESSION, EACH, Unit.USD, USD),
    )
    with gateway:
        yield gateway


async def at_rest(gateway: Gateway) -> None:
    """Wait until nothing is held, and see that what is spent is what the rows say."""
    await apoll(lambda: books(gateway.ledger_url).at_rest)
    read = books(gateway.ledger_url)
    usd, _, concurrency, provider, *_ = (read.limits[number] for number in sorted(read.limits))
    assert usd[0] == read.costs == read.usage
    assert (concurrency, provider) == ((0, 0), (0, 0))


async def test_clients_that_leave_at_every_moment_leave_nothing_held(own: Gateway, sim: SimThread) -> None:
    chance = random.Random(5)
    place = urlsplit(own.url)
    crowd = asyncio.Semaphore(50)

    async def leave(number: int) -> None:
        text = "[[sim tokens=3 gap=1ms]]"
        data = msgspec.json.encode(body_of(CHAT, "openai/leavers", text, stream=number % 2 == 0))
        head = "".join(f"{name}: {value}\r\n" for name, value in headers_of(CHAT, own.key).items())
        request = f"POST {PATH} HTTP/1.1\r\nhost: x\r\n{head}content-length: {len(data)}\r\n\r\n".encode() + data
        async with crowd:
            reader, writer = await asyncio.open_connection(place.hostname, place.port)
            writer.write(request)
            await writer.drain()
            if chance.random() < 0.9:
                await asyncio.wait({asyncio.ensure_future(reader.read(1))}, timeout=chance.random() * 0.02)
            if chance.random() < 0.5:
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            writer.close()

    await asyncio.gather(*(leave(number) for number in range(LEAVERS)))
    await at_rest(own)
    await asyncio.to_thread(sim.settled)
    assert "Traceback" not in own.stderr


async def test_limits_that_change_without_pause_refuse_nobody(own: Gateway) -> None:
    stop = threading.Event()
    changes = itertools.count()

    def change() -> None:
        with ledger_of(own.ledger_url) as ledger:
            while not stop.wait(0.005):
                with ledger.write() as connection:
                    set_limit(connection, of_account(10_000 * USD + next(changes)), 1)

    thread = threading.Thread(target=change)
    thread.start()
    try:

        async def many(count: int) -> list[int]:
            async with Line(own.url, own.key) as line:
                return [(await line.post(PATH, body_of(CHAT, "openai/storm"))).status for _ in range(count)]

        found = await asyncio.gather(*(many(30) for _ in range(8)))
    finally:
        stop.set()
        thread.join()
    assert set(itertools.chain(*found)) == {200}
    assert next(changes) > 20
    await at_rest(own)


async def test_as_many_sessions_as_calls_are_no_hindrance(own: Gateway) -> None:
    async def one(number: int) -> int:
        session = f"session {number} '%_" + "x" * 150
        head = {**headers_of(CHAT, own.key), "x-headgate-session": session, "connection": "close"}
        data = msgspec.json.encode(body_of(CHAT, "openai/sessions"))
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items()).encode()
        async with Line(own.url) as line:
            await line.raw(f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(data)}\r\n".encode())
            await line.raw(lines + b"\r\n" + data)
            return int((await line.ended()).split(b" ", 2)[1])

    found = await asyncio.gather(*(one(number) for number in range(SESSIONS)))
    assert set(found) == {200}
    await at_rest(own)
    with ledger_of(own.ledger_url) as ledger, ledger.reader().connection() as connection:
        subjects = connection.scalars(sa.select(limit_balances.c.subject).distinct()).all()
    assert sum(subject.startswith("tests\x1fsession ") for subject in subjects) == SESSIONS
