"""Lost attempts, as people look for them: what each was charged, and what has been said of it since."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from headgate.ledger.tables import adjustments, attempts, calls, keys
from headgate.ledger.views import Filter, conditions
from headgate.model.records import AttemptState

_OF_CALL = ("account", "key", "session")


def lost_attempts(connection: Connection, where: Filter, *, limit: int) -> list[dict[str, Any]]:
    """Return lost attempts by the ledger's column names, those of the newest calls first.

    Beside them their call's `account`, `key` and `session`, the `key_name` (None: the key is gone), and `adjustments`.
    """
    query = (
        sa.select(attempts, *(calls.c[name] for name in _OF_CALL), keys.c.name.label("key_name"))
        .join(calls, calls.c.id == attempts.c.call)
        .outerjoin(keys, keys.c.id == calls.c.key)
        .where(attempts.c.state == AttemptState.LOST.value, *conditions(where))
        .order_by(calls.c.started_at.desc(), attempts.c.call.desc(), attempts.c.no)
        .limit(limit)
    )
    found = [dict(row) for row in connection.execute(query).mappings()]
    fixes: dict[tuple[str, int], list[dict[str, Any]]] = {}
    of_lost = sa.select(adjustments).join(
        attempts, sa.and_(attempts.c.call == adjustments.c.call, attempts.c.no == adjustments.c.no)
    )
    known = of_lost.where(attempts.c.state == AttemptState.LOST.value).order_by(adjustments.c.id)
    for fix in connection.execute(known).mappings():
        fixes.setdefault((fix["call"], fix["no"]), []).append(dict(fix))
    return [row | {"adjustments": fixes.get((row["call"], row["no"]), [])} for row in found]
