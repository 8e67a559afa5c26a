"""The listener: its start, its end, and what is thrown at it."""

import asyncio
import socket

import pytest
from tests.admin.client import TOKEN, Client, Configuration, make_settings
from tests.admin.conftest import make_supervisor

from headgate.ledger.engine import Ledger
from headgate.runtime.ports import PortTaken
from headgate.surfaces.admin import app as admin_app
from headgate.surfaces.admin import server as admin_server
from headgate.surfaces.admin.app import MAX_BODY
from headgate.surfaces.admin.server import AdminServer

AUTH = f"Host: localhost\r\nAuthorization: Bearer {TOKEN}\r\n".encode()


def server_on(ledger: Ledger, port: int = 0, host: str = "127.0.0.1") -> AdminServer:
    configuration = Configuration(make_settings("", admin_port=port, admin_host=host))
    return AdminServer(configuration.compiled.settings, ledger, make_supervisor(), configuration)


def refused(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=10).close()
    except ConnectionRefusedError:
        return True
    return False


async def test_the_block_begins_when_the_port_accepts_and_ends_when_it_does_not(sqlite_ledger: Ledger) -> None:
    for _ in range(10):
        server = server_on(sqlite_ledger)
        async with server.running():
            assert not refused("127.0.0.1", server.port)
        assert refused("127.0.0.1", server.port)


@pytest.mark.parametrize(("host", "reached"), [("localhost", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "::1")])
async def test_it_listens_where_it_is_told(sqlite_ledger: Ledger, host: str, reached: str) -> None:
    server = server_on(sqlite_ledger, host=host)
    async with server.running():
        assert not refused(reached, server.port)


async def test_a_taken_port_is_refused(sqlite_ledger: Ledger) -> None:
    first = server_on(sqlite_ledger)
    async with first.running():
        with pytest.raises(PortTaken):
            async with server_on(sqlite_ledger, first.port).running():
                pytest.fail("two servers on one port")
        assert (await Client(first.port).get("/healthz")).status == 200


async def test_the_port_is_free_again_after_the_end(sqlite_ledger: Ledger) -> None:
    first = server_on(sqlite_ledger)
    async with first.running():
        assert (await Client(first.port).get("/healthz")).status == 200
    second = server_on(sqlite_ledger, first.port)
    async with second.running():
        assert (await Client(second.port).get("/healthz")).status == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /heal",
        b"GET /status HTTP/1.1\r\n" + AUTH + b"\r\n",
        b"POST /keys HTTP/1.1\r\n" + AUTH + b"Content-Length: 100\r\n\r\n{",
    ],
    ids=["silent", "half a header", "kept alive", "half a body"],
)
async def test_a_client_that_holds_on_does_not_hold_up_the_end(
    sqlite_ledger: Ledger, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_server, "HEADER_TIMEOUT_MS", 3_600_000)
    monkeypatch.setattr(admin_server, "STOP_GRACE", 0.05)
    monkeypatch.setattr(admin_app, "BODY_TIMEOUT", 3_600.0)
    server = server_on(sqlite_ledger)
    async with asyncio.timeout(60), server.running():  # an end that waits for the client would not come at all
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(sent)
        await writer.drain()
        assert (await Client(server.port).get("/healthz")).status == 200
    assert refused("127.0.0.1", server.port)
    writer.close()


async def test_what_is_not_answered_at_the_end_is_cut_off(
    sqlite_ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_server, "STOP_GRACE", 0.05)
    monkeypatch.setattr(admin_app, "BODY_TIMEOUT", 3_600.0)
    server = server_on(sqlite_ledger)
    async with server.running():
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"POST /keys HTTP/1.1\r\n" + AUTH + b"Expect: 100-continue\r\nContent-Length: 100\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 100 ")  # the body is being waited for
    async with asyncio.timeout(60):
        got = await reader.read()
    assert b"HTTP/1.1 2" not in got
    writer.close()


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /status HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 2_000_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /status HTTP/1.1\r\nHost: localhost\r\n" + b"X: 1\r\n" * 20_000 + b"\r\n",
        b"POST /keys HTTP/1.1\r\n" + AUTH + b"Content-Length: -1\r\n\r\n",
        b"POST /keys HTTP/1.1\r\n" + AUTH + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n",
        b"GET /status HTTP/1.1\r\nHost: localhost\r\nAuthorization : Bearer x\r\nConnection: close\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    ids=["tls", "version", "line", "header", "path", "headers", "length", "chunk", "space", "http2"],
)
async def test_no_malformed_request_is_answered_well_or_ends_the_server(client: Client, request_: bytes) -> None:
    got = await client.raw(request_)
    assert not got.startswith((b"HTTP/1.1 2", b"HTTP/1.0 2"))
    assert (await client.get("/healthz")).status == 200


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_beyond_the_limit_is_refused(client: Client, chunked: bool) -> None:
    body = b'{"name": "' + b"x" * MAX_BODY + b'"}'
    if chunked:
        head = b"Transfer-Encoding: chunked\r\n\r\n" + f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
    else:
        head = b"Content-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body
    got = await client.raw(b"POST /keys HTTP/1.1\r\n" + AUTH + head)
    assert got.startswith(b"HTTP/1.1 413 ")
    assert b"request_too_large" in got
    assert (await client.get("/keys")).json == {"keys": []}


async def test_a_body_up_to_the_limit_is_read(client: Client) -> None:
    body = b'{"name": "ci"' + b" " * (MAX_BODY - 14) + b"}"
    assert len(body) == MAX_BODY
    assert (await client.ask("POST", "/keys", body)).status == 201


async def test_a_body_that_does_not_arrive_is_given_up(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_app, "BODY_TIMEOUT", 0.0)
    got = await client.raw(b"POST /keys HTTP/1.1\r\n" + AUTH + b"Content-Length: 100\r\n\r\n{")
    assert got.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    "path",
    ["/", "/nothing", "/keys/", "//keys", "/keys/../status", "/%2e%2e/%2e%2e/etc/passwd", "/calls/a%2Fb", "/calls/"],
)
async def test_a_path_that_is_not_there(client: Client, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status, answer.code) == (404, "not_found")
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/keys", "GET, HEAD, POST"),
        ("GET", "/reload", "POST"),
        ("DELETE", "/healthz", "GET, HEAD"),
        ("GET", "/keys/k/rotate", "POST"),
        ("TRACE", "/status", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(client: Client, method: str, path: str, allowed: str) -> None:
    answer = await client.ask(method, path)
    assert (answer.status, answer.code, answer.headers["allow"]) == (405, "method_not_allowed", allowed)


async def test_a_get_changes_nothing_whatever_it_carries(client: Client) -> None:
    for method in ("GET", "HEAD"):
        answer = await client.ask(method, "/keys", {"name": "x"}, headers={"X-HTTP-Method-Override": "POST"})
        assert answer.status == 200
    assert (await client.get("/keys")).json == {"keys": []}


async def test_many_at_once_are_all_answered(client: Client) -> None:
    answers = await asyncio.gather(*(client.get("/usage") for _ in range(40)))
    assert {answer.status for answer in answers} == {200}
