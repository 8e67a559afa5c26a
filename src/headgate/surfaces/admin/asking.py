"""What can be asked: parameters of a query and bodies, each read strictly, so that a slip of the pen is no answer."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from headgate.config.units import parse_duration, parse_since
from headgate.ledger.keys import valid_name
from headgate.ledger.views import GroupBy
from headgate.model.records import Outcome
from headgate.surfaces.admin.errors import invalid

MAX_CALLS = 1000
DEFAULT_CALLS = 100
_MAX_FIELDS = 32


class Param(msgspec.Struct, frozen=True):
    """A parameter of a query. `read` takes its text and the time now in ns; it raises ValueError, InvalidName."""

    name: str
    about: str
    schema: Mapping[str, Any]
    read: Callable[[str, int], Any]
    default: str | None = None


def read_query(params: tuple[Param, ...], query: bytes, now: int) -> dict[str, Any]:
    """Return the value of every parameter (None where absent without a default). Raises Refused, InvalidName."""
    known = {param.name: param for param in params}
    given: dict[str, str] = {}
    try:
        fields = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise invalid("The query cannot be read; percent-encode UTF-8 text, and give fewer parameters.") from None
    for name, text in fields:
        if name not in known:
            raise invalid(f"There is no parameter {name[:80]!r} here; known: {', '.join(known) or 'none'}.")
        if name in given:
            raise invalid(f"The parameter {name!r} is given twice; give it once.")
        given[name] = text
    return {name: _value(param, given.get(name, param.default), now) for name, param in known.items()}


def _value(param: Param, text: str | None, now: int) -> Any:
    if text is None:
        return None
    try:
        return param.read(text, now)
    except ValueError as error:
        raise invalid(f"{param.name}: {error}") from None


def _read_limit(text: str, _now: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= MAX_CALLS):
        raise ValueError(f"must be a whole number from 1 to {MAX_CALLS}")
    return int(text)


def _name(what: str) -> Callable[[str, int], str]:
    def read(text: str, _now: int) -> str:
        return valid_name(text, what)

    return read


def _one_of(values: tuple[str, ...]) -> Callable[[str, int], str]:
    def read(text: str, _now: int) -> str:
        if text not in values:
            raise ValueError(f"must be one of {', '.join(values)}")
        return text

    return read


_TEXT = {"type": "string", "minLength": 1, "maxLength": 200}
_GROUPS = tuple(group.value for group in GroupBy)
_OUTCOMES = tuple(outcome.value for outcome in Outcome)

LIMIT = Param(
    "limit",
    "How many at most.",
    {"type": "integer", "minimum": 1, "maximum": MAX_CALLS, "default": DEFAULT_CALLS},
    _read_limit,
    str(DEFAULT_CALLS),
)
KEY = Param("key", "Only those of this key, by its id or name.", _TEXT, _name("key"))
ACCOUNT = Param("account", "Only those of this account.", _TEXT, _name("account"))
MODEL = Param("model", "Only those that asked for this model or were answered by it.", _TEXT, _name("model"))
OUTCOME = Param("outcome", "Only those that ended so.", {"type": "string", "enum": list(_OUTCOMES)}, _one_of(_OUTCOMES))
BY = Param(
    "by",
    "What to sum by. `provider` counts attempts, failed ones too; the others count calls.",
    {"type": "string", "enum": list(_GROUPS), "default": "model"},
    _one_of(_GROUPS),
    "model",
)


def since(default: str) -> Param:
    """Return the parameter `since` with this default."""
    about = "From when: a duration back from now (24h), a date or a time in ISO 8601 (UTC unless it says), or all."
    return Param("since", about, {"type": "string", "default": default}, parse_since, default)


class NewKeyBody(msgspec.Struct, forbid_unknown_fields=True):
    """A key to create. `models` are glob patterns, null: all; `expires` is a duration from now, null: never."""

    name: str
    account: str = "default"
    models: list[str] | None = None
    expires: str | None = None


class RotateBody(msgspec.Struct, forbid_unknown_fields=True):
    """How long the old secret works on, a duration; `0s`: not at all."""

    grace: str = "24h"


Body = type[NewKeyBody] | type[RotateBody]


def read_body(kind: Body, body: bytes) -> NewKeyBody | RotateBody:
    """Return the body as `kind`; an empty one is an empty object. Raises Refused."""
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise invalid(f"The body is not what is wanted here: {error}") from None


def duration_of(field: str, text: str, *, least: int = 0) -> int:
    """Return the ns of a duration in a body. Raises Refused."""
    try:
        found = parse_duration(text)
    except ValueError as error:
        raise invalid(f"{field}: {error}") from None
    if found < least:
        raise invalid(f"{field}: must be longer than that")
    return found
