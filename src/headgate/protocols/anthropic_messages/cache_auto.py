"""Prompt-cache breakpoints for a messages request whose client set none.

Order of the cached prefix and the limit of four: platform.claude.com/docs/en/build-with-claude/prompt-caching (tools,
system, messages; thinking blocks and empty texts cannot carry a breakpoint, nor tools with `defer_loading`).
"""

from typing import Any, Final

import msgspec
from msgspec import Raw

from headgate.protocols.json_object import members_of, splice

_MARK: Final[dict[str, bytes | None]] = {"cache_control": b'{"type":"ephemeral"}'}
_USER_TURNS: Final = 2
_UNMARKABLE: Final = frozenset({"thinking", "redacted_thinking"})

_text: Final = msgspec.json.Decoder(str)
_items: Final = msgspec.json.Decoder(list[Raw])
_any: Final = msgspec.json.Decoder()
_encode: Final = msgspec.json.encode


class _Item(msgspec.Struct):
    """What must be known of a block, a tool or a message to choose where a breakpoint goes."""

    type: Any = None
    text: Any = None
    role: Any = None
    defer_loading: Any = None


_item: Final = msgspec.json.Decoder(_Item)


def with_cache_marks(body: bytes) -> bytes:
    """Return `body` with breakpoints after its tools, its system prompt and its last two user turns.

    A body that holds any breakpoint, or is no messages request, is returned as it is; so is every value not touched.
    The last two user turns: the earlier one is what the call before this one wrote, the later what the next one reads.
    """
    fields = members_of(body)
    if fields is None or "messages" not in fields or _holds_mark(body):
        return body
    marked = {
        "tools": _marked_last(fields.get("tools")),
        "system": _marked_content(fields.get("system")),
        "messages": _marked_turns(fields["messages"]),
    }
    edits: dict[str, bytes | None] = {name: value for name, value in marked.items() if value is not None}
    return splice(body, fields, edits)


def _holds_mark(body: bytes) -> bool:
    """Tell whether a member `cache_control` that is not null stands anywhere in the body."""
    if b"cache_control" not in body and b"\\u" not in body:
        return False
    try:
        pending: list[Any] = [_any.decode(body)]
    except (ValueError, RecursionError):  # a text that is not UTF-8: for the upstream to refuse
        return True
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending += value
        elif isinstance(value, dict):
            if value.get("cache_control") is not None:
                return True
            pending += value.values()
    return False


def _marked_turns(messages: Raw) -> bytes | None:
    turns = _list(messages)
    marks = 0
    for index in range(len(turns) - 1, -1, -1):
        item = _known(turns[index])
        members = members_of(bytes(turns[index]))
        if item is None or members is None or item.role != "user":
            continue
        content = _marked_content(members.get("content"))
        if content is not None:
            turns[index] = Raw(splice(bytes(turns[index]), members, {"content": content}))
        marks += 1
        if marks == _USER_TURNS:
            break
    return _encode(turns) if marks else None


def _marked_content(content: Raw | None) -> bytes | None:
    """Return a text or a list of blocks with a breakpoint at its end; None where none can stand there."""
    if content is None:
        return None
    try:
        text = _text.decode(content)
    except ValueError:
        return _marked_last(content)
    if not text.strip():
        return None
    return _encode([{"type": "text", "text": Raw(bytes(content)), "cache_control": {"type": "ephemeral"}}])


def _marked_last(content: Raw | None) -> bytes | None:
    """Return a list of blocks or tools with a breakpoint at the last one that may carry it."""
    items = _list(content)
    for index in range(len(items) - 1, -1, -1):
        members = members_of(bytes(items[index]))
        if members is not None and _may_carry(items[index]):
            items[index] = Raw(splice(bytes(items[index]), members, _MARK))
            return _encode(items)
    return None


def _may_carry(item: Raw) -> bool:
    known = _known(item)
    if known is None or known.type in _UNMARKABLE or known.defer_loading:
        return False
    return known.type != "text" or (isinstance(known.text, str) and bool(known.text.strip()))


def _known(item: Raw) -> _Item | None:
    try:
        return _item.decode(item)
    except ValueError:
        return None


def _list(value: Raw | None) -> list[Raw]:
    if value is None:
        return []
    try:
        return _items.decode(value)
    except ValueError:
        return []
