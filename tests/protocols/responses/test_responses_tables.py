"""Every table of an enumeration holds all of it."""

from collections.abc import Collection
from enum import StrEnum
from typing import get_args

import pytest
from openai.types.responses import response as sdk
from openai.types.responses import tool_choice_options
from openai.types.shared.reasoning_effort import ReasoningEffort

from headgate.model.content import Role, ToolKind
from headgate.model.conversation import ChoiceMode, Effort, FormatKind
from headgate.model.dialect import Dialect
from headgate.model.events import Finish
from headgate.protocols import openai_losses, openai_words
from headgate.protocols.openai_responses import tables


@pytest.mark.parametrize(
    ("table", "kind"),
    [
        (tables.ROLE_WRITTEN, Role),
        (tables.TEXT_TYPE, Role),
        (tables.INCOMPLETE_WRITTEN, Finish),
        (openai_words.CHOICE_WRITTEN, ChoiceMode),
        (openai_words.EFFORT_WRITTEN, Effort),
        (openai_words.FORMAT_WRITTEN, FormatKind),
        (tables.TOOL_TYPE, ToolKind),
        (tables.CALL_TYPE, ToolKind),
        (tables.ARGUMENTS, ToolKind),
        (tables.RESULT_TYPE, ToolKind),
        (openai_losses.MESSAGES, Dialect),
    ],
)
def test_a_table_holds_every_member(table: Collection[StrEnum], kind: type[StrEnum]) -> None:
    assert set(table) == set(kind)


def test_the_sdks_words_are_known() -> None:
    reasons = {
        word for each in get_args(sdk.IncompleteDetails.model_fields["reason"].annotation) for word in get_args(each)
    }
    assert reasons == set(tables.INCOMPLETE_READ)
    assert set(get_args(tool_choice_options.ToolChoiceOptions)) == set(openai_words.CHOICE_READ)
    efforts = {word for each in get_args(ReasoningEffort) for word in get_args(each)}
    assert efforts == set(openai_words.EFFORT_READ)
