"""Corrections of what attempts were charged: late settles of lost ones, and settles by hand.

A correction is a row of `adjustments`, target minus the current net charge, made under the attempt's lock; the
attempt's own cost stays what it was charged at first. It goes to the balances that were charged, in their original
windows. Those of a lost attempt are kept (`lost_holds`); for a settled one they are the limits in force now, in
the window in which it began. Tokens need no such row: the attempt's own counts become the truth.
Locks: the attempt, its hold, limits, balances.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import sqlalchemy as sa
from sqlalchemy import Connection

from headgate.ledger import lost_calls
from headgate.ledger.applying import entries_now, owner_of
from headgate.ledger.batch import tokens_of
from headgate.ledger.charging import Usage, change, no_book
from headgate.ledger.death import facts_of
from headgate.ledger.errors import CannotSettle, UnknownName
from headgate.ledger.keys import valid_name
from headgate.ledger.tables import TOKEN_CLASSES, adjustments, attempts, calls, holds, lost_holds
from headgate.model.limit import MAX_AMOUNT, Entry, Grant, HoldFacts, Unit
from headgate.model.money import format_usd
from headgate.model.records import AttemptRow, AttemptState, CallRow
from headgate.policy import granting

LATE = "late settle"
"""The author of corrections that a worker makes which was taken for dead."""
_LEARNT_LATE = (
    "status",
    "failure",
    "message",
    "duration",
    "ttft",
    *TOKEN_CLASSES,
    "savings_nano",
    "reported_nano",
    "over_nano",
)
_NEVER_SENT = "it was never sent: whoever asked for it had gone"


class Correction(msgspec.Struct, frozen=True, gc=False):
    """What a correction by hand has done. Nano-USD; `before` None: nobody knew the cost."""

    call: str
    no: int
    state: str
    before: int | None
    after: int


class _Net(msgspec.Struct, frozen=True, gc=False):
    """What an attempt costs by now; `by_hand`: a person has said so."""

    nano: int
    known: bool
    by_hand: bool
    late: int | None


def settle_late(connection: Connection, row: AttemptRow, grant: Grant, call: CallRow | None, now: int) -> None:
    """Settle what a life has held that was taken for dead. `row` is the truth; `call` its call's, where that is over.

    A lost attempt is corrected, unless a person has said its cost; its tokens always. One that is held still is
    settled, one that the store has forgotten is charged. Safe to do again. Raises LedgerError.
    """
    usage = Usage()
    known = _attempt(connection, row.call, row.no)
    if known is None and _end_hold(connection, row.call, row.no):
        _insert(connection, row, grant, usage, held=True)
    else:
        # A hold that went while its lock was waited for has become a lost attempt.
        known = known or _attempt(connection, row.call, row.no)
        if known is None:
            _insert(connection, row, grant, usage, held=False)
        elif known.state == AttemptState.LOST.value:
            _correct_late(connection, known, row, _lost_facts(connection, known) or grant.facts, usage, now)
    if call is not None:
        _end_call(connection, call, usage)
    elif known is not None and known.state == AttemptState.LOST.value:
        lost_calls.sum_up(connection, row.call)
    usage.write(connection)


def release_late(connection: Connection, grant: Grant, now: int) -> None:
    """Settle at 0 a hold of such a life that was granted and never used. Safe to do again. Raises LedgerError."""
    usage = Usage()
    book = no_book()
    known = _attempt(connection, grant.call, grant.no)
    if known is None and _end_hold(connection, grant.call, grant.no):
        granting.settle(book, grant.entries, 0, 0)
        change(connection, book.changes)
        return
    known = known or _attempt(connection, grant.call, grant.no)
    # One that was only noted may have been sent, and settled by its row.
    if known is not None and known.state == AttemptState.LOST.value and known.message == lost_calls.UNHEARD:
        nothing = dict.fromkeys(TOKEN_CLASSES, 0)
        row = msgspec.structs.replace(known, **nothing, cost_nano=0, message=_NEVER_SENT)
        _correct_late(connection, known, row, _lost_facts(connection, known) or grant.facts, usage, now)
        lost_calls.sum_up(connection, grant.call)
        usage.write(connection)


def settle_unheld(connection: Connection, row: AttemptRow, now: int) -> bool:
    """Correct a lost attempt by its row, whose worker does not know of its hold; say whether it is lost.

    So it is where an attempt ends before it hears that it was noted. Safe to do again. Raises LedgerError.
    """
    known = _attempt(connection, row.call, row.no)
    facts = None if known is None or known.state != AttemptState.LOST.value else _lost_facts(connection, known)
    if known is None or facts is None:
        return False
    usage = Usage()
    _correct_late(connection, known, row, facts, usage, now)
    lost_calls.sum_up(connection, row.call)
    usage.write(connection)
    return True


def settle_by_hand(
    connection: Connection, call: str, no: int | None, nano: int, *, author: str, reason: str, now: int
) -> Correction:
    """Set what an attempt costs (nano-USD); without `no` the call's only lost attempt, or its only one.

    Saying the same again adds nothing. `author` and `reason` are kept. Raises UnknownName, InvalidName; CannotSettle
    for a call in flight and a bad amount.
    """
    valid_name(author, "who settles")
    valid_name(reason, "the reason")
    if not 0 <= nano <= MAX_AMOUNT:
        raise CannotSettle(f"an attempt costs from 0 to {format_usd(MAX_AMOUNT)} USD; {format_usd(nano)} is not")
    attempt = _chosen(connection, call, no)
    owner = owner_of(connection, call)
    if owner is None:
        raise CannotSettle(f"the call {call!r} is still in flight; settle it when it has ended")
    net = _net(connection, attempt)
    before = net.nano if net.known else None
    if before != nano or not net.by_hand:
        facts = _lost_facts(connection, attempt)
        entries = facts.entries if facts is not None else entries_now(connection, attempt, owner)
        _add(connection, entries, nano - net.nano, 0)
        _write_down(connection, attempt, nano - net.nano, nano, author, reason, now)
        lost_calls.charge_again(connection, call)
        usage = Usage()
        usage.add(owner.account, owner.key, attempt.started_at, nano=nano - net.nano)
        usage.write(connection)
    return Correction(call, attempt.no, attempt.state, before, nano)


def _attempt(connection: Connection, call: str, no: int) -> AttemptRow | None:
    """Lock an attempt's row and return it."""
    query = sa.select(attempts).where(attempts.c.call == call, attempts.c.no == no)
    row = connection.execute(query.with_for_update(key_share=True)).one_or_none()
    return None if row is None else AttemptRow(*row)


