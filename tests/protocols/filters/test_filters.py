"""Filters on answers: safe at any split of the stream, and text that is no call stays where it was."""

import json
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from headgate.model.content import RedactedThinking
from headgate.model.conversation import Request, Tool
from headgate.model.dialect import Dialect
from headgate.model.events import (
    BlockEnded,
    Event,
    Finish,
    Finished,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolArguments,
    ToolStarted,
    Whole,
)
from headgate.model.route import Shaping
from headgate.protocols.filters import filters_for

TOOLS = tuple(Tool(name, schema=Raw(b"{}")) for name in ("get_weather", "Read"))
REQUEST = Request(Dialect.OPENAI_CHAT, "m", stream=True, turns=(), tools=TOOLS)
ALL = Shaping(repair_tools=True, strip_thinking=True, strip_stop_markers=True)
REPAIR = Shaping(repair_tools=True)


def run(shaping: Shaping, parts: Iterable[str]) -> list[Event]:
    filters = filters_for(shaping, REQUEST, "c1")
    assert filters is not None
    events: list[Event] = list(filters.feed([Started()]))
    for part in parts:
        events += filters.feed([TextDelta(0, part)])
    events += filters.feed([BlockEnded(0), Finished(Finish.STOP)])
    return [*events, *filters.end()]


def seen(events: Iterable[Event]) -> list[object]:
    """Return texts and calls (name, arguments) in order, and how the answer ended."""
    found: list[object] = []
    for event in events:
        match event:
            case TextDelta():
                if found and isinstance(found[-1], str):
                    found[-1] += event.text
                else:
                    found.append(event.text)
            case ToolStarted():
                found.append((event.name,))
            case ToolArguments():
                name = found.pop()
                assert isinstance(name, tuple)
                found.append((name[0], json.loads(event.text)))
            case Finished():
                found.append(event.finish)
            case _:
                pass
    return found


def well_formed(events: list[Event]) -> None:
    """Each block begins once, ends once, and nothing of it comes afterwards."""
    begun: list[int] = []
    ended: set[int] = set()
    for event in events:
        if isinstance(event, TextDelta | ToolStarted | ToolArguments):
            assert event.block not in ended
            if event.block not in begun:
                begun.append(event.block)
        elif isinstance(event, BlockEnded):
            assert event.block in begun
            ended.add(event.block)
    assert begun == sorted(begun)
    assert set(begun) == ended


WEATHER = ("get_weather", {"city": "Wien"})
UNCLOSED = '<tool_call>{"name": "get_weather", "arguments": {"city": "Wien"}}'
"""Nothing can stand after it."""
CALLS = [
    '{"name": "get_weather", "arguments": {"city": "Wien"}}',
    '{"name": "get_weather", "parameters": {"city": "Wien"}}',
    '{"tool": "get_weather", "input": {"city": "Wien"}}',
    "{'name': 'get_weather', 'arguments': {'city': 'Wien',},}",
    '[{"name": "get_weather", "arguments": {"city": "Wien"}}]',
    '{"type": "function", "function": {"name": "get_weather", "arguments": "{\\"city\\": \\"Wien\\"}"}}',
    '{"tool_calls": [{"function": {"name": "get_weather", "arguments": {"city": "Wien"}}}]}',
    '```json\n{"name": "get_weather", "arguments": {"city": "Wien"}}\n```',
    '```\n{"name": "get_weather", "arguments": {"city": "Wien"}}\n```\n',
    '```tool_call\n{"name": "get_weather", "arguments": {"city": "Wien"},}\n```',
    '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Wien"}}\n</tool_call>',
    UNCLOSED,
    '<function=get_weather>{"city": "Wien"}</function>',
    "<function=get_weather>\n<parameter=city>\nWien\n</parameter>\n</function>",
    "<tool_call>\n<function=get_weather>\n<parameter=city>\nWien\n</parameter>\n</function>\n</tool_call>",
]


@pytest.mark.parametrize("text", CALLS)
@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_a_call_written_as_text_becomes_a_call(text: str, size: int) -> None:
    events = run(REPAIR, (text[at : at + size] for at in range(0, len(text), size)))
    assert seen(events) == [WEATHER, Finish.TOOL_USE]
    well_formed(events)


@pytest.mark.parametrize("text", [call for call in CALLS if call != UNCLOSED])
@pytest.mark.parametrize("size", [1, 5, 1000])
def test_text_around_a_call_stays_where_it_was(text: str, size: int) -> None:
    whole = f"Let me look.\n{text}\nThere."
    events = run(REPAIR, (whole[at : at + size] for at in range(0, len(whole), size)))
    assert seen(events) == ["Let me look.\n", WEATHER, "There.", Finish.TOOL_USE]
    well_formed(events)


def test_several_calls_one_after_the_other() -> None:
    one, two = CALLS[0], '{"name": "Read", "arguments": {"path": "a ``` b } {"}}'
    both = [WEATHER, ("Read", {"path": "a ``` b } {"}), Finish.TOOL_USE]
    assert seen(run(REPAIR, [f"{one}\n{two}"])) == both
    assert seen(run(REPAIR, [f"```json\n{one}\n{two}\n```"])) == both
    assert seen(run(REPAIR, [f"[{one}, {two}]"])) == both
    assert seen(run(REPAIR, [f"<tool_call>{one}</tool_call>\n<tool_call>{two}</tool_call>"])) == both


