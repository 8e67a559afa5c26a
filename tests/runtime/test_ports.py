"""Ports that are reserved, refused and waited for, on real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from headgate.runtime.ports import PortTaken, accepting, reserve

LOCAL = "127.0.0.1"


def listening(port: int, *, shared: bool) -> socket.socket:
    sock = socket.socket()
    if shared:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((LOCAL, port))
    sock.listen()
    return sock


@pytest.fixture
def kept() -> Iterator[socket.socket]:
    with reserve(LOCAL, 0) as sock:
        yield sock


def port_of(sock: socket.socket) -> int:
    return int(sock.getsockname()[1])


def test_port_0_is_a_free_one(kept: socket.socket) -> None:
    assert port_of(kept) > 0


def test_workers_share_what_is_reserved(kept: socket.socket) -> None:
    with listening(port_of(kept), shared=True), listening(port_of(kept), shared=True):
        pass


def test_a_reserved_port_takes_no_connections(kept: socket.socket) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOCAL, port_of(kept)))


def test_what_is_reserved_is_refused_to_the_next_before_and_while_workers_listen(kept: socket.socket) -> None:
    with pytest.raises(PortTaken, match=str(port_of(kept))):
        reserve(LOCAL, port_of(kept))
    with listening(port_of(kept), shared=True), pytest.raises(PortTaken):
        reserve(LOCAL, port_of(kept))


@pytest.mark.parametrize("shared", [True, False])
def test_a_port_that_another_program_listens_on_is_refused(*, shared: bool) -> None:
    with listening(0, shared=shared) as other, pytest.raises(PortTaken):
        reserve(LOCAL, port_of(other))


def test_a_port_whose_connections_linger_can_be_had_again() -> None:
    """The side that closes first leaves the port in TIME_WAIT."""
    with listening(0, shared=True) as server:
        port = port_of(server)
        client = socket.create_connection((LOCAL, port))
        connection, _ = server.accept()
        connection.close()
        client.recv(1)
        client.close()
    with reserve(LOCAL, port) as again:
        assert port_of(again) == port


def test_a_port_with_open_connections_of_a_server_that_is_gone_can_be_had_again() -> None:
    with listening(0, shared=True) as server:
        port = port_of(server)
        client = socket.create_connection((LOCAL, port))
        connection, _ = server.accept()
    with client, connection, reserve(LOCAL, port) as again:
        assert port_of(again) == port


def test_an_address_of_another_machine_is_no_taken_port() -> None:
    with pytest.raises(OSError, match="assign"):
        reserve("192.0.2.1", 0)


def test_the_other_family_works_too() -> None:
    if not socket.has_dualstack_ipv6():
        with pytest.raises(OSError, match=r"assign|not supported"):
            reserve("::1", 0)
        return
    with reserve("::1", 0) as sock:
        assert sock.family == socket.AF_INET6


async def test_accepting_returns_once_somebody_listens(kept: socket.socket) -> None:
    forever = asyncio.create_task(asyncio.Event().wait())
    waiting = asyncio.create_task(accepting(LOCAL, port_of(kept), forever))  # type: ignore[arg-type]
    for _ in range(10):
        await asyncio.sleep(0)
    assert not waiting.done()
    with listening(port_of(kept), shared=True):
        await waiting
    forever.cancel()


async def test_accepting_reaches_what_listens_everywhere() -> None:
    forever = asyncio.create_task(asyncio.Event().wait())
    with socket.create_server(("0.0.0.0", 0)) as server:
        await accepting("0.0.0.0", port_of(server), forever)  # type: ignore[arg-type]
    forever.cancel()


async def test_accepting_raises_what_ended_the_server(kept: socket.socket) -> None:
    async def broken() -> None:
        raise ValueError("no certificate")

    with pytest.raises(ValueError, match="no certificate"):
        await accepting(LOCAL, port_of(kept), asyncio.create_task(broken()))


async def test_accepting_does_not_wait_for_a_server_that_ended(kept: socket.socket) -> None:
    async def ended() -> None:
        return

    with pytest.raises(RuntimeError, match="ended before"):
        await accepting(LOCAL, port_of(kept), asyncio.create_task(ended()))
