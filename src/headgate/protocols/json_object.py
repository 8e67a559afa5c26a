"""Top-level JSON objects whose values stay the bytes they came as."""

import re
from typing import Any, Final

import msgspec
from msgspec import Raw

from headgate.model.errors import ErrorKind, HeadgateError

MAX_MEMBERS: Final = 1_000
"""No request of any vendor has a tenth of it; a body of nothing but keys costs seconds to look through."""

MAX_NODES: Final = 50_000
MAX_STRINGS: Final = 500_000
"""Objects and arrays, and strings, of a request that is read whole: a conversation of a million tokens has fewer."""

READ: Final = frozenset(
    {"model", "models", "stream", "stream_options", "include_usage", "messages", "input", "prompt", "system", "tools"}
    | {"max_tokens", "max_completion_tokens", "max_output_tokens", "n", "best_of", "n_predict", "prediction"}
    | {"thinking", "reasoning", "reasoning_effort", "functions", "audio", "modalities", "service_tier", "background"}
    | {"previous_response_id", "conversation", "thread", "container", "mcp_servers", "plugins", "web_search_options"}
    | {"search_parameters", "speed", "inference_geo", "fallbacks", "compaction", "context_management"}
)
"""What decides whom a request goes to and what it costs.

Upstreams written in Go take a key for it in any case, and of several the last one (encoding/json: "preferring an exact
match but also accepting a case-insensitive match").
"""

_QUOTE: Final = 34
_decoder: Final = msgspec.json.Decoder(dict[str, Raw])
_any_decoder: Final = msgspec.json.Decoder()
_key_decoder: Final = msgspec.json.Decoder(str)
_encoder: Final = msgspec.json.Encoder()

_KEY: Final = re.compile(rb'[ \t\n\r]*+("[^"\\]*+(?:\\.[^"\\]*+)*+")[ \t\n\r]*+:[ \t\n\r]*+', re.DOTALL)
_TOKEN: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{\[]', re.DOTALL)
_SEPARATOR: Final = re.compile(rb"[ \t\n\r]*+([,}])")


def read_object(body: bytes, what: str = "the request body", param: str | None = None) -> dict[str, Raw]:
    """Return the members of a JSON object, values as raw JSON, in the order they came.

    Raises HeadgateError(INVALID_REQUEST), naming `what` and `param`, for what is not one JSON object, for a
    key that stands there twice (also when one of them is written with escapes), for more than `MAX_MEMBERS`
    keys, and for deep nesting: the decoder counts its depth against the interpreter's recursion limit (on
    Python 3.11, a thousand levels).
    """
    try:
        fields = _decoder.decode(body)
    except RecursionError:
        raise _invalid(f"{what} is nested too deep", param) from None
    except ValueError as error:  # msgspec's errors and UnicodeDecodeError
        raise _invalid(_describe(body, what, error), param) from None
    if len(fields) > MAX_MEMBERS:
        raise _invalid(f"{what} has more than {MAX_MEMBERS} keys", param)
    # The encoder writes a key's shortest spelling, so equal lengths leave no room for a second member.
    if len(_encoder.encode(fields)) != len(body):
        duplicate = _find_duplicate(body, fields)
        if duplicate is not None:
            raise _invalid(f"{what} has the key {_shown(duplicate)} twice", param)
    names = "".join(fields)
    if names != names.casefold():
        _refuse_look_alikes(fields, what, param)
    return fields


def splice(body: bytes, fields: dict[str, Raw], edits: dict[str, bytes | None]) -> bytes:
    """Return `body` with top-level values replaced or appended (raw JSON) or removed (None).

    `fields` is what `read_object` returned for it; every value not edited stays byte for byte as it came,
    white space between top-level tokens may go. Without edits the very same `body` is returned.
    """
    if not edits:
        return body
    if fields and fields.keys().isdisjoint(edits):
        parts = [body[: body.rindex(b"}")]]
        for key, value in edits.items():
            if value is not None:
                parts += b",", _encoder.encode(key), b":", value
        parts.append(b"}")
        return b"".join(parts)
    members = fields.copy()
    for key, value in edits.items():
        if value is None:
            members.pop(key, None)
        else:
            members[key] = Raw(value)
    return _encoder.encode(members)


def refuse_crowd(body: bytes, what: str = "the request body", param: str | None = None) -> None:
    """Raise HeadgateError(INVALID_REQUEST) for valid JSON of so many values that to read them all takes seconds."""
    if len(body) <= MAX_NODES:
        return
    if body.count(b"{") + body.count(b"[") <= MAX_NODES and body.count(b'"') <= 2 * MAX_STRINGS:
        return
    nodes = strings = 0
    for match in _TOKEN.finditer(body):  # what stands inside strings does not count
        if match[0][0] == _QUOTE:
            strings += 1
        else:
            nodes += 1
        if nodes > MAX_NODES or strings > MAX_STRINGS:
            most = f"{MAX_NODES} objects and arrays" if nodes > MAX_NODES else f"{MAX_STRINGS} strings"
            raise _invalid(f"{what} has more than {most}, too many to be read", param)


def members_of(body: bytes) -> dict[str, Raw] | None:
    """Return the members of one well-formed JSON object as raw JSON, None for everything else."""
    try:
        return _decoder.decode(body)
    except (ValueError, RecursionError):
        return None


def decode_object(data: bytes) -> dict[str, Any] | None:
    """Return a JSON object, None for everything else."""
    try:
        message = _any_decoder.decode(data)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


def is_object(body: bytes) -> bool:
    """Tell whether `body` is one well-formed JSON object."""
    return members_of(body) is not None


def _find_duplicate(body: bytes, fields: dict[str, Raw]) -> str | None:
    """Return a key that `body` (known to be a valid object) has twice, or None.

    `fields` holds the last value of each key, so an earlier one either differs from it or is met again.
    """
    seen: set[str] = set()
    position = body.index(b"{") + 1
    while match := _KEY.match(body, position):
        key: str = _key_decoder.decode(match[1])
        value = bytes(fields[key])
        if key in seen or not body.startswith(value, match.end()):
            return key
        seen.add(key)
        separator = _SEPARATOR.match(body, match.end() + len(value))
        if separator is None:
            return key  # the value here is longer than the last one of this key
        position = separator.end()
    return None


def _refuse_look_alikes(fields: dict[str, Raw], what: str, param: str | None) -> None:
    """Refuse a key that differs in case alone from one that is read here: it would be a second one of it elsewhere."""
    for key in fields:
        meant = key.casefold()
        if meant != key and meant in READ:
            raise _invalid(f"{what} has the key {_shown(key)}; write it {_shown(meant)}", param)


def _describe(body: bytes, what: str, error: ValueError) -> str:
    if not body.strip():
        return f"{what} is empty, a JSON object is expected"
    if body.startswith(b"\xef\xbb\xbf"):
        return f"{what} begins with a byte order mark, which JSON does not allow"
    if isinstance(error, UnicodeDecodeError):
        return f"{what} has a key that is not valid UTF-8"
    if isinstance(error, msgspec.ValidationError):
        return f"{what} is not a JSON object: {_lower(str(error))}"
    return f"{what} is not valid JSON: {_lower(str(error).removeprefix('JSON is malformed: '))}"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _shown(key: str) -> str:
    return msgspec.json.encode(key if len(key) <= 60 else key[:60] + "…").decode()


def _invalid(message: str, param: str | None) -> HeadgateError:
    return HeadgateError(ErrorKind.INVALID_REQUEST, message, param=param)
