"""An answer that is no stream: an answer, an error in its place, or neither."""

import pytest

from headgate.model.dialect import Endpoint
from headgate.protocols.base import MalformedStream, PieceKind
from headgate.protocols.codec import codec_for
from headgate.protocols.whole import WholeBody


def whole(body: bytes) -> tuple[WholeBody, PieceKind]:
    scanner = WholeBody(codec_for(Endpoint.CHAT))
    for at in range(0, len(body), 7):
        assert scanner.feed(body[at : at + 7]) == []
    [piece] = scanner.finish()
    assert piece.data == body
    return scanner, piece.kind


@pytest.mark.parametrize(
    "body",
    [
        b'{"choices": []}',
        b'{"object": "list", "data": []}',
        b'{"output": [], "status": "completed", "error": null}',
        b'{"output": [], "status": "failed", "error": {"code": "server_error", "message": "no"}}',
        b'{"content": [], "type": "message"}',
        b'{"input_tokens": 5}',
        b"{}",
    ],
)
def test_an_answer_is_terminal(body: bytes) -> None:
    scanner, kind = whole(body)
    assert kind is PieceKind.TERMINAL
    assert scanner.error_message is None


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": {"message": "too many", "code": 429}, "user_id": "u"}',
        b'{"type": "error", "error": {"type": "overloaded_error", "message": "too many"}}',
        b'{"error": "too many"}',
    ],
)
def test_an_error_alone_is_an_error(body: bytes) -> None:
    scanner, kind = whole(body)
    assert kind is PieceKind.ERROR
    assert scanner.error_message == "too many"
    assert scanner.reported() is None


@pytest.mark.parametrize("body", [b"", b"[1]", b"<html></html>", b'{"choices": [', b"null"])
def test_what_is_no_object_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedStream):
        whole(body)
