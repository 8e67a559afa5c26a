"""The turns of a request as `system` and `messages`.

Foreign turns are brought into the order that the API demands: system prompts first or, on models that take them, right
after a user's turn; neighbours of one role joined; a tool's results first in the user's turn after its use
(platform.claude.com/docs/en/agents-and-tools/tool-use/handle-tool-calls and
…/build-with-claude/mid-conversation-system-messages).
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from msgspec import Raw

from headgate.model.content import Role, Text, Turn
from headgate.model.losses import Lost
from headgate.protocols.anthropic_messages.block_writer import Written, write_blocks
from headgate.protocols.anthropic_messages.tables import ROLE_WRITTEN
from headgate.protocols.anthropic_messages.writing import Writing

OPENING: Final = "(The assistant began this conversation.)"
"""The API's first turn is the user's; a client that lets the assistant begin gets this one in front of it."""

Message = tuple[Role, list[Written]]

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
    prompts: list[Written] = []
    said: list[Message] = []
    for turn in turns:
        if turn.name is not None:
            writing.lost.add(Lost.NAME)
        writing.extras({}, turn.extra, writing.root)
        content = write_blocks(turn.blocks, writing, shown=turn.role is Role.USER)
        if turn.top:
            prompts += content
        elif content:
            said.append((Role.SYSTEM if turn.role in _SYSTEM else turn.role, content))
    leading, rest = _split(said, writing)
    prompts += leading
    messages: list[Message] = []
    for role, content in rest:
        if role is Role.SYSTEM and not writing.model.system_turns:
            prompts += content
            writing.lost.add(Lost.SYSTEM_POSITION)
        else:
            _append(messages, role, content)
    if writing.model.system_turns:
        messages, left = _after_users(messages, writing)
        prompts += left
    members: dict[str, Any] = {"system": _shortest(prompts)} if prompts else {}
    members["messages"] = [{"role": ROLE_WRITTEN[role], "content": _shortest(each)} for role, each in _opened(messages)]
    return members


def _split(said: list[Message], writing: Writing) -> tuple[list[Written], list[Message]]:
    """Return the leading system prompts, and the conversation, which holds one message at least and ends well.

    System prompts at the very end, after the assistant's words or after nothing, are what is to be answered: they are
    the user's here.
    """
    first = next((at for at, (role, _) in enumerate(said) if role is not Role.SYSTEM), len(said))
    if first == len(said) and said:
        first -= 1
    last = next((at for at in range(len(said) - 1, -1, -1) if said[at][0] is not Role.SYSTEM), -1)
    if last < 0 or said[last][0] is Role.ASSISTANT:
        asked = range(max(last + 1, first), len(said))
        for at in asked:
            writing.lost.add(Lost.SYSTEM_POSITION)
            said[at] = (Role.USER, said[at][1])
    return [block for _, content in said[:first] for block in content], said[first:]


def _append(messages: list[Message], role: Role, content: Iterable[Written]) -> None:
    if messages and messages[-1][0] is role:
        messages[-1][1].extend(content)
    else:
        messages.append((role, list(content)))


def _after_users(messages: Sequence[Message], writing: Writing) -> tuple[list[Message], list[Written]]:
    """Return messages where each of role system stands between a user's and the assistant's or the end, and the rest.

    One that stands elsewhere goes behind the next user's message; the rest found none.
    """
    ordered: list[Message] = []
    waiting: list[Written] = []
    for role, content in messages:
        if role is Role.SYSTEM:
            waiting += content
            continue
        if waiting and role is Role.ASSISTANT and ordered and ordered[-1][0] is Role.USER:
            _append(ordered, Role.SYSTEM, waiting)
            waiting = []
        elif waiting:
            writing.lost.add(Lost.SYSTEM_POSITION)
        _append(ordered, role, content)
    if waiting and ordered and ordered[-1][0] is Role.USER:
        _append(ordered, Role.SYSTEM, waiting)
        waiting = []
    return ordered, waiting


def _opened(messages: list[Message]) -> list[Message]:
    """Return messages that the user begins, a tool's results first in each."""
    for role, content in messages:
        if role is Role.USER:
            content.sort(key=_is_no_result)
    if messages and messages[0][0] is Role.ASSISTANT:
        return [(Role.USER, [{"type": "text", "text": OPENING}]), *messages]
    return messages


def _is_no_result(block: Written) -> bool:
    return isinstance(block, Raw) or block["type"] != "tool_result"


def _shortest(content: list[Written]) -> str | list[Written]:
    """Return a lone text as a string."""
    if len(content) == 1 and not isinstance(block := content[0], Raw) and block.keys() == {"type", "text"}:
        return str(block["text"])
    return content
