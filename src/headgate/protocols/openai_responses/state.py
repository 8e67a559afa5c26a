"""What of a responses request only an upstream that holds this dialect's state can serve."""

from typing import Any, Final

import msgspec

from headgate.model.request import RequestHead
from headgate.protocols.head_fields import given, text_of
from headgate.protocols.json_object import refuse_crowd
from headgate.protocols.openai_responses.tables import STATE_ITEMS

_SMALL: Final = 1024 * 1024
"""Bytes of input that are looked through in a few ms, whatever is in them."""
_MEMBERS: Final = ("previous_response_id", "conversation", "prompt", "background")


class _Item(msgspec.Struct):
    type: Any = None
    role: Any = None
    id: Any = None


_items: Final = msgspec.json.Decoder(list[_Item])


def needs_state(head: RequestHead) -> str | None:
    """Return the member, or the type of the `input` item, that stands for what such an upstream keeps; None for none.

    An item given by its id alone is an item_reference. An input that cannot be read needs nothing: it is refused.
    Raises HeadgateError for an input of too many values to look through.
    """
    for name in _MEMBERS:
        if given(head.fields, name):
            return name
    raw = head.fields.get("input")
    if raw is not None and memoryview(raw).nbytes > _SMALL:
        refuse_crowd(bytes(raw), "input", "input")
    try:
        items = [] if raw is None else _items.decode(raw)
    except (ValueError, RecursionError):
        return None
    for item in items:
        kind = item.type
        if kind is None and item.role is None and item.id is not None:
            kind = "item_reference"
        if isinstance(kind, str) and kind in STATE_ITEMS:
            return kind
    return None


def previous(head: RequestHead) -> str | None:
    """Return the id of the response that the request goes on from, None where it names none."""
    return text_of(head.fields, "previous_response_id")


def keeps_state(head: RequestHead) -> bool:  # noqa: ARG001 - what is not stored can still be asked for, and is not found
    """Tell whether a later request may go on from the answer to this one: any may."""
    return True
