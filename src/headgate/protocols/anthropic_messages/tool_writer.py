"""Tools, and the choice among them, for an upstream of this dialect."""

from typing import Any, Final, assert_never

import msgspec
from msgspec import Raw

from headgate.model.content import ToolKind
from headgate.model.conversation import ChoiceMode, ServerTool, Tool, ToolChoice
from headgate.model.losses import Lost
from headgate.protocols.anthropic_messages.block_writer import cache_mark
from headgate.protocols.anthropic_messages.tables import CHOICE_WRITTEN
from headgate.protocols.anthropic_messages.tool_input import FREE_SCHEMA
from headgate.protocols.anthropic_messages.writing import OWN, Writing
from headgate.protocols.json_object import members_of, splice

_NO_ARGUMENTS: Final = Raw(b'{"type":"object","properties":{}}')
_PLAIN_FORMAT: Final = "text"


def write_tools(writing: Writing) -> dict[str, Any]:
    """Return the members `tools` and `tool_choice`. Raises HeadgateError (400) for a name that does not fit."""
    request = writing.request
    choice = request.choice
    allowed = None if choice is None else choice.allowed
    tools: list[dict[str, Any] | Raw] = []
    for index, tool in enumerate(request.tools):
        match tool:
            case ServerTool():
                if tool.dialect is OWN:
                    tools.append(tool.raw)
                else:
                    writing.lost.add(Lost.SERVER_TOOL)
            case Tool():
                if allowed is None or tool.name in allowed:  # what may not be chosen is not offered
                    tools.append(_tool(tool, f"tools.{index}.name", writing))
            case _:
                assert_never(tool)
    members: dict[str, Any] = {"tools": tools} if tools else {}
    written = _choice(choice, bool(tools), writing)
    if written is not None:
        members["tool_choice"] = written
    return members


def _tool(tool: Tool, param: str, writing: Writing) -> dict[str, Any]:
    written: dict[str, Any] = {"name": writing.tool_name(tool.name, param)}
    if tool.description is not None:
        written["description"] = tool.description
    if tool.kind is ToolKind.CUSTOM:
        written["input_schema"] = FREE_SCHEMA
        if _has_grammar(tool):
            writing.lost.add(Lost.CUSTOM_TOOL)
    else:
        written["input_schema"] = tool.schema if writing.own and tool.schema is not None else _schema(tool.schema)
    if tool.strict is not None and (writing.own or tool.strict):
        if writing.own or writing.model.schemas:
            written["strict"] = tool.strict
        else:
            writing.lost.add(Lost.TOOL_STRICT)
    cache_mark(written, tool.cache)
    writing.extras(written, tool.extra, "tools")
    return written


def _has_grammar(tool: Tool) -> bool:
    """Tell whether a custom tool's text must follow a grammar, which nobody holds the model to here."""
    if tool.format is None:
        return False
    members = members_of(bytes(tool.format)) or {}
    return members.get("type") != Raw(msgspec.json.encode(_PLAIN_FORMAT))


def _schema(schema: Raw | None) -> Raw:
    """Return a schema with the `type: object` that the API demands of it."""
    members = None if schema is None else members_of(bytes(schema))
    if schema is None or members is None:
        return _NO_ARGUMENTS
    return schema if "type" in members else Raw(splice(bytes(schema), members, {"type": b'"object"'}))


def _choice(choice: ToolChoice | None, offered: bool, writing: Writing) -> dict[str, Any] | Raw | None:  # noqa: FBT001
    single = None if writing.request.parallel_tools is None else not writing.request.parallel_tools
    if choice is None or (choice.mode is ChoiceMode.FOREIGN and not writing.own):
        if choice is not None:
            writing.lost.add(Lost.TOOL_CHOICE)
        return {"type": "auto", "disable_parallel_tool_use": True} if single and offered else None
    if choice.mode is ChoiceMode.FOREIGN:
        return choice.raw
    if not writing.own and not offered:
        if choice.mode in (ChoiceMode.REQUIRED, ChoiceMode.NAMED):
            writing.lost.add(Lost.TOOL_CHOICE)
        return None  # the API refuses a choice among no tools
    mode = choice.mode
    if not writing.own and not writing.model.forced and mode in (ChoiceMode.REQUIRED, ChoiceMode.NAMED):
        writing.lost.add(Lost.TOOL_CHOICE)
        mode = ChoiceMode.AUTO
    written: dict[str, Any] = {"type": CHOICE_WRITTEN[mode]}
    if mode is ChoiceMode.NAMED:
        written["name"] = choice.name
    if single is not None and mode is not ChoiceMode.NONE and (writing.own or single):
        written["disable_parallel_tool_use"] = single
    return written


def is_forced(members: dict[str, Any]) -> bool:
    """Tell whether the choice that was written leaves the model none."""
    choice = members.get("tool_choice")
    return isinstance(choice, dict) and choice["type"] in ("any", "tool")
