"""Limits: set, removed, listed, and loaded by those who hold by them.

Every change advances the ledger's epoch in its transaction, and does so first: changes take turns at that row, before
any of them has locked a limit. All times are ns since the Unix epoch and are given by the caller.
"""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import Connection

from headgate.ledger.errors import InvalidName, LedgerUnusable, OwnedByFile, UnknownName
from headgate.ledger.keys import bump_epoch, valid_name
from headgate.ledger.seeding import key_ids, seed
from headgate.ledger.tables import accounts, limits
from headgate.model.identity import ANONYMOUS
from headgate.model.limit import EACH, MAX_CAP, Limit, Scope, Unit
from headgate.policy.windows import TOTAL, from_text

MAX_ID = 2**63 - 1


def set_limit(connection: Connection, limit: Limit, now: int, *, keep_clamp: bool = False) -> Limit:
    """Create a limit of the store, or give the one of this identity another cap and clamp; return it with its id.

    A new one counts what was spent before in its present window; one that was removed comes back with its balances.
    `keep_clamp`: the clamp of one that is in force stays as it is. Raises InvalidName, OwnedByFile.
    """
    wanted = checked(limit)
    bump_epoch(connection)
    row = _find(connection, wanted)
    if row is not None and row.removed_at is None and row.source == "file":
        raise OwnedByFile(f"The limit {wanted.title} belongs to the configuration file; change it there.")
    clamp = bool(row.clamp) if keep_clamp and row is not None and row.removed_at is None else wanted.clamp
    return _put(connection, msgspec.structs.replace(wanted, source="store", clamp=clamp), row, now)


def check_owner(connection: Connection, limit: Limit) -> None:
    """Raise UnknownName where the limit's account is not there, or no key that it could be of: a slip of the pen."""
    account = limit.name if limit.scope is Scope.ACCOUNT else limit.account
    if account and connection.scalar(sa.select(accounts.c.name).where(accounts.c.name == account)) is None:
        raise UnknownName(
            f"There is no account {account!r}; see: headgate accounts list. One of the configuration file is there "
            "once headgate serve has read it; make another with: headgate accounts create NAME"
        )
    if limit.scope is Scope.KEY and not key_ids(connection, limit):
        raise UnknownName(f"There is no key {limit.name!r} that works; see: headgate keys list")


def place(connection: Connection, limit: Limit, now: int) -> Limit:
    """Put a limit in force as it stands, whoever owned it, and return it with its id. Raises InvalidName."""
    wanted = checked(limit)
    bump_epoch(connection)
    return _put(connection, wanted, _find(connection, wanted), now)


def remove_limit(connection: Connection, which: int | Limit, now: int) -> int:
    """Put a limit of the store out of force, by its id or identity, and return its id.

    What is held on it settles into its balances all the same. Raises UnknownName, OwnedByFile, InvalidName.
    """
    bump_epoch(connection)
    row = _by_id(connection, which) if isinstance(which, int) else _find(connection, checked(which))
    if row is None or row.removed_at is not None:
        named = f"with the id {which}" if isinstance(which, int) else checked(which).title
        raise UnknownName(f"There is no limit {named}; see: headgate limits list")
    if row.source == "file":
        raise OwnedByFile(f"The limit {row.id} belongs to the configuration file; remove it there.")
    _withdraw(connection, row.id, now)
    return int(row.id)


def withdraw(connection: Connection, limit: int, now: int) -> None:
    """Put a limit out of force by its id, whoever owns it."""
    bump_epoch(connection)
    _withdraw(connection, limit, now)


def _withdraw(connection: Connection, limit: int, now: int) -> None:
    connection.execute(
        limits.update().where(limits.c.id == limit, limits.c.removed_at.is_(None)).values(removed_at=now)
    )


def list_limits(connection: Connection, *where: sa.ColumnElement[bool], everything: bool = False) -> list[Limit]:
    """Return the limits in force by scope and name, with `everything` those that were removed too.

    `where` are conditions on the table `limits`. Raises LedgerUnusable where a window cannot be told on this machine.
    """
    query = sa.select(limits).where(*where)
    if not everything:
        query = query.where(limits.c.removed_at.is_(None))
    ordered = query.order_by(limits.c.scope, limits.c.account, limits.c.name, limits.c.pattern, limits.c.id)
    return [_limit(row) for row in connection.execute(ordered)]


