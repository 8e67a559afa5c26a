"""A text appended to the instructions of a Responses request on its way out."""

from typing import Final

import msgspec

from headgate.protocols.json_object import members_of, splice

_text: Final = msgspec.json.Decoder(str)


def with_system(body: bytes, text: str) -> bytes:
    """Return `body` with `text` after its `instructions`, all else byte for byte; as it is where it is no object."""
    fields = members_of(body)
    if fields is None:
        return body
    said = ""
    if "instructions" in fields:
        try:
            said = _text.decode(fields["instructions"])
        except (ValueError, RecursionError):
            said = ""  # null: the API takes text alone
    whole = f"{said}\n\n{text}" if said else text
    return splice(body, fields, {"instructions": msgspec.json.encode(whole)})
