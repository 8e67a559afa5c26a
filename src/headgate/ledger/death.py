"""What becomes of the holds of the dead: their attempts are lost, charged at their hold; what calls held is free.

Time never gives money back: a worker that was only paused corrects the charge when it settles (`corrections.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import msgspec
import sqlalchemy as sa
from sqlalchemy import Connection

from headgate.ledger import lost_calls
from headgate.ledger.batch import CALL_ITSELF, tokens_of
from headgate.ledger.charging import Usage, change, no_book
from headgate.ledger.engine import Ledger
from headgate.ledger.errors import BadRow
from headgate.ledger.tables import attempts, calls, holds, incarnations, lost_holds
from headgate.model.limit import HoldFacts
from headgate.model.records import AttemptRow
from headgate.policy import granting

_decode = msgspec.json.Decoder(HoldFacts).decode


class HoldRow(msgspec.Struct, frozen=True, gc=False):
    """A row of `holds`, read."""

    call: str
    no: int
    incarnation: int
    facts: HoldFacts


def mark_dead(connection: Connection, dead: Sequence[int], now: int) -> int:
    """Mark incarnations dead, whose rows the caller has locked, and lose what they hold; return how many attempts.

    Raises LedgerError where a hold cannot be read; then nobody is dead.
    """
    connection.execute(incarnations.update().where(incarnations.c.id.in_(dead)).values(dead_at=now))
    return lose_holds(connection, dead)


def declare_dead(ledger: Ledger, silent: Mapping[int, int], now: int) -> list[int]:
    """Mark dead whoever of {id: counter} has not committed since; return their ids. Raises LedgerError."""
    with ledger.write(brief=True) as connection:
        query = sa.select(incarnations.c.id).where(incarnations.c.id.in_(silent), incarnations.c.dead_at.is_(None))
        connection.execute(query.order_by(incarnations.c.id).with_for_update(key_share=True))
        # Read after the locks are held: a batch may have committed while they were waited for.
        living = sa.select(incarnations.c.id, incarnations.c.counter).where(
            incarnations.c.id.in_(silent), incarnations.c.dead_at.is_(None)
        )
        dead = [
            row.id for row in connection.execute(living.order_by(incarnations.c.id)) if row.counter == silent[row.id]
        ]
        if dead:
            mark_dead(connection, dead, now)
    return dead


def left_over(connection: Connection) -> list[int]:
    """Return the dead incarnations that still hold something: they ended by themselves, or were marked by others."""
    query = sa.select(holds.c.incarnation).join(incarnations, incarnations.c.id == holds.c.incarnation)
    return list(connection.scalars(query.where(incarnations.c.dead_at.is_not(None)).distinct()))


def lose_holds(connection: Connection, dead: Sequence[int]) -> int:
    """Make lost attempts of the holds of dead incarnations; return how many. Again is harmless. Raises LedgerError.

    Money and tokens held become spent, concurrency is given back, requests are spent already.
    """
    of_dead = holds.c.incarnation.in_(dead)
    whose = sa.select(holds.c.call).where(of_dead)
    settled = {(row.call, row.no): row for row in lost_calls.attempts_of(connection, whose, lock=True)}
    query = sa.select(holds.c.call, holds.c.no, holds.c.incarnation, holds.c.facts).where(of_dead)
    found = connection.execute(query.order_by(holds.c.call, holds.c.no).with_for_update(key_share=True)).all()
    rows = [HoldRow(row.call, row.no, row.incarnation, facts_of(row.call, row.facts)) for row in found]
    if not rows:
        return 0
    book = no_book()
    lost: list[AttemptRow] = []
    for row in rows:
        facts = row.facts
        if row.no <= CALL_ITSELF or (row.call, row.no) in settled:
            granting.settle(book, facts.entries, 0, 0)
            continue
        attempt = lost_calls.lost_attempt(row.call, row.no, row.incarnation, facts)
        granting.settle(book, facts.entries, attempt.cost_nano, tokens_of(attempt))
        lost.append(attempt)
    change(connection, book.changes)
    _keep(connection, rows, lost)
    _charge(connection, rows, lost, list(settled.values()))
    connection.execute(holds.delete().where(of_dead))
    return len(lost)


def facts_of(call: str, text: str) -> HoldFacts:
    """Return what a hold is of. Raises BadRow where it cannot be read."""
    try:
        return _decode(text)
    except msgspec.DecodeError as error:
        raise BadRow(f"A hold of call {call} cannot be read ({error}); was a newer Headgate here?") from None


def _keep(connection: Connection, rows: Sequence[HoldRow], lost: Sequence[AttemptRow]) -> None:
    if not lost:
        return
    connection.execute(attempts.insert(), [msgspec.structs.asdict(row) for row in lost])
    which = {(row.call, row.no) for row in lost}
    kept = [row for row in rows if (row.call, row.no) in which]
    connection.execute(
        lost_holds.insert(),
        [{"call": row.call, "no": row.no, "facts": msgspec.json.encode(row.facts).decode()} for row in kept],
    )


def _charge(
    connection: Connection, rows: Sequence[HoldRow], lost: Sequence[AttemptRow], settled: Sequence[AttemptRow]
) -> None:
    """Give every call a row that shows what it cost, and charge what was lost to its account and key."""
    usage = Usage()
    tries: dict[str, list[AttemptRow]] = {}
    for attempt in (*settled, *lost):
        tries.setdefault(attempt.call, []).append(attempt)
    query = sa.select(calls.c.id, calls.c.attempts).where(calls.c.id.in_(sorted(tries)))
    known = {row.id: row.attempts for row in connection.execute(query)}
    new = []
    for call, group in groupby(rows, key=lambda row: row.call):
        held = list(group)
        facts = held[-1].facts
        mine = sorted(tries.get(call, ()), key=lambda row: row.no)
        if call in known:
            lost_calls.sum_up(connection, call)
            # A call that had asked nobody when it ended was no request until now.
            usage.add(facts.account, facts.key, facts.call_started_at, requests=int(not known[call]))
        elif mine:
            new.append(msgspec.structs.asdict(lost_calls.lost_call(call, held[-1].incarnation, facts, mine)))
            usage.add(facts.account, facts.key, facts.call_started_at, requests=1)
    owners = {row.call: row.facts for row in rows}
    for attempt in lost:
        whose = owners[attempt.call]
        nano, tokens = attempt.cost_nano or 0, tokens_of(attempt)
        usage.add(whose.account, whose.key, attempt.started_at, nano=nano, tokens=tokens)
    if new:
        connection.execute(calls.insert(), new)
    usage.write(connection)
