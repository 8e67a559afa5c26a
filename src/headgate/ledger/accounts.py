"""Accounts as people see them, and those that they create."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import Connection

from headgate.ledger.errors import NameTaken, UnknownName
from headgate.ledger.keys import ensure_account
from headgate.ledger.tables import accounts, keys


class Account(msgspec.Struct, frozen=True, gc=False):
    """An account. `source` is "file" or "store"; `keys` counts those that are not revoked; `created_at` in ns."""

    name: str
    source: str
    created_at: int
    keys: int


def create_account(connection: Connection, name: str, *, now: int) -> None:
    """Create an account. Raises InvalidName, NameTaken."""
    if connection.scalar(sa.select(accounts.c.name).where(accounts.c.name == name)) is not None:
        raise NameTaken(f"There is an account {name!r} already; see: headgate accounts list")
    ensure_account(connection, name, now=now)


def list_accounts(connection: Connection) -> list[Account]:
    """Return all accounts by name."""
    return [Account(*row) for row in connection.execute(_query().order_by(accounts.c.name))]


def get_account(connection: Connection, name: str) -> Account:
    """Return one account. Raises UnknownName."""
    row = connection.execute(_query().where(accounts.c.name == name)).one_or_none()
    if row is None:
        raise UnknownName(f"There is no account {name!r}; see: headgate accounts list")
    return Account(*row)


def _query() -> sa.Select[Any]:
    alive = sa.select(sa.func.count()).where(keys.c.account == accounts.c.name, keys.c.revoked_at.is_(None))
    return sa.select(accounts.c.name, accounts.c.source, accounts.c.created_at, alive.scalar_subquery())
