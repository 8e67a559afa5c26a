"""A text appended to the system prompt of a chat request on its way out."""

from typing import Final

import msgspec
from msgspec import Raw

from headgate.protocols.json_object import members_of, splice

_SYSTEM: Final = frozenset({"system", "developer"})


class _Message(msgspec.Struct):
    role: str = ""


_roles: Final = msgspec.json.Decoder(_Message)
_messages: Final = msgspec.json.Decoder(list[Raw])
_text: Final = msgspec.json.Decoder(str)
_parts: Final = msgspec.json.Decoder(list[Raw])
_encode: Final = msgspec.json.encode


def with_system(body: bytes, text: str) -> bytes:
    """Return `body` with `text` after its leading system prompt, or as one where it has none.

    All other messages stay byte for byte. A body that is no chat request is returned as it is.
    """
    fields = members_of(body)
    if fields is None or "messages" not in fields:
        return body
    try:
        messages = _messages.decode(fields["messages"])
    except (ValueError, RecursionError):
        return body
    at = _last_leading_system(messages)
    if at is None:
        messages.insert(0, Raw(_encode({"role": "system", "content": text})))
    else:
        messages[at] = _appended(messages[at], text)
    return splice(body, fields, {"messages": _encode(messages)})


def _last_leading_system(messages: list[Raw]) -> int | None:
    found = None
    for index, message in enumerate(messages):
        try:
            role = _roles.decode(message).role
        except (ValueError, RecursionError):
            break
        if role not in _SYSTEM:
            break
        found = index
    return found


def _appended(message: Raw, text: str) -> Raw:
    members = members_of(bytes(message)) or {}
    content = members.get("content", Raw(b'""'))
    try:
        said = _text.decode(content)
        whole = _encode(f"{said}\n\n{text}" if said else text)
    except (ValueError, RecursionError):
        try:
            parts = _parts.decode(content)
        except (ValueError, RecursionError):
            parts = []
        whole = _encode([*parts, Raw(_encode({"type": "text", "text": text}))])
    return Raw(splice(bytes(message), members, {"content": whole}))