def load_limits(connection: Connection) -> list[Limit]:
    """Return the limits in force, for those who hold by them. Raises LedgerUnusable."""
    return list_limits(connection)


def get_limit(connection: Connection, limit: int) -> Limit:
    """Return the limit in force with this id. Raises UnknownName, LedgerUnusable."""
    row = _by_id(connection, limit)
    if row is None or row.removed_at is not None:
        raise UnknownName(f"There is no limit with the id {limit}; see: headgate limits list")
    return _limit(row)


def checked(limit: Limit) -> Limit:
    """Return the limit in the one form in which its identity is kept. Raises InvalidName for one that cannot be."""
    _check_words(limit)
    if not 0 <= limit.cap <= MAX_CAP:
        raise InvalidName(f"a cap must be from 0 to {MAX_CAP} of its unit; {limit.cap} is not")
    if limit.unit is Unit.CONCURRENCY and limit.window != TOTAL:
        raise InvalidName("a limit of concurrency has no window; leave it out")
    owned = limit.scope in (Scope.KEY, Scope.SESSION)
    return msgspec.structs.replace(limit, account=limit.account if owned else "")


def _check_words(limit: Limit) -> None:
    valid_name(limit.name, f"the {limit.scope.value}'s name")
    if limit.scope is Scope.ACCOUNT and limit.account not in ("", limit.name):
        raise InvalidName("a limit of an account has the account's name alone; leave the other out")
    if limit.scope is Scope.PROVIDER and limit.account:
        raise InvalidName("a limit of a provider counts for all accounts; leave the account out")
    if limit.account:
        valid_name(limit.account, "the account's name")
    if ANONYMOUS.account in (limit.account, limit.name if limit.scope is Scope.ACCOUNT else ""):
        raise InvalidName(f"the account {ANONYMOUS.account!r} is that of calls without a key and has no limits")
    if limit.scope is Scope.SESSION and limit.name != EACH and not limit.account:
        raise InvalidName("a session belongs to an account; say which, or give every session the limit: each")
    if limit.pattern:
        if limit.scope is not Scope.KEY:
            raise InvalidName("a limit on models is a key's; name the key, or leave the models out")
        valid_name(limit.pattern, "the pattern of models")


def _put(connection: Connection, limit: Limit, row: sa.Row[Any] | None, now: int) -> Limit:
    if row is None:
        values = {**_identity(limit), **_terms(limit), "created_at": now}
        made = connection.scalar(limits.insert().values(values).returning(limits.c.id))
        assert made is not None
        limit = msgspec.structs.replace(limit, id=int(made))
    else:
        limit = msgspec.structs.replace(limit, id=int(row.id))
        # The update locks the row, so that the balances read after it stay as they are.
        connection.execute(limits.update().where(limits.c.id == row.id).values({**_terms(limit), "removed_at": None}))
    if row is None or row.removed_at is not None:
        seed(connection, limit, now)
    return limit


def _identity(limit: Limit) -> dict[str, str]:
    return {
        "scope": limit.scope.value,
        "account": limit.account,
        "name": limit.name,
        "pattern": limit.pattern,
        "unit": limit.unit.value,
        "per": limit.window.text,
        "zone": limit.window.zone,
    }


def _terms(limit: Limit) -> dict[str, Any]:
    return {"cap": limit.cap, "clamp": limit.clamp, "source": limit.source}


def _find(connection: Connection, limit: Limit) -> sa.Row[Any] | None:
    same = (limits.c[name] == value for name, value in _identity(limit).items())
    return connection.execute(sa.select(limits).where(*same).with_for_update(key_share=True)).one_or_none()


def _by_id(connection: Connection, limit: int) -> sa.Row[Any] | None:
    if not 0 < limit <= MAX_ID:
        return None
    query = sa.select(limits).where(limits.c.id == limit)
    return connection.execute(query).one_or_none()


def _limit(row: sa.Row[Any]) -> Limit:
    try:
        window = from_text(row.per, row.zone)
    except ValueError as error:
        raise LedgerUnusable(
            f"The limit {row.id} cannot be held here: {error}. Install the zones on this machine "
            f"(the package tzdata), or remove it: headgate limits remove {row.id}"
        ) from None
    return Limit(
        id=int(row.id),
        scope=Scope(row.scope),
        name=row.name,
        unit=Unit(row.unit),
        window=window,
        cap=int(row.cap),
        account=row.account,
        pattern=row.pattern,
        clamp=bool(row.clamp),
        source=row.source,
    )
