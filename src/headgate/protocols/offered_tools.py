"""The tools that a request offers, whatever place they stand in."""

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import Raw

from headgate.model.dialect import Endpoint
from headgate.model.request import RequestHead
from headgate.protocols.json_object import members_of

ESCAPED: Final = re.compile(rb"\\u00[4-7]")
"""A letter written as an escape, so that a word of it is not found by its bytes. No encoder writes one."""

_INSIDE: Final[dict[Endpoint, tuple[str, tuple[bytes, ...]]]] = {
    Endpoint.RESPONSES: ("input", (b'"additional_tools"', b'"tool_search_output"')),
    Endpoint.MESSAGES: ("messages", (b'"tool_addition"',)),
}
"""Where a conversation itself can bring tools, and the types of what brings them (both SDKs' request types)."""


class Offered(msgspec.Struct, gc=False):
    """One tool. `type` None: a function. `tools`: those of a namespace."""

    type: Any = None
    execution: Any = None
    environment: Any = None
    tools: "list[Offered] | None" = None


class _Addition(msgspec.Struct, gc=False):
    definition: Offered | None = None


class _Block(msgspec.Struct, gc=False):
    type: Any = None
    tool: _Addition | None = None


class _Item(msgspec.Struct, gc=False):
    type: Any = None
    tools: list[Offered] | None = None


class _Turn(msgspec.Struct, gc=False):
    content: str | list[_Block] | None = None


_top: Final = msgspec.json.Decoder(list[Offered] | None)
_items: Final = msgspec.json.Decoder(str | list[_Item] | None)
_turns: Final = msgspec.json.Decoder(list[_Turn] | None)


def fields_of(head: RequestHead) -> dict[str, Raw]:
    """Return the top-level members; those of a head without them (a translated request's) from its body."""
    return head.fields or members_of(head.body) or {}


def has_sign(text: bytes, signs: tuple[bytes, ...]) -> bool:
    """Tell whether JSON may hold one of these words. Text may, too: a sign is a reason to look, no more."""
    find = text.find
    for sign in signs:
        if find(sign) >= 0:
            return True
    return find(b"\\u00") >= 0 and ESCAPED.search(text) is not None


def offered(head: RequestHead, fields: dict[str, Raw]) -> Iterator[Offered]:
    """Yield the tools of a request, those of its conversation and of namespaces included.

    Raises ValueError or RecursionError for tools in a form that no dialect has.
    """
    if "tools" in fields:
        yield from _flat(_top.decode(fields["tools"]))
    member, signs = _INSIDE.get(head.endpoint, ("", ()))
    if member not in fields or not has_sign(head.body, signs):
        return
    if head.endpoint is Endpoint.RESPONSES:
        items = _items.decode(fields[member])
        for item in items if isinstance(items, list) else ():
            yield from _flat(item.tools)
    else:
        for turn in _turns.decode(fields[member]) or ():
            for block in turn.content if isinstance(turn.content, list) else ():
                if block.tool is not None and block.tool.definition is not None:
                    yield block.tool.definition


def _flat(tools: list[Offered] | None) -> Iterator[Offered]:
    for tool in tools or ():
        yield tool
        if tool.type == "namespace":
            yield from _flat(tool.tools)
