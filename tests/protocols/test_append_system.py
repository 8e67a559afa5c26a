"""Texts appended to the system prompt of a request on its way out."""

import json

import pytest

from headgate.protocols.openai_chat.append_system import with_system as chat
from headgate.protocols.openai_responses.append_system import with_system as responses


def message(role: str, content: object, **more: object) -> dict[str, object]:
    return {"role": role, "content": content, **more}


A, MORE = {"type": "text", "text": "A"}, {"type": "text", "text": "More."}
HI = message("user", "hi")


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([HI], [message("system", "More."), HI]),
        ([message("system", "Be brief.")], [message("system", "Be brief.\n\nMore.")]),
        ([message("developer", "")], [message("developer", "More.")]),
        ([message("system", [A], name="x")], [message("system", [A, MORE], name="x")]),
        (
            [message("system", "A"), message("developer", "B"), HI],
            [message("system", "A"), message("developer", "B\n\nMore."), HI],
        ),
        ([], [message("system", "More.")]),
    ],
)
def test_a_chat_gets_the_text_after_its_leading_system_prompt(messages: object, expected: list[object]) -> None:
    body = json.dumps({"model": "m", "messages": messages, "temperature": 1.0}).encode()
    assert json.loads(chat(body, "More."))["messages"] == expected


def test_messages_that_are_not_touched_stay_byte_for_byte() -> None:
    odd = b'{"role": "user",  "content": "\\u00e9\\/", "x": 1.0e2}'
    body = b'{"messages": [{"role": "system", "content": "A"}, ' + odd + b'], "seed": 1E+2}'
    shaped = chat(body, "More.")
    assert odd in shaped
    assert b"1E+2" in shaped


@pytest.mark.parametrize("body", [b"[]", b"{}", b"nothing", b'{"messages": 3}', b'{"messages": "x"}'])
def test_what_is_no_chat_is_left_alone(body: bytes) -> None:
    assert chat(body, "More.") == body


@pytest.mark.parametrize(
    ("said", "expected"),
    [("{}", "More."), ('{"instructions": null}', "More."), ('{"instructions": "A"}', "A\n\nMore.")],
)
def test_a_response_gets_the_text_after_its_instructions(said: str, expected: str) -> None:
    assert json.loads(responses(said.encode(), "More."))["instructions"] == expected
