"""What can be asked: parameters of a query and bodies, each read strictly, so that a slip of the pen is no answer."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from headgate.config.units import parse_duration, parse_since
from headgate.ledger.keys import valid_name
from headgate.ledger.views import GroupBy
from headgate.model.limit import Limit, Scope, Unit
from headgate.model.records import Outcome
from headgate.surfaces.admin.errors import invalid
from headgate.surfaces.limit_words import Words, WrongWord, limit_of

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


class UpdateKeyBody(msgspec.Struct, forbid_unknown_fields=True):
    """What to change of a key; what is left out stays. `models` null: all; `expires` is from now, null: never."""

    models: list[str] | msgspec.UnsetType | None = msgspec.UNSET
    expires: str | msgspec.UnsetType | None = msgspec.UNSET


class AccountBody(msgspec.Struct, forbid_unknown_fields=True):
    """An account to create."""

    name: str


class LimitBody(msgspec.Struct, forbid_unknown_fields=True):
    """A limit to set. Of one that is there, cap and clamp are changed; all else is which limit it is.

    `name` is the account's, the key's id or name, the provider's, or a session's id (`each`: every session by itself).
    `account` says whose key or session it is. `model` is a glob pattern, of keys alone. `cap` of usd is a decimal
    string in USD. `per` is total, day, week, month, or a duration such as 24h; null for concurrency. `zone` is a
    calendar's.
    """

    scope: Scope
    name: str
    unit: Unit
    cap: str | int
    account: str | None = None
    model: str | None = None
    per: str | None = None
    zone: str | None = None
    clamp: bool = False


AnyBody = NewKeyBody | RotateBody | UpdateKeyBody | AccountBody | LimitBody
Body = type[NewKeyBody] | type[RotateBody] | type[UpdateKeyBody] | type[AccountBody] | type[LimitBody]


def read_body(kind: Body, body: bytes) -> AnyBody:
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


def limit_of_body(body: LimitBody) -> Limit:
    """Return the limit that a body says, with id 0. Raises Refused."""
    if body.scope is Scope.ACCOUNT and body.account not in (None, body.name):
        raise invalid("account: a limit of an account names it once; leave this out")
    owner = {} if body.scope is Scope.ACCOUNT else {"account": body.account}
    words = {body.scope.value: body.name, body.unit.value: str(body.cap), **owner}
    try:
        return limit_of(Words(**words, model=body.model, per=body.per, zone=body.zone, clamp=body.clamp))
    except WrongWord as error:
        field = "cap" if error.field == body.unit.value else "name" if error.field == body.scope.value else error.field
        raise invalid(f"{field}: {error}") from None
