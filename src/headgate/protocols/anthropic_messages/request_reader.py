"""A client's messages request as a canonical one: members as in the anthropic SDK's MessageCreateParams.

A member that is null counts as missing, and one that says the API's default (`stream: false`, `is_error: false`,
`citations.enabled: false`, a tool's `type: custom`, a `direct` caller, an empty list of tools or stop sequences)
as not said. What no other dialect has stays in `extra`.
"""

from typing import Final

import msgspec
from msgspec import Raw

from headgate.model.content import Role, Turn
from headgate.model.conversation import (
    ChoiceMode,
    FormatKind,
    OutputFormat,
    Reasoning,
    Request,
    Sampling,
    ServerTool,
    Tool,
    ToolChoice,
)
from headgate.model.request import RequestHead
from headgate.protocols.anthropic_messages.block_reader import OWN, read_content
from headgate.protocols.anthropic_messages.members import Members
from headgate.protocols.anthropic_messages.tables import CHOICE_READ, EFFORT_READ, ROLE_READ

_HEAD: Final = ("model", "stream", "max_tokens")
_NULL: Final = Raw(b"null")
_encode: Final = msgspec.json.encode


def read_request(head: RequestHead) -> Request:
    """Return the canonical request. Raises HeadgateError (400) naming the field at fault."""
    members = Members({name: value for name, value in head.fields.items() if name not in _HEAD}, "")
    turns = (*_system(members), *_turns(members))
    choice, parallel = _choice(members)
    thinking, output, kept = _thinking(members)
    user, more = _metadata(members)
    kept |= more
    sampling = Sampling(
        temperature=members.maybe_number("temperature"),
        top_p=members.maybe_number("top_p"),
        top_k=members.maybe_number("top_k"),
        stop=members.maybe_texts("stop_sequences"),
    )
    return Request(
        OWN,
        head.model,
        head.stream,
        turns,
        tools=_tools(members),
        choice=choice,
        parallel_tools=parallel,
        output=output,
        reasoning=thinking,
        sampling=sampling,
        max_output=head.max_output,
        user=user,
        service_tier=members.maybe_text("service_tier"),
        cache=members.cache(),
        extra={**members.rest(), **kept},
    )


def _system(members: Members) -> tuple[Turn, ...]:
    raw = members.take("system")
    if raw is None:
        return ()
    blocks, plain = read_content(raw, "system")
    return (Turn(Role.SYSTEM, blocks, plain=plain, top=True),)


def _turns(members: Members) -> list[Turn]:
    messages = members.maybe_list("messages")
    if messages is None:
        members.refuse("messages", "is missing")
    return [_turn(Members(raw, f"messages.{index}")) for index, raw in enumerate(messages)]


def _turn(members: Members) -> Turn:
    role = ROLE_READ.get(members.text("role"))
    if role is None:
        members.refuse("role", "must be user, assistant or system")
    raw = members.take("content")
    if raw is None:
        members.refuse("content", "is missing")
    blocks, plain = read_content(raw, f"{members.path}.content")
    return Turn(role, blocks, plain=plain, extra=members.rest())


def _tools(members: Members) -> tuple[Tool | ServerTool, ...]:
    return tuple(_tool(raw, f"tools.{index}") for index, raw in enumerate(members.maybe_list("tools") or ()))


def _tool(raw: Raw, path: str) -> Tool | ServerTool:
    members = Members(raw, path)
    kind = members.maybe_text("type") or "custom"
    if kind != "custom":
        return ServerTool(OWN, kind, raw)
    name, description, strict = members.text("name"), members.maybe_text("description"), members.maybe_flag("strict")
    schema = members.peek("input_schema")
    if members.maybe_object("input_schema") is None:
        members.refuse("input_schema", "is missing")
    return Tool(name, description, schema, strict, cache=members.cache(), extra=members.rest())


def _choice(members: Members) -> tuple[ToolChoice | None, bool | None]:
    """Return the choice, and whether several tools may be used at once."""
    raw = members.peek("tool_choice")
    said = members.maybe_object("tool_choice")
    if said is None:
        return None, None
    mode = CHOICE_READ.get(said.text("type"))
    single = said.maybe_flag("disable_parallel_tool_use")
    name = said.text("name") if mode is ChoiceMode.NAMED else None
    if mode is None or said.rest() or (mode is ChoiceMode.NONE and single is not None):
        return ToolChoice(ChoiceMode.FOREIGN, raw=raw), None
    return ToolChoice(mode, name), None if single is None else not single


def _thinking(members: Members) -> tuple[Reasoning | None, OutputFormat | None, dict[str, Raw]]:
    """Return what `thinking` and `output_config` say, and what of the latter nobody else knows."""
    said, config = members.maybe_object("thinking"), members.maybe_object("output_config")
    effort = output = None
    kept: dict[str, Raw] = {}
    if config is not None:
        effort = EFFORT_READ.get(config.peek_text("effort") or "")
        if effort is not None or config.peek("effort") == _NULL:
            config.take("effort")
        output = _format(config)
        if config.rest():
            kept["output_config"] = Raw(_encode(config.rest()))
    if said is None:
        return (None if effort is None else Reasoning(effort=effort)), output, kept
    kind = said.peek("type")
    word, budget, display = said.text("type"), said.maybe_int("budget_tokens"), said.maybe_text("display")
    extra = dict(said.rest())
    enabled = {"enabled": True, "adaptive": True, "disabled": False, "between_tools": False}.get(word)
    if word not in ("enabled", "adaptive", "disabled") and kind is not None:
        extra["type"] = kind
    return Reasoning(enabled, effort, budget, word == "adaptive", None, display, extra), output, kept


def _format(config: Members) -> OutputFormat | None:
    raw = config.peek("format")
    said = config.maybe_object("format")
    if said is None:
        return None
    kind, schema = said.text("type"), said.take("schema")
    if kind == "json_schema" and schema is not None and not said.rest():
        return OutputFormat(FormatKind.JSON_SCHEMA, schema=schema)
    return OutputFormat(FormatKind.FOREIGN, raw=raw)


def _metadata(members: Members) -> tuple[str | None, dict[str, Raw]]:
    said = members.maybe_object("metadata")
    if said is None:
        return None, {}
    user = said.maybe_text("user_id")
    return user, {"metadata": Raw(_encode(said.rest()))} if said.rest() else {}
