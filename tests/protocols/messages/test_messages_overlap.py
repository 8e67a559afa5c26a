"""Blocks that overlap, for a dialect whose blocks come one after the other."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.protocols.messages.client import DONE, STARTED, both, streamed, writer
from tests.protocols.messages.validating import accumulated, frames_of, whole

from headgate.model.content import RedactedThinking
from headgate.model.events import (
    BlockEnded,
    Event,
    RefusalDelta,
    SignatureSeen,
    TextDelta,
    ThinkingDelta,
    ToolArguments,
    ToolStarted,
    UsageSeen,
    Whole,
)
from headgate.model.usage import Reported, Usage


def test_tools_that_overlap_come_one_after_the_other() -> None:
    content, _, _ = both(
        ToolStarted(0, "a", "f"),
        ToolStarted(1, "b", "g"),
        ToolArguments(0, '{"x":'),
        ToolArguments(1, '{"y":'),
        ToolArguments(0, "1}"),
        BlockEnded(0),
        ToolArguments(1, "2}"),
        BlockEnded(1),
        DONE,
    )
    assert [(block["id"], block["input"]) for block in content] == [("a", {"x": 1}), ("b", {"y": 2})]


def test_tools_that_nobody_ends_end_with_the_answer() -> None:
    content, message, _ = both(
        TextDelta(0, "hm"),
        ToolStarted(1, "a", "f"),
        ToolStarted(2, "b", "g"),
        ToolArguments(2, '{"y":2}'),
        ToolArguments(1, '{"x":1}'),
        DONE,
    )
    assert [block["type"] for block in content] == ["text", "tool_use", "tool_use"]
    assert [block["input"] for block in content[1:]] == [{"x": 1}, {"y": 2}]
    assert message.stop_reason == "tool_use"


def test_the_first_of_overlapping_tools_streams() -> None:
    writing = writer()
    writing.frames([ToolStarted(0, "a", "f"), ToolStarted(1, "b", "g")])
    assert b'"partial_json":"{"' in writing.frames([ToolArguments(0, "{")])
    assert writing.frames([ToolArguments(1, "{}")]) == b""
    assert b'"partial_json":"{}"' in writing.frames([BlockEnded(0)])


def test_text_ends_where_another_block_begins_and_may_go_on_as_another() -> None:
    stream, _ = streamed(
        TextDelta(0, "a"), ThinkingDelta(1, "b"), TextDelta(0, "c"), BlockEnded(1), BlockEnded(0), DONE
    )
    assert [block.type for block in accumulated(stream).content] == ["text", "thinking", "text"]


def test_what_waits_behind_a_tool_follows_it() -> None:
    stream, _ = streamed(
        ToolStarted(0, "a", "f"),
        TextDelta(1, "x"),
        BlockEnded(1),
        Whole(2, RedactedThinking("d")),
        BlockEnded(2),
        ThinkingDelta(3, "y"),
        BlockEnded(0),
        ThinkingDelta(3, "z"),
        DONE,
    )
    content = accumulated(stream).content
    assert [block.type for block in content] == ["tool_use", "text", "redacted_thinking", "thinking"]
    assert content[3].to_dict()["thinking"] == "yz"


number = st.integers(0, 3)
some = st.text(max_size=3)
event = st.one_of(
    st.builds(TextDelta, number, some),
    st.builds(ThinkingDelta, number, some, part=st.integers(0, 1)),
    st.builds(SignatureSeen, number, some),
    st.builds(ToolStarted, number, st.sampled_from(["", "a"]), st.just("f")),
    st.builds(ToolArguments, number, st.sampled_from(["{}", "", '{"a":1}', "x"])),
    st.builds(RefusalDelta, number, some),
    st.builds(BlockEnded, number),
    st.builds(lambda n: Whole(n, RedactedThinking("d")), number),
    st.just(STARTED),
    st.just(DONE),
    st.just(UsageSeen(Reported(Usage(input=1, output=1)))),
)


@settings(deadline=None)
@given(st.lists(event, max_size=20))
def test_any_order_of_events_gives_a_stream_of_the_apis_grammar(events: list[Event]) -> None:
    writing = writer()
    stream = b"".join(writing.frames([each]) for each in events) + writing.end()
    at_once = writer()
    assert at_once.frames(events) + at_once.end() == stream
    names = [json.loads(data) for _, data in frames_of(stream)]
    assert names[0]["type"] == "message_start"
    assert [frame["type"] for frame in names[-2:]] == ["message_delta", "message_stop"]
    expected, is_open = 0, False
    for frame in names[1:-2]:
        assert frame["index"] == expected
        assert is_open == (frame["type"] != "content_block_start")
        is_open = frame["type"] != "content_block_stop"
        expected += not is_open
    assert not is_open
    whole(writer().body(events))