def _end_hold(connection: Connection, call: str, no: int) -> bool:
    """Take a hold out of the ledger; say whether it was there."""
    return connection.execute(holds.delete().where(holds.c.call == call, holds.c.no == no)).rowcount > 0


def _insert(connection: Connection, row: AttemptRow, grant: Grant, usage: Usage, *, held: bool) -> None:
    book = no_book()
    granting.settle(book, grant.entries, row.cost_nano, tokens_of(row), held=held)
    change(connection, book.changes)
    connection.execute(attempts.insert().values(msgspec.structs.asdict(row)))
    facts = grant.facts
    usage.add(facts.account, facts.key, row.started_at, nano=row.cost_nano or 0, tokens=tokens_of(row))


def _correct_late(
    connection: Connection, known: AttemptRow, row: AttemptRow, facts: HoldFacts, usage: Usage, now: int
) -> None:
    net = _net(connection, known)
    target = net.nano if net.by_hand or row.cost_nano is None else row.cost_nano
    delta, tokens = target - net.nano, tokens_of(row) - tokens_of(known)
    _add(connection, facts.entries, delta, tokens)
    if not net.by_hand and row.cost_nano is not None and net.late != target:
        reason = "its worker was taken for dead and has settled it since"
        _write_down(connection, known, delta, target, LATE, reason, now)
    learnt = {name: getattr(row, name) for name in _LEARNT_LATE}
    if row.cost_nano is not None:
        learnt["basis"] = row.basis
    connection.execute(attempts.update().where(attempts.c.call == row.call, attempts.c.no == row.no).values(learnt))
    usage.add(facts.account, facts.key, known.started_at, nano=delta, tokens=tokens)


def _end_call(connection: Connection, call: CallRow, usage: Usage) -> None:
    """Write the call's row. What the call itself holds is given back where its life is found dead."""
    if lost_calls.put(connection, call):
        usage.add(call.account, call.key, call.started_at, requests=1)


def _net(connection: Connection, attempt: AttemptRow) -> _Net:
    query = sa.select(adjustments.c.delta_nano, adjustments.c.target_nano, adjustments.c.author).where(
        adjustments.c.call == attempt.call, adjustments.c.no == attempt.no
    )
    found = connection.execute(query.order_by(adjustments.c.id)).all()
    late = [row.target_nano for row in found if row.author == LATE]
    return _Net(
        nano=(attempt.cost_nano or 0) + sum(row.delta_nano for row in found),
        known=attempt.cost_nano is not None or bool(found),
        by_hand=any(row.author != LATE for row in found),
        late=late[-1] if late else None,
    )


def _add(connection: Connection, entries: Iterable[Entry], nano: int, tokens: int) -> None:
    book = no_book()
    for entry in entries:
        if entry.unit is Unit.USD:
            book.add(entry, nano, 0)
        elif entry.unit is Unit.TOKENS:
            book.add(entry, tokens, 0)
    change(connection, book.changes)


def _write_down(
    connection: Connection, attempt: AttemptRow, delta: int, target: int, author: str, reason: str, now: int
) -> None:
    connection.execute(
        adjustments.insert().values(
            call=attempt.call,
            no=attempt.no,
            at=now,
            delta_nano=delta,
            target_nano=target,
            reason=reason,
            author=author,
        )
    )


def _lost_facts(connection: Connection, attempt: AttemptRow) -> HoldFacts | None:
    query = sa.select(lost_holds.c.facts).where(lost_holds.c.call == attempt.call, lost_holds.c.no == attempt.no)
    text = connection.scalar(query)
    return None if text is None else facts_of(attempt.call, text)


def _chosen(connection: Connection, call: str, no: int | None) -> AttemptRow:
    """Lock the attempt that is meant, and return it. Raises UnknownName, CannotSettle."""
    tries = lost_calls.attempts_of(connection, [call])
    held = set(connection.scalars(sa.select(holds.c.no).where(holds.c.call == call)))
    if no is None:
        tries_of = [row for row in tries if row.state == AttemptState.LOST.value] or tries
        if len(tries_of) > 1:
            choice = " or ".join(f"--attempt {row.no}" for row in tries_of)
            raise CannotSettle(f"the call {call!r} has several attempts; say which: {choice}")
        no = tries_of[0].no if tries_of else None
    known = _attempt(connection, call, no) if no is not None and no in {row.no for row in tries} else None
    if known is not None:
        return known
    if held:
        raise CannotSettle(f"the call {call!r} is still in flight; settle it when it has ended")
    if tries:
        there = ", ".join(str(row.no) for row in tries)
        raise UnknownName(f"The call {call!r} has no attempt {no}; it has {there}. See: headgate calls show {call}")
    if connection.scalar(sa.select(calls.c.id).where(calls.c.id == call)) is None:
        raise UnknownName(f"There is no call {call!r}; see: headgate calls")
    raise CannotSettle(f"the call {call!r} asked no upstream, so there is nothing to settle")
