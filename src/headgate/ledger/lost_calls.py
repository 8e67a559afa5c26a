"""The row of a call whose worker died or was taken for dead, and what it costs while corrections come in.

The cost of a call's row is the sum of what its attempts were charged at first; views add the corrections.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import Connection

from headgate.ledger.batch import TO_BE_ENDED
from headgate.ledger.tables import TOKEN_CLASSES, adjustments, attempts, calls, holds
from headgate.model.limit import HoldFacts
from headgate.model.records import AttemptRow, AttemptState, CallRow, Outcome
from headgate.model.usage import Basis, weakest

UNHEARD = "its worker died or was taken for dead; charged at its hold"
"""The message of a lost attempt, until its worker says what became of it."""
_SAME = ("started_at", "duration", "status", "outcome")


def lost_attempt(call: str, no: int, incarnation: int, facts: HoldFacts) -> AttemptRow:
    """Return the row of an attempt that nobody heard the end of, charged at its hold; unpriced: of unknown cost."""
    return AttemptRow(
        call=call,
        no=no,
        incarnation=incarnation,
        provider=facts.provider,
        upstream_name=facts.upstream_name,
        backend=facts.backend,
        model=facts.model,
        state=AttemptState.LOST.value,
        status=0,
        failure=None,
        message=UNHEARD,
        started_at=facts.started_at,
        duration=0,
        ttft=None,
        **dict.fromkeys(TOKEN_CLASSES, 0) | {"input": facts.input, "output": facts.output},
        hold_nano=facts.nano,
        cost_nano=facts.nano,
        basis=(Basis.UNKNOWN if facts.nano is None else Basis.ESTIMATED).value,
        savings_nano=0,
        hold_tokens=facts.input + facts.output,
    )


def lost_call(call: str, incarnation: int, facts: HoldFacts, tries: Sequence[AttemptRow]) -> CallRow:
    """Return the row of a lost call: the sums over its attempts, in order, of which there is one at least."""
    last = tries[-1]
    backend = f"@{last.backend}" if last.backend else ""
    return CallRow(
        id=call,
        incarnation=incarnation,
        account=facts.account,
        key=facts.key,
        session=facts.session,
        endpoint=facts.endpoint,
        model_asked=facts.model_asked,
        model=facts.call_model,
        route=f"{last.provider}/{last.upstream_name}{backend}",
        stream=facts.stream,
        status=0,
        outcome=Outcome.LOST.value,
        error=None,
        started_at=facts.call_started_at,
        duration=0,
        ttft=None,
        dropped=None,
        facts=b"{}",
        **sums_of(tries, frozenset()),
    )


def sums_of(tries: Sequence[AttemptRow], corrected: frozenset[int]) -> dict[str, Any]:
    """Return the columns of a call that sum up its attempts. An unknown cost that is `corrected` (by no) counts 0."""
    return {
        "attempts": len(tries),
        **{name: sum(getattr(row, name) for row in tries) for name in TOKEN_CLASSES},
        "cost_nano": _charged(((row.no, row.cost_nano) for row in tries), corrected),
        "basis": weakest(row.basis for row in tries).value,
        "savings_nano": sum(row.savings_nano for row in tries),
    }


def sum_up(connection: Connection, call: str) -> None:
    """Bring the row of a lost call, or of one that lost an attempt after its end, up to date with its attempts."""
    tries = attempts_of(connection, [call])
    if tries:
        sums = sums_of(tries, _corrected(connection, call))
        connection.execute(calls.update().where(calls.c.id == call).values(sums))


def charge_again(connection: Connection, call: str) -> None:
    """Set a call's cost to what its attempts were charged at first: one of unknown cost may now be corrected."""
    found = [(row.no, row.cost_nano) for row in attempts_of(connection, [call])]
    cost = _charged(found, _corrected(connection, call))
    connection.execute(calls.update().where(calls.c.id == call).values(cost_nano=cost))


def replace_lost(connection: Connection, call: CallRow, to_come: Iterable[AttemptRow] = ()) -> bool:
    """Put the true row in the place of a lost one; say whether there was one. Again is harmless.

    `to_come` are attempts of the call that are not in the ledger yet. Requests were counted with the lost row.
    """
    query = sa.select(*(calls.c[name] for name in _SAME)).where(calls.c.id == call.id)
    known = connection.execute(query.with_for_update(key_share=True)).one_or_none()
    if known is None:
        return False
    if known.outcome != Outcome.LOST.value:
        return tuple(known) == tuple(getattr(call, name) for name in _SAME)
    put(connection, call, to_come)
    return True


def put(connection: Connection, call: CallRow, to_come: Iterable[AttemptRow] = ()) -> bool:
    """Write a call's row, over one that is there; say whether it becomes a request by that. `to_come` as above."""
    found = [(row.no, row.cost_nano) for row in (*attempts_of(connection, [call.id]), *to_come)]
    values = msgspec.structs.asdict(call)
    if len(found) == call.attempts:
        values["cost_nano"] = _charged(found, _corrected(connection, call.id))
    elif call.cost_nano is not None:
        values["cost_nano"] = call.cost_nano - _added(connection, call.id)
    had = connection.scalar(sa.select(calls.c.attempts).where(calls.c.id == call.id).with_for_update(key_share=True))
    if had is None:
        connection.execute(calls.insert().values(values))
    else:
        rest = {name: value for name, value in values.items() if name != "id"}
        connection.execute(calls.update().where(calls.c.id == call.id).values(rest))
    connection.execute(holds.delete().where(holds.c.call == call.id, holds.c.no == TO_BE_ENDED))
    return not had and call.attempts > 0


def attempts_of(
    connection: Connection, which: Sequence[str] | sa.Select[Any], *, lock: bool = False
) -> list[AttemptRow]:
    """Return the attempts of calls (ids, or a query for them) by call and number."""
    query = sa.select(attempts).where(attempts.c.call.in_(which)).order_by(attempts.c.call, attempts.c.no)
    if lock:
        query = query.with_for_update(key_share=True)
    return [AttemptRow(*row) for row in connection.execute(query)]


def _charged(found: Iterable[tuple[int, int | None]], corrected: frozenset[int]) -> int | None:
    total = 0
    for no, cost in found:
        if cost is None and no not in corrected:
            return None
        total += cost or 0
    return total


def _corrected(connection: Connection, call: str) -> frozenset[int]:
    return frozenset(connection.scalars(sa.select(adjustments.c.no).where(adjustments.c.call == call)))


def _added(connection: Connection, call: str) -> int:
    query = sa.select(sa.cast(sa.func.coalesce(sa.func.sum(adjustments.c.delta_nano), 0), sa.BigInteger))
    return int(connection.scalar(query.where(adjustments.c.call == call)) or 0)
