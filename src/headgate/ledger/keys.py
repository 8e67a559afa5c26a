"""Accounts, keys and their secrets. A key's id survives rotation; only SHA-256 of a secret is ever stored.

Every change advances the ledger's epoch in the same transaction, so that workers reload what they hold.
All times are ns since the Unix epoch and are given by the caller.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from enum import Enum
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import Connection

from headgate.ledger.errors import InvalidName, NameTaken, OwnedByFile, UnknownName
from headgate.ledger.tables import DAY_NS, accounts, key_secrets, keys, ledger_state
from headgate.model.identity import ANONYMOUS, Principal
from headgate.model.names import name_fault

SECRET_PREFIX = "hg_"
SHOWN_CHARACTERS = len(SECRET_PREFIX) + 6
DEFAULT_GRACE_NS = DAY_NS
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET_DIGITS = 43


class Unchanged(Enum):
    """What stands for leaving a field as it is, where None means something."""

    UNCHANGED = 0


UNCHANGED = Unchanged.UNCHANGED


class NewKey(msgspec.Struct, frozen=True, gc=False):
    """A key just created or rotated. `secret` is shown once and stored nowhere."""

    id: str
    account: str
    name: str
    secret: str
    prefix: str

    def __repr__(self) -> str:
        return f"NewKey({self.id!r}, {self.account!r}, {self.name!r}, {self.prefix!r})"


class KeyInfo(msgspec.Struct, frozen=True, gc=False):
    """A key as people may see it. `prefixes` are those of its secrets that still work, newest first."""

    id: str
    account: str
    name: str
    source: str
    allowed_models: tuple[str, ...] | None
    created_at: int
    expires_at: int | None
    revoked_at: int | None
    prefixes: tuple[str, ...]


class Identity(msgspec.Struct, frozen=True, gc=False):
    """Whom a secret stands for, and the time in ns from which it no longer does (None: no end)."""

    principal: Principal
    not_after_ns: int | None


def hash_secret(secret: str) -> bytes:
    """Return the SHA-256 under which a secret is stored. It is random enough to need no salt."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def new_secret() -> str:
    """Return `hg_` and 256 random bits in base 62."""
    number = secrets.randbits(256)
    digits = []
    for _ in range(_SECRET_DIGITS):
        number, digit = divmod(number, 62)
        digits.append(_BASE62[digit])
    return SECRET_PREFIX + "".join(digits)


def valid_name(name: str, what: str) -> str:
    """Return the name, or raise InvalidName where model/names.py finds fault with it."""
    fault = name_fault(name)
    if fault is not None:
        raise InvalidName(f"{what} {fault}: {name[:40]!r}; give another")
    return name


def ensure_account(connection: Connection, name: str, *, now: int, source: str = "store") -> None:
    """Create an account unless it exists. Raises InvalidName."""
    if valid_name(name, "account") == ANONYMOUS.account:
        raise InvalidName(f"the account {name!r} is kept for calls without a key; give another")
    if connection.scalar(sa.select(accounts.c.name).where(accounts.c.name == name)) is None:
        connection.execute(accounts.insert().values(name=name, source=source, created_at=now))
        bump_epoch(connection)


def create_key(
    connection: Connection,
    *,
    account: str,
    name: str,
    now: int,
    allowed_models: Sequence[str] | None = None,
    expires_at: int | None = None,
) -> NewKey:
    """Create a key with its first secret, and its account if need be. Raises InvalidName, NameTaken."""
    valid_name(name, "key name")
    for pattern in allowed_models or ():
        valid_name(pattern, "model pattern")
    ensure_account(connection, account, now=now)
    taken = sa.select(keys.c.id).where(keys.c.account == account, keys.c.name == name)
    if connection.scalar(taken) is not None:
        raise NameTaken(f"The account {account!r} has a key named {name!r} already; rotate it or take another name.")
    key = "key_" + secrets.token_hex(8)
    connection.execute(
        keys.insert().values(
            id=key,
            account=account,
            name=name,
            source="store",
            allowed_models=None if allowed_models is None else list(allowed_models),
            created_at=now,
            expires_at=expires_at,
        )
    )
    return _add_secret(connection, key, account, name, now)


def rotate_key(connection: Connection, key: str, *, now: int, grace: int = DEFAULT_GRACE_NS) -> NewKey:
    """Give a key a new secret; the old ones work for `grace` ns more. Raises UnknownName, OwnedByFile."""
    row = _own_key(connection, key)
    if row.revoked_at is not None:
        raise UnknownName(f"The key {key!r} is revoked; create a new one.")
    end = now + max(grace, 0)
    later = sa.or_(key_secrets.c.expires_at.is_(None), key_secrets.c.expires_at > end)
    connection.execute(
        key_secrets.update()
        .where(key_secrets.c.key == key, key_secrets.c.revoked_at.is_(None), later)
        .values(expires_at=end)
    )
    return _add_secret(connection, key, row.account, row.name, now)


