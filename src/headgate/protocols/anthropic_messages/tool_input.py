"""A tool's arguments between the text that other dialects have and the object that this one demands."""

from typing import Final

import msgspec
from msgspec import Raw

from headgate.model.content import ToolKind
from headgate.protocols.json_object import is_object

UNREADABLE: Final = "arguments"
"""The member that holds a function's arguments which are no JSON object, as they came."""
FREE_TEXT: Final = "input"
"""The member that holds what a custom tool is given: here it is a function with this one argument."""
FREE_SCHEMA: Final = Raw(
    b'{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}'
)

_EMPTY: Final = Raw(b"{}")
_encode: Final = msgspec.json.encode


class _Given(msgspec.Struct):
    input: str


_given: Final = msgspec.json.Decoder(_Given)


def object_of(arguments: str, kind: ToolKind = ToolKind.FUNCTION) -> tuple[Raw, bool]:
    """Return arguments as a JSON object, and whether it says what the text said."""
    if kind is ToolKind.CUSTOM:
        return Raw(_encode({FREE_TEXT: arguments})), True
    text = arguments.strip()
    if not text:
        return _EMPTY, True
    encoded = text.encode("utf-8", "replace")
    if is_object(encoded):
        return Raw(encoded), True
    return Raw(_encode({UNREADABLE: arguments})), False


def free_text_of(arguments: str) -> str:
    """Return what a custom tool was given; arguments of another shape as they are."""
    try:
        return _given.decode(arguments).input
    except (ValueError, RecursionError):
        return arguments
