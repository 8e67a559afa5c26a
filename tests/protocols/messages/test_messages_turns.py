"""Turns of other dialects in the order that this API demands."""

from typing import Any

import pytest
from msgspec import Raw
from tests.protocols.messages.foreign import (
    NEW,
    OLD,
    asking,
    assistant,
    result,
    system,
    turn,
    use,
    user,
    write,
    written,
)

from headgate.model.content import (
    Audio,
    Cache,
    Document,
    Foreign,
    Image,
    RedactedThinking,
    Refusal,
    Role,
    Signer,
    Source,
    SourceKind,
    Text,
    Thinking,
    ToolKind,
    ToolResult,
    ToolUse,
    Turn,
)
from headgate.model.dialect import Dialect
from headgate.model.errors import HeadgateError
from headgate.model.losses import Lost
from headgate.protocols.anthropic_messages.turn_writer import OPENING


def messages(*turns: Turn, model: str = OLD) -> tuple[Any, Any, Any]:
    body, lost = written(asking(*turns), model)
    return body.get("system"), [(each["role"], each["content"]) for each in body["messages"]], lost


def test_leading_system_turns_are_the_system_prompt() -> None:
    prompt, talk, lost = messages(system("One."), turn(Role.DEVELOPER, "Two."), user("Hi."))
    assert prompt == [{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}]
    assert talk == [("user", "Hi.")]
    assert not lost


def test_instructions_stand_before_other_system_turns() -> None:
    body, lost = written(
        asking(turn(Role.SYSTEM, "Top.", top=True), system("Next."), user("Hi."), dialect=Dialect.OPENAI_RESPONSES)
    )
    assert [block["text"] for block in body["system"]] == ["Top.", "Next."]
    assert not lost


def test_a_lone_system_prompt_is_a_string_unless_it_has_a_breakpoint() -> None:
    assert messages(system("Be brief."), user("Hi."))[0] == "Be brief."
    marked = Turn(Role.SYSTEM, (Text("Be brief.", cache=Cache()),))
    assert messages(marked, user("Hi."))[0] == [
        {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}
    ]


def test_a_later_system_turn_stays_where_it_is_on_models_that_take_it() -> None:
    prompt, talk, lost = messages(user("Hi."), system("In French."), assistant("Salut."), user("Go on."), model=NEW)
    assert prompt is None
    assert talk == [("user", "Hi."), ("system", "In French."), ("assistant", "Salut."), ("user", "Go on.")]
    assert not lost


def test_a_later_system_turn_goes_behind_the_next_user_where_it_may_not_stand() -> None:
    prompt, talk, lost = messages(user("Hi."), assistant("Yes?"), system("In French."), user("Go on."), model=NEW)
    assert prompt is None
    assert talk == [("user", "Hi."), ("assistant", "Yes?"), ("user", "Go on."), ("system", "In French.")]
    assert lost == {Lost.SYSTEM_POSITION}


def test_a_system_turn_between_two_of_the_assistants_is_part_of_the_prompt() -> None:
    prompt, talk, lost = messages(user("Hi."), assistant("a"), system("In French."), assistant("b"), model=NEW)
    assert prompt == "In French."
    assert talk == [("user", "Hi."), ("assistant", [{"type": "text", "text": t} for t in "ab"])]
    assert lost == {Lost.SYSTEM_POSITION}


def test_a_later_system_turn_is_part_of_the_prompt_on_other_models() -> None:
    prompt, talk, lost = messages(system("One."), user("Hi."), system("Two."), assistant("Yes?"), user("Go on."))
    assert [block["text"] for block in prompt] == ["One.", "Two."]
    assert talk == [("user", "Hi."), ("assistant", "Yes?"), ("user", "Go on.")]
    assert lost == {Lost.SYSTEM_POSITION}


@pytest.mark.parametrize("model", [OLD, NEW])
def test_a_system_turn_to_be_answered_is_the_users(model: str) -> None:
    prompt, talk, lost = messages(user("Hi."), assistant("Yes?"), system("Say bye."), model=model)
    assert prompt is None
    assert talk[-1] == ("user", "Say bye.")
    assert lost == {Lost.SYSTEM_POSITION}
    prompt, talk, lost = messages(system("One."), system("Say hi."), model=model)
    assert (prompt, talk, lost) == ("One.", [("user", "Say hi.")], {Lost.SYSTEM_POSITION})


def test_neighbours_of_one_role_are_one_turn() -> None:
    _, talk, _ = messages(user("a"), user("b"), assistant("c"), assistant("d"), user("e"))
    assert [role for role, _ in talk] == ["user", "assistant", "user"]
    assert [block["text"] for block in talk[0][1]] == ["a", "b"]


