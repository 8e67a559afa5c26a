"""Balances changed beside the writer's batches: of limits, under their locks, and of accounts and keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from headgate.ledger.batch import Balance, spread
from headgate.ledger.tables import DAY_NS, balances, limit_balances, limits
from headgate.policy.granting import Book, Place


class Usage:
    """What is added to the balances of accounts and keys: {(account, key, UTC day): [nano-USD, tokens, requests]}."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str, int], list[int]] = {}

    def add(self, account: str, key: str, at: int, *, nano: int = 0, tokens: int = 0, requests: int = 0) -> None:
        """Add on the day of `at`; amounts may be negative."""
        sums = self._sums.setdefault((account, key, at - at % DAY_NS), [0, 0, 0])
        for index, amount in enumerate((nano, tokens, requests)):
            sums[index] += amount

    def write(self, connection: Connection) -> None:
        """Write it, in the order in which batches lock balances: after all that concerns limits."""
        add_spent(connection, spread(self._sums))


def no_book() -> Book:
    """Return a book to gather changes in, of balances that nobody has read."""
    return Book(0, ())


def change(connection: Connection, changes: Mapping[Place, Sequence[int]]) -> None:
    """Add (spent, held) to balances of limits, their limits locked first. None falls below 0.

    What is of a limit that the ledger does not know is left out: the store is older than it.
    """
    found = {place: amounts for place, amounts in changes.items() if any(amounts)}
    if not found:
        return
    known = _locked(connection, {limit for limit, _, _ in found})
    rows = [
        {
            "limit_id": limit,
            "subject": subject,
            "bucket_start": bucket,
            "spent": max(spent, 0),
            "held": max(held, 0),
            "more_spent": spent,
            "more_held": held,
        }
        for (limit, subject, bucket), (spent, held) in sorted(found.items())
        if limit in known
    ]
    if rows:
        connection.execute(_change(connection), rows)


def _locked(connection: Connection, wanted: Iterable[int]) -> frozenset[int]:
    query = sa.select(limits.c.id).where(limits.c.id.in_(sorted(wanted))).order_by(limits.c.id)
    return frozenset(connection.scalars(query.with_for_update(key_share=True)))


def _change(connection: Connection) -> Any:
    key = ("limit_id", "subject", "bucket_start")
    statement = _insert(connection, limit_balances).values(
        {name: sa.bindparam(name) for name in (*key, "spent", "held")}
    )
    return statement.on_conflict_do_update(
        index_elements=key,
        set_={name: _at_least_zero(limit_balances.c[name], f"more_{name}") for name in ("spent", "held")},
    )


def _at_least_zero(column: sa.Column[int], parameter: str) -> sa.ColumnElement[int]:
    new = column + sa.bindparam(parameter, type_=sa.BigInteger)
    return sa.case((new < 0, 0), else_=new)


def add_spent(connection: Connection, rows: Sequence[Balance]) -> None:
    """Add to the balances of accounts and keys, creating those that are missing. `rows` are in primary-key order."""
    if not rows:
        return
    key = ("scope", "scope_id", "unit", "bucket_start")
    statement = _insert(connection, balances)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=key, set_={"spent": balances.c.spent + statement.excluded.spent}
        ),
        [dict(zip((*key, "spent", "held"), (*row, 0), strict=True)) for row in rows],
    )


def _insert(connection: Connection, table: sa.Table) -> Any:
    return (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)
