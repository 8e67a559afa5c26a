"""The kinds of values in the sections `accounts`, `keys` and `limits`."""

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, SecretStr, WithJsonSchema

from headgate.config.units import DURATION_PATTERN, parse_duration, parse_time
from headgate.model.identity import ANONYMOUS
from headgate.model.limit import MAX_CAP, Per, Window
from headgate.model.money import NANO_PER_USD, format_usd
from headgate.model.names import MAX_NAME, name_fault
from headgate.policy.windows import TOTAL, calendar, rolling

MIN_SECRET = 20
MAX_SECRET = 200
"""Longer secrets are not looked at when a call arrives."""
MIN_DIFFERENT = 8
CALENDARS = (Per.DAY.value, Per.WEEK.value, Per.MONTH.value)
PER_HINT = "write total, day, week, month, or a duration such as 24h"

_USD = re.compile(r"[0-9][0-9_]{0,40}(\.[0-9]{1,40})?", re.ASCII)
_COUNT = re.compile(r"[0-9][0-9_]{0,40}", re.ASCII)
_SECRET = re.compile(r"[!-~]+", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


def _name(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("must be text; put quotes around it")  # noqa: TRY004 - pydantic turns ValueError into a problem
    fault = name_fault(value)
    if fault is not None:
        raise ValueError(fault)
    return value


def _account(value: object) -> object:
    if _name(value) == ANONYMOUS.account:
        raise ValueError(f"'{ANONYMOUS.account}' is kept for calls without a key, which have no limits; name another")
    return value


_NAME_SCHEMA = {"type": "string", "minLength": 1, "maxLength": MAX_NAME}
Name = Annotated[str, BeforeValidator(_name), WithJsonSchema(_NAME_SCHEMA)]
"""A name of a key or session, or a pattern for models: as the ledger takes them."""

AccountName = Annotated[str, BeforeValidator(_account), WithJsonSchema(_NAME_SCHEMA)]


def _accounts(value: object) -> object:
    """A mapping of names to nothing is a list of names."""
    if isinstance(value, dict):
        if any(entry not in (None, {}) for entry in value.values()):
            raise ValueError("an account has no settings of its own; write a list of names")
        value = list(value)
    if isinstance(value, list):
        seen = [name for name in value if isinstance(name, str)]
        if len(set(seen)) < len(seen):
            raise ValueError("a name stands twice")
    return value


AccountsInput = BeforeValidator(_accounts)
ACCOUNTS_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "array", "items": _NAME_SCHEMA},
        {
            "type": "object",
            "propertyNames": _NAME_SCHEMA,
            "additionalProperties": {
                "anyOf": [{"type": "object", "properties": {}, "additionalProperties": False}, {"type": "null"}]
            },
        },
    ]
}


def _number(value: object, shape: re.Pattern[str], hint: str) -> Decimal:
    """Return a number of the file without any float in between; text comes from quotes and variables."""
    if isinstance(value, str) and shape.fullmatch(value.strip()):
        value = Decimal(value.strip().replace("_", ""))
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError(hint)  # noqa: TRY004 - as above
    number = Decimal(value)
    if not number.is_finite():
        raise ValueError(hint)
    if number < 0:
        raise ValueError(f"must not be negative; write {hint.removeprefix('must be ')}")
    return number


def _usd(value: object) -> int:
    amount = _number(value, _USD, "must be an amount in USD, such as 50 or 0.25")
    if amount > MAX_CAP // NANO_PER_USD:
        raise ValueError(f"is more than {format_usd(MAX_CAP)} USD, the largest cap; leave the limit out for none")
    nano = int(amount.scaleb(9))
    # Compared, since comparing alone is exact for any number of digits.
    if Decimal(nano).scaleb(-9) != amount:
        raise ValueError("has more than 9 decimals; round it to whole nano-dollars")
    return nano


def _count(value: object) -> int:
    number = _number(value, _COUNT, "must be a whole number, such as 100 or 2_000_000")
    if number > MAX_CAP:
        raise ValueError(f"is more than {MAX_CAP}, the largest cap; leave the limit out for none")
    if number != number.to_integral_value():
        raise ValueError("must be a whole number")
    return int(number)


Usd = Annotated[
    int,
    BeforeValidator(_usd),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": MAX_CAP // NANO_PER_USD},
                {"type": "string", "pattern": f"^{_USD.pattern}$"},
            ]
        }
    ),
]
"""A cap in USD, as nano-USD."""

Count = Annotated[
    int,
    BeforeValidator(_count),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": MAX_CAP},
                {"type": "string", "pattern": f"^{_COUNT.pattern}$"},
            ]
        }
    ),
]
"""A cap in tokens, requests or calls at once."""


def window_of(per: str, zone: str | None = None) -> Window:
    """Return the window that `per` and `zone` mean. Raises ValueError with what to write."""
    if per == Per.TOTAL:
        return TOTAL
    if per in CALENDARS:
        return calendar(Per(per), zone or "UTC")
    try:
        length = parse_duration(per)
    except ValueError as error:
        raise ValueError(str(error) if "too long" in str(error) else PER_HINT) from None
    return rolling(length)


def _per(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError(PER_HINT)  # noqa: TRY004 - as above
    window_of(value.strip())
    return value.strip()


PerText = Annotated[
    str,
    BeforeValidator(_per),
    WithJsonSchema({"type": "string", "pattern": f"^(total|day|week|month)$|{DURATION_PATTERN}"}),
]
"""A window as people write it."""


def _secret(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("must be text; put quotes around it")  # noqa: TRY004 - as above
    text = value.strip()
    if not MIN_SECRET <= len(text) <= MAX_SECRET:
        raise ValueError(
            f"must have {MIN_SECRET} to {MAX_SECRET} characters; make one: openssl rand -hex 32, "
            "and put it into a variable"
        )
    if not _SECRET.fullmatch(text):
        raise ValueError("must be ASCII without blanks: it is sent in a header")
    if len(set(text)) < MIN_DIFFERENT:
        raise ValueError("is too easy to guess; make one: openssl rand -hex 32")
    return text


KeySecret = Annotated[SecretStr, BeforeValidator(_secret)]
"""The secret of a key. Never shown."""


def _hash(value: object) -> object:
    text = value.strip().lower() if isinstance(value, str) else ""
    if not _SHA256.fullmatch(text):
        raise ValueError('must be the secret\'s SHA-256 in 64 hex digits: printf %s "$SECRET" | sha256sum')
    return text


SecretHash = Annotated[SecretStr, BeforeValidator(_hash)]
"""The SHA-256 of a key's secret, in hex."""


def _expires(value: object) -> int:
    return parse_time(value)


Expires = Annotated[int, BeforeValidator(_expires), WithJsonSchema({"type": "string", "minLength": 8})]
"""A moment, in ns since the epoch."""
