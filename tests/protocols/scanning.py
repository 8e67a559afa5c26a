"""How the tests run a scanner."""

from collections.abc import Iterable

from headgate.model.dialect import Endpoint
from headgate.protocols.codec import Piece, PieceKind, StreamScanner, codec_for

BODIES = {
    Endpoint.CHAT: b'{"model":"m","stream":true}',
    Endpoint.COMPLETIONS: b'{"model":"m","stream":true}',
    Endpoint.MESSAGES: b'{"model":"m","stream":true,"max_tokens":100}',
    Endpoint.RESPONSES: b'{"model":"m","stream":true}',
}
ASKING = b'{"model":"m","stream":true,"stream_options":{"include_usage":true}}'


def scanner_for(endpoint: Endpoint, body: bytes | None = None) -> StreamScanner:
    codec = codec_for(endpoint)
    return codec.scanner(codec.read_head(endpoint, BODIES[endpoint] if body is None else body))


def scan(scanner: StreamScanner, chunks: Iterable[bytes]) -> list[tuple[PieceKind, bytes]]:
    """Feed all chunks and the end; return the pieces with neighbours of one kind merged."""
    pieces: list[Piece] = []
    for chunk in chunks:
        got = scanner.feed(chunk)
        pieces += [Piece(PieceKind.CONTENT, got)] if isinstance(got, bytes) else got
    pieces += scanner.finish()
    merged: list[tuple[PieceKind, bytes]] = []
    for piece in pieces:
        if merged and merged[-1][0] is piece.kind:
            merged[-1] = (piece.kind, merged[-1][1] + piece.data)
        else:
            merged.append((piece.kind, piece.data))
    return merged
