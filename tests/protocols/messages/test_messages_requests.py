"""A request of this dialect through the canonical form and back."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.protocols.messages.samples import BASE, BLOCKS, CACHED, MEMBERS, TEXT, TRANSLATOR, again, read, with_block
from tests.protocols.messages.validating import valid_params

from headgate.model.content import (
    Cache,
    Document,
    Foreign,
    Image,
    RedactedThinking,
    Role,
    Signer,
    SourceKind,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from headgate.model.conversation import ChoiceMode, Effort, FormatKind, ServerTool, Tool
from headgate.model.dialect import Dialect
from headgate.model.errors import HeadgateError
from headgate.model.losses import Lost
from headgate.protocols.canonical import Target
from headgate.protocols.signatures import Signed, wrap


@pytest.mark.parametrize("name", BLOCKS)
def test_every_block_comes_back_as_it_went(name: str) -> None:
    body = with_block(BLOCKS[name], TEXT)
    written = again(body)
    assert json.loads(written.body) == body
    assert not written.lost
    assert not written.unknown


@pytest.mark.parametrize("name", MEMBERS)
def test_every_member_comes_back_as_it_went(name: str) -> None:
    body = {**BASE, "messages": [{"role": "user", "content": "Hi."}], **MEMBERS[name]}
    written = again(body)
    assert json.loads(written.body) == body
    assert not written.lost
    assert not written.unknown


def test_turns_are_not_moved_joined_or_sorted_for_a_client_of_this_dialect() -> None:
    body = {
        **BASE,
        "messages": [
            {"role": "assistant", "content": "first"},
            {"role": "user", "content": "a"},
            {"role": "user", "content": [TEXT, BLOCKS["tool result"]], "name": "odd"},
            {"role": "system", "content": "From now on in French."},
            {"role": "assistant", "content": []},
        ],
    }
    assert json.loads(again(body).body) == body


def test_the_model_and_the_maximum_are_headgates() -> None:
    written = again({**with_block(TEXT), "max_tokens": 900}, Target("a", "other", max_output=7))
    body = json.loads(written.body)
    assert (body["model"], body["max_tokens"]) == ("other", 7)


def test_nulls_and_spelled_out_defaults_say_nothing() -> None:
    said = {
        **BASE,
        "system": None,
        "tools": [],
        "thinking": None,
        "output_config": {"effort": None, "format": None},
        "metadata": {"user_id": None},
        "stop_sequences": None,
        "cache_control": None,
        "stream": False,
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "x", "citations": None, "cache_control": None},
                    {
                        "type": "document",
                        "source": {"type": "url", "url": "u"},
                        "title": None,
                        "context": None,
                        "citations": {"enabled": False},
                    },
                    {"type": "tool_result", "tool_use_id": "t", "is_error": False, "content": None},
                    {"type": "tool_use", "id": "t", "name": "f", "input": {}, "caller": {"type": "direct"}},
                ],
            }
        ],
    }
    assert json.loads(again(said).body) == {
        **BASE,
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "x"},
                    {"type": "document", "source": {"type": "url", "url": "u"}},
                    {"type": "tool_result", "tool_use_id": "t"},
                    {"type": "tool_use", "id": "t", "name": "f", "input": {}},
                ],
            }
        ],
    }


def test_what_a_request_says_is_where_other_dialects_look_for_it() -> None:
    request = read(
        {
            **BASE,
            "system": [{**TEXT, "cache_control": CACHED}],
            "messages": [
                {"role": "user", "content": [BLOCKS["base64 image"], BLOCKS["search result"]]},
                {"role": "assistant", "content": [BLOCKS["thinking"], BLOCKS["tool use"]]},
                {"role": "user", "content": [BLOCKS["failed tool result of blocks"]]},
            ],
            "tools": MEMBERS["tools"]["tools"],
            "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
            **MEMBERS["effort and a format"],
            "thinking": {"type": "enabled", "budget_tokens": 1024},
            "metadata": {"user_id": "u"},
        }
    )
    system, user, assistant, result = request.turns
    assert system.top
    assert system.role is Role.SYSTEM
    assert system.blocks == (Text("Hi.", cache=Cache("1h")),)
    image, found = user.blocks
    assert isinstance(image, Image)
    assert image.source.kind is SourceKind.BASE64
    assert isinstance(found, Document)
    assert (found.source.value, found.title, found.context, found.citations) == ("Hi.", "X", "https://x.test", True)
    assert assistant.blocks[0] == Thinking(("Hm.",), "EqQB/+==")
    assert isinstance(assistant.blocks[1], ToolUse)
    assert json.loads(assistant.blocks[1].arguments) == {"a": [1, 2.5, None], "b": "é"}
    answer = result.blocks[0]
    assert isinstance(answer, ToolResult)
    assert answer.is_error
    assert [type(block) for block in answer.content] == [Text, Image, Document, Document, Foreign]
    assert [type(tool) for tool in request.tools] == [Tool, Tool, ServerTool, ServerTool]
    assert request.choice is not None
    assert request.choice.mode is ChoiceMode.REQUIRED
    assert request.parallel_tools is False
    assert request.reasoning is not None
    assert (request.reasoning.budget, request.reasoning.effort) == (1024, Effort.XHIGH)
    assert request.output is not None
    assert request.output.kind is FormatKind.JSON_SCHEMA
    assert request.user == "u"


def test_arguments_keep_their_spelling() -> None:
    block = b'{"type":"tool_use","id":"t","name":"f","input":{ "a" : 1.0e2 }}'
    body = b'{"model":"m","max_tokens":1,"messages":[{"role":"assistant","content":[' + block + b"]}]}"
    written = TRANSLATOR.write_request(read(body), Target("a", "m"))
    assert b'"input":{ "a" : 1.0e2 }' in written.body


# -- thinking that another provider signed --------------------------------------------------------

CHAT = Signer("box", Dialect.OPENAI_CHAT)


def test_wrapped_thinking_is_known_as_its_signers_and_kept_from_this_api() -> None:
    body = with_block(
        {"type": "thinking", "thinking": "Hm.", "signature": wrap(Signed(CHAT, "rs_1", "sig"))},
        {"type": "redacted_thinking", "data": wrap(Signed(CHAT, None, "secret"))},
        TEXT,
        role="assistant",
    )
    thinking, redacted, _ = read(body).turns[0].blocks
    assert thinking == Thinking(("Hm.",), "sig", CHAT, "rs_1")
    assert redacted == RedactedThinking("secret", CHAT)
    written = again(body)
    assert json.loads(written.body)["messages"][0]["content"] == [TEXT]
    assert written.lost == {Lost.THINKING, Lost.REDACTED_THINKING}


def test_unsigned_thinking_comes_back_as_unsigned() -> None:
    block = {"type": "thinking", "thinking": "Hm.", "signature": wrap(Signed(CHAT, None, ""))}
    assert read(with_block(block)).turns[0].blocks == (Thinking(("Hm.",), None, CHAT),)


def test_a_turn_of_nothing_but_foreign_thinking_is_left_out() -> None:
    block = {"type": "thinking", "thinking": "Hm.", "signature": wrap(Signed(CHAT, None, ""))}
    body = {**BASE, "messages": [{"role": "assistant", "content": [block]}, {"role": "user", "content": "x"}]}
    assert json.loads(again(body).body)["messages"] == [{"role": "user", "content": "x"}]


def test_a_signature_of_ours_that_was_changed_is_refused() -> None:
    block = {"type": "thinking", "thinking": "Hm.", "signature": wrap(Signed(CHAT, None, "sig"))[:-4] + "!!!!"}
    with pytest.raises(HeadgateError, match="give thinking blocks back as they came") as caught:
        read(with_block(block))
    assert caught.value.param == "messages.0.content.0.signature"


def test_a_budget_goes_with_the_thinking_it_needs() -> None:
    theirs = {"type": "thinking", "thinking": "Hm.", "signature": wrap(Signed(CHAT, None, ""))}
    turns: list[dict[str, Any]] = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [theirs, BLOCKS["tool use"]]},
        {"role": "user", "content": [BLOCKS["tool result"]]},
    ]
    body: dict[str, Any] = {**BASE, **MEMBERS["thinking by budget"], "messages": turns}
    written = again(body)
    assert "thinking" not in json.loads(written.body)
    assert written.lost == {Lost.THINKING, Lost.REASONING}
    turns[1]["content"] = [BLOCKS["thinking"], BLOCKS["tool use"]]
    assert json.loads(again(body).body) == body


# -- the SDK's own types ------------------------------------------------------------------------------

blocks = st.sampled_from([block for block in BLOCKS.values() if block["type"] != "hologram"])
turns = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant"]), "content": st.text(max_size=5) | st.lists(blocks, max_size=3)}
    ),
    max_size=4,
)


@settings(deadline=None, max_examples=100)
@given(turns, st.lists(st.sampled_from(list(MEMBERS)), max_size=6, unique=True))
def test_decoding_and_encoding_is_the_identity(messages: list[Any], chosen: list[str]) -> None:
    body: dict[str, Any] = {**BASE, "messages": messages}
    for name in chosen:
        body |= MEMBERS[name]
    written = again(body)
    assert json.loads(written.body) == body
    assert (written.lost, written.unknown) == (frozenset(), frozenset())


OF_THE_SDK = [name for name in BLOCKS if "to come" not in name]


@pytest.mark.parametrize("name", OF_THE_SDK)
def test_the_blocks_of_these_tests_are_the_sdks(name: str) -> None:
    valid_params(with_block(BLOCKS[name]))
