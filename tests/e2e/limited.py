"""Limits of a gateway's ledger: put in force, and how what they count stands."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import sqlalchemy as sa
from tests.e2e.gateway import Gateway

from headgate.ledger import tables
from headgate.ledger.engine import Ledger, open_ledger
from headgate.ledger.limits import remove_limit, set_limit
from headgate.model.limit import Limit, Scope, Unit, Window
from headgate.policy.windows import TOTAL

ACCOUNT = "tests"
"""The account of all keys of a Gateway."""


def limit(scope: Scope, name: str, unit: Unit, cap: int, *, window: Window = TOTAL, clamp: bool = False) -> Limit:
    """Return a limit; `cap` in its unit, money in nano-USD."""
    return Limit(0, scope, name, unit, window, cap, clamp=clamp)


def of_account(cap: int, unit: Unit = Unit.USD, *, window: Window = TOTAL, clamp: bool = False) -> Limit:
    """Return a limit of the account that all keys of a gateway belong to."""
    return limit(Scope.ACCOUNT, ACCOUNT, unit, cap, window=window, clamp=clamp)


@contextmanager
def ledger_of(url: str) -> Iterator[Ledger]:
    """Open a ledger for a moment."""
    ledger = open_ledger(url)
    try:
        yield ledger
    finally:
        ledger.close()


def prepared(gateway: Gateway, *limits: Limit) -> list[int]:
    """Make the gateway's key and put limits in force before it starts; return their ids. A name "" is the key's id."""
    gateway.key = gateway.key or gateway.new_key("tests")
    return put(
        gateway.ledger_url, *(one if one.name else msgspec.structs.replace(one, name=gateway.key_id) for one in limits)
    )


def put(url: str, *limits: Limit) -> list[int]:
    """Put limits in force, or give those that are another cap; return their ids."""
    with ledger_of(url) as ledger, ledger.write() as connection:
        return [set_limit(connection, one, time.time_ns()).id for one in limits]


def remove(url: str, limit_id: int) -> None:
    """Take a limit out of force."""
    with ledger_of(url) as ledger, ledger.write() as connection:
        remove_limit(connection, limit_id, time.time_ns())


class Books(msgspec.Struct, frozen=True):
    """What a ledger says of money, in nano-USD: of all limits by id (spent, held), and of all attempts.

    `costs`: the attempts', corrections included. `lost`: those of attempts that nobody has settled since. `over`: what
    was charged beyond holds. `largest`: of all holds. `usage`: the account's balance. `holds`: how many are open.
    `corrected`: how many corrections there are. `tokens`: of all attempts, as limits count them.
    """

    limits: dict[int, tuple[int, int]]
    holds: int
    costs: int
    lost: int
    over: int
    largest: int
    usage: int
    corrected: int
    tokens: int

    @property
    def at_rest(self) -> bool:
        return not self.holds and all(held == 0 for _, held in self.limits.values())


def books(url: str) -> Books:
    """Read the books of a ledger, all at one moment."""
    rows, fixes, sums = tables.attempts, tables.adjustments, tables.limit_balances

    def total(column: sa.Column[int], *where: sa.ColumnElement[bool]) -> sa.Select[Any]:
        return sa.select(sa.cast(sa.func.coalesce(sa.func.sum(column), 0), sa.BigInteger)).where(*where)

    with ledger_of(url) as ledger, ledger.reader().connection() as connection:
        balances = connection.execute(
            sa.select(sums.c.limit_id, sums.c.spent, sums.c.held).order_by(sums.c.limit_id)
        ).all()
        found: dict[int, tuple[int, int]] = {}
        for limit_id, spent, held in balances:
            before = found.get(limit_id, (0, 0))
            found[limit_id] = (before[0] + spent, before[1] + held)
        usage = tables.balances.c
        return Books(
            found,
            connection.scalar(sa.select(sa.func.count()).select_from(tables.holds)) or 0,
            _one(connection, total(rows.c.cost_nano)) + _one(connection, total(fixes.c.delta_nano)),
            _one(connection, total(rows.c.cost_nano, rows.c.state == "lost")),
            _one(connection, total(rows.c.over_nano)),
            _one(connection, sa.select(sa.func.coalesce(sa.func.max(rows.c.hold_nano), 0))),
            _one(
                connection,
                total(usage.spent, usage.scope == "account", usage.unit == "usd", usage.bucket_start == 0),
            ),
            _one(connection, sa.select(sa.func.count()).select_from(fixes)),
            sum(_one(connection, total(rows.c[name])) for name in tables.TOKEN_CLASSES if name != "reasoning"),
        )


def costs(url: str) -> dict[str, int]:
    """Return what every call costs by its attempts, corrections included, in nano-USD."""
    found: dict[str, int] = {}
    with ledger_of(url) as ledger, ledger.reader().connection() as connection:
        for table, amount in ((tables.attempts, "cost_nano"), (tables.adjustments, "delta_nano")):
            query = sa.select(table.c.call, sa.func.sum(table.c[amount])).group_by(table.c.call)
            for call, nano in connection.execute(query):
                found[call] = found.get(call, 0) + int(nano or 0)
    return found


def _one(connection: sa.Connection, query: sa.Select[Any]) -> int:
    return int(connection.scalar(query) or 0)
