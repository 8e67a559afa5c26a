"""What is no request of this dialect."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.protocols.messages.samples import BASE, BLOCKS, MEMBERS, again, read

from headgate.model.content import Foreign
from headgate.model.errors import HeadgateError


def refusal(body: Any) -> HeadgateError | None:
    """Return what a request is refused with; None for one that can be read and written."""
    try:
        json.loads(again(body).body)
    except HeadgateError as error:
        return error
    return None


MALFORMED: list[tuple[Any, str]] = [
    ({"messages": None}, "messages"),
    ({}, "messages"),
    ({"messages": "hi"}, "messages"),
    ({"messages": [5]}, "messages.0"),
    ({"messages": [{"content": "x"}]}, "messages.0.role"),
    ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
    ({"messages": [{"role": "user"}]}, "messages.0.content"),
    ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
    ({"messages": [{"role": "user", "content": ["x"]}]}, "messages.0.content.0"),
    ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages.0.content.0.type"),
    ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content.0.text"),
    ({"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]}, "messages.0.content.0.text"),
    ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages.0.content.0.source"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "base64", "data": 1}}]}]},
        "messages.0.content.0.source.data",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": "x"}]}]},
        "messages.0.content.0.input",
    ),
    (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "tool_result"}]},
                    ],
                }
            ]
        },
        "messages.0.content.0.content.0.type",
    ),
    ({"messages": [], "system": 5}, "system"),
    ({"messages": [], "tools": {}}, "tools"),
    ({"messages": [], "tools": [{"name": "f"}]}, "tools.0.input_schema"),
    ({"messages": [], "tools": [{"name": 1, "input_schema": {}}]}, "tools.0.name"),
    ({"messages": [], "tool_choice": "auto"}, "tool_choice"),
    ({"messages": [], "tool_choice": {"type": "tool"}}, "tool_choice.name"),
    ({"messages": [], "thinking": {"type": "enabled", "budget_tokens": 1.5}}, "thinking.budget_tokens"),
    ({"messages": [], "thinking": {}}, "thinking.type"),
    ({"messages": [], "temperature": "hot"}, "temperature"),
    ({"messages": [], "stop_sequences": ["a", 1]}, "stop_sequences"),
    ({"messages": [], "metadata": {"user_id": 1}}, "metadata.user_id"),
    ({"messages": [], "service_tier": []}, "service_tier"),
]


@pytest.mark.parametrize(("members", "param"), MALFORMED)
def test_what_is_wrong_is_named(members: Any, param: str) -> None:
    with pytest.raises(HeadgateError) as caught:
        read({**BASE, **members})
    assert (caught.value.status, caught.value.param) == (400, param)


def test_blocks_within_blocks_are_kept_and_not_walked_through() -> None:
    inner: Any = "x"
    for _ in range(150):
        inner = [{"type": "document", "source": {"type": "content", "content": inner}}]
    body = {**BASE, "messages": [{"role": "user", "content": inner}]}
    assert isinstance(read(body).turns[0].blocks[0], Foreign)
    assert json.loads(again(body).body) == body


def test_bytes_that_are_no_text_are_refused() -> None:
    block = b'{"type":"tool_use","id":"t","name":"f","input":{"a":"\xff"}}'
    with pytest.raises(HeadgateError) as caught:
        read(b'{"model":"m","messages":[{"role":"user","content":[' + block + b"]}]}")
    assert caught.value.param == "messages.0.content.0.input"


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "text", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "text", "content", "source", "role", "id", "name", "input", "data", "signature"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)
kinds = st.sampled_from([block["type"] for block in BLOCKS.values()])
NAMES = [*dict.fromkeys(name for members in MEMBERS.values() for name in members), "messages"]


@settings(deadline=None, max_examples=150)
@given(
    st.dictionaries(st.sampled_from(NAMES), values, max_size=5),
    st.lists(
        st.builds(
            lambda kind, rest: {**rest, "type": kind},
            kinds,
            st.dictionaries(
                st.sampled_from(
                    ["text", "source", "content", "id", "name", "input", "tool_use_id", "data", "thinking", "signature"]
                ),
                values,
            ),
        ),
        max_size=3,
    ),
)
def test_anything_is_read_or_refused_with_a_name(members: dict[str, Any], blocks: list[Any]) -> None:
    body = {**BASE, "messages": [{"role": "user", "content": blocks}], **members}
    refused = refusal(body)
    assert refused is None or (refused.status == 400 and refused.param is not None)
