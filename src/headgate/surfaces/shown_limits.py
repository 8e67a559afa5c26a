"""Limits and accounts as programs are shown them, the same on the command line and on the admin plane.

Amounts of usd are decimal strings in USD, of all other units whole numbers; times are ISO 8601 in UTC.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from headgate.model.limit import SUBJECT_SEPARATOR, Limit, Per, Scope, Standing, Unit
from headgate.model.money import format_usd
from headgate.surfaces import shown

if TYPE_CHECKING:
    from headgate.ledger.accounts import Account
    from headgate.ledger.keys import KeyInfo
    from headgate.ledger.limit_views import KeyName
    from headgate.ledger.views import Balance

Names = Mapping[str, "KeyName | KeyInfo"]
"""Account and name of keys by their ids."""
_COUNTS = {"requests": "calls", "tokens": "tokens", "usd": "cost_usd"}


def amount(unit: Unit, value: int) -> str | int:
    """Return an amount of a limit."""
    return format_usd(value) if unit is Unit.USD else value


def limit(one: Limit) -> dict[str, Any]:
    """Return a limit; null: any account, all models, no window, no zone."""
    is_calendar = one.window.per in (Per.DAY, Per.WEEK, Per.MONTH)
    return {
        "id": one.id,
        "scope": one.scope.value,
        "account": one.name if one.scope is Scope.ACCOUNT else one.account or None,
        "name": one.name,
        "model": one.pattern or None,
        "unit": one.unit.value,
        "cap": amount(one.unit, one.cap),
        "per": None if one.unit is Unit.CONCURRENCY else one.window.text,
        "zone": one.window.zone if is_calendar else None,
        "clamp": one.clamp,
        "source": one.source,
    }


def figures(standing: Standing) -> dict[str, Any]:
    """Return what is spent, held and left of a limit, and when its window begins anew (null: not by the clock)."""
    unit = standing.limit.unit
    return {
        "spent": amount(unit, standing.spent),
        "held": amount(unit, standing.held),
        "left": amount(unit, standing.left),
        "resets_at": None if standing.resets_at is None else shown.moment(standing.resets_at),
    }


def standing(one: Standing, names: Names) -> dict[str, Any]:
    """Return a limit, `subject` (whose balance of it this is) and how it stands."""
    return {**limit(one.limit), "subject": subject(one, names), **figures(one)}


def subject(one: Standing, names: Names) -> dict[str, str]:
    """Return whose balance this is: an account's, a key's, a provider's or a session's."""
    match one.limit.scope:
        case Scope.KEY:
            known = names.get(one.subject)
            return (
                {"key": one.subject}
                if known is None
                else {
                    "account": known.account,
                    "key": one.subject,
                    "key_name": known.name,
                }
            )
        case Scope.SESSION:
            account, _, session = one.subject.partition(SUBJECT_SEPARATOR)
            return {"account": account, "session": session}
        case _:
            return {one.limit.scope.value: one.subject}


def account(one: "Account") -> dict[str, Any]:
    """Return an account; `keys` counts those that are not revoked."""
    return {"name": one.name, "source": one.source, "created_at": shown.moment(one.created_at), "keys": one.keys}


def account_whole(
    one: "Account",
    keys: Iterable["KeyInfo"],
    standings: Iterable[Standing],
    balances: Iterable["Balance"],
    now: int,
) -> dict[str, Any]:
    """Return an account with its keys, how its limits and theirs stand, and what it spent: in all, and this UTC day."""
    listed = list(keys)
    names = {info.id: info for info in listed}
    sums: dict[bool, dict[str, Any]] = {total: {"calls": 0, "tokens": 0, "cost_usd": "0"} for total in (True, False)}
    for balance in balances:
        value = format_usd(balance.spent) if balance.unit == Unit.USD else balance.spent
        sums[balance.bucket_start == 0][_COUNTS[balance.unit]] = value
    return account(one) | {
        "keys": [shown.key(info, now) for info in listed],
        "limits": [standing(standing_, names) for standing_ in standings],
        "all_time": sums[True],
        "today": sums[False],
    }
