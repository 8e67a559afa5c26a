"""Tools and tool choice of a chat request, both ways.

Forms: openai.types.chat.chat_completion_function_tool_param, …custom_tool_param, …tool_choice_option_param. A tool of
another type is the upstream's own (OpenRouter's, xAI's and others' server tools).
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
from headgate.protocols.members import Members, is_object, is_string, string_of
from headgate.protocols.openai_chat import tables
from headgate.protocols.openai_chat.parts import CACHE, cache_member, merge, take_cache
from headgate.protocols.openai_losses import Losses


class _Named(msgspec.Struct, forbid_unknown_fields=True):
    name: str


class _Choice(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="function"):
    function: _Named


class _CustomChoice(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="custom"):
    custom: _Named


class _Allowed(msgspec.Struct, forbid_unknown_fields=True):
    mode: str
    tools: list[_Choice | _CustomChoice]


class _AllowedChoice(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="allowed_tools"):
    allowed_tools: _Allowed


_choice: Final = msgspec.json.Decoder(_Choice | _CustomChoice | _AllowedChoice)
_format: Final = msgspec.json.Decoder(dict[str, Any])
_GRAMMAR: Final = "grammar"


def read_tools(request: Members) -> list[Tool | ServerTool]:
    """Take the request's tools, and its functions of old. Raises HeadgateError (400)."""
    tools = [_read_tool(raw, tool) for raw, tool in request.objects("tools") or []]
    return tools + [_function(function, {}) for _, function in request.objects("functions") or []]


def _read_tool(raw: Raw, tool: Members) -> Tool | ServerTool:
    kind = tool.text("type") or "function"
    if kind == "function":
        cache = take_cache(tool)
        inner = tool.needed_members("function")
        return msgspec.structs.replace(_function(inner, tool.rest(), "function."), cache=cache)
    if kind == "custom":
        custom = tool.needed_members("custom")
        name, description, form = custom.needed("name"), custom.text("description"), custom.json_object("format")
        extra = {**tool.rest(), **custom.rest("custom.")}
        return Tool(name, description, kind=ToolKind.CUSTOM, format=form, extra=extra)
    return ServerTool(Dialect.OPENAI_CHAT, kind, raw)


def _function(function: Members, outer: dict[str, Raw], prefix: str = "") -> Tool:
    name, description = function.needed("name"), function.text("description")
    schema, strict = function.json_object("parameters"), function.flag("strict")
    return Tool(name, description, schema, strict, extra={**outer, **function.rest(prefix)})


def read_choice(request: Members) -> ToolChoice | None:
    """Take tool_choice, or function_call of old. Raises HeadgateError (400)."""
    raw = request.raw("tool_choice")
    legacy = request.raw("function_call")
    if raw is not None:
        return _read_choice(raw)
    if legacy is None:
        return None
    if is_string(legacy):
        return _read_choice(legacy, "function_call")
    request.put_back("function_call", legacy)
    return ToolChoice(ChoiceMode.NAMED, request.needed_members("function_call").needed("name"))


def _read_choice(raw: Raw, name: str = "tool_choice") -> ToolChoice:
    if is_string(raw):
        mode = openai_words.CHOICE_READ.get(string_of(raw, name))
        return ToolChoice(ChoiceMode.FOREIGN, raw=raw) if mode is None else ToolChoice(mode)
    if not is_object(raw):
        raise invalid(name, f"{name} must be a string or an object")
    try:
        choice = _choice.decode(raw)
    except (ValueError, RecursionError):
        return ToolChoice(ChoiceMode.FOREIGN, raw=raw)
    if isinstance(choice, _AllowedChoice):
        mode = openai_words.CHOICE_READ.get(choice.allowed_tools.mode)
        names = tuple(_named(each)[0] for each in choice.allowed_tools.tools)
        return ToolChoice(ChoiceMode.FOREIGN, raw=raw) if mode is None else ToolChoice(mode, allowed=names)
    named, kind = _named(choice)
    return ToolChoice(ChoiceMode.NAMED, named, kind)


def _named(choice: _Choice | _CustomChoice) -> tuple[str, ToolKind]:
    if isinstance(choice, _CustomChoice):
        return choice.custom.name, ToolKind.CUSTOM
    return choice.function.name, ToolKind.FUNCTION


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
        if tool.dialect is Dialect.OPENAI_CHAT:
            return tool.raw
        losses.lost.add(Lost.SERVER_TOOL)
        return None
    word = tables.TOOL_KIND_WRITTEN[tool.kind]
    inner: dict[str, object] = {"name": tool.name}
    if tool.description is not None:
        inner["description"] = tool.description
    if tool.schema is not None:
        inner["parameters"] = tool.schema if losses.own else openai_words.with_properties(tool.schema)
    if tool.strict is not None:
        inner["strict"] = tool.strict
    if tool.format is not None:
        inner["format"] = _nested(tool.format)
    written: dict[str, object] = {"type": word, word: inner}
    if tool.cache is not None:
        if losses.own:
            written[CACHE] = cache_member(tool.cache)
        else:
            losses.lost.add(Lost.CACHE)
    return merge(written, losses.extras(tool.extra, "tools"))


def _nested(form: Raw) -> object:
    """Return a custom tool's format with its grammar in an object of its own, where Responses has it flat."""
    try:
        members = _format.decode(form)
    except (ValueError, RecursionError):
        return form
    if members.get("type") != _GRAMMAR or _GRAMMAR in members:
        return form
    return {"type": _GRAMMAR, _GRAMMAR: {name: value for name, value in members.items() if name != "type"}}


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
        return {"tool_choice": _reference(choice.name or "", choice.kind)}
    word = openai_words.CHOICE_WRITTEN[choice.mode]
    if choice.allowed is None:
        return {"tool_choice": word}
    kinds = {tool.name: tool.kind for tool in request.tools if isinstance(tool, Tool)}
    allowed = [_reference(name, kinds.get(name, ToolKind.FUNCTION)) for name in choice.allowed]
    return {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": word, "tools": allowed}}}


def _reference(name: str, kind: ToolKind) -> dict[str, object]:
    word = tables.TOOL_KIND_WRITTEN[kind]
    return {"type": word, word: {"name": name}}
