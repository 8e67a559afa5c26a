"""Read-only questions to the ledger, for people and policies. Money in nano-USD, times in ns, tokens as counts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any

import msgspec
import sqlalchemy as sa

from headgate.ledger import keys as key_store
from headgate.ledger import limits as limit_store
from headgate.ledger.keys import Identity, KeyInfo
from headgate.ledger.tables import (
    DAY_NS,
    TOKEN_CLASSES,
    adjustments,
    attempts,
    balances,
    calls,
    keys,
    ledger_state,
)
from headgate.model.limit import Limit

Condition = sa.ColumnElement[bool]


class GroupBy(StrEnum):
    """What usage is summed by. `provider` counts attempts, the others calls; `day` is a UTC day's start in ns."""

    MODEL = "model"
    PROVIDER = "provider"
    KEY = "key"
    ACCOUNT = "account"
    DAY = "day"
    ALL = "all"


class Filter(msgspec.Struct, frozen=True, gc=False):
    """Which calls. Times in ns, `since` inclusive, `until` exclusive; `key` is an id or a name; None: any."""

    since: int | None = None
    until: int | None = None
    key: str | None = None
    account: str | None = None
    model: str | None = None
    outcome: str | None = None


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Sums over one group. `group` is its name, a day's start in ns, or "all"; `label` is a key's name.

    `requests` counts attempts when grouped by provider, else calls. `cost_nano` is what is known, corrections
    included; `unknown_cost` counts those whose cost nobody knows.
    """

    group: str | int
    label: str | None
    requests: int
    input: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    output: int
    reasoning: int
    input_audio: int
    cache_read_audio: int
    output_audio: int
    cost_nano: int
    unknown_cost: int
    savings_nano: int


class Balance(msgspec.Struct, frozen=True, gc=False):
    """One balance: `unit` is usd (nano-USD), tokens or requests; `bucket_start` 0 is the sum over all time."""

    scope: str
    scope_id: str
    unit: str
    bucket_start: int
    spent: int
    held: int


class Reader:
    """Questions to one ledger, each in a read-only transaction of its own. Usable from several threads.

    All raise LedgerUnusable where the ledger cannot be read.
    """

    def __init__(self, engine: sa.Engine, translated: Callable[[], contextlib.AbstractContextManager[None]]) -> None:
        self._engine = engine
        self._translated = translated

    @contextlib.contextmanager
    def connection(self) -> Iterator[sa.Connection]:
        """A read-only connection, in one transaction: what is read on it is of one moment on SQLite."""
        with self._translated(), self._engine.connect() as connection, connection.begin():
            yield connection

    def identities(self, now: int) -> tuple[int, dict[bytes, Identity]]:
        """Return the epoch, and the identity of every secret that works now by its SHA-256."""
        with self.connection() as connection:
            epoch = key_store.read_epoch(connection)
            return epoch, key_store.load_identities(connection, now=now)

    def terms(self, now: int) -> tuple[int, dict[bytes, Identity], list[Limit]]:
        """Return the epoch, the identities that work now, and the limits in force: all that calls are let in by.

        The epoch is read first, so that a change in between is seen at the next look.
        """
        with self.connection() as connection:
            epoch = key_store.read_epoch(connection)
            return epoch, key_store.load_identities(connection, now=now), limit_store.load_limits(connection)

    def keys(self, now: int, account: str | None = None) -> list[KeyInfo]:
        """Return keys by account and name, revoked ones too."""
        with self.connection() as connection:
            return key_store.list_keys(connection, now=now, account=account)

    def epoch(self) -> int:
        """Return the ledger's epoch, which every change of keys or accounts advances."""
        with self.connection() as connection:
            return key_store.read_epoch(connection)

    def ledger_id(self) -> str:
        """Return the random id of this ledger, 32 hex digits."""
        with self.connection() as connection:
            return str(connection.scalar(sa.select(ledger_state.c.ledger_id)))

    def calls(self, where: Filter = Filter(), *, limit: int = 100) -> list[dict[str, Any]]:  # noqa: B008  frozen
        """Return calls, newest first, by the ledger's column names, without their facts.

        `key_name` is the key's name (None: the key is gone); `adjusted_nano` what corrections added to the cost.
        """
        columns = [column for column in calls.c if column.name != "facts"]
        fixes = _fixes_by_call()
        query = (
            sa.select(*columns, keys.c.name.label("key_name"), _zero(fixes.c.delta).label("adjusted_nano"))
            .outerjoin(keys, keys.c.id == calls.c.key)
            .outerjoin(fixes, fixes.c.call == calls.c.id)
            .where(*conditions(where))
            .order_by(calls.c.started_at.desc(), calls.c.id.desc())
            .limit(limit)
        )
        with self.connection() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def call(self, call_id: str) -> dict[str, Any] | None:
        """Return one call by the ledger's column names, or None.

        Beside them `key_name` and, as lists of rows, `attempts` and `adjustments`; `attempt_count` is the number.
        """
        query = (
            sa.select(calls, keys.c.name.label("key_name"))
            .outerjoin(keys, keys.c.id == calls.c.key)
            .where(calls.c.id == call_id)
        )
        parts = {
            "attempts": sa.select(attempts).where(attempts.c.call == call_id).order_by(attempts.c.no),
            "adjustments": sa.select(adjustments).where(adjustments.c.call == call_id).order_by(adjustments.c.id),
        }
        with self.connection() as connection:
            row = connection.execute(query).mappings().one_or_none()
            if row is None:
                return None
            found: dict[str, Any] = dict(row)
            found["attempt_count"] = found["attempts"]
            for name, part in parts.items():
                found[name] = [dict(item) for item in connection.execute(part).mappings()]
            return found

    def route_of_response(self, account: str, response_id: str) -> str | None:
        """Return the route that made an answer which this account was given, None where there is none."""
        query = (
            sa.select(calls.c.route)
            .where(calls.c.response_id == response_id, calls.c.account == account)
            .order_by(calls.c.started_at.desc())
            .limit(1)
        )
        with self.connection() as connection:
            return connection.scalar(query)

    def usage(self, by: GroupBy = GroupBy.ALL, where: Filter = Filter()) -> list[Usage]:  # noqa: B008  frozen
        """Return sums by group, the most expensive first (days: in order)."""
        query = _usage_by_attempts(where) if by is GroupBy.PROVIDER else _usage_by_calls(by, where)
        with self.connection() as connection:
            rows = [Usage(*row) for row in connection.execute(query)]
        if by is GroupBy.DAY:
            return sorted(rows, key=lambda row: row.group)
        return sorted(rows, key=lambda row: (-row.cost_nano, -row.requests, str(row.group)))

    def balances(self, scope: str, scope_id: str, *, since: int | None = None) -> list[Balance]:
        """Return the balances of an account (`scope` "account") or a key ("key", by id), total first.

        With `since` (ns), days before it are left out.
        """
        query = sa.select(balances).where(balances.c.scope == scope, balances.c.scope_id == scope_id)
        if since is not None:
            query = query.where(sa.or_(balances.c.bucket_start == 0, balances.c.bucket_start > since - DAY_NS))
        with self.connection() as connection:
            found = connection.execute(query.order_by(balances.c.bucket_start, balances.c.unit))
            return [Balance(*row) for row in found]