def update_key(
    connection: Connection,
    key: str,
    *,
    allowed_models: Sequence[str] | Unchanged | None = UNCHANGED,
    expires_at: int | Unchanged | None = UNCHANGED,
) -> None:
    """Give a key other models or another end; None: all models, no end.

    Raises UnknownName, OwnedByFile, InvalidName.
    """
    if _own_key(connection, key).revoked_at is not None:
        raise UnknownName(f"The key {key!r} is revoked; create a new one.")
    values: dict[str, Any] = {}
    if not isinstance(allowed_models, Unchanged):
        for pattern in allowed_models or ():
            valid_name(pattern, "model pattern")
        values["allowed_models"] = None if allowed_models is None else list(allowed_models)
    if not isinstance(expires_at, Unchanged):
        values["expires_at"] = expires_at
    if values:
        connection.execute(keys.update().where(keys.c.id == key).values(values))
        bump_epoch(connection)


def revoke_key(connection: Connection, key: str, *, now: int) -> None:
    """Make a key and its secrets void at once; again is harmless. Raises UnknownName, OwnedByFile."""
    _own_key(connection, key)
    connection.execute(keys.update().where(keys.c.id == key, keys.c.revoked_at.is_(None)).values(revoked_at=now))
    connection.execute(
        key_secrets.update().where(key_secrets.c.key == key, key_secrets.c.revoked_at.is_(None)).values(revoked_at=now)
    )
    bump_epoch(connection)


def find_key(connection: Connection, word: str, *, account: str | None = None) -> str:
    """Return the id of the key with this id or name. Raises UnknownName if there is none or several."""
    query = sa.select(keys.c.id, keys.c.account).where(sa.or_(keys.c.id == word, keys.c.name == word))
    if account is not None:
        query = query.where(keys.c.account == account)
    found = connection.execute(query.order_by(keys.c.account)).all()
    if not found:
        raise UnknownName(f"There is no key {word!r}; see: headgate keys list")
    if len(found) > 1:
        owners = ", ".join(row.account for row in found)
        raise UnknownName(f"Several accounts have a key {word!r} ({owners}); give its id or the account.")
    return str(found[0].id)


def list_keys(connection: Connection, *, now: int, account: str | None = None) -> list[KeyInfo]:
    """Return keys by account and name, revoked ones too."""
    alive = sa.or_(key_secrets.c.expires_at.is_(None), key_secrets.c.expires_at > now)
    shown = (
        sa.select(key_secrets.c.key, key_secrets.c.prefix)
        .where(key_secrets.c.revoked_at.is_(None), alive)
        .order_by(key_secrets.c.created_at.desc())
    )
    prefixes: dict[str, list[str]] = {}
    for key, prefix in connection.execute(shown):
        prefixes.setdefault(key, []).append(prefix)
    query = sa.select(keys).order_by(keys.c.account, keys.c.name)
    if account is not None:
        query = query.where(keys.c.account == account)
    return [
        KeyInfo(
            id=row.id,
            account=row.account,
            name=row.name,
            source=row.source,
            allowed_models=None if row.allowed_models is None else tuple(row.allowed_models),
            created_at=row.created_at,
            expires_at=row.expires_at,
            revoked_at=row.revoked_at,
            prefixes=tuple(prefixes.get(row.id, ())),
        )
        for row in connection.execute(query)
    ]


def load_identities(connection: Connection, *, now: int) -> dict[bytes, Identity]:
    """Return the identity of every secret that works now, by the SHA-256 of the secret."""
    query = (
        sa.select(
            key_secrets.c.sha256,
            key_secrets.c.expires_at.label("secret_end"),
            keys.c.expires_at.label("key_end"),
            keys.c.id,
            keys.c.name,
            keys.c.account,
            keys.c.allowed_models,
        )
        .join(keys, keys.c.id == key_secrets.c.key)
        .where(key_secrets.c.revoked_at.is_(None), keys.c.revoked_at.is_(None))
    )
    identities: dict[bytes, Identity] = {}
    for row in connection.execute(query):
        end = min((end for end in (row.secret_end, row.key_end) if end is not None), default=None)
        if end is None or end > now:
            allowed = None if row.allowed_models is None else tuple(row.allowed_models)
            identities[bytes(row.sha256)] = Identity(Principal(row.account, row.id, allowed, row.name), end)
    return identities


def read_epoch(connection: Connection) -> int:
    """Return the epoch. Read it before what it stands for, so that a change in between is seen later."""
    return int(connection.scalar(sa.select(ledger_state.c.epoch)) or 0)


def bump_epoch(connection: Connection) -> None:
    """Advance the epoch: workers reload their keys after their next batch."""
    connection.execute(ledger_state.update().values(epoch=ledger_state.c.epoch + 1))


def pass_epoch(connection: Connection, seen: int) -> None:
    """Take the epoch of a ledger that went back in time beyond one that was seen before."""
    connection.execute(ledger_state.update().where(ledger_state.c.epoch <= seen).values(epoch=seen + 1))


def _own_key(connection: Connection, key: str) -> sa.Row[Any, Any, Any, Any]:
    query = sa.select(keys.c.account, keys.c.name, keys.c.source, keys.c.revoked_at).where(keys.c.id == key)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise UnknownName(f"There is no key {key!r}; see: headgate keys list")
    if row.source == "file":
        raise OwnedByFile(f"The key {key!r} belongs to the configuration file; change it there.")
    return row


def _add_secret(connection: Connection, key: str, account: str, name: str, now: int) -> NewKey:
    secret = new_secret()
    prefix = secret[:SHOWN_CHARACTERS]
    connection.execute(key_secrets.insert().values(sha256=hash_secret(secret), key=key, prefix=prefix, created_at=now))
    bump_epoch(connection)
    return NewKey(key, account, name, secret, prefix)
