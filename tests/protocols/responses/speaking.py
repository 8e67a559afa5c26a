"""How the tests of the responses translator run it, and what the official SDK says of what it writes."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent, response_create_params
from pydantic import TypeAdapter

from headgate.model.content import Signer
from headgate.model.conversation import Request
from headgate.model.dialect import Dialect, Endpoint
from headgate.model.events import Event
from headgate.model.request import RequestHead
from headgate.protocols.canonical import AnswerWriter, Reply, Target, Written
from headgate.protocols.codec import codec_for
from headgate.protocols.openai_responses import ResponsesTranslator
from headgate.protocols.sse import FrameSplitter, parse_frame

RESPONSES = ResponsesTranslator()
TARGET = Target("upstream", "m")
CLAUDE = Signer("claude", Dialect.ANTHROPIC_MESSAGES)
PNG = "data:image/png;base64,iVBORw0KGgo="
_PARAMS: TypeAdapter[Any] = TypeAdapter(response_create_params.ResponseCreateParams)
_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)

Json = dict[str, Any]


def head_of(request: Json) -> RequestHead:
    body = msgspec.json.encode({"model": "m", "input": "Hi", **request})
    return codec_for(Endpoint.RESPONSES).read_head(Endpoint.RESPONSES, body)


def read(request: Json) -> Request:
    return RESPONSES.read_request(head_of(request))


def read_items(*items: Json) -> Request:
    return read({"input": list(items)})


def body_of(written: Written) -> Json:
    body = msgspec.json.decode(written.body)
    assert isinstance(body, dict)
    return body


def rewritten(request: Json, target: Target = TARGET) -> Json:
    """Return what comes out of reading and writing a request; nothing may be lost."""
    written = RESPONSES.write_request(RESPONSES.read_request(head_of(request)), target)
    assert (written.lost, written.unknown) == (frozenset(), frozenset())
    return body_of(written)


def foreign(**members: Any) -> Request:
    members.setdefault("dialect", Dialect.ANTHROPIC_MESSAGES)
    members.setdefault("turns", ())
    return Request(model="m", stream=False, **members)


def valid_params(body: Json) -> None:
    """Raise pydantic's error where a request is none by the SDK's types."""
    _exhausted(_PARAMS.validate_python(body))


def _exhausted(value: Any) -> None:
    """Walk through a value: pydantic looks at what an Iterable yields only when it is asked for."""
    if isinstance(value, dict):
        for each in value.values():
            _exhausted(each)
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for each in value:
            _exhausted(each)


def events_of(*frames: Json | bytes, ended: bool = True) -> list[Event]:
    """Return the events of a stream's frames, given as their data."""
    reader = RESPONSES.answer_reader(read({}))
    events: list[Event] = []
    for frame in frames:
        data = frame if isinstance(frame, bytes) else msgspec.json.encode(frame)
        events += reader.frame(None, data)
    return [*events, *reader.end()] if ended else events


def body_events(answer: Json) -> Sequence[Event]:
    return RESPONSES.answer_reader(read({})).body(msgspec.json.encode(answer))


def response(*output: Json, status: str = "completed", **members: Any) -> Json:
    return {
        "id": "resp_up",
        "object": "response",
        "created_at": 7,
        "model": "up",
        "status": status,
        "output": list(output),
        **members,
    }


def writer(request: Json | None = None, signer: Signer = CLAUDE) -> AnswerWriter:
    head = head_of(request or {})
    return RESPONSES.answer_writer(Reply(head, RESPONSES.read_request(head), "call_1a2b", 1_700_000_000, signer))


def streamed(events: Iterable[Event], request: Json | None = None, signer: Signer = CLAUDE) -> bytes:
    written = writer({"stream": True, **(request or {})}, signer)
    return b"".join([*(written.frames([event]) for event in events), written.end()])


def frames_of(stream: bytes) -> list[Json]:
    """Return a stream's events, which are named, numbered and of the SDK's types."""
    splitter = FrameSplitter()
    frames: list[Json] = []
    for frame in splitter.feed(stream):
        name, data = parse_frame(frame)
        _EVENT.validate_json(data)
        event = msgspec.json.decode(data)
        assert name is not None
        assert (event["type"], event["sequence_number"]) == (name.decode(), len(frames))
        frames.append(event)
    assert not splitter.pending
    return frames


def accumulated(stream: bytes, request: Json | None = None) -> Response:
    """Return what the SDK makes of a stream; its final response must hold what its items did."""
    state: ResponseStreamState[Any] = ResponseStreamState(
        input_tools=(request or {}).get("tools", omit), text_format=omit
    )
    items: dict[int, Json] = {}
    last: Json = {}
    for each in frames_of(stream):
        state.handle_event(_EVENT.validate_python(each))
        if each["type"] == "response.output_item.done":
            assert each["output_index"] not in items
            items[each["output_index"]] = each["item"]
        last = each
    assert [items[index] for index in sorted(items)] == last["response"]["output"]
    assert sorted(items) == list(range(len(items)))
    return Response.model_validate(last["response"])


def answered(events: Iterable[Event], request: Json | None = None, signer: Signer = CLAUDE) -> Json:
    """Return a whole answer, which must be of the SDK's type."""
    body = msgspec.json.decode(writer(request, signer).body(events))
    Response.model_validate(body)
    assert isinstance(body, dict)
    return body
