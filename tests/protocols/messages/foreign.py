"""Requests that no client of this dialect sent, written for its upstreams."""

import json
from typing import Any

import msgspec
from tests.protocols.messages.validating import valid_params

from headgate.model.content import Block, Role, Text, ToolResult, ToolUse, Turn
from headgate.model.conversation import Request
from headgate.model.dialect import Dialect
from headgate.protocols.anthropic_messages import MessagesTranslator
from headgate.protocols.canonical import Target, Written

OLD = "claude-sonnet-4-5"
NEW = "claude-opus-4-8"


def turn(role: Role, *blocks: Block | str, top: bool = False) -> Turn:
    return Turn(role, tuple(Text(block) if isinstance(block, str) else block for block in blocks), top=top)


def user(*blocks: Block | str) -> Turn:
    return turn(Role.USER, *blocks)


def assistant(*blocks: Block | str) -> Turn:
    return turn(Role.ASSISTANT, *blocks)


def system(*blocks: Block | str) -> Turn:
    return turn(Role.SYSTEM, *blocks)


def asking(*turns: Turn, dialect: Dialect = Dialect.OPENAI_CHAT, **members: Any) -> Request:
    return msgspec.structs.replace(Request(dialect, "m", stream=False, turns=turns or (user("Hi."),)), **members)


def write(request: Request, model: str = OLD, **target: Any) -> Written:
    return MessagesTranslator().write_request(request, Target("anthropic", model, **target))


def written(request: Request, model: str = OLD, **target: Any) -> tuple[dict[str, Any], Any]:
    """Return the body, valid by the SDK's types, and what was lost."""
    whole = write(request, model, **target)
    body = json.loads(whole.body)
    valid_params(body)
    return body, whole.lost


def use(identity: str = "call_1", name: str = "f", arguments: str = "{}") -> ToolUse:
    return ToolUse(identity, name, arguments)


def result(identity: str = "call_1", text: str = "ok") -> ToolResult:
    return ToolResult(identity, (Text(text),), plain=True)
