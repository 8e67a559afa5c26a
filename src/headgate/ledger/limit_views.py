"""How limits stand, for people and programs. Read-only; amounts in the unit of their limit, times in ns.

What counts is what a hold would find: the buckets of a limit's window that is open at `now`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy import Connection

from headgate.ledger.limits import list_limits
from headgate.ledger.tables import adjustments, attempts, holds, keys, limit_balances, limits, lost_holds
from headgate.model.limit import Applied, Limit, Scope, Standing, Unit
from headgate.model.records import AttemptState
from headgate.policy import windows

_CHUNK = 400
"""Names in one statement at most, far below what either engine takes."""

T = TypeVar("T")
Sums = dict[tuple[int, str], tuple[int, int]]
"""{(limit id, subject): (spent, held)}."""


class Total(msgspec.Struct, frozen=True, gc=False):
    """How many attempts, and their known money in nano-USD."""

    count: int
    nano: int


class KeyName(msgspec.Struct, frozen=True, gc=False):
    """Whose key it is, and its name."""

    account: str
    name: str


class _HeldMoney(msgspec.Struct, gc=False):
    """The one field of HoldFacts that is summed."""

    nano: int | None


def of_key(connection: Connection, account: str, key: str) -> list[Applied]:
    """Return the limits in force of a key (by id) and its account: its models' too, no session's, no provider's."""
    names = [key]
    name = connection.scalar(sa.select(keys.c.name).where(keys.c.id == key))
    if name is not None:
        names.append(name)
    of_account = sa.and_(limits.c.scope == Scope.ACCOUNT.value, limits.c.name == account)
    of_this = sa.and_(limits.c.scope == Scope.KEY.value, limits.c.name.in_(names), limits.c.account.in_(("", account)))
    found = list_limits(connection, sa.or_(of_account, of_this))
    return [Applied(limit, account if limit.scope is Scope.ACCOUNT else key) for limit in found]


def of_account(connection: Connection, account: str) -> list[Applied]:
    """Return the limits in force of an account, and of each of its keys that is not revoked."""
    query = sa.select(keys.c.id, keys.c.name).where(keys.c.account == account, keys.c.revoked_at.is_(None))
    names = {row.id: row.name for row in connection.execute(query)}
    found: list[Applied] = []
    scoped = limits.c.scope.in_((Scope.ACCOUNT.value, Scope.KEY.value))
    for limit in list_limits(connection, scoped, limits.c.account.in_(("", account))):
        if limit.scope is Scope.ACCOUNT:
            found += [Applied(limit, account)] if limit.name == account else []
        else:
            found += [Applied(limit, key) for key, name in sorted(names.items()) if limit.name in (key, name)]
    return found


def standings(connection: Connection, applied: Sequence[Applied], now: int) -> list[Standing]:
    """Return how each of them stands at `now`, in their order."""
    sums: Sums = {}
    for opened, some in _by_opening(applied, now):
        for part in _chunks(some):
            ids = {one.limit.id for one in part}
            subjects = {one.subject for one in part}
            query = _sums_query(ids, opened).where(limit_balances.c.subject.in_(subjects))
            sums |= _read(connection, query)
    return [_standing(one, sums.get((one.limit.id, one.subject), (0, 0)), now) for one in applied]


def fullest(connection: Connection, now: int, most: int, *where: sa.ColumnElement[bool]) -> list[Standing]:
    """Return how the limits in force stand at `now`, the fullest first: by what is spent and held of their cap.

    At most `most`; of sessions those alone that have spent something. `where` are conditions on the table `limits`.
    """
    in_force = list_limits(connection, *where)
    named = [limit for limit in in_force if limit.scope is not Scope.SESSION]
    found = standings(connection, _subjects(connection, named), now)
    for limit in in_force:
        if limit.scope is Scope.SESSION:
            query = _sums_query({limit.id}, _opened(limit, now))
            used = _sum(limit_balances.c.spent) + _sum(limit_balances.c.held)
            ordered = query.order_by(used.desc(), limit_balances.c.subject).limit(most)
            for (_, subject), sums in _read(connection, ordered).items():
                found.append(_standing(Applied(limit, subject), sums, now))
    return sorted(found, key=_emptiness)[:most]


