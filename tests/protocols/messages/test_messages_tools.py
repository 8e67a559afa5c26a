"""Tools, formats and what else a foreign request may say to a model."""

from typing import Any

import pytest
from msgspec import Raw
from tests.protocols.messages.foreign import OLD, asking, write, written

from headgate.model.content import Cache, ToolKind
from headgate.model.conversation import ChoiceMode, FormatKind, OutputFormat, ServerTool, Tool, ToolChoice
from headgate.model.dialect import Dialect
from headgate.model.errors import HeadgateError
from headgate.model.losses import Lost

TOOLS = (Tool("f", schema=Raw(b'{"type":"object"}')), Tool("g", "d", Raw(b'{"properties":{}}')))
REQUIRED = ToolChoice(ChoiceMode.REQUIRED)


def tools(**members: Any) -> tuple[Any, Any, Any]:
    body, lost = written(asking(**members))
    return body.get("tools"), body.get("tool_choice"), lost


def test_tools_are_carried_with_the_schema_that_the_api_demands() -> None:
    offered, choice, lost = tools(tools=(*TOOLS, Tool("h", strict=True, cache=Cache()), Tool("i", strict=False)))
    assert [tool["name"] for tool in offered] == ["f", "g", "h", "i"]
    assert offered[1] == {"name": "g", "description": "d", "input_schema": {"properties": {}, "type": "object"}}
    assert offered[2]["input_schema"] == {"type": "object", "properties": {}}
    assert (offered[2]["strict"], offered[2]["cache_control"]) == (True, {"type": "ephemeral"})
    assert "strict" not in offered[3]
    assert choice is None
    assert not lost


def test_strict_is_lost_on_models_without_it() -> None:
    assert written(asking(tools=(Tool("h", strict=True),)), "claude-sonnet-4-0")[1] == {Lost.TOOL_STRICT}


def test_server_tools_of_others_are_lost() -> None:
    own = ServerTool(Dialect.OPENAI_RESPONSES, "web_search", Raw(b'{"type":"web_search"}'))
    assert tools(tools=(own,), choice=REQUIRED) == (None, None, {Lost.SERVER_TOOL, Lost.TOOL_CHOICE})


def test_a_custom_tool_is_a_function_of_one_text() -> None:
    offered, _, lost = tools(tools=(Tool("p", "d", kind=ToolKind.CUSTOM, format=Raw(b'{"type":"text"}')),))
    assert offered[0]["input_schema"]["required"] == ["input"]
    assert not lost
    grammar = Raw(b'{"type":"grammar","syntax":"lark","definition":"x"}')
    assert tools(tools=(Tool("p", kind=ToolKind.CUSTOM, format=grammar),))[2] == {Lost.CUSTOM_TOOL}


def test_only_tools_that_may_be_chosen_are_offered() -> None:
    offered, choice, lost = tools(tools=TOOLS, choice=ToolChoice(ChoiceMode.REQUIRED, allowed=("g",)))
    assert ([tool["name"] for tool in offered], choice, lost) == (["g"], {"type": "any"}, frozenset())


@pytest.mark.parametrize(
    ("choice", "parallel", "expected"),
    [
        (None, None, None),
        (None, True, None),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice(ChoiceMode.AUTO), True, {"type": "auto"}),
        (REQUIRED, False, {"type": "any", "disable_parallel_tool_use": True}),
        (ToolChoice(ChoiceMode.NAMED, "f"), None, {"type": "tool", "name": "f"}),
        (ToolChoice(ChoiceMode.NONE), False, {"type": "none"}),
    ],
)
def test_the_choice_among_tools_is_carried(choice: Any, parallel: Any, expected: Any) -> None:
    assert tools(tools=TOOLS, choice=choice, parallel_tools=parallel)[1:] == (expected, frozenset())


def test_a_choice_that_nobody_knows_is_lost() -> None:
    odd = ToolChoice(ChoiceMode.FOREIGN, raw=Raw(b'{"type":"mcp"}'))
    assert tools(tools=TOOLS, choice=odd)[1:] == (None, {Lost.TOOL_CHOICE})
    assert tools(choice=REQUIRED)[1:] == (None, {Lost.TOOL_CHOICE})
    assert tools(choice=ToolChoice(ChoiceMode.AUTO))[1:] == (None, frozenset())


def test_a_tool_name_that_does_not_fit_is_refused_and_named() -> None:
    with pytest.raises(HeadgateError) as caught:
        write(asking(tools=(TOOLS[0], Tool("a.b"))))
    assert (caught.value.status, caught.value.param) == (400, "tools.1.name")


# -- the rest -----------------------------------------------------------------------------------------

SCHEMA = OutputFormat(FormatKind.JSON_SCHEMA, "answer", "What it is.", Raw(b'{"type":"object"}'), strict=True)


def test_a_schema_is_carried_with_its_name_and_description() -> None:
    body, lost = written(asking(output=SCHEMA))
    assert body["output_config"]["format"] == {
        "type": "json_schema",
        "schema": {"type": "object", "title": "answer", "description": "What it is."},
    }
    assert not lost


@pytest.mark.parametrize(
    ("model", "output", "lost"),
    [
        (OLD, OutputFormat(FormatKind.TEXT), frozenset()),
        (OLD, OutputFormat(FormatKind.JSON_OBJECT), {Lost.OUTPUT_FORMAT}),
        (OLD, OutputFormat(FormatKind.FOREIGN, raw=Raw(b"{}")), {Lost.OUTPUT_FORMAT}),
        ("claude-sonnet-4-0", SCHEMA, {Lost.OUTPUT_FORMAT}),
    ],
)
def test_formats_that_the_api_lacks_are_named(model: str, output: OutputFormat, lost: Any) -> None:
    body, named = written(asking(output=output), model)
    assert "output_config" not in body
    assert named == lost


def test_who_asks_and_how_is_carried_or_named() -> None:
    body, lost = written(asking(user="u", service_tier="default", metadata={"a": "b"}, store=True, cache_key="k"))
    assert (body["metadata"], body["service_tier"]) == ({"user_id": "u"}, "standard_only")
    assert lost == {Lost.METADATA, Lost.STORE, Lost.CACHE_KEY}
    body, lost = written(asking(user="u" * 257, service_tier="flex", verbosity="low", store=False, stream=True))
    assert "metadata" not in body
    assert body["stream"] is True
    assert lost == {Lost.USER, Lost.SERVICE_TIER, Lost.VERBOSITY}


def test_there_is_always_a_maximum() -> None:
    assert written(asking())[0]["max_tokens"] == 4096
    assert written(asking(), default_max_output=7)[0]["max_tokens"] == 7
    assert written(asking(max_output=9), default_max_output=7)[0]["max_tokens"] == 9
    assert written(asking(max_output=9), max_output=5)[0]["max_tokens"] == 5
