"""An answer on its way between dialects: what is none raises, and no client is written more than the limit."""

import json
from typing import Any
from unittest.mock import patch

import pytest

from headgate.model.content import Signer
from headgate.model.dialect import Dialect, Endpoint
from headgate.protocols import translation
from headgate.protocols.canonical import Reply
from headgate.protocols.codec import MalformedStream, PieceKind, codec_for, translator_for
from headgate.protocols.translation import Translation, WholeTranslation

CLIENTS: dict[Endpoint, dict[str, Any]] = {
    Endpoint.CHAT: {"messages": [{"role": "user", "content": "hi"}]},
    Endpoint.RESPONSES: {"input": "hi"},
    Endpoint.MESSAGES: {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 9},
}
FOREIGN = [(client, upstream) for client in CLIENTS for upstream in CLIENTS if client is not upstream]


def streamed(client: Endpoint, upstream: Endpoint) -> Translation:
    head = codec_for(client).read_head(client, json.dumps({"model": "m", "stream": True} | CLIENTS[client]).encode())
    request = translator_for(client).read_request(head)
    reply = Reply(head, request, "call_1", 1, Signer("p", Dialect.OPENAI_CHAT))
    reader, writer = translator_for(upstream).answer_reader(request), translator_for(client).answer_writer(reply)
    return Translation(codec_for(upstream).scanner(head), reader, writer)


def whole(client: Endpoint, upstream: Endpoint) -> WholeTranslation:
    head = codec_for(client).read_head(client, json.dumps({"model": "m"} | CLIENTS[client]).encode())
    request = translator_for(client).read_request(head)
    reply = Reply(head, request, "call_1", 1, Signer("p", Dialect.OPENAI_CHAT))
    reader, writer = translator_for(upstream).answer_reader(request), translator_for(client).answer_writer(reply)
    return WholeTranslation(codec_for(upstream), reader, writer)


@pytest.mark.parametrize("body", [b"{}", b'{"ok":true}', b'{"choices":[],"content":null,"output":null,"usage":{}}'])
@pytest.mark.parametrize(("client", "upstream"), FOREIGN)
def test_a_body_that_says_nothing_is_no_answer(client: Endpoint, upstream: Endpoint, body: bytes) -> None:
    translating = whole(client, upstream)
    translating.feed(body)
    with pytest.raises(MalformedStream):
        translating.finish()


@pytest.mark.parametrize("stream", [b"data: [DONE]\n\n", b'event: message_stop\ndata: {"type":"message_stop"}\n\n'])
@pytest.mark.parametrize(("client", "upstream"), FOREIGN)
def test_a_stream_that_says_nothing_ends_nothing(client: Endpoint, upstream: Endpoint, stream: bytes) -> None:
    translating = streamed(client, upstream)
    try:
        pieces = [*translating.feed(stream), *translating.finish()]
    except MalformedStream:
        return
    assert not translating.complete
    assert not any(piece.kind is PieceKind.TERMINAL for piece in pieces)


@pytest.mark.parametrize("client", [Endpoint.RESPONSES, Endpoint.MESSAGES])
def test_a_client_is_written_no_more_than_the_limit(client: Endpoint) -> None:
    frame = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'
    translating = streamed(client, Endpoint.CHAT)
    written = 0
    with (  # noqa: PT012 - any frame may be the one
        patch.object(translation, "ANSWER_LIMIT", 4096),
        pytest.raises(MalformedStream, match="longer than"),
    ):
        for _ in range(1_000):
            written += sum(len(piece.data) for piece in translating.feed(frame))
    assert 0 < written <= 4096
