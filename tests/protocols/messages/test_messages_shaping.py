"""What is added to a messages request on its way out: breakpoints and a system text."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.protocols.messages.samples import BASE, BLOCKS, MEMBERS, TEXT
from tests.protocols.messages.validating import valid_params

from headgate.protocols.anthropic_messages import MessagesTranslator

TRANSLATOR = MessagesTranslator()
MARK = {"cache_control": {"type": "ephemeral"}}
TOOL = {"name": "f", "input_schema": {"type": "object"}}


def marked(body: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = json.loads(TRANSLATOR.with_cache_marks(json.dumps(body).encode()))
    valid_params(out)
    return out


def said(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


def marks_in(value: Any) -> int:
    if isinstance(value, list):
        return sum(map(marks_in, value))
    if isinstance(value, dict):
        return ("cache_control" in value) + sum(map(marks_in, value.values()))
    return 0


def test_tools_system_and_the_last_two_user_turns_are_marked() -> None:
    body = {
        **BASE,
        "system": "Be brief.",
        "tools": [TOOL, {**TOOL, "name": "g"}],
        "messages": [said("user", "a"), said("assistant", "b"), said("user", [TEXT, TEXT]), said("user", "d")],
    }
    out = marked(body)
    assert out["tools"] == [TOOL, {**TOOL, "name": "g", **MARK}]
    assert out["system"] == [{"type": "text", "text": "Be brief.", **MARK}]
    assert out["messages"] == [
        said("user", "a"),
        said("assistant", "b"),
        said("user", [TEXT, {**TEXT, **MARK}]),
        said("user", [{"type": "text", "text": "d", **MARK}]),
    ]
    assert marks_in(out) == 4


def test_a_breakpoint_goes_only_where_it_may_stand() -> None:
    body = {
        **BASE,
        "system": [TEXT, {"type": "text", "text": " "}],
        "tools": [TOOL, {**TOOL, "name": "g", "defer_loading": True}],
        "messages": [said("user", [BLOCKS["tool result"], {"type": "text", "text": ""}]), said("user", "")],
    }
    out = marked(body)
    assert [*map(marks_in, out["system"])] == [1, 0]
    assert [*map(marks_in, out["tools"])] == [1, 0]
    assert [*map(marks_in, out["messages"][0]["content"])] == [1, 0]
    assert out["messages"][1] == said("user", "")


@pytest.mark.parametrize(
    "body",
    [
        {**BASE, "cache_control": {"type": "ephemeral"}, "messages": [said("user", "a")]},
        {**BASE, "messages": [said("user", [{**TEXT, **MARK}]), said("user", "b")]},
        {**BASE, "messages": [said("user", [{**BLOCKS["failed tool result of blocks"]}])]},
        {**BASE, "tools": [{**TOOL, **MARK}], "messages": [said("user", "a")]},
    ],
)
def test_a_client_that_sets_breakpoints_sets_them_all(body: dict[str, Any]) -> None:
    text = json.dumps(body).encode()
    assert TRANSLATOR.with_cache_marks(text) is text


def test_a_breakpoint_is_seen_however_its_name_is_spelled() -> None:
    text = (
        b'{"messages":[{"role":"user","content":"a"}],"system":[{"type":"text","text":"b","\\u0063ache_control":{}}]}'
    )
    assert TRANSLATOR.with_cache_marks(text) is text


def test_a_body_that_is_not_utf_8_is_left_alone() -> None:
    text = b'{"messages":[{"role":"user","content":"\xff"}],"system":"cache_control"}'
    assert TRANSLATOR.with_cache_marks(text) is text


def test_words_about_breakpoints_are_none() -> None:
    body = {**BASE, "messages": [said("user", 'What is "cache_control": {}?')], "cache_control": None}
    assert marks_in(marked(body)["messages"]) == 1


def test_what_is_not_touched_stays_byte_for_byte() -> None:
    first = b'{"role":"assistant","content":[{ "type":"text" , "text":"\\u0061","x":1.50e1 }]}'
    body = b'{"temperature":0.70,"messages":[' + first + b',{"role":"user","content":"\\u0062"}]}'
    out = TRANSLATOR.with_cache_marks(body)
    assert first in out
    assert b'"temperature":0.70' in out
    assert b'"text":"\\u0062"' in out


NO_REQUESTS = [
    b"",
    b"[]",
    b"{}",
    b'{"messages":5}',
    b'{"messages":[5,{"role":5},{"role":"user"}]}',
    b'{"system":"x"}',
    b"\xff",
]


@pytest.mark.parametrize("body", NO_REQUESTS)
def test_what_is_no_request_is_returned_as_it_is(body: bytes) -> None:
    out = TRANSLATOR.with_cache_marks(body)
    assert out is body or json.loads(out) == json.loads(body)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "role": st.sampled_from(["user", "assistant"]),
                "content": st.text(max_size=3) | st.lists(st.sampled_from(list(BLOCKS.values())), max_size=3),
            }
        ),
        max_size=5,
    ),
    st.sampled_from([{}, *MEMBERS.values()]),
)
def test_there_are_never_more_than_four(messages: list[Any], members: dict[str, Any]) -> None:
    body = {**BASE, "messages": messages, **members}
    out = json.loads(TRANSLATOR.with_cache_marks(json.dumps(body).encode()))
    before = marks_in(body)
    assert marks_in(out) == before if before else marks_in(out) <= 4


# -- a system text ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        ({}, "Rule."),
        ({"system": None}, "Rule."),
        ({"system": ""}, "Rule."),
        ({"system": "One."}, "One.\n\nRule."),
        ({"system": []}, [{"type": "text", "text": "Rule."}]),
        ({"system": [{**TEXT, **MARK}]}, [{**TEXT, **MARK}, {"type": "text", "text": "Rule."}]),
    ],
)
def test_a_system_text_goes_after_what_is_there(system: dict[str, Any], expected: Any) -> None:
    body = {**BASE, "messages": [said("user", "a")], **system}
    out = json.loads(TRANSLATOR.with_system(json.dumps(body).encode(), "Rule."))
    assert out == {**body, "system": expected}


def test_a_blank_system_text_changes_nothing() -> None:
    body = json.dumps({**BASE, "messages": []}).encode()
    assert TRANSLATOR.with_system(body, " \n") is body


@pytest.mark.parametrize("body", [*NO_REQUESTS[:3], b'{"messages":[],"system":5}', b"\xff"])
def test_what_is_no_request_gets_no_system_text(body: bytes) -> None:
    assert TRANSLATOR.with_system(body, "Rule.") is body
