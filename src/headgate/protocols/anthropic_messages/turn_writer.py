"""The turns of a request as `system` and `messages`.

Foreign turns are brought into the order that the API demands: system prompts first or, on models that take them, right
after a user's turn; neighbours of one role joined; a tool's results first in the user's turn after its use
(platform.claude.com/docs/en/agents-and-tools/tool-use/handle-tool-calls and
…/build-with-claude/mid-conversation-system-messages).
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw

from headgate.model.content import Block, Role, Text, ToolResult, Turn
from headgate.model.losses import Lost
from headgate.protocols.anthropic_messages.block_writer import Written, write_blocks
from headgate.protocols.anthropic_messages.tables import ROLE_WRITTEN
from headgate.protocols.anthropic_messages.writing import Writing

OPENING: Final = "(The assistant began this conversation.)"
"""The API's first turn is the user's; a client that lets the assistant begin gets this one in front of it."""

Message = tuple[Role, list[Block]]

_SYSTEM: Final = frozenset({Role.SYSTEM, Role.DEVELOPER})


def write_turns(turns: Sequence[Turn], writing: Writing) -> dict[str, Any]:
    """Return the members `system` and `messages`."""
    return _as_they_came(turns, writing) if writing.own else _in_order(turns, writing)


def _as_they_came(turns: Sequence[Turn], writing: Writing) -> dict[str, Any]:
    members: dict[str, Any] = {"messages": []}
    for turn in turns:
        content = _own_content(turn, writing)
        if turn.top:
            members["system"] = content
        elif (
            content or turn.plain or not turn.blocks
        ):  # a turn of nothing but thinking that another provider signed is left out
            message: dict[str, Any] = {"role": ROLE_WRITTEN[turn.role], "content": content}
            writing.extras(message, turn.extra, writing.root)
            members["messages"].append(message)
    return members


def _own_content(turn: Turn, writing: Writing) -> str | list[Written]:
    if turn.plain and len(turn.blocks) == 1 and isinstance(text := turn.blocks[0], Text):
        return text.text
    return write_blocks(turn.blocks, writing)


def _in_order(turns: Sequence[Turn], writing: Writing) -> dict[str, Any]:
    leading, rest = _split(turns, writing)
    system = [block for turn in leading for block in turn.blocks]
    messages: list[Message] = []
    for turn in rest:
        if turn.role not in _SYSTEM:
            _append(messages, turn.role, turn.blocks)
        elif writing.model.system_turns:
            _append(messages, Role.SYSTEM, turn.blocks)
        else:
            system += turn.blocks
            writing.lost.add(Lost.SYSTEM_POSITION)
    if writing.model.system_turns:
        messages, left = _after_users(messages, writing)
        system += left
    members: dict[str, Any] = {}
    if prompt := _system(system, writing):
        members["system"] = prompt
    members["messages"] = _messages(messages, writing)
    return members


def _split(turns: Sequence[Turn], writing: Writing) -> tuple[list[Turn], list[Turn]]:
    """Return the turns that make the system prompt, and the conversation, which holds one turn at least and ends well.

    System prompts at the very end, after the assistant's words or after nothing, are what is to be answered: they are
    the user's turn here.
    """
    for turn in turns:
        if turn.name is not None:
            writing.lost.add(Lost.NAME)
        writing.extras({}, turn.extra, writing.root)
    talk = [turn for turn in turns if not turn.top]
    first = next((at for at, turn in enumerate(talk) if turn.role not in _SYSTEM), len(talk))
    leading, rest = [*(turn for turn in turns if turn.top), *talk[:first]], talk[first:]
    if not rest and leading and not leading[-1].top:
        rest = [_asked(leading.pop(), writing)]
    last = next((at for at in range(len(rest) - 1, -1, -1) if rest[at].role not in _SYSTEM), -1)
    if last >= 0 and rest[last].role is Role.ASSISTANT:
        rest[last + 1 :] = [_asked(turn, writing) for turn in rest[last + 1 :]]
    return leading, rest


def _asked(turn: Turn, writing: Writing) -> Turn:
    writing.lost.add(Lost.SYSTEM_POSITION)
    return msgspec.structs.replace(turn, role=Role.USER)


def _append(messages: list[Message], role: Role, blocks: Iterable[Block]) -> None:
    if messages and messages[-1][0] is role:
        messages[-1][1].extend(blocks)
    else:
        messages.append((role, list(blocks)))


def _after_users(messages: Sequence[Message], writing: Writing) -> tuple[list[Message], list[Block]]:
    """Return messages where each of role system stands between a user's and the assistant's or the end, and the rest.

    One that stands elsewhere goes behind the next user's message; the rest found none.
    """
    ordered: list[Message] = []
    waiting: list[Block] = []
    for role, blocks in messages:
        if role is Role.SYSTEM:
            waiting += blocks
            continue
        if waiting and role is Role.ASSISTANT and ordered and ordered[-1][0] is Role.USER:
            _append(ordered, Role.SYSTEM, waiting)
            waiting = []
        elif waiting:
            writing.lost.add(Lost.SYSTEM_POSITION)
        _append(ordered, role, blocks)
    if waiting and ordered and ordered[-1][0] is Role.USER:
        _append(ordered, Role.SYSTEM, waiting)
        waiting = []
    return ordered, waiting


def _messages(messages: Sequence[Message], writing: Writing) -> list[dict[str, Any]]:
    written: list[tuple[Role, list[Written]]] = []
    for role, blocks in messages:
        if role is Role.USER:
            blocks.sort(key=lambda block: not isinstance(block, ToolResult))
        content = write_blocks(blocks, writing, shown=role is Role.USER)
        if not content:
            continue
        if written and written[-1][0] is role:
            written[-1][1].extend(content)
        else:
            written.append((role, content))
    if written and written[0][0] is Role.ASSISTANT:
        written.insert(0, (Role.USER, [{"type": "text", "text": OPENING}]))
    return [{"role": ROLE_WRITTEN[role], "content": _shortest(content)} for role, content in written]


def _shortest(content: list[Written]) -> str | list[Written]:
    """Return a lone text as a string."""
    if len(content) == 1 and not isinstance(block := content[0], Raw) and block.keys() == {"type", "text"}:
        return str(block["text"])
    return content


def _system(blocks: Iterable[Block], writing: Writing) -> str | list[Written]:
    return _shortest(write_blocks(blocks, writing, shown=False))