def test_a_tools_results_come_first_in_the_turn_after_its_use() -> None:
    _, talk, _ = messages(
        user("a"), assistant(use("c1"), use("c2")), user("wait"), user(result("c2")), user(result("c1"), "b")
    )
    assert [block["type"] for block in talk[2][1]] == ["tool_result", "tool_result", "text", "text"]
    assert [block["tool_use_id"] for block in talk[2][1][:2]] == ["c2", "c1"]


def test_blank_texts_are_left_out_and_their_turns_with_them() -> None:
    _, talk, lost = messages(user("a"), assistant(" \n"), user("", "b"))
    assert [(role, [block["text"] for block in content]) for role, content in talk] == [("user", ["a", "b"])]
    assert not lost


def test_a_conversation_that_the_assistant_begins_gets_an_opening() -> None:
    _, talk, _ = messages(assistant("Ahoy!"), user("Hi."))
    assert talk == [("user", OPENING), ("assistant", "Ahoy!"), ("user", "Hi.")]


def test_a_participants_name_is_lost() -> None:
    named = Turn(Role.USER, (Text("Hi."),), name="Ann")
    assert messages(named)[2] == {Lost.NAME}


# -- tools -------------------------------------------------------------------------------------------


def test_ids_that_do_not_fit_are_mapped_alike_in_use_and_result() -> None:
    strange = "call|1.é"
    _, talk, _ = messages(user("a"), assistant(use(strange)), user(result(strange)))
    mapped = talk[1][1][0]["id"]
    assert mapped.startswith("toolu_")
    assert talk[2][1][0]["tool_use_id"] == mapped
    _, later, _ = messages(user("a"), assistant(use("x"), use(strange)), user(result("x"), result(strange)))
    assert later[1][1][1]["id"] == mapped


def test_ids_that_come_again_are_told_apart() -> None:
    _, talk, _ = messages(
        user("a"), assistant(use("call_0")), user(result("call_0")), assistant(use("call_0")), user(result("call_0"))
    )
    first, second = talk[1][1][0]["id"], talk[3][1][0]["id"]
    assert first != second
    assert (talk[2][1][0]["tool_use_id"], talk[4][1][0]["tool_use_id"]) == (first, second)


@pytest.mark.parametrize("name", ["", "a b", "é", "x" * 129, "a.b", "a\n"])
def test_a_tool_name_that_the_api_does_not_take_is_refused(name: str) -> None:
    with pytest.raises(HeadgateError, match="name tools with 1 to 128"):
        write(asking(user("a"), assistant(use(name=name)), user(result())))


@pytest.mark.parametrize(
    ("arguments", "expected", "whole"),
    [
        ('{"a": 1}', {"a": 1}, True),
        ("", {}, True),
        (" \n", {}, True),
        ('{"a": ', {"arguments": '{"a": '}, False),
        ("[1]", {"arguments": "[1]"}, False),
        ("null", {"arguments": "null"}, False),
        ("run it", {"arguments": "run it"}, False),
    ],
)
def test_arguments_that_are_no_object_are_kept_and_named(arguments: str, expected: Any, whole: bool) -> None:
    _, talk, lost = messages(user("a"), assistant(use(arguments=arguments)), user(result()))
    assert talk[1][1][0]["input"] == expected
    assert lost == (frozenset() if whole else {Lost.TOOL_ARGUMENTS})


def test_a_custom_tools_text_is_the_one_argument_of_a_function() -> None:
    block = ToolUse("c", "patch", "*** Begin\n", ToolKind.CUSTOM)
    _, talk, lost = messages(user("a"), assistant(block), user(ToolResult("c", (Text("ok"),), kind=ToolKind.CUSTOM)))
    assert talk[1][1][0]["input"] == {"input": "*** Begin\n"}
    assert not lost


def test_results_keep_images_and_errors() -> None:
    image = Image(Source(SourceKind.BASE64, "iVBORw0KGgo=", "image/png"))
    failed = ToolResult("call_1", (Text("no"), image), is_error=True)
    _, talk, lost = messages(user("a"), assistant(use()), user(failed))
    assert talk[2][1][0]["is_error"] is True
    assert [block["type"] for block in talk[2][1][0]["content"]] == ["text", "image"]
    assert not lost


# -- other blocks -------------------------------------------------------------------------------------

