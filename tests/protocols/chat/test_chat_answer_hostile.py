"""Hostile answers: no frame raises, events keep their order, and whatever was read can be written."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocols.chat.translating import CHAT, chunk, events_of, frames_of, read_messages, streamed, whole, writer

from headgate.model.events import (
    BlockEnded,
    CitationSeen,
    Event,
    Failed,
    Finished,
    SignatureSeen,
    Started,
    ToolArguments,
    UnknownSeen,
    UsageSeen,
)

ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["id", "model", "created", "choices", "index", "delta", "message", "content", "tool_calls", "function", "name",
         "arguments", "custom", "input", "reasoning_details", "type", "text", "signature", "data", "finish_reason",
         "logprobs", "usage", "error", "annotations", "audio", "refusal", "x_groq", "function_call", "extra_content"]
    ), inner, max_size=6),
    max_leaves=14,
)  # fmt: skip
FRAME = ODD.map(msgspec.json.encode) | st.binary(max_size=20) | st.just(b"[DONE]")
DELTA = st.dictionaries(
    st.sampled_from(["content", "tool_calls", "reasoning", "reasoning_details", "refusal", "annotations", "audio"]), ODD
)


def check_order(events: list[Event]) -> None:
    """Hold the events to what model/events.py says of their order."""
    open_blocks: set[tuple[int, int]] = set()
    begun: set[tuple[int, int]] = set()
    finished: set[int] = set()
    for event in events:
        if isinstance(event, Started | UsageSeen | Failed | UnknownSeen):
            continue
        assert event.choice not in finished
        if isinstance(event, Finished):
            finished.add(event.choice)
            continue
        key = (event.choice, event.block)
        if isinstance(event, BlockEnded):
            open_blocks.remove(key)
            continue
        if isinstance(event, CitationSeen | SignatureSeen | ToolArguments):
            assert key in open_blocks
        elif key not in begun:
            assert event.block == sum(choice == event.choice for choice, _ in begun)
            open_blocks.add(key)
            begun.add(key)
        assert key in open_blocks
    assert not open_blocks or any(isinstance(event, Failed) for event in events)


@given(st.lists(FRAME | st.builds(lambda delta: msgspec.json.encode(chunk(delta)), DELTA), max_size=6))
def test_no_frame_raises_and_blocks_are_in_order(frames: list[bytes]) -> None:
    check_order(events_of(*frames))


@given(st.lists(FRAME | st.builds(lambda delta: msgspec.json.encode(chunk(delta)), DELTA), max_size=6))
def test_whatever_was_read_can_be_written(frames: list[bytes]) -> None:
    events = events_of(*frames)
    assert isinstance(msgspec.json.decode(writer().body(events)), dict)
    assert len(frames_of(streamed(events))) >= 2


@given(ODD.map(msgspec.json.encode) | st.builds(lambda delta: msgspec.json.encode(whole(delta)), DELTA))
def test_no_body_raises(body: bytes) -> None:
    check_order(list(CHAT.answer_reader(read_messages()).body(body)))


@pytest.mark.parametrize("depth", [500, 100_000])
def test_deep_nesting_raises_nothing(depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    events_of(b'{"choices":[{"delta":{"content":' + deep + b"}}]}", b'{"choices":' + deep + b"}", deep)
