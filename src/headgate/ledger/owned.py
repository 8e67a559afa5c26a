"""What the configuration file owns, put in force: accounts, keys and limits of the source "file".

The file is the whole truth of its own: what it no longer says is revoked or removed. What people have made in the store
is never taken over while it works. All times are ns since the Unix epoch and are given by the caller.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from headgate.ledger.engine import Ledger
from headgate.ledger.errors import OwnedByStore
from headgate.ledger.keys import bump_epoch
from headgate.ledger.limits import place, withdraw
from headgate.ledger.tables import accounts, key_secrets, keys, ledger_state, limits
from headgate.model.limit import Limit, Scope, Unit
from headgate.model.money import format_usd
from headgate.model.owned import Owned, OwnedKey

FILE, STORE = "file", "store"

Row = sa.Row[Any]
Name = tuple[str, str]
"""Account and name of a key."""


def adopt(ledger: Ledger, owned: Owned, now: int) -> bool:
    """`put_in_force` in a transaction of its own; nothing of it is done where it raises."""
    with ledger.write() as connection:
        return put_in_force(connection, owned, now)


def put_in_force(connection: Connection, owned: Owned, now: int) -> bool:
    """Make the ledger's part of the file what `owned` says; return whether anything had to change.

    A key keeps its id whatever its secret. A secret that the file no longer has ends at once, and a limit keeps what it
    has counted. The epoch advances only with a change. Raises OwnedByStore with all that belongs to the store.
    """
    # First, as every change of limits does: of two replicas that start at once the second sees what the first has done.
    connection.execute(sa.select(ledger_state.c.epoch).with_for_update())
    seen = _Seen(connection, owned)
    conflicts = [*seen.account_conflicts(), *seen.key_conflicts(), *seen.limit_conflicts()]
    if conflicts:
        raise OwnedByStore(conflicts)
    changed = _put_accounts(connection, seen, now)
    changed |= _put_keys(connection, seen, now)
    changed |= _put_limits(connection, seen, now)
    changed |= _drop_accounts(connection, owned)
    if changed:
        bump_epoch(connection)
    return changed


class _Seen:
    """What the ledger has of the file's own, and of what the file would own."""

    def __init__(self, connection: Connection, owned: Owned) -> None:
        self.owned = owned
        named = {*owned.accounts, *owned.mentioned}
        query = sa.select(accounts.c.name, accounts.c.source).where(accounts.c.name.in_(named))
        self.accounts: dict[str, str] = {row.name: row.source for row in connection.execute(query)}
        ours = sa.or_(keys.c.source == FILE, keys.c.name.in_({key.name for key in owned.keys}))
        self.keys: dict[Name, Row] = {
            (row.account, row.name): row for row in connection.execute(sa.select(keys).where(ours))
        }
        hashes = {key.sha256 for key in owned.keys}
        held = sa.or_(keys.c.source == FILE, key_secrets.c.sha256.in_(hashes))
        of_whom = (
            sa.select(key_secrets, keys.c.account, keys.c.name, keys.c.source)
            .join(keys, keys.c.id == key_secrets.c.key)
            .where(held)
        )
        self.secrets: dict[bytes, Row] = {bytes(row.sha256): row for row in connection.execute(of_whom)}
        theirs = sa.or_(limits.c.source == FILE, limits.c.name.in_({limit.name for limit in owned.limits}))
        of_limits = sa.select(limits).where(theirs).order_by(limits.c.id).with_for_update(key_share=True)
        self.limits: dict[tuple[str, ...], Row] = {_identity_of_row(row): row for row in connection.execute(of_limits)}

    def account_conflicts(self) -> Iterator[str]:
        for name in self.owned.accounts:
            if self.accounts.get(name) == STORE:
                yield (
                    f"The account {name!r} stands under accounts: and belongs to the ledger already. "
                    "Leave it out there: keys and limits of the file may name it all the same."
                )

    def key_conflicts(self) -> Iterator[str]:
        for key in self.owned.keys:
            row = self.keys.get((key.account, key.name))
            if row is not None and row.source == STORE and row.revoked_at is None:
                yield (
                    f"The key {key.name!r} of account {key.account!r} stands under keys: and belongs to the ledger "
                    f"already, as {row.id}. Give it another name, or end that one: headgate keys revoke {row.id}"
                )
            secret = self.secrets.get(key.sha256)
            if (
                secret is not None
                and secret.source == STORE
                and (secret.account, secret.name) != (key.account, key.name)
            ):
                yield (
                    f"The key {key.name!r} of account {key.account!r} stands under keys: with the secret of the "
                    f"ledger's key {secret.name!r} of account {secret.account!r} ({secret.key}). "
                    "Give it another secret."
                )

    def limit_conflicts(self) -> Iterator[str]:
        for limit in self.owned.limits:
            row = self.limits.get(_identity(limit))
            if row is not None and row.source == STORE and row.removed_at is None:
                yield (
                    f"The limit {limit.title} stands under limits: with {_cap(limit.unit, limit.cap)}, and belongs to "
                    f"the ledger already with {_cap(limit.unit, int(row.cap))}. Leave it out, or remove that one: "
                    f"headgate limits remove {row.id}"
                )


