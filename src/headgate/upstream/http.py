"""The HTTP client: pyreqwest (reqwest and hyper).

Redirects, referer, environment proxies and its own decompression are off; TCP_NODELAY is on; streams have no
read-ahead buffer, or frames would come in lumps.
"""

import zlib
from collections.abc import Sequence
from datetime import timedelta

from pyreqwest.client import Client as ReqwestClient
from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import (
    ConnectError,
    ConnectTimeoutError,
    PyreqwestError,
    RequestTimeoutError,
)
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response

from headgate.model.dialect import Endpoint
from headgate.model.failure import Failure, FailureKind
from headgate.model.route import Provider, Timeouts
from headgate.upstream.client import UpstreamFailed
from headgate.upstream.kinds import fixed_headers, url_of

DECOMPRESSED_LIMIT = 256 * 1024 * 1024
"""Bytes; a compressed body that grows beyond this is an attack or a fault."""

WHOLE_BUFFER = 64 * 1024
"""Bytes of an answer that is no stream that are gathered before its head is told."""

_GRACE_NS = 1_000_000_000
_NOT_CONNECTED = "client error (Connect)"
_KNOWN_ENCODINGS = frozenset({"gzip", "x-gzip", "deflate"})
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


class HttpClient:
    """Pooled connections to one provider."""

    __slots__ = ("_client", "_urls")

    def __init__(self, provider: Provider, user_agent: str) -> None:
        self._urls = {endpoint: url_of(provider, endpoint) for endpoint in Endpoint}
        self._client: ReqwestClient = (
            ClientBuilder()
            .gzip(False)
            .brotli(False)
            .zstd(False)
            .deflate(False)
            .follow_redirects(False)
            .referer(False)
            .no_proxy()
            .tcp_nodelay(True)
            .http1_lower_case_headers()
            .connect_timeout(timedelta(microseconds=provider.timeouts.connect / 1000))
            .read_timeout(timedelta(microseconds=_longest_silence(provider.timeouts) / 1000))
            .default_headers(list(fixed_headers(provider, user_agent)))
            .build()
        )

    async def post(
        self, endpoint: Endpoint, headers: Sequence[tuple[str, str]], body: bytes, *, whole: bool
    ) -> "HttpAnswer":
        builder = self._client.post(self._urls[endpoint]).body_bytes(body)
        # With a buffer the whole answer costs one turn of the event loop instead of three.
        builder = builder.streamed_read_buffer_limit(WHOLE_BUFFER if whole else 0)
        if headers:
            builder = builder.headers(list(headers))
        request = builder.build_streamed()
        try:
            return HttpAnswer(request, await request.__aenter__())
        except PyreqwestError as error:
            raise UpstreamFailed(_translate(error)) from None


class HttpAnswer:
    """An answer on the wire; decompresses what an upstream compressed although it was asked not to."""

    __slots__ = ("_inflate", "_inflated", "_read", "_request", "_response", "_unreadable", "status")

    def __init__(self, request: StreamRequest, response: Response) -> None:
        self.status = response.status
        self._request = request
        self._response = response
        self._read = response.body_reader.read_chunk
        self._inflated = 0
        self._inflate: zlib._Decompress | None = None
        self._unreadable: str | None = None
        encoding = self.header("content-encoding")
        if encoding is not None and (encoding := encoding.strip().lower()) not in ("", "identity"):
            if encoding in _KNOWN_ENCODINGS:
                self._inflate = zlib.decompressobj(_GZIP_OR_ZLIB)
            else:
                self._unreadable = encoding  # the status counts all the same

    def header(self, name: str) -> str | None:
        try:
            return self._response.get_header(name)
        except ValueError:  # bytes beyond ASCII, which none of the headers that are asked for means
            return None

    async def read(self) -> bytes | None:
        if self._unreadable is not None:
            said = f"the upstream compressed its answer as {self._unreadable[:20]!r}"
            raise UpstreamFailed(Failure(FailureKind.BAD_RESPONSE, said, self.status))
        try:
            chunk = await self._read()
        except PyreqwestError as error:
            raise UpstreamFailed(_translate(error)) from None
        if chunk is None:
            return None
        if self._inflate is None:
            return bytes(chunk)
        return self._expand(bytes(chunk))

    def _expand(self, chunk: bytes) -> bytes:
        assert self._inflate is not None
        try:
            data = self._inflate.decompress(chunk, DECOMPRESSED_LIMIT - self._inflated + 1)
        except zlib.error:
            raise UpstreamFailed(
                Failure(FailureKind.BAD_RESPONSE, "the upstream's compressed answer is broken", self.status)
            ) from None
        self._inflated += len(data)
        if self._inflated > DECOMPRESSED_LIMIT:
            raise UpstreamFailed(
                Failure(FailureKind.BAD_RESPONSE, "the upstream's compressed answer is too large", self.status)
            )
        return data

    async def close(self) -> None:
        await self._request.__aexit__(None, None, None)


def _longest_silence(timeouts: Timeouts) -> int:
    """Return the ns after which a silent connection is closed whoever waits for it.

    The calls' own timeouts strike first. But what is cancelled before the upstream's head goes on inside
    pyreqwest (0.15 drops the task without aborting it), and would keep a hanging upstream's connection for ever.
    """
    return max(timeouts.answer, timeouts.first_token, timeouts.idle) + _GRACE_NS


def _translate(error: PyreqwestError) -> Failure:
    """Return the failure behind the client's error; its text may hold the URL, so it is not passed on."""
    if isinstance(error, ConnectError | ConnectTimeoutError) and (reason := _connect_reason(error)) is not None:
        if isinstance(error, ConnectTimeoutError):
            return Failure(FailureKind.CONNECT_TIMEOUT, "no connection within the connect timeout")
        return Failure(FailureKind.CONNECT_FAILED, f"cannot connect: {reason[:200]}")
    if isinstance(error, RequestTimeoutError):
        return Failure(FailureKind.IDLE_TIMEOUT, "the upstream sent nothing for too long")
    return Failure(FailureKind.CUT, "the upstream closed the connection before its answer was whole")


def _connect_reason(error: ConnectError | ConnectTimeoutError) -> str | None:
    """Return why no connection was made; None where there was one, so that the request may have been read.

    pyreqwest says ConnectError of a connection that was reset, too, and ConnectTimeoutError of an upstream that is
    silent before its head (0.15, src/exceptions/utils.rs); only hyper's cause tells them apart.
    """
    said = [cause["message"] for cause in error.details.get("causes") or ()]
    return said[-1] if _NOT_CONNECTED in said else None