def fullness(standing: Standing) -> float:
    """Return what is spent and held of a cap, as a share; 1 and more: nothing is left. A cap of 0 is always full."""
    used = standing.spent + standing.held
    return used / standing.limit.cap if standing.limit.cap else 1.0 + used


def key_names(connection: Connection, ids: Iterable[str]) -> dict[str, KeyName]:
    """Return account and name of keys by their ids; those that are gone are left out."""
    found: dict[str, KeyName] = {}
    for part in _chunks(sorted(set(ids))):
        query = sa.select(keys.c.id, keys.c.account, keys.c.name).where(keys.c.id.in_(part))
        found |= {row.id: KeyName(row.account, row.name) for row in connection.execute(query)}
    return found


def held_totals(connection: Connection) -> Total:
    """Return the attempts in flight that hold something, and the money they hold."""
    query = sa.select(holds.c.facts).where(holds.c.no > 0)
    decode = msgspec.json.Decoder(_HeldMoney).decode
    amounts = [decode(facts).nano or 0 for facts in connection.scalars(query)]
    return Total(len(amounts), sum(amounts))


def lost_totals(connection: Connection) -> Total:
    """Return the attempts whose worker died, and what they are charged, corrections included."""
    one = sa.and_(attempts.c.call == lost_holds.c.call, attempts.c.no == lost_holds.c.no)
    lost = attempts.c.state == AttemptState.LOST.value
    charged = sa.select(sa.func.count(), _sum(attempts.c.cost_nano)).select_from(lost_holds).join(attempts, one)
    fixed = sa.and_(adjustments.c.call == attempts.c.call, adjustments.c.no == attempts.c.no)
    corrected = (
        sa.select(_sum(adjustments.c.delta_nano))
        .select_from(lost_holds)
        .join(attempts, one)
        .join(adjustments, fixed)
        .where(lost)
    )
    count, nano = connection.execute(charged.where(lost)).one()
    return Total(int(count), int(nano) + int(connection.scalar(corrected) or 0))


def _subjects(connection: Connection, found: Sequence[Limit]) -> list[Applied]:
    """Return the balances that these limits have or would have: of a key's limit one for each key that it names."""
    query = sa.select(keys.c.id, keys.c.name, keys.c.account).where(keys.c.revoked_at.is_(None)).order_by(keys.c.id)
    by_word: dict[str, list[tuple[str, str]]] = {}
    if any(limit.scope is Scope.KEY for limit in found):
        for row in connection.execute(query):
            for word in {row.id, row.name}:
                by_word.setdefault(word, []).append((row.id, row.account))
    applied: list[Applied] = []
    for limit in found:
        if limit.scope is Scope.KEY:
            named = by_word.get(limit.name, ())
            applied += [Applied(limit, key) for key, owner in named if limit.account in ("", owner)]
        else:
            applied.append(Applied(limit, limit.name))
    return applied


def _opened(limit: Limit, now: int) -> int:
    return 0 if limit.unit is Unit.CONCURRENCY else windows.opens(limit.window, now)


def _by_opening(applied: Sequence[Applied], now: int) -> Iterable[tuple[int, list[Applied]]]:
    groups: dict[int, list[Applied]] = {}
    for one in applied:
        groups.setdefault(_opened(one.limit, now), []).append(one)
    return groups.items()


def _sums_query(ids: Iterable[int], opened: int) -> sa.Select[Any]:
    balance = limit_balances.c
    return (
        sa.select(balance.limit_id, balance.subject, _sum(balance.spent), _sum(balance.held))
        .where(balance.limit_id.in_(ids), balance.bucket_start >= opened)
        .group_by(balance.limit_id, balance.subject)
    )


def _read(connection: Connection, query: sa.Select[Any]) -> Sums:
    return {(limit, subject): (spent, held) for limit, subject, spent, held in connection.execute(query)}


def _standing(one: Applied, sums: tuple[int, int], now: int) -> Standing:
    resets = None if one.limit.unit is Unit.CONCURRENCY else windows.resets_at(one.limit.window, now)
    return Standing(one.limit, one.subject, *sums, resets)


def _emptiness(standing: Standing) -> tuple[float, int, str]:
    return -fullness(standing), standing.limit.id, standing.subject


def _chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]


def _sum(value: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    # PostgreSQL sums BIGINT to NUMERIC.
    return sa.cast(sa.func.coalesce(sa.func.sum(value), 0), sa.BigInteger)
