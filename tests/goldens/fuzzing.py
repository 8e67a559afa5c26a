"""Every decoder, fed hostile bytes. What comes of them is a value or a typed error, nothing else."""

import json
from collections.abc import Callable, Iterable
from random import Random
from typing import Any, Final
from zlib import crc32

from tests.goldens import mutating
from tests.goldens.matrix import (
    ASKING,
    CALL,
    ENDPOINT,
    NAMES,
    Json,
    compact,
    reply_to,
    scanner_of,
    target_of,
    translation,
)

from headgate.model.errors import HeadgateError
from headgate.model.events import Event
from headgate.model.request import RequestHead
from headgate.model.route import Shaping
from headgate.protocols.base import MalformedStream, PieceKind
from headgate.protocols.codec import codec_for, translator_for
from headgate.protocols.filters import filters_for
from headgate.protocols.signatures import unwrap
from headgate.protocols.sse import FrameSplitter, FrameTooLarge, one_line, parse_frame
from headgate.protocols.translation import WholeTranslation
from headgate.protocols.whole import WholeBody

TYPED: Final = (HeadgateError, MalformedStream, FrameTooLarge)
FILTERS: Final = Shaping(repair_tools=True, strip_thinking=True, strip_stop_markers=True)
TOOLS: Final[dict[str, Json]] = {
    "chat": {
        "tools": [{"type": "custom", "custom": {"name": "draw"}}, {"type": "function", "function": {"name": "f"}}]
    },
    "responses": {"tools": [{"type": "custom", "name": "draw"}, {"type": "function", "name": "get_weather"}]},
    "messages": {"tools": [{"name": "get_weather", "input_schema": {"type": "object"}}]},
}


def read_and_write(name: str, body: bytes) -> None:
    """Read a request and write it for every upstream."""
    endpoint = ENDPOINT[name]
    codec, translator = codec_for(endpoint), translator_for(endpoint)
    head = codec.read_head(endpoint, body)
    codec.outgoing(head, "other", None)
    translator.needs_state(head)
    request = translator.read_request(head)
    for upstream in NAMES:
        try:
            written = translator_for(ENDPOINT[upstream]).write_request(request, target_of(upstream))
        except HeadgateError:
            continue
        shaped = translator_for(ENDPOINT[upstream]).with_system(written.body, "Be kind.")
        assert isinstance(_read(translator_for(ENDPOINT[upstream]).with_cache_marks(shaped)), dict)


def answer(name: str, body: bytes) -> None:
    """Read a whole answer for every client."""
    codec = codec_for(ENDPOINT[name])
    codec.usage_of(body)
    codec.failure_message(body)
    random = _random_of(body)
    client = random.choice(NAMES)
    reply = reply_to(client, name, _asked(random, client))
    events = list(translator_for(ENDPOINT[name]).answer_reader(reply.request).body(body))
    _write(client, reply.head, events, random)
    filters = filters_for(FILTERS, reply.request, CALL) if random.random() < 0.5 else None
    reader = translator_for(ENDPOINT[name]).answer_reader(reply.request)
    whole = WholeTranslation(codec, reader, translator_for(ENDPOINT[client]).answer_writer(reply), filters)
    for chunk in _split(random, body):
        whole.feed(chunk)
    (piece,) = whole.finish()
    assert piece.kind is PieceKind.ERROR or isinstance(_read(piece.data), dict)
    plain = WholeBody(codec)
    plain.feed(body)
    plain.finish()


def stream(name: str, body: bytes) -> None:
    """Read a stream for some client, in pieces, with filters now and then."""
    random = _random_of(body)
    client = random.choice(NAMES)
    reply = reply_to(client, name, _asked(random, client), stream=True)
    filters = filters_for(FILTERS, reply.request, CALL) if random.random() < 0.5 else None
    translating = translation(client, name, reply, filters)
    given = bytearray()
    try:
        for chunk in _split(random, body):
            for piece in translating.feed(chunk):
                given += piece.data
        for piece in translating.finish():
            given += piece.data
    finally:
        check_stream(client, bytes(given))
        translating.reported()
        translating.partial()
        translating.next_sequence()