NO_CALLS = [
    "Plain words, nothing else.",
    '{"name": "unknown_tool", "arguments": {"a": 1}}',
    '{"name": "get_weather"}',
    '{"city": "Wien", "name": "get_weather", "arguments": {}}x',
    '```python\nprint({"name": "get_weather", "arguments": {}})\n```\nafter',
    '```json\n{"city": "Wien"}\n```',
    '```json\n{"name": "get_weather", "arguments": {}}\nand more\n```',
    "def f():\n    return {'a': [1, 2]}\n",
    "[1, 2, 3]\n[4](http://example.com)",
    '{"name": "get_weather", "arguments": {',
    "```json\n{",
    "<tool_call>not json</tool_call>",
    "<function=unknown>{}</function> tail",
    'He said: {"name": "get_weather", "arguments": {}} inline',
    "a < b and c <tool",
    "`code` ``x`` \n``",
    "\n\n{\n}\n\n",
]


@pytest.mark.parametrize("text", NO_CALLS)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_what_is_no_call_is_left_as_it_was(text: str, size: int) -> None:
    events = run(REPAIR, (text[at : at + size] for at in range(0, len(text), size)))
    assert seen(events) == [text, Finish.STOP]
    well_formed(events)


def test_an_example_in_code_is_no_call_and_what_follows_the_code_may_be_one() -> None:
    code = '```python\nx = [\n{"name": "get_weather", "arguments": {}}\n]\n```\n'
    for size in (1, 4, 1000):
        text = code + CALLS[0]
        events = run(REPAIR, (text[at : at + size] for at in range(0, len(text), size)))
        assert seen(events) == [code, WEATHER, Finish.TOOL_USE]


def test_text_flows_while_it_cannot_become_a_call() -> None:
    filters = filters_for(REPAIR, REQUEST, "c1")
    assert filters is not None
    for word in ("Hello ", "world, ", "x = ", "1 { y", " }"):
        assert seen(filters.feed([TextDelta(0, word)])) == [word]
    assert seen(filters.feed([TextDelta(0, '\n{"ci')])) == ['\n{"ci']


def test_thinking_is_left_out_with_the_blank_lines_after_it() -> None:
    text = "<think>\nHm, <b> and </thin.\n</think>\n\nThe answer."
    for size in (1, 2, 5, 1000):
        events = run(Shaping(strip_thinking=True), (text[at : at + size] for at in range(0, len(text), size)))
        assert seen(events) == ["The answer.", Finish.STOP]
        well_formed(events)
    assert seen(run(Shaping(strip_thinking=True), ["<think>never closed"])) == [Finish.STOP]
    assert seen(run(Shaping(strip_thinking=True), ["a </think>b"])) == ["a b", Finish.STOP]
    assert seen(run(Shaping(strip_thinking=True), ["a <thin"])) == ["a <thin", Finish.STOP]


def test_thinking_blocks_are_left_out() -> None:
    filters = filters_for(Shaping(strip_thinking=True), REQUEST, "c1")
    assert filters is not None
    given_out = filters.feed(
        [
            ThinkingDelta(0, "Hm."),
            BlockEnded(0),
            Whole(1, RedactedThinking("x")),
            BlockEnded(1),
            TextDelta(2, "Yes."),
            BlockEnded(2),
        ]
    )
    assert given_out == [TextDelta(0, "Yes."), BlockEnded(0)]


def test_stop_markers_are_left_out_wherever_they_stand() -> None:
    text = "One<|im_end|> two</s>.<|eot_id|>"
    for size in (1, 4, 1000):
        events = run(Shaping(strip_stop_markers=True), (text[at : at + size] for at in range(0, len(text), size)))
        assert seen(events) == ["One two.", Finish.STOP]


PARTS = st.sampled_from([*CALLS, *NO_CALLS, "<think>a</think>", "<|im_end|>", "\n", "<", "```", "{", "<too", " word "])


@given(st.lists(PARTS, max_size=6), st.data())
def test_any_split_gives_the_same(parts: list[str], data: st.DataObject) -> None:
    text = "".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    split = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    whole = run(ALL, [text])
    well_formed(whole)
    apart = run(ALL, [part for part in split if part])
    well_formed(apart)
    assert seen(apart) == seen(whole)


@given(st.text(alphabet="{}[]\"'`<>/=tool_calfunction:,\\ \n", max_size=80))
def test_no_text_is_ever_lost(text: str) -> None:
    found = seen(run(REPAIR, list(text)))
    if all(isinstance(part, str) for part in found):
        assert "".join(part for part in found[:-1] if isinstance(part, str)) == text


def test_a_request_without_tools_repairs_nothing() -> None:
    assert filters_for(REPAIR, Request(Dialect.OPENAI_CHAT, "m", stream=True, turns=()), "c1") is None
