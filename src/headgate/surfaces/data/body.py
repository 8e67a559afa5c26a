"""Reading a request's body: bounded in size before and after decompression. The call bounds the time."""

import zlib
from contextlib import aclosing

from headgate.model.errors import ErrorKind, HeadgateError
from headgate.runtime.transport import Transport

_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


async def read_body(transport: Transport, limit: int) -> bytes:
    """Return the body, decompressed. `limit` in bytes holds before and after decompression.

    Raises HeadgateError (413, 415, or 400 for what does not decompress) and ClientLeft.
    """
    length = transport.header("content-length")
    if length is not None and (not length.isdecimal() or len(length) > 15 or int(length) > limit):
        raise _too_large(limit)
    body = await transport.body() if length is not None else await _gather(transport, limit)
    encoding = transport.header("content-encoding")
    if encoding is None or encoding == "identity":
        return body
    return _decompress(body, encoding, limit)


async def _gather(transport: Transport, limit: int) -> bytes:
    whole = bytearray()  # a client may send it byte by byte, and small objects take forty times their content
    async with aclosing(transport.chunks()) as chunks:  # type: ignore[type-var]  # an async generator in both transports
        async for chunk in chunks:
            whole += chunk
            if len(whole) > limit:
                raise _too_large(limit)
    return bytes(whole)


def _decompress(body: bytes, encoding: str, limit: int) -> bytes:
    if encoding.strip().lower() not in ("gzip", "x-gzip", "deflate"):
        raise HeadgateError(
            ErrorKind.UNSUPPORTED_ENCODING, "This content-encoding is not understood; send gzip, deflate or none."
        )
    inflate = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        data = inflate.decompress(body, limit + 1)
    except zlib.error:
        raise HeadgateError(ErrorKind.INVALID_REQUEST, "The body does not decompress as it says.") from None
    if len(data) > limit:
        raise _too_large(limit)
    if not inflate.eof or inflate.unused_data:
        raise HeadgateError(ErrorKind.INVALID_REQUEST, "The compressed body is cut or has bytes after its end.")
    return data


def _too_large(limit: int) -> HeadgateError:
    return HeadgateError(
        ErrorKind.REQUEST_TOO_LARGE, f"The body is larger than {limit} bytes; send less, or raise server.max_body."
    )
