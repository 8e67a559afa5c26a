"""A text appended to the system prompt of a messages request on its way out."""

from typing import Final

import msgspec
from msgspec import Raw

from headgate.protocols.json_object import members_of, splice

_text: Final = msgspec.json.Decoder(str)
_blocks: Final = msgspec.json.Decoder(list[Raw])
_encode: Final = msgspec.json.encode


def with_system(body: bytes, text: str) -> bytes:
    """Return `body` with `text` after its system prompt, or as one where it has none.

    It goes after the last block, so that what stands before a cache breakpoint stays the same; all else stays byte
    for byte. A blank text, which the API refuses, and a body that is no messages request change nothing.
    """
    fields = members_of(body)
    if fields is None or "messages" not in fields or not text.strip():
        return body
    system = fields.get("system", Raw(b"null"))
    if bytes(system) == b"null":
        return splice(body, fields, {"system": _encode(text)})
    try:
        said = _text.decode(system)
        return splice(body, fields, {"system": _encode(f"{said}\n\n{text}" if said else text)})
    except ValueError:
        pass
    try:
        blocks = _blocks.decode(system)
    except ValueError:
        return body
    return splice(body, fields, {"system": _encode([*blocks, {"type": "text", "text": text}])})
