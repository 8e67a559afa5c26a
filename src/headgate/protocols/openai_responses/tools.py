"""Tools and tool choice of a responses request, both ways.

Forms: openai.types.responses.tool_param, tool_choice_*_param. A tool of a type that the provider runs is this dialect's
own; a `namespace` is the tools in it.
"""

from typing import Any, Final

import msgspec
from msgspec import Raw

from headgate.model.content import ToolKind
from headgate.model.conversation import ChoiceMode, Request, ServerTool, Tool, ToolChoice
from headgate.model.dialect import Dialect
from headgate.model.losses import Lost
from headgate.protocols import openai_words
from headgate.protocols.head_fields import invalid
from headgate.protocols.members import Members, is_object, is_string, objects_of, string_of
from headgate.protocols.openai_losses import Losses
from headgate.protocols.openai_responses import tables
from headgate.protocols.openai_responses.namespaces import NAMESPACE, grouped, told_apart
from headgate.protocols.openai_responses.parts import merge


class _Named(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    name: str


class _Allowed(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    mode: str
    tools: list[_Named]


_named: Final = msgspec.json.Decoder(_Named)
_allowed: Final = msgspec.json.Decoder(_Allowed)
_format: Final = msgspec.json.Decoder(dict[str, Any])
_KINDS: Final = {word: kind for kind, word in tables.TOOL_TYPE.items()}
_NO_ARGUMENTS: Final = Raw(b'{"type":"object","properties":{}}')
_GRAMMAR: Final = "grammar"


def read_tools(request: Members) -> tuple[Tool | ServerTool, ...]:
    """Take the request's tools; an array that is empty or has namespaces stays, too. Raises HeadgateError (400)."""
    raw = request.raw("tools")
    tools: list[Tool | ServerTool] = []
    for each, tool in [] if raw is None else objects_of(raw, "tools"):
        tools += _read_tools(each, tool)
    namespaces = any(isinstance(tool, Tool) and tool.origin is not None for tool in tools)
    if raw is not None and (namespaces or not tools):
        request.put_back("tools", raw)
    return tuple(told_apart(tools) if namespaces else tools)


def _read_tools(raw: Raw, tool: Members) -> list[Tool | ServerTool]:
    """Return the tool, or those of a namespace that has some."""
    kind = tool.needed("type")
    tool.put_back("type", Raw(msgspec.json.encode(kind)))
    inner = tool.objects("tools") if kind == NAMESPACE else None
    if not inner:
        return [_read_tool(raw, tool)]
    tool.raw("type")
    return grouped(tool.needed("name"), tool, [_read_tool(each, members) for each, members in inner])


def _read_tool(raw: Raw, tool: Members) -> Tool | ServerTool:
    kind = tool.needed("type")
    if kind == "function":
        name, description = tool.needed("name"), tool.text("description")
        return Tool(name, description, tool.json_object("parameters"), tool.flag("strict"), extra=tool.rest())
    if kind == "custom":
        name, description, form = tool.needed("name"), tool.text("description"), tool.json_object("format")
        return Tool(name, description, kind=ToolKind.CUSTOM, format=form, extra=tool.rest())
    return ServerTool(Dialect.OPENAI_RESPONSES, kind, raw)


def read_choice(request: Members, tools: tuple[Tool | ServerTool, ...]) -> ToolChoice | None:
    """Take tool_choice. Raises HeadgateError (400)."""
    raw = request.raw("tool_choice")
    if raw is None:
        return None
    if is_string(raw):
        mode = openai_words.CHOICE_READ.get(string_of(raw, "tool_choice"))
        return ToolChoice(ChoiceMode.FOREIGN, raw=raw) if mode is None else ToolChoice(mode)
    if not is_object(raw):
        raise invalid("tool_choice", "tool_choice must be a string or an object")
    return _named_choice(raw) or _allowed_choice(raw, tools) or ToolChoice(ChoiceMode.FOREIGN, raw=raw)


def _named_choice(raw: Raw) -> ToolChoice | None:
    try:
        choice = _named.decode(raw)
    except (ValueError, RecursionError):
        return None
    kind = _KINDS.get(choice.type)
    return None if kind is None else ToolChoice(ChoiceMode.NAMED, choice.name, kind)


def _allowed_choice(raw: Raw, tools: tuple[Tool | ServerTool, ...]) -> ToolChoice | None:
    """Return a choice among tools by their names, None where they cannot be told by these alone."""
    try:
        choice = _allowed.decode(raw)
    except (ValueError, RecursionError):
        return None
    mode = openai_words.CHOICE_READ.get(choice.mode)
    kinds = _kinds(tools)
    if choice.type != "allowed_tools" or mode is None or any(_kind(kinds, each) != each.type for each in choice.tools):
        return None
    return ToolChoice(mode, allowed=tuple(each.name for each in choice.tools))


def _kinds(tools: tuple[Tool | ServerTool, ...]) -> dict[str, ToolKind]:
    return {tool.name: tool.kind for tool in tools if isinstance(tool, Tool)}


def _kind(kinds: dict[str, ToolKind], named: _Named) -> str:
    return tables.TOOL_TYPE[kinds.get(named.name, ToolKind.FUNCTION)]


def write_tools(request: Request, losses: Losses) -> dict[str, object]:
    """Return the members of a request that are about tools."""
    members: dict[str, object] = {}
    tools = [written for tool in request.tools if (written := _write_tool(tool, losses)) is not None]
    if tools:
        members["tools"] = tools
    if request.choice is not None:
        members |= _write_choice(request.choice, request, losses, bool(tools))
    if request.parallel_tools is not None:
        if tools or losses.own:
            members["parallel_tool_calls"] = request.parallel_tools
        elif request.tools:
            losses.lost.add(Lost.PARALLEL_TOOLS)
    return members


def _write_tool(tool: Tool | ServerTool, losses: Losses) -> object:
    if isinstance(tool, ServerTool):
        if tool.dialect is Dialect.OPENAI_RESPONSES:
            return tool.raw
        losses.lost.add(Lost.SERVER_TOOL)
        return None
    written: dict[str, object] = {"type": tables.TOOL_TYPE[tool.kind], "name": tool.name}
    schema, strict, form = tool.schema, tool.strict, tool.format
    if not losses.own and tool.kind is ToolKind.FUNCTION:
        # Other dialects are lenient unless told; this one is strict (developers.openai.com, Migrate to Responses).
        schema, strict = openai_words.with_properties(schema or _NO_ARGUMENTS), bool(strict)
    if not losses.own and form is not None:
        form = _flat(form)
    said = (("description", tool.description), ("parameters", schema), ("strict", strict), ("format", form))
    written.update((name, value) for name, value in said if value is not None)
    if tool.cache is not None:
        losses.lost.add(Lost.CACHE)
    return merge(written, losses.extras(tool.extra, "tools"))


def _flat(form: Raw) -> Raw:
    """Return a custom tool's format with its grammar flat, where chat has it in an object of its own."""
    try:
        members = _format.decode(form)
    except (ValueError, RecursionError):
        return form
    grammar = members.get(_GRAMMAR)
    if members.get("type") != _GRAMMAR or not isinstance(grammar, dict):
        return form
    return Raw(msgspec.json.encode({"type": _GRAMMAR, **grammar}))


def _write_choice(choice: ToolChoice, request: Request, losses: Losses, tools: bool) -> dict[str, object]:  # noqa: FBT001 - one caller
    if not tools and not losses.own:
        # OpenAI refuses a choice without tools; nothing is lost where none were to be called.
        if choice.mode is not ChoiceMode.AUTO and choice.mode is not ChoiceMode.NONE:
            losses.lost.add(Lost.TOOL_CHOICE)
        return {}
    if choice.mode is ChoiceMode.FOREIGN:
        if losses.own and choice.raw is not None:
            return {"tool_choice": choice.raw}
        losses.lost.add(Lost.TOOL_CHOICE)
        return {}
    if choice.mode is ChoiceMode.NAMED:
        return {"tool_choice": {"type": tables.TOOL_TYPE[choice.kind], "name": choice.name or ""}}
    word = openai_words.CHOICE_WRITTEN[choice.mode]
    if choice.allowed is None or (choice.mode is ChoiceMode.NONE and not losses.own):
        return {"tool_choice": word}
    kinds = _kinds(request.tools)
    allowed = [{"type": tables.TOOL_TYPE[kinds.get(name, ToolKind.FUNCTION)], "name": name} for name in choice.allowed]
    return {"tool_choice": {"type": "allowed_tools", "mode": word, "tools": allowed}}