PNG = Source(SourceKind.BASE64, "iVBORw0KGgoAAAA", "")
PDF = Source(SourceKind.BASE64, "JVBERi0xLjcK", "application/pdf")


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (Image(PNG), {"type": "base64", "media_type": "image/png", "data": PNG.value}),
        (Image(Source(SourceKind.URL, "https://x.test/a.png")), {"type": "url", "url": "https://x.test/a.png"}),
        (Document(PDF), {"type": "base64", "media_type": "application/pdf", "data": PDF.value}),
        (
            Document(Source(SourceKind.BASE64, "d29yZHM=", "text/csv")),
            {"type": "text", "media_type": "text/plain", "data": "words"},
        ),
        (
            Document(Source(SourceKind.TEXT, "words")),
            {"type": "text", "media_type": "text/plain", "data": "words"},
        ),
        (Document(Source(SourceKind.URL, "https://x.test/a.pdf")), {"type": "url", "url": "https://x.test/a.pdf"}),
    ],
)
def test_pictures_and_documents_are_carried(block: Any, expected: Any) -> None:
    _, talk, lost = messages(user(block))
    assert talk[0][1][0]["source"] == expected
    assert not lost


SIGNED_HERE = Signer("anthropic", Dialect.ANTHROPIC_MESSAGES)


@pytest.mark.parametrize(
    ("block", "lost"),
    [
        (Image(Source(SourceKind.FILE, "file-1")), Lost.IMAGE),
        (Image(Source(SourceKind.BASE64, "AAAA")), Lost.IMAGE),
        (Document(Source(SourceKind.FILE, "file-1")), Lost.DOCUMENT),
        (Document(Source(SourceKind.BASE64, "AAAA", "application/msword")), Lost.DOCUMENT),
        (Document(Source(SourceKind.BASE64, "////", "text/plain")), Lost.DOCUMENT),
        (Audio(Source(SourceKind.BASE64, "AAAA", "audio/wav")), Lost.AUDIO),
        (Foreign(Dialect.OPENAI_RESPONSES, "web_search_call", Raw(b"{}")), Lost.FOREIGN),
        (Thinking(("Hm.",)), Lost.THINKING),
        (Thinking(("Hm.",), "sig", Signer("other", Dialect.ANTHROPIC_MESSAGES)), Lost.THINKING),
        (Thinking(("Hm.",), None, SIGNED_HERE), Lost.THINKING),
        (RedactedThinking("x"), Lost.REDACTED_THINKING),
    ],
)
def test_what_cannot_be_carried_is_left_out_and_named(block: Any, lost: Lost) -> None:
    _, talk, named = messages(user("a", block))
    assert talk == [("user", "a")]
    assert named == {lost}


def test_what_can_be_said_in_other_words_is_said_so_and_named() -> None:
    _, talk, lost = messages(
        user("a"), assistant(Refusal("No."), Audio(None, "audio_1", "Yes."), Text("x", (Raw(b"{}"),)))
    )
    assert [block["text"] for block in talk[1][1]] == ["No.", "Yes.", "x"]
    assert lost == {Lost.REFUSAL, Lost.AUDIO, Lost.CITATIONS}


def test_the_assistant_shows_no_pictures() -> None:
    assert messages(user("a"), assistant("b", Image(PNG), Document(PDF)))[2] == {Lost.IMAGE, Lost.DOCUMENT}


def test_the_detail_of_a_picture_is_lost_unless_it_is_the_default() -> None:
    assert not messages(user(Image(PNG, "auto")))[2]
    assert messages(user(Image(PNG, "high")))[2] == {Lost.IMAGE_DETAIL}


def test_thinking_goes_back_to_who_signed_it_byte_for_byte() -> None:
    block = Thinking(("Hm.",), "EqQB/+==", SIGNED_HERE)
    hidden = RedactedThinking("EmwK", SIGNED_HERE)
    _, talk, lost = messages(user("a"), assistant(block, hidden, use()), user(result()))
    assert talk[1][1][:2] == [
        {"type": "thinking", "thinking": "Hm.", "signature": "EqQB/+=="},
        {"type": "redacted_thinking", "data": "EmwK"},
    ]
    assert not lost


def test_a_breakpoint_on_a_block_is_carried() -> None:
    _, talk, _ = messages(user(Text("a", cache=Cache("1h"))))
    assert talk[0][1][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}


def test_members_that_only_the_clients_dialect_has_are_named_in_its_words() -> None:
    text = Text("a", extra={"foo": Raw(b"1")})
    one = Turn(Role.USER, (text,), extra={"bar": Raw(b"1")})
    chat = write(asking(one, extra={"modalities": Raw(b"[]")}))
    assert chat.unknown == {"messages.content.foo", "messages.bar", "modalities"}
    responses = write(asking(one, dialect=Dialect.OPENAI_RESPONSES))
    assert responses.unknown == {"input.content.foo", "input.bar"}
