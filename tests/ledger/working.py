"""What one worker is given to write, and what it then holds."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from tests.ledger.holding import ask_of, rows
from tests.ledger.rows import NOW
from tests.properties.limits_rig import Worker

from headgate.ledger import death, tables
from headgate.ledger.batch import Work
from headgate.ledger.engine import Ledger
from headgate.model.limit import Applied, Ask, Grant
from headgate.model.records import AttemptRow, CallRow


def work(**parts: Any) -> Work:
    return Work("acme", "key_ci", **parts)


def ask(ledger: Ledger, call: int, *own: Applied, whole: tuple[Applied, ...] = (), no: int = 1) -> Ask:
    made = ask_of(ledger, call, *own, no=no)
    made.whole = whole
    return made


def hold(
    worker: Worker, ledger: Ledger, call: int, *own: Applied, whole: tuple[Applied, ...] = (), no: int = 1
) -> Grant:
    asked = work(ask=ask(ledger, call, *own, whole=whole, no=no))
    worker.commit([asked])
    assert isinstance(asked.answer, Grant)
    return asked.answer


def ending(row: AttemptRow, grant: Grant | None, call: CallRow, **parts: Any) -> Work:
    return work(attempts=[row], grants=[grant], call=call, **parts)


def holds(ledger: Ledger) -> list[tuple[str, int]]:
    return [(row.call, row.no) for row in rows(ledger, tables.holds)]


def declared_dead(ledger: Ledger, worker: Worker) -> None:
    with ledger.reader().connection() as connection:
        table = tables.incarnations.c
        counter = connection.scalar(sa.select(table.counter).where(table.id == worker.life))
    assert counter is not None
    assert death.declare_dead(ledger, {worker.life: counter}, NOW) == [worker.life]
