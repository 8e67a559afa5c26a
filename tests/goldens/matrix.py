"""Requests and answers through the translators, as a call takes them: every client's dialect to every upstream's."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from headgate.model.content import Signer
from headgate.model.conversation import Request
from headgate.model.dialect import Dialect, Endpoint
from headgate.model.errors import HeadgateError
from headgate.model.request import RequestHead
from headgate.model.usage import Reported
from headgate.protocols.base import Piece, PieceKind, StreamScanner
from headgate.protocols.canonical import Reply, Target, Written
from headgate.protocols.codec import codec_for, translator_for
from headgate.protocols.filters import Filter
from headgate.protocols.losses import dropped
from headgate.protocols.translation import Translation, WholeTranslation

Json = dict[str, Any]

NAMES: Final = ("chat", "responses", "messages")
ENDPOINT: Final = {"chat": Endpoint.CHAT, "responses": Endpoint.RESPONSES, "messages": Endpoint.MESSAGES}
DIALECT: Final = {
    "chat": Dialect.OPENAI_CHAT,
    "responses": Dialect.OPENAI_RESPONSES,
    "messages": Dialect.ANTHROPIC_MESSAGES,
}
PROVIDER: Final = {"chat": "chatter", "responses": "openai", "messages": "anthropic"}
MODEL: Final = {"chat": "chat-model", "responses": "gpt-model", "messages": "claude-sonnet-4-5"}
CALL: Final = "call_1a2b3c"
CREATED: Final = 1_790_000_000
AS_IT_CAME: Final = "as it came"

ASKING: Final[dict[str, Json]] = {
    "chat": {"model": "m", "messages": [{"role": "user", "content": "Hi."}]},
    "responses": {"model": "m", "input": "Hi."},
    "messages": {"model": "m", "max_tokens": 1000, "messages": [{"role": "user", "content": "Hi."}]},
}
"""What the clients of answers asked, but for what a case adds."""


class Translated(NamedTuple):
    """An answer as its client gets it, and what it lost in the client's words. `kinds` are those of its pieces."""

    body: bytes
    lost: str | None
    reported: Reported | None
    kinds: tuple[PieceKind, ...] = ()
    error: str | None = None


def compact(body: Json) -> bytes:
    """Return JSON as the SDKs send it."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def head_of(name: str, body: Json) -> RequestHead:
    """Return the head of a client's request; raises HeadgateError (400)."""
    return codec_for(ENDPOINT[name]).read_head(ENDPOINT[name], compact(body))


def read(name: str, body: Json) -> Request:
    return translator_for(ENDPOINT[name]).read_request(head_of(name, body))


def target_of(upstream: str, model: str | None = None) -> Target:
    return Target(PROVIDER[upstream], model or MODEL[upstream])


def write(request: Request, upstream: str, model: str | None = None) -> Written:
    return translator_for(ENDPOINT[upstream]).write_request(request, target_of(upstream, model))


def request_for(client: str, body: Json, upstream: str, model: str | None = None) -> Json:
    """Return what an upstream is sent for a client's request, as a golden shows it."""
    request = read(client, body)
    try:
        written = write(request, upstream, model)
    except HeadgateError as refused:
        return {"refused": refused.message, "param": refused.param}
    shown: Json = {}
    lost = dropped(written.lost, written.unknown, request.dialect)
    if lost is not None:
        shown["dropped"] = lost
    sent = json.loads(written.body)
    same = client == upstream and {**sent, "model": body["model"]} == body
    shown["body"] = AS_IT_CAME if same else sent
    return shown


def reply_to(client: str, upstream: str, asked: Json | None = None, *, stream: bool = False) -> Reply:
    """Return what the writer of an answer must know, of a call that asks for `asked` too."""
    body = {**ASKING[client], **(asked or {})}
    if stream:
        body["stream"] = True
        if client == "chat":
            body["stream_options"] = {"include_usage": True}
    head = head_of(client, body)
    request = translator_for(ENDPOINT[client]).read_request(head)
    return Reply(head, request, CALL, CREATED, Signer(PROVIDER[upstream], DIALECT[upstream]))


def scanner_of(upstream: str, reply: Reply) -> StreamScanner:
    """Return the upstream's own scanner of an answer to a translated request."""
    own = reply.head.dialect is DIALECT[upstream]
    head = msgspec.structs.replace(
        reply.head,
        endpoint=ENDPOINT[upstream],
        dialect=DIALECT[upstream],
        fields=reply.head.fields if own else {},
        include_usage=True,
        n=reply.head.n if own else 1,
    )
    return codec_for(ENDPOINT[upstream]).scanner(head)


def translation(client: str, upstream: str, reply: Reply, filters: Filter | None = None) -> Translation:
    reader = translator_for(ENDPOINT[upstream]).answer_reader(reply.request)
    writer = translator_for(ENDPOINT[client]).answer_writer(reply)
    return Translation(scanner_of(upstream, reply), reader, writer, filters)


def stream_to(client: str, upstream: str, chunks: Iterable[bytes], asked: Json | None = None) -> Translated:
    """Return an upstream's stream as its client gets it."""
    reply = reply_to(client, upstream, asked, stream=True)
    translating = translation(client, upstream, reply)
    pieces = run(translating, chunks)
    lost = dropped(translating.writer.lost, (), reply.head.dialect)
    data = b"".join(piece.data for piece in pieces)
    kinds = tuple(piece.kind for piece in pieces)
    return Translated(data, lost, translating.reported(), kinds, translating.error_message)


def run(translating: Translation, chunks: Iterable[bytes]) -> list[Piece]:
    """Return the pieces of a stream up to its end or error, as a call reads them."""
    pieces: list[Piece] = []
    for chunk in chunks:
        pieces += translating.feed(chunk)
        if is_over(pieces):
            return pieces
    return [*pieces, *translating.finish()]


def is_over(pieces: Sequence[Piece]) -> bool:
    return bool(pieces) and pieces[-1].kind in (PieceKind.TERMINAL, PieceKind.ERROR)


def answer_to(client: str, upstream: str, body: Json, asked: Json | None = None) -> Translated:
    """Return an upstream's whole answer as its client gets it."""
    reply = reply_to(client, upstream, asked)
    reader = translator_for(ENDPOINT[upstream]).answer_reader(reply.request)
    writer = translator_for(ENDPOINT[client]).answer_writer(reply)
    translating = WholeTranslation(codec_for(ENDPOINT[upstream]), reader, writer)
    translating.feed(compact(body))
    (piece,) = translating.finish()
    lost = dropped(writer.lost, (), reply.head.dialect)
    return Translated(piece.data, lost, translating.reported(), (piece.kind,), translating.error_message)
