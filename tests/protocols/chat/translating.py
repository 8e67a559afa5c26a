"""How the tests of chat's translator run it."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from headgate.model.content import Signer
from headgate.model.conversation import Request
from headgate.model.dialect import Dialect, Endpoint
from headgate.model.events import Event
from headgate.model.request import RequestHead
from headgate.protocols.canonical import AnswerWriter, Reply, Target, Written
from headgate.protocols.codec import codec_for
from headgate.protocols.openai_chat import ChatTranslator
from headgate.protocols.sse import FrameSplitter, parse_frame

CHAT = ChatTranslator()
TARGET = Target("upstream", "m")
PNG = "data:image/png;base64,iVBORw0KGgo="
CACHED: dict[str, Any] = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
CLAUDE = Signer("claude", Dialect.ANTHROPIC_MESSAGES)


def head_of(request: dict[str, Any]) -> RequestHead:
    return codec_for(Endpoint.CHAT).read_head(Endpoint.CHAT, msgspec.json.encode({"model": "m", **request}))


def read(request: dict[str, Any]) -> Request:
    return CHAT.read_request(head_of(request))


def read_messages(*messages: dict[str, Any]) -> Request:
    return read({"messages": list(messages)})


def body_of(written: Written) -> dict[str, Any]:
    body = msgspec.json.decode(written.body)
    assert isinstance(body, dict)
    return body


def rewritten(request: dict[str, Any], target: Target = TARGET) -> dict[str, Any]:
    """Return what comes out of reading and writing a request; nothing may be lost."""
    written = CHAT.write_request(read(request), target)
    assert (written.lost, written.unknown) == (frozenset(), frozenset())
    return body_of(written)


def without_nulls(value: Any) -> Any:
    """Return what a request says: null is absent, where the canonical model has a member for it."""
    if isinstance(value, dict):
        return {name: without_nulls(each) for name, each in value.items() if each is not None}
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


def foreign(**members: Any) -> Request:
    members.setdefault("dialect", Dialect.ANTHROPIC_MESSAGES)
    members.setdefault("turns", ())
    return Request(model="m", stream=False, **members)


def events_of(*frames: dict[str, Any] | bytes, ended: bool = True) -> list[Event]:
    """Return the events of a stream's frames, given as their data."""
    reader = CHAT.answer_reader(read_messages())
    events: list[Event] = []
    for frame in frames:
        data = frame if isinstance(frame, bytes) else msgspec.json.encode(frame)
        events += reader.frame(None, data)
    return [*events, *reader.end()] if ended else events


def chunk(delta: dict[str, Any], finish: str | None = None, index: int = 0, **members: Any) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "up", "choices": [choice],
            **members}  # fmt: skip


def whole(message: dict[str, Any], finish: str = "stop", **members: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 7,
        "model": "up",
        "choices": [choice],
        **members,
    }


def body_events(answer: dict[str, Any]) -> Sequence[Event]:
    return CHAT.answer_reader(read_messages()).body(msgspec.json.encode(answer))


def writer(request: dict[str, Any] | None = None, signer: Signer = CLAUDE) -> AnswerWriter:
    head = head_of({"messages": [], **(request or {})})
    return CHAT.answer_writer(Reply(head, CHAT.read_request(head), "call_1a2b", 1_700_000_000, signer))


ASKING = {"stream": True, "stream_options": {"include_usage": True}}


def frames_of(stream: bytes) -> list[dict[str, Any]]:
    """Return a stream's chunks; its last frame must be [DONE]."""
    splitter = FrameSplitter()
    data = [parse_frame(frame)[1] for frame in splitter.feed(stream)]
    assert not splitter.pending
    assert data.pop() == b"[DONE]"
    return [msgspec.json.decode(each) for each in data]


def streamed(events: Iterable[Event], request: dict[str, Any] | None = None, signer: Signer = CLAUDE) -> bytes:
    written = writer({**ASKING, **(request or {})}, signer)
    return b"".join([*(written.frames([event]) for event in events), written.end()])


def accumulated(stream: bytes) -> ChatCompletion:
    """Return what the SDK makes of a stream; every chunk must be of its types, which lack custom tools."""
    state = ChatCompletionStreamState()
    read_as = ChatCompletionChunk.construct if b'"custom"' in stream else ChatCompletionChunk
    for each in frames_of(stream):
        state.handle_chunk(read_as(**each))
    return state.current_completion_snapshot


def answered(events: Iterable[Event], request: dict[str, Any] | None = None, signer: Signer = CLAUDE) -> dict[str, Any]:
    """Return a whole answer, which must be of the SDK's type."""
    body = msgspec.json.decode(writer(request, signer).body(events))
    ChatCompletion.model_validate(body)
    assert isinstance(body, dict)
    return body
