"""Which limits of money an attempt counts on today, for a correction of one whose hold is not known any more."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa
from sqlalchemy import Connection

from headgate.ledger.limits import load_limits
from headgate.ledger.tables import calls, keys
from headgate.model.identity import ANONYMOUS
from headgate.model.limit import EACH, SUBJECT_SEPARATOR, Entry, Limit, Scope, Unit
from headgate.model.records import AttemptRow
from headgate.policy.applicable import is_of
from headgate.policy.windows import bucket_of


class Owner(msgspec.Struct, frozen=True, gc=False):
    """Whose call it is; `key` is an id, `key_name` None where the key is gone."""

    account: str
    key: str
    session: str | None
    key_name: str | None


def owner_of(connection: Connection, call: str) -> Owner | None:
    """Return whose call it is, None where it has no row."""
    query = sa.select(calls.c.account, calls.c.key, calls.c.session, keys.c.name).where(calls.c.id == call)
    row = connection.execute(query.outerjoin(keys, keys.c.id == calls.c.key)).one_or_none()
    return None if row is None else Owner(*row)


def entries_now(connection: Connection, attempt: AttemptRow, owner: Owner) -> Sequence[Entry]:
    """Return the usd limits that apply to an attempt today, each in the window in which it began."""
    found = []
    for limit in load_limits(connection):
        subject = _subject(limit, attempt, owner) if limit.unit is Unit.USD else None
        if subject is not None:
            found.append(Entry(limit.id, subject, bucket_of(limit.window, attempt.started_at), Unit.USD, 0))
    return found


def _subject(limit: Limit, attempt: AttemptRow, owner: Owner) -> str | None:
    """Return whose balance of a limit the attempt counts on, as policy/applicable.py has it; None: it does not."""
    if limit.scope is Scope.PROVIDER:
        return limit.name if limit.name == attempt.provider else None
    if owner.account == ANONYMOUS.account:
        return None
    if limit.scope is Scope.ACCOUNT:
        return limit.name if limit.name == owner.account else None
    if limit.account not in ("", owner.account):
        return None
    if limit.scope is Scope.SESSION:
        named = owner.session is not None and limit.name in (EACH, owner.session)
        return f"{owner.account}{SUBJECT_SEPARATOR}{owner.session}" if named else None
    named = limit.name in (owner.key, owner.key_name) and (not limit.pattern or is_of(limit.pattern, attempt.model))
    return owner.key if named else None
