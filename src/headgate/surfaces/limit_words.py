"""The words by which people and programs say a limit, read strictly: whose, of what, how much, over which time."""

import msgspec

from headgate.config.units import parse_duration
from headgate.ledger.errors import InvalidName
from headgate.ledger.limits import checked
from headgate.model.limit import EACH, MAX_CAP, Limit, Per, Scope, Unit, Window
from headgate.model.money import format_usd, parse_usd
from headgate.policy.windows import TOTAL, calendar, rolling

WINDOWS = (Per.TOTAL.value, Per.DAY.value, Per.WEEK.value, Per.MONTH.value)
_CALENDARS = (Per.DAY, Per.WEEK, Per.MONTH)
_MAX_DIGITS = 40


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """A limit as it is written; None: not said. The amount stands in the field of its unit."""

    account: str | None = None
    key: str | None = None
    provider: str | None = None
    session: str | None = None
    model: str | None = None
    usd: str | None = None
    tokens: str | None = None
    requests: str | None = None
    concurrency: str | None = None
    per: str | None = None
    zone: str | None = None
    clamp: bool = False


class WrongWord(ValueError):
    """`field` is the word that is wrong or missing; the message says what to write."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def limit_of(words: Words) -> Limit:
    """Return the limit, with id 0. Raises WrongWord."""
    scope, name = _scope(words)
    unit, cap = _unit(words)
    limit = Limit(
        id=0,
        scope=scope,
        name=name,
        unit=unit,
        window=_window(words, unit),
        cap=cap,
        account=words.account or "",
        pattern=words.model or "",
        clamp=words.clamp,
    )
    try:
        return checked(limit)
    except InvalidName as error:
        raise WrongWord(scope.value, str(error)) from None


def _scope(words: Words) -> tuple[Scope, str]:
    for field in ("account", "model"):
        if getattr(words, field) == "":
            raise WrongWord(field, "must not be empty; leave it out, or give a name")
    given = [scope for scope in Scope if getattr(words, scope.value) is not None]
    if len(given) > 1 and Scope.ACCOUNT in given:
        # Beside a key or a session the account says whose it is.
        given.remove(Scope.ACCOUNT)
    if not given:
        raise WrongWord(
            "account", f"say whose limit it is: an account, a key, a provider, or a session ({EACH}: every)"
        )
    if len(given) > 1:
        raise WrongWord(given[1].value, f"a limit is of a {given[0].value} or of a {given[1].value}; give one of them")
    if words.model is not None and given[0] is not Scope.KEY:
        raise WrongWord("model", "a limit on models is a key's; name the key, or leave the models out")
    return given[0], str(getattr(words, given[0].value))


def _unit(words: Words) -> tuple[Unit, int]:
    given = [unit for unit in Unit if getattr(words, unit.value) is not None]
    if not given:
        raise WrongWord("usd", "say how much: so many usd, tokens, requests, or calls at once (concurrency)")
    if len(given) > 1:
        raise WrongWord(given[1].value, f"a limit is of {given[0].value} or of {given[1].value}; set one for each")
    return given[0], _cap(given[0], getattr(words, given[0].value))


def _cap(unit: Unit, text: str) -> int:
    try:
        cap = parse_usd(text.strip()) if unit is Unit.USD else _whole(text.strip())
    except ValueError:
        cap = -1
    if 0 <= cap <= MAX_CAP:
        return cap
    if unit is Unit.USD:
        raise WrongWord(unit.value, f"must be an amount in USD from 0 to {format_usd(MAX_CAP)}, such as 50 or 0.25")
    raise WrongWord(unit.value, f"must be a whole number from 0 to {MAX_CAP}, such as 2000000")


def _whole(text: str) -> int:
    digits = text.replace("_", "")
    if not digits.isascii() or not digits.isdigit() or len(digits) > _MAX_DIGITS:
        raise ValueError(text)
    return int(digits)


def _window(words: Words, unit: Unit) -> Window:
    if unit is Unit.CONCURRENCY:
        for field in ("per", "zone"):
            if getattr(words, field) is not None:
                raise WrongWord(field, "calls at once are counted over no time; leave it out")
        return TOTAL
    if words.per is None:
        raise WrongWord("per", f"say over which time: {', '.join(WINDOWS)}, or a duration such as 24h")
    if words.per in _CALENDARS:
        return _calendar(Per(words.per), words.zone)
    if words.zone is not None:
        raise WrongWord("zone", f"is for a {', '.join(_CALENDARS)} only; leave it out")
    if words.per == Per.TOTAL:
        return TOTAL
    try:
        return rolling(parse_duration(words.per))
    except ValueError:
        said = f"must be {', '.join(WINDOWS)}, or a duration from 1s to ten years in whole seconds, such as 24h"
        raise WrongWord("per", said) from None


def _calendar(per: Per, zone: str | None) -> Window:
    try:
        return calendar(per, "UTC" if zone is None else zone)
    except ValueError:
        raise WrongWord("zone", "must be a time zone that this machine knows, such as UTC or Europe/Berlin") from None