def scanner(name: str, body: bytes) -> None:
    """Read a stream as it is passed through."""
    random = _random_of(body)
    scanning = scanner_of(name, reply_to(name, name, stream=True))
    for chunk in _split(random, body):
        scanning.feed(chunk)
    scanning.finish()
    scanning.reported()


def frames(name: str, body: bytes) -> None:
    """Read frames without what a scanner leaves out, also after the end; write what they say for some client."""
    random = _random_of(body)
    client = random.choice(NAMES)
    reply = reply_to(client, name, _asked(random, client), stream=True)
    reader = translator_for(ENDPOINT[name]).answer_reader(reply.request)
    splitter = FrameSplitter()
    events: list[Event] = []
    for frame in [*splitter.feed(body), splitter.rest()]:
        event, data = parse_frame(frame)
        events += reader.frame(event, one_line(data))
    events += reader.end()
    _write(client, reply.head, events, random)


def _write(client: str, head: RequestHead, events: list[Event], random: Random) -> None:
    """Write events, in another order now and then."""
    if random.random() < 0.3:
        random.shuffle(events)
    streaming = translator_for(ENDPOINT[client]).answer_writer(reply_to(client, "chat", stream=True))
    check_stream(client, b"".join(streaming.frames([event]) for event in events) + streaming.end())
    body = translator_for(ENDPOINT[client]).answer_writer(reply_to(client, "messages")).body(events)
    assert isinstance(_read(body), dict)


def check_stream(client: str, given: bytes) -> None:
    """Fail where a client gets what is no stream of JSON objects."""
    splitter = FrameSplitter(2**62)
    for frame in splitter.feed(given):
        event, data = parse_frame(frame)
        if data != b"[DONE]":
            said = _read(data)
            assert client == "chat" or said["type"] == (event or b"").decode()
    assert not splitter.pending


def _read(written: bytes) -> Any:
    """Return JSON; what is no UTF-8 passes through in values nobody reads, as it does untranslated."""
    return json.loads(written.decode("utf-8", "replace"))


def _asked(random: Random, client: str) -> Json:
    return TOOLS[client] if random.random() < 0.5 else {}


def _random_of(body: bytes) -> Random:
    """Return the chance that an input alone decides, so that it fails again."""
    return Random(crc32(body))


def _split(random: Random, body: bytes) -> Iterable[bytes]:
    cuts = sorted(random.randrange(len(body) + 1) for _ in range(random.choice((0, 0, 1, 3, 30))))
    return [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]


def _request(random: Random, name: str) -> bytes:
    if random.random() < 0.05:
        return mutating.noise(random)
    return mutating.mutated_json(random, random.choice(mutating.requests_of(name)))


def _answer(random: Random, name: str) -> bytes:
    if random.random() < 0.05:
        return mutating.noise(random)
    return mutating.mutated_json(random, random.choice(mutating.answers_of(name)))


def _stream(random: Random, name: str) -> bytes:
    if random.random() < 0.05:
        return mutating.noise(random)
    return mutating.mutated_stream(random, random.choice(mutating.streams_of(name)))


DECODERS: Final[dict[str, tuple[Callable[[str, bytes], None], Callable[[Random, str], bytes]]]] = {
    "request": (read_and_write, _request),
    "answer": (answer, _answer),
    "stream": (stream, _stream),
    "scanner": (scanner, _stream),
    "frames": (frames, _stream),
}
"""Each decoder, and what makes its inputs."""


def signature(name: str, body: bytes) -> None:
    """Read what may be a signature, alone and in a history."""
    text = "hg1." + body.decode("latin-1")
    unwrap(text)
    if name == "messages":
        turn = {"role": "assistant", "content": [{"type": "thinking", "thinking": "", "signature": text}]}
        read_and_write(name, compact({**ASKING[name], "messages": [turn]}))


def decode(decoder: str, name: str, body: bytes) -> None:
    """Feed a decoder; raises what is no typed error."""
    try:
        DECODERS[decoder][0](name, body)
    except TYPED:
        return
