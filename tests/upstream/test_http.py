"""The HTTP client against upstreams that answer what no upstream should."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from headgate.model.dialect import SERVED_BY, Endpoint, Kind
from headgate.model.failure import FailureKind
from headgate.model.route import Provider
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
