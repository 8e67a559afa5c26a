"""What a limit counts when it comes into force: what was spent before in its present window.

It is read from calls, attempts and adjustments; from the balances of an account or a key where those say the same,
since they survive retention. Attempts in flight at that moment are not counted.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from headgate.ledger.tables import (
    DAY_NS,
    TOKEN_CLASSES,
    TOTAL_BUCKET,
    adjustments,
    attempts,
    balances,
    calls,
    keys,
    limit_balances,
)
from headgate.model.limit import EACH, SUBJECT_SEPARATOR, Limit, Per, Scope, Unit
from headgate.policy import windows
from headgate.policy.applicable import is_of

COUNTED_CLASSES = tuple(name for name in TOKEN_CLASSES if name != "reasoning")
"""The classes whose sum is the tokens of an attempt: `reasoning` is part of `output`."""
LONGEST_CALL = DAY_NS
"""No attempt begins later than this after its call, so that an index on calls finds the attempts of a window."""

Amounts = dict[tuple[str, int], int]
"""{(subject, bucket_start): amount in the limit's unit}."""
Expression = sa.ColumnElement[Any]


def seed(connection: Connection, limit: Limit, now: int) -> None:
    """Raise the limit's balances to what was spent in its window that is open at `now` (ns); none is lowered.

    The caller has locked the limit's row, whose id `limit` has.
    """
    found = spent_before(connection, limit, now)
    if not found:
        return
    known = {
        (subject, bucket): spent
        for subject, bucket, spent in connection.execute(
            sa.select(limit_balances.c.subject, limit_balances.c.bucket_start, limit_balances.c.spent).where(
                limit_balances.c.limit_id == limit.id,
                limit_balances.c.bucket_start >= windows.opens(limit.window, now),
            )
        )
    }
    new = [
        {"limit_id": limit.id, "subject": subject, "bucket_start": bucket, "spent": amount, "held": 0}
        for (subject, bucket), amount in sorted(found.items())
        if (subject, bucket) not in known
    ]
    more = [
        {"its_limit": limit.id, "its_subject": subject, "its_bucket": bucket, "amount": amount}
        for (subject, bucket), amount in sorted(found.items())
        if amount > known.get((subject, bucket), amount)
    ]
    if new:
        connection.execute(limit_balances.insert(), new)
    if more:
        connection.execute(_RAISE, more)


_RAISE = (
    limit_balances.update()
    .where(
        limit_balances.c.limit_id == sa.bindparam("its_limit"),
        limit_balances.c.subject == sa.bindparam("its_subject"),
        limit_balances.c.bucket_start == sa.bindparam("its_bucket"),
    )
    .values(spent=sa.bindparam("amount"))
)


def spent_before(connection: Connection, limit: Limit, now: int) -> Amounts:
    """Return what the rows of the ledger say was spent in the limit's window that is open at `now`; no zeros."""
    if limit.unit is Unit.CONCURRENCY:
        return {}
    if limit.scope is Scope.KEY and not key_ids(connection, limit):
        return {}
    if _is_kept(limit):
        return _from_balances(connection, limit, now)
    once = limit.unit is Unit.REQUESTS and limit.scope is not Scope.PROVIDER
    query = _calls_query(connection, limit, now) if once else _attempts_query(connection, limit, now)
    found: Amounts = {}
    for subject, bucket, model, amount in connection.execute(query):
        if not limit.pattern or is_of(limit.pattern, model):
            # A calendar's or total's rows count as now, whenever they are dated.
            place = (subject, bucket if limit.window.per is Per.ROLLING else windows.bucket_of(limit.window, now))
            found[place] = found.get(place, 0) + amount
    return {place: amount for place, amount in found.items() if amount > 0}


def key_ids(connection: Connection, limit: Limit) -> list[str]:
    """Return the ids of the keys that a key's limit applies to: by id or name, of its account or of any."""
    query = sa.select(keys.c.id).where(
        sa.or_(keys.c.id == limit.name, keys.c.name == limit.name), keys.c.revoked_at.is_(None)
    )
    if limit.account:
        query = query.where(keys.c.account == limit.account)
    return list(connection.scalars(query.order_by(keys.c.id)))


def _is_kept(limit: Limit) -> bool:
    """Say whether the balances of accounts and keys, per UTC day and in total, know this window's sums."""
    in_days = limit.window.per in (Per.DAY, Per.WEEK, Per.MONTH) and limit.window.zone == "UTC"
    return (
        limit.scope in (Scope.ACCOUNT, Scope.KEY) and not limit.pattern and (limit.window.per is Per.TOTAL or in_days)
    )


def _from_balances(connection: Connection, limit: Limit, now: int) -> Amounts:
    names = [limit.name] if limit.scope is Scope.ACCOUNT else key_ids(connection, limit)
    bucket = windows.bucket_of(limit.window, now)
    dated = balances.c.bucket_start == TOTAL_BUCKET
    if limit.window.per is not Per.TOTAL:
        dated = sa.and_(balances.c.bucket_start != TOTAL_BUCKET, balances.c.bucket_start >= bucket)
    query = (
        sa.select(balances.c.scope_id, _sum(balances.c.spent))
        .where(
            balances.c.scope == limit.scope.value,
            balances.c.scope_id.in_(names),
            balances.c.unit == limit.unit.value,
            dated,
        )
        .group_by(balances.c.scope_id)
    )
    return {(name, bucket): spent for name, spent in connection.execute(query) if spent > 0}


def _attempts_query(connection: Connection, limit: Limit, now: int) -> sa.Select[Any]:
    """(subject, bucket, model, amount) of attempts, corrections included."""
    fixes = (
        sa.select(
            adjustments.c.call,
            adjustments.c.no,
            _sum(adjustments.c.delta_nano).label("nano"),
            _sum(adjustments.c.delta_tokens).label("tokens"),
        )
        .group_by(adjustments.c.call, adjustments.c.no)
        .subquery()
    )
    amount: Expression = sa.literal_column("1")
    if limit.unit is Unit.USD:
        amount = _zero(attempts.c.cost_nano) + _zero(fixes.c.nano)
    elif limit.unit is Unit.TOKENS:
        amount = _zero(fixes.c.tokens)
        for name in COUNTED_CLASSES:
            amount += attempts.c[name]
    columns, groups = _groups(limit, attempts.c.started_at)
    opened = windows.opens(limit.window, now)
    return (
        sa.select(*columns, _sum(amount))
        .select_from(calls)
        .join(attempts, attempts.c.call == calls.c.id)
        .outerjoin(fixes, sa.and_(fixes.c.call == attempts.c.call, fixes.c.no == attempts.c.no))
        .where(
            _whose(connection, limit),
            calls.c.started_at >= opened - LONGEST_CALL,
            attempts.c.started_at >= opened,
        )
        .group_by(*groups)
    )


def _calls_query(connection: Connection, limit: Limit, now: int) -> sa.Select[Any]:
    """(subject, bucket, model of the first attempt, number of calls) of calls that asked any upstream."""
    columns, groups = _groups(limit, calls.c.started_at)
    query = sa.select(*columns, sa.func.count()).select_from(calls)
    if limit.pattern:
        query = query.join(attempts, sa.and_(attempts.c.call == calls.c.id, attempts.c.no == 1))
    opened = windows.opens(limit.window, now)
    return query.where(_whose(connection, limit), calls.c.attempts > 0, calls.c.started_at >= opened).group_by(*groups)


def _subject(limit: Limit) -> Expression:
    """As policy/applicable.py names subjects."""
    match limit.scope:
        case Scope.ACCOUNT:
            return calls.c.account
        case Scope.KEY:
            return calls.c.key
        case Scope.SESSION:
            return calls.c.account + sa.literal_column(f"'{SUBJECT_SEPARATOR}'") + calls.c.session
        case Scope.PROVIDER:
            return attempts.c.provider


def _whose(connection: Connection, limit: Limit) -> Expression:
    match limit.scope:
        case Scope.ACCOUNT:
            return calls.c.account == limit.name
        case Scope.KEY:
            return calls.c.key.in_(key_ids(connection, limit))
        case Scope.PROVIDER:
            return attempts.c.provider == limit.name
        case Scope.SESSION:
            named = calls.c.session.is_not(None) if limit.name == EACH else calls.c.session == limit.name
            return sa.and_(named, calls.c.account == limit.account) if limit.account else named


def _groups(limit: Limit, at: sa.Column[int]) -> tuple[list[Expression], list[Expression]]:
    """Return the columns (subject, bucket, model), and those of them that are no constants: they are grouped by."""
    groups = [_subject(limit)]
    bucket: Expression = sa.literal_column("0")
    model: Expression = sa.literal_column("''")
    if limit.window.per is Per.ROLLING:
        bucket = at - at % sa.literal_column(str(windows.width(limit.window)))
        groups.append(bucket)
    if limit.pattern:
        model = attempts.c.model
        groups.append(model)
    return [groups[0], bucket, model], groups


def _zero(value: sa.ColumnElement[Any]) -> Expression:
    return sa.func.coalesce(value, 0)


def _sum(value: sa.ColumnElement[Any]) -> Expression:
    # PostgreSQL sums BIGINT to NUMERIC.
    return sa.cast(sa.func.coalesce(sa.func.sum(value), 0), sa.BigInteger)
