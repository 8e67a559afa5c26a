"""OpenAI's prompt-cache breakpoints: between its own dialects as they came, for Anthropic's cache in its words."""

import json
from typing import Any

import pytest
from tests.goldens.matrix import Json, request_for

MARK: Json = {"mode": "explicit"}
LONGER: Json = {"mode": "explicit", "ttl": "30m"}
PNG = "data:image/png;base64,iVBORw0KGgo="
PDF = "data:application/pdf;base64,JVBERi0="
CHAT: list[Json] = [
    {"type": "text", "text": "Long ago.", "prompt_cache_breakpoint": MARK},
    {"type": "image_url", "image_url": {"url": PNG}, "prompt_cache_breakpoint": LONGER},
    {"type": "file", "file": {"file_data": PDF, "filename": "a.pdf"}, "prompt_cache_breakpoint": MARK},
]
RESPONSES: list[Json] = [
    {"type": "input_text", "text": "Long ago.", "prompt_cache_breakpoint": MARK},
    {"type": "input_image", "image_url": PNG, "detail": "auto", "prompt_cache_breakpoint": LONGER},
    {"type": "input_file", "file_data": PDF, "filename": "a.pdf", "prompt_cache_breakpoint": MARK},
]


def asked(client: str, content: Any, role: str = "user") -> Json:
    member = "messages" if client == "chat" else "input"
    return {"model": "m", member: [{"role": role, "content": content}]}


@pytest.mark.parametrize(("client", "content"), [("chat", CHAT), ("responses", RESPONSES)])
def test_breakpoints_are_anthropics_cache_marks(client: str, content: list[Json]) -> None:
    sent = request_for(client, asked(client, content), "messages")
    assert "dropped" not in sent
    blocks = sent["body"]["messages"][0]["content"]
    assert [block["cache_control"] for block in blocks] == [
        {"type": "ephemeral"},
        {"type": "ephemeral", "ttl": "1h"},
        {"type": "ephemeral"},
    ]


def test_breakpoints_stay_between_openais_dialects() -> None:
    to_responses = request_for("chat", asked("chat", CHAT), "responses")
    assert "dropped" not in to_responses
    assert to_responses["body"]["input"][0]["content"] == RESPONSES
    to_chat = request_for("responses", asked("responses", RESPONSES), "chat")
    sent = to_chat["body"]["messages"][0]["content"]
    assert [part["prompt_cache_breakpoint"] for part in sent] == [MARK, LONGER, MARK]
    alone = request_for("responses", asked("responses", RESPONSES[:1]), "chat")
    assert alone["body"]["messages"][0]["content"] == CHAT[:1]


@pytest.mark.parametrize(("client", "content"), [("chat", CHAT), ("responses", RESPONSES)])
def test_breakpoints_leave_for_their_own_dialect_as_they_came(client: str, content: list[Json]) -> None:
    assert request_for(client, asked(client, content), client) == {"body": "as it came"}


@pytest.mark.parametrize("client", ["chat", "responses"])
@pytest.mark.parametrize(
    "mark", [{"mode": "explicit", "ttl": "5d"}, {"mode": "implicit"}, 7, {"mode": "explicit", "x": 1}]
)
def test_a_breakpoint_of_another_form_stays_and_is_named(client: str, mark: Any) -> None:
    kind = "text" if client == "chat" else "input_text"
    request = asked(client, [{"type": kind, "text": "Hi.", "prompt_cache_breakpoint": mark}])
    assert request_for(client, request, client) == {"body": "as it came"}
    assert "prompt_cache_breakpoint" in request_for(client, request, "messages")["dropped"]


def test_a_breakpoint_in_an_assistants_words_is_named_where_these_become_one_string() -> None:
    part = {"type": "text", "text": "I said.", "prompt_cache_breakpoint": MARK}
    sent = request_for("chat", asked("chat", [part], "assistant"), "responses")
    assert sent["dropped"] == "cache_control"
    assert "breakpoint" not in json.dumps(sent["body"])


def test_anthropics_marks_become_no_breakpoints_that_most_servers_refuse() -> None:
    block = {"type": "text", "text": "Hi.", "cache_control": {"type": "ephemeral"}}
    request = {"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": [block]}]}
    for upstream in ("chat", "responses"):
        sent = request_for("messages", request, upstream)
        assert sent["dropped"] == "cache_control"
        assert "breakpoint" not in json.dumps(sent["body"])
