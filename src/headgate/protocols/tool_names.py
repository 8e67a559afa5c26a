"""Tool names that an upstream does not take: shortened on the way there, whole again in its answer.

OpenAI takes 64 characters of ^[a-zA-Z0-9_-]+$ ("string too long. Expected a string with maximum length 64"), Anthropic
128, which clients of it use: MCP servers' tools carry their server's name.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

import msgspec

from headgate.model.content import ToolUse, Turn
from headgate.model.conversation import Request, Tool
from headgate.model.events import Event, ToolStarted
from headgate.protocols.canonical import AnswerReader

MAX_NAME: Final = 64
_HASH: Final = 8


def fitted(name: str) -> str:
    """Return a name of at most `MAX_NAME` characters: the same for a name in every call of a conversation."""
    if len(name) <= MAX_NAME:
        return name
    return f"{name[: MAX_NAME - _HASH - 1]}_{sha256(name.encode()).hexdigest()[:_HASH]}"


def with_fitting_names(request: Request) -> Request:
    """Return a request whose tools, calls and choice have names that fit; the very same where all do."""
    used = any(_too_long(block) for turn in request.turns for block in turn.blocks)
    if not (used or shortened(request)):
        return request
    choice = request.choice
    if choice is not None:
        name = None if choice.name is None else fitted(choice.name)
        allowed = None if choice.allowed is None else tuple(map(fitted, choice.allowed))
        choice = msgspec.structs.replace(choice, name=name, allowed=allowed)
    tools = tuple(
        msgspec.structs.replace(tool, name=fitted(tool.name)) if isinstance(tool, Tool) else tool
        for tool in request.tools
    )
    return msgspec.structs.replace(request, turns=tuple(map(_turn, request.turns)), tools=tools, choice=choice)


def _too_long(block: object) -> bool:
    return isinstance(block, ToolUse) and len(block.name) > MAX_NAME


def _turn(turn: Turn) -> Turn:
    if not any(map(_too_long, turn.blocks)):
        return turn
    blocks = tuple(
        msgspec.structs.replace(block, name=fitted(block.name)) if isinstance(block, ToolUse) else block
        for block in turn.blocks
    )
    return msgspec.structs.replace(turn, blocks=blocks)


def shortened(request: Request) -> dict[str, str]:
    """Return the names of tools on offer that do not fit, by what stands for them."""
    long = (tool.name for tool in request.tools if isinstance(tool, Tool) and len(tool.name) > MAX_NAME)
    return {fitted(name): name for name in long}


def restoring(reader: AnswerReader, request: Request) -> AnswerReader:
    """Return a reader of answers in which the client's own names stand; the very same where all fit."""
    names = shortened(request)
    return _Restoring(reader, names) if names else reader


class _Restoring(AnswerReader):
    """`names` as `shortened` returns them."""

    def __init__(self, reader: AnswerReader, names: dict[str, str]) -> None:
        self._reader = reader
        self._names = names

    def frame(self, event: bytes | None, data: bytes) -> Sequence[Event]:
        return self._restored(self._reader.frame(event, data))

    def body(self, body: bytes) -> Sequence[Event]:
        return self._restored(self._reader.body(body))

    def end(self) -> Sequence[Event]:
        return self._restored(self._reader.end())

    def _restored(self, events: Sequence[Event]) -> Sequence[Event]:
        return [
            msgspec.structs.replace(event, name=self._names[event.name])
            if isinstance(event, ToolStarted) and event.name in self._names
            else event
            for event in events
        ]
