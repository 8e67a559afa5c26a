"""The tools that a request offers, whatever place they stand in."""

from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Raw

from headgate.model.dialect import Endpoint
from headgate.model.request import RequestHead
from headgate.protocols.json_object import MAX_NODES, members_of, refuse_crowd


class Offered(msgspec.Struct, gc=False):
    """One tool. `type` None: a function. `tools`: those of a namespace."""

    type: str | None = None
    execution: str | None = None
    environment: Raw = Raw(b"null")
    tools: "list[Offered] | None" = None


class _Item(msgspec.Struct, gc=False):
    tools: list[Offered] | None = None


class _Addition(msgspec.Struct, gc=False):
    definition: Offered | None = None


class _Block(msgspec.Struct, gc=False):
    type: str | None = None
    tool: Raw = Raw(b"null")


class _Turn(msgspec.Struct, gc=False):
    content: Raw = Raw(b"null")


_top: Final = msgspec.json.Decoder(list[Offered] | None)
_items: Final = msgspec.json.Decoder(list[_Item])
_turns: Final = msgspec.json.Decoder(list[_Turn] | None)
_blocks: Final = msgspec.json.Decoder(list[_Block])
_addition: Final = msgspec.json.Decoder(_Addition | None)
_LIST: Final = ord("[")


def fields_of(head: RequestHead) -> dict[str, Raw]:
    """Return the top-level members; those of a head without them (a translated request's) from its body."""
    return head.fields or members_of(head.body) or {}


def refuse_nodes(body: bytes) -> None:
    """Raise HeadgateError for a body of so many objects that to look through them takes long."""
    if len(body) > MAX_NODES and body.count(b"{") > MAX_NODES:
        refuse_crowd(body)


def first_of(raw: Raw) -> int:
    """Return the first byte of raw JSON, which says of what kind it is."""
    return memoryview(raw)[0]


def listed(fields: dict[str, Raw]) -> list[Offered]:
    """Return the tools of the member `tools`. Raises ValueError for a form that no dialect has."""
    return (_top.decode(fields["tools"]) or []) if "tools" in fields else []


def added(tool: Raw) -> Offered | None:
    """Return what the `tool` of a `tool_addition` defines; None where it refers to one.

    Form: anthropic 2.11, types/beta/beta_request_tool_addition_block_param.py. Raises ValueError for another.
    """
    addition = _addition.decode(tool)
    return None if addition is None else addition.definition


def offered(head: RequestHead, fields: dict[str, Raw]) -> Iterator[Offered]:
    """Yield the tools of a request: its own, those that its conversation brings, those of namespaces.

    Raises ValueError or RecursionError for tools in a form that no dialect has, HeadgateError for too many.
    """
    if head.endpoint is Endpoint.CHAT and "tools" not in fields:
        return
    refuse_nodes(head.body)
    yield from _flat(listed(fields))
    if head.endpoint is Endpoint.RESPONSES:
        items = fields.get("input")
        if items is not None and first_of(items) == _LIST:
            # An `additional_tools` or a `tool_search_output` (openai 3.52, types/responses/response_input_param.py).
            for item in _items.decode(items):
                if item.tools:
                    yield from _flat(item.tools)
    elif head.endpoint is Endpoint.MESSAGES and "messages" in fields:
        for turn in _turns.decode(fields["messages"]) or ():
            for block in _blocks.decode(turn.content) if first_of(turn.content) == _LIST else ():
                if block.type == "tool_addition" and (tool := added(block.tool)) is not None:
                    yield tool


def _flat(tools: list[Offered]) -> Iterator[Offered]:
    for tool in tools:
        yield tool
        if tool.type == "namespace" and tool.tools:
            yield from _flat(tool.tools)