def _put_accounts(connection: Connection, seen: _Seen, now: int) -> bool:
    """Create the accounts that the file names, be it in a key or a limit: they are the file's then."""
    missing = sorted({*seen.owned.accounts, *seen.owned.mentioned}.difference(seen.accounts))
    for name in missing:
        connection.execute(accounts.insert().values(name=name, source=FILE, created_at=now))
    return bool(missing)


def _drop_accounts(connection: Connection, owned: Owned) -> bool:
    """Forget the file's accounts that it no longer names; one that has ever had a key stays, as its keys do."""
    named = {*owned.accounts, *owned.mentioned}
    ours = sa.select(accounts.c.name).where(
        accounts.c.source == FILE, ~sa.exists().where(keys.c.account == accounts.c.name)
    )
    gone = [name for name in connection.scalars(ours) if name not in named]
    for name in gone:
        connection.execute(accounts.delete().where(accounts.c.name == name))
    return bool(gone)


def _put_keys(connection: Connection, seen: _Seen, now: int) -> bool:
    changed = False
    ids: dict[str, bytes] = {}
    for key in seen.owned.keys:
        row = seen.keys.get((key.account, key.name))
        terms = {
            "source": FILE,
            "allowed_models": None if key.allowed_models is None else list(key.allowed_models),
            "expires_at": key.expires_at,
            "revoked_at": None,
        }
        if row is None:
            id_ = "key_" + secrets.token_hex(8)
            values = {"id": id_, "account": key.account, "name": key.name, "created_at": now, **terms}
            connection.execute(keys.insert().values(values))
            changed = True
        else:
            id_ = str(row.id)
            if any(getattr(row, name) != value for name, value in terms.items()):
                connection.execute(keys.update().where(keys.c.id == id_).values(terms))
                changed = True
        ids[id_] = key.sha256
        changed |= _put_secret(connection, seen, key, id_, now)
    changed |= _revoke_keys(connection, seen, set(ids), now)
    return changed | _end_secrets(connection, seen, ids, now)


def _put_secret(connection: Connection, seen: _Seen, key: OwnedKey, id_: str, now: int) -> bool:
    """Give a key its secret; one that another key of the file had, or has had, goes over to it."""
    row = seen.secrets.get(key.sha256)
    terms = {"key": id_, "prefix": key.prefix, "expires_at": None, "revoked_at": None}
    if row is None:
        connection.execute(key_secrets.insert().values(sha256=key.sha256, created_at=now, **terms))
        return True
    if all(getattr(row, name) == value for name, value in terms.items()):
        return False
    connection.execute(key_secrets.update().where(key_secrets.c.sha256 == key.sha256).values(terms))
    return True


def _revoke_keys(connection: Connection, seen: _Seen, kept: set[str], now: int) -> bool:
    gone = [
        row.id for row in seen.keys.values() if row.source == FILE and row.revoked_at is None and row.id not in kept
    ]
    for id_ in gone:
        connection.execute(keys.update().where(keys.c.id == id_).values(revoked_at=now))
    return bool(gone)


def _end_secrets(connection: Connection, seen: _Seen, ids: dict[str, bytes], now: int) -> bool:
    """End what the file no longer has: the secrets of its keys, but those that stand in it now."""
    in_force = set(ids.values())
    ended = [
        sha256
        for sha256, row in seen.secrets.items()
        if sha256 not in in_force and row.revoked_at is None and (row.source == FILE or row.key in ids)
    ]
    for sha256 in ended:
        connection.execute(key_secrets.update().where(key_secrets.c.sha256 == sha256).values(revoked_at=now))
    return bool(ended)


def _put_limits(connection: Connection, seen: _Seen, now: int) -> bool:
    """In the order of their ids, in which everybody locks them; new ones are last."""
    wanted = {_identity(limit): limit for limit in seen.owned.limits}
    changed = False
    for identity, row in seen.limits.items():
        limit = wanted.pop(identity, None)
        if limit is None:
            if row.source == FILE and row.removed_at is None:
                withdraw(connection, int(row.id), now)
                changed = True
        elif (row.source, row.removed_at, int(row.cap), bool(row.clamp)) != (FILE, None, limit.cap, limit.clamp):
            place(connection, limit, now)
            changed = True
    for limit in wanted.values():
        place(connection, limit, now)
        changed = True
    return changed


def _identity(limit: Limit) -> tuple[str, ...]:
    """Return what tells a limit from others, as its row has it."""
    account = "" if limit.scope is Scope.ACCOUNT else limit.account
    window = limit.window
    return limit.scope.value, account, limit.name, limit.pattern, limit.unit.value, window.text, window.zone


def _identity_of_row(row: Row) -> tuple[str, ...]:
    return row.scope, row.account, row.name, row.pattern, row.unit, row.per, row.zone


def _cap(unit: Unit, cap: int) -> str:
    return f"{format_usd(cap)} USD" if unit is Unit.USD else f"{cap}"
