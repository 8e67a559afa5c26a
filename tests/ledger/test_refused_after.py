"""A call whose next hold is refused has attempts in the ledger before it has a row: they have an owner all the same."""

from __future__ import annotations

from pathlib import Path

import msgspec
import sqlalchemy as sa
from tests.ledger.holding import PRICED, Life, consistent, facts, limit, living, rows, spent
from tests.ledger.rows import NOW, attempt_row, call_row

from headgate.ledger import incarnations, keys, tables
from headgate.ledger.batch import Work
from headgate.ledger.engine import Ledger
from headgate.model.limit import Ask, Refusal


def refused_after(ledger: Ledger, life: Life) -> None:
    """One attempt that no limit held for has failed; the next is asked for, and there is no room."""
    empty = limit(ledger, cap=0)
    failed = attempt_row(1, 1, failure="cut", cost_nano=700)
    with ledger.reader().connection() as connection:
        epoch = keys.read_epoch(connection)
    ask = Ask("call-1", 2, epoch, PRICED, (empty,), (), facts())
    work = Work("acme", "key_ci", (failed,), (None,), ask=ask)
    assert life.write(work)
    assert isinstance(work.answer, Refusal)


def test_what_a_call_has_spent_before_its_worker_died_has_an_owner(ledger: Ledger, lock_dir: Path) -> None:
    with living(ledger, lock_dir) as life:
        refused_after(ledger, life)
        life.end()
        assert incarnations.sweep(ledger, lock_dir, NOW + 1) == [life.id]
    (call,) = rows(ledger, tables.calls)
    assert (call.id, call.outcome, call.cost_nano, call.account, call.attempts) == ("call-1", "lost", 700, "acme", 1)
    assert spent(ledger)["usd", 0] == 700
    consistent(ledger)


def test_a_call_that_ends_leaves_no_such_owner(ledger: Ledger, lock_dir: Path) -> None:
    with living(ledger, lock_dir) as life:
        refused_after(ledger, life)
        row = call_row(1, attempts=1, cost_nano=700)
        assert life.write(Work("acme", "key_ci", call=msgspec.structs.replace(row, outcome="failed")))
        with ledger.reader().connection() as connection:
            assert connection.scalar(sa.select(sa.func.count()).select_from(tables.holds)) == 0
    consistent(ledger)
