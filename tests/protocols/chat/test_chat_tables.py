"""Every member of an enumeration has its word."""

from collections.abc import Mapping
from enum import StrEnum
from typing import get_args

import pytest
from openai.types.chat import chat_completion, chat_completion_role
from openai.types.chat.chat_completion_reasoning_effort import ChatCompletionReasoningEffort

from headgate.model.content import Role, ToolKind
from headgate.model.conversation import ChoiceMode, Effort, FormatKind
from headgate.model.dialect import Dialect
from headgate.model.events import Finish
from headgate.protocols import openai_losses, openai_words
from headgate.protocols.openai_chat import tables

FINISH_WORDS = {"stop", "length", "tool_calls", "content_filter", "function_call"}


@pytest.mark.parametrize(
    ("table", "kind"),
    [
        (tables.ROLE_WRITTEN, Role),
        (tables.FOREIGN_ROLE_WRITTEN, Role),
        (tables.FINISH_WRITTEN, Finish),
        (openai_words.CHOICE_WRITTEN, ChoiceMode),
        (openai_words.EFFORT_WRITTEN, Effort),
        (openai_words.FORMAT_WRITTEN, FormatKind),
        (tables.TOOL_KIND_WRITTEN, ToolKind),
        (openai_losses.MESSAGES, Dialect),
    ],
)
def test_a_table_holds_all_of_its_enumeration(table: Mapping[StrEnum, object], kind: type[StrEnum]) -> None:
    assert set(table) == set(kind)


def test_finish_reasons_are_those_of_the_sdk() -> None:
    words = get_args(chat_completion.Choice.model_fields["finish_reason"].annotation)
    assert set(words) == FINISH_WORDS
    assert set(tables.FINISH_READ) >= FINISH_WORDS
    assert set(tables.FINISH_WRITTEN.values()) <= FINISH_WORDS


def test_efforts_are_those_of_the_sdk() -> None:
    literal, _ = get_args(ChatCompletionReasoningEffort)
    assert set(get_args(literal)) == set(openai_words.EFFORT_READ)


def test_roles_are_those_of_the_sdk() -> None:
    roles = set(get_args(chat_completion_role.ChatCompletionRole))
    assert roles == {*tables.ROLE_READ, "tool", "function"}


@pytest.mark.parametrize("role", list(Role))
def test_a_role_comes_back(role: Role) -> None:
    assert tables.ROLE_READ[tables.ROLE_WRITTEN[role]] is role


@pytest.mark.parametrize("form", list(tables.AUDIO_MEDIA_TYPE))
def test_an_audio_format_comes_back(form: str) -> None:
    assert tables.AUDIO_FORMAT[tables.AUDIO_MEDIA_TYPE[form]] == form
