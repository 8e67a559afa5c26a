"""The few members of a request that Headgate reads, taken as hostile input."""

import re
from typing import Final

import msgspec
from msgspec import Raw

from headgate.model.errors import ErrorKind, HeadgateError

MAX_MODEL_LENGTH: Final = 256
_MAX_DIGITS: Final = 15
_NOTHING: Final = re.compile(rb'(?:null|false|""|\[[ \t\r\n]*\]|\{[ \t\r\n]*\})\Z')
_TEXTS: Final = re.compile(rb'\[[ \t\r\n]*["\[]')
_string: Final = msgspec.json.Decoder(str)
_items: Final = msgspec.json.Decoder(list[Raw])


def model_of(fields: dict[str, Raw]) -> str:
    """Return the model's name. Raises HeadgateError where it is missing, empty, overlong or no string."""
    raw = fields.get("model")
    if raw is None:
        raise invalid("model", "model is missing: name the model to call")
    try:
        name = _string.decode(raw)
    except ValueError:
        raise invalid("model", "model must be a string") from None
    if not name or name.isspace():
        raise invalid("model", "model is empty: name the model to call")
    if len(name) > MAX_MODEL_LENGTH:
        raise invalid("model", f"model is longer than {MAX_MODEL_LENGTH} characters")
    if not name.isprintable():
        raise invalid("model", "model has characters that cannot be printed")
    return name


def flag(fields: dict[str, Raw], name: str, shown: str | None = None) -> bool:
    """Return a boolean member, False where it is missing or null."""
    raw = fields.get(name)
    if raw is None:
        return False
    text = bytes(raw)
    if text == b"true":
        return True
    if text in (b"false", b"null"):
        return False
    raise invalid(shown or name, f"{shown or name} must be true or false")


def whole(fields: dict[str, Raw], name: str, least: int) -> int | None:
    """Return an integer member of at least `least`, None where it is missing or null."""
    raw = fields.get(name)
    if raw is None:
        return None
    text = bytes(raw)
    if text == b"null":
        return None
    if len(text) > _MAX_DIGITS or not text.isdigit() or int(text) < least:
        raise invalid(name, f"{name} must be an integer from {least} to {10**_MAX_DIGITS - 1}")
    return int(text)


def given(fields: dict[str, Raw], name: str) -> bool:
    """Tell whether a member says something: it is not missing, null, false or empty."""
    raw = fields.get(name)
    return raw is not None and _NOTHING.match(raw) is None


def text_of(fields: dict[str, Raw], name: str) -> str | None:
    """Return a string member, None for everything else."""
    raw = fields.get(name)
    if raw is None:
        return None
    try:
        return _string.decode(raw)
    except ValueError:
        return None


def item_count(fields: dict[str, Raw], name: str) -> int:
    """Return how many strings or arrays an array member holds; 1 for everything else."""
    raw = fields.get(name)
    # An array of numbers is one text's tokens: there may be millions, so it is not taken apart.
    return len(_items.decode(raw)) if raw is not None and _TEXTS.match(raw) else 1


def replace_model(asked: str, upstream_name: str) -> dict[str, bytes | None]:
    """Return the edits that give the upstream its own name for the model."""
    return {} if asked == upstream_name else {"model": msgspec.json.encode(upstream_name)}


def invalid(param: str, message: str) -> HeadgateError:
    """Return a 400 that names the field at fault."""
    return HeadgateError(ErrorKind.INVALID_REQUEST, message, param=param)


def switched_on(fields: dict[str, Raw], name: str) -> bool:
    """Tell whether a `thinking` object is there and its `type` is not "disabled"."""
    raw = fields.get(name)
    if raw is None:
        return False
    try:
        return _typed.decode(raw).type != "disabled"
    except ValueError:
        return False


class _Typed(msgspec.Struct):
    type: str = ""


_typed: Final = msgspec.json.Decoder(_Typed)