def conditions(where: Filter) -> list[Condition]:
    """Return what a query on calls is to keep to."""
    found: list[Condition] = []
    if where.since is not None:
        found.append(calls.c.started_at >= where.since)
    if where.until is not None:
        found.append(calls.c.started_at < where.until)
    if where.key is not None:
        named = sa.select(keys.c.id).where(keys.c.name == where.key)
        found.append(sa.or_(calls.c.key == where.key, calls.c.key.in_(named)))
    if where.account is not None:
        found.append(calls.c.account == where.account)
    if where.model is not None:
        found.append(sa.or_(calls.c.model == where.model, calls.c.model_asked == where.model))
    if where.outcome is not None:
        found.append(calls.c.outcome == where.outcome)
    return found


def _zero(value: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    return sa.func.coalesce(value, 0)


def _sum(value: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    # PostgreSQL sums BIGINT to NUMERIC.
    return sa.cast(_zero(sa.func.sum(value)), sa.BigInteger)


def _fixes_by_call() -> sa.Subquery:
    delta = _sum(adjustments.c.delta_nano).label("delta")
    return sa.select(adjustments.c.call, delta).group_by(adjustments.c.call).subquery()


def _sums(table: sa.Table, delta: sa.ColumnElement[Any]) -> list[sa.ColumnElement[int]]:
    unknown = sa.case((sa.and_(table.c.cost_nano.is_(None), delta.is_(None)), 1), else_=0)
    return [
        sa.func.count(),
        *(_sum(table.c[name]) for name in TOKEN_CLASSES),
        _sum(_zero(table.c.cost_nano) + _zero(delta)),
        _sum(unknown),
        _sum(table.c.savings_nano),
    ]


def _usage_by_calls(by: GroupBy, where: Filter) -> sa.Select[Any]:
    fixes = _fixes_by_call()
    groups: dict[GroupBy, sa.ColumnElement[Any]] = {
        GroupBy.MODEL: calls.c.model,
        GroupBy.KEY: calls.c.key,
        GroupBy.ACCOUNT: calls.c.account,
        GroupBy.DAY: calls.c.started_at - calls.c.started_at % sa.literal_column(str(DAY_NS)),
    }
    group = groups.get(by)
    label = sa.func.max(keys.c.name) if by is GroupBy.KEY else sa.null()
    query = (
        sa.select(sa.literal("all") if group is None else group, label, *_sums(calls, fixes.c.delta))
        .select_from(calls)
        .outerjoin(fixes, fixes.c.call == calls.c.id)
        .where(*conditions(where))
    )
    if by is GroupBy.KEY:
        query = query.outerjoin(keys, keys.c.id == calls.c.key)
    return query if group is None else query.group_by(group)


def _usage_by_attempts(where: Filter) -> sa.Select[Any]:
    delta = _sum(adjustments.c.delta_nano).label("delta")
    fixes = (
        sa.select(adjustments.c.call, adjustments.c.no, delta).group_by(adjustments.c.call, adjustments.c.no).subquery()
    )
    return (
        sa.select(attempts.c.provider, sa.null(), *_sums(attempts, fixes.c.delta))
        .select_from(attempts)
        .join(calls, calls.c.id == attempts.c.call)
        .outerjoin(fixes, sa.and_(fixes.c.call == attempts.c.call, fixes.c.no == attempts.c.no))
        .where(*conditions(where))
        .group_by(attempts.c.provider)
    )
