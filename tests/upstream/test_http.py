"""The HTTP client against upstreams that answer what no upstream should."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

import pytest

from headgate.model.dialect import SERVED_BY, Endpoint, Kind
from headgate.model.failure import FailureKind
from headgate.model.route import Provider, Timeouts
from headgate.upstream.answers import kept_headers
from headgate.upstream.client import UpstreamFailed
from headgate.upstream.http import HttpAnswer, HttpClient


@asynccontextmanager
async def answered(*lines: bytes, status: bytes = b"200 OK") -> AsyncIterator[HttpAnswer]:
    """Ask an upstream that answers `{}` under these header lines."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"\r\n".join([b"HTTP/1.1 " + status, *lines, b"content-length: 2", b"connection: close", b"", b"{}"])
        )
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        client = HttpClient(Provider("p", Kind.OPENAI, f"http://{host}:{port}", None, SERVED_BY[Kind.OPENAI]), "tests")
        answer = await client.post(Endpoint.CHAT, [], b"", whole=True)
        yield answer
        await answer.close()


@pytest.mark.parametrize("value", [b"\xff", "é".encode()])
async def test_a_header_that_is_no_text_is_left_out(value: bytes) -> None:
    names = ("x-request-id", "content-type", "content-encoding", "retry-after")
    async with answered(*(name.encode() + b": " + value for name in names), b"request-id: r") as answer:
        assert kept_headers(answer) == [("request-id", "r")]
        assert answer.header("retry-after") is None
        assert await answer.read() == b"{}"


@pytest.mark.parametrize("encoding", [b"", b"Identity", b"identity "])
async def test_what_is_not_compressed_is_read_as_it_is(encoding: bytes) -> None:
    async with answered(b"content-encoding: " + encoding) as answer:
        assert await answer.read() == b"{}"


async def test_an_unknown_encoding_does_not_hide_the_status() -> None:
    async with answered(b"content-encoding: br", status=b"429 Too Many Requests") as answer:
        assert answer.status == 429
        with pytest.raises(UpstreamFailed) as caught:
            await answer.read()
        assert caught.value.failure.kind is FailureKind.BAD_RESPONSE


QUICK = Timeouts(connect=100_000_000, answer=1, first_token=1, idle=1)


async def failure_at(address: tuple[str, int]) -> FailureKind:
    """Ask there, with little patience, and return the failure."""
    host, port = address
    client = HttpClient(
        Provider("p", Kind.OPENAI, f"http://{host}:{port}", None, SERVED_BY[Kind.OPENAI], timeouts=QUICK), "tests"
    )
    with pytest.raises(UpstreamFailed) as caught:
        await client.post(Endpoint.CHAT, [], b"{}", whole=True)
    return caught.value.failure.kind


async def test_an_upstream_that_is_silent_before_its_head_has_been_asked() -> None:
    """It may bill what it was sent, so this is no timeout of the connection."""
    read = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        read.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        assert await failure_at(server.sockets[0].getsockname()) is FailureKind.IDLE_TIMEOUT
        assert read.is_set()


async def test_a_server_that_takes_no_connection_was_never_asked() -> None:
    with socket.socket() as full, ExitStack() as stack:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):  # more than its queue takes
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        assert await failure_at(full.getsockname()) is FailureKind.CONNECT_TIMEOUT
