"""Lives of writers that hold on limits, and what the ledger then says."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from tests.ledger.rows import NOW, attempt_row, call_row

from headgate.ledger import incarnations, keys, limits, tables
from headgate.ledger.batch import Batch, Work
from headgate.ledger.connect import Durability
from headgate.ledger.engine import Ledger
from headgate.ledger.store import open_store
from headgate.ledger.views import GroupBy
from headgate.model.limit import Applied, Ask, Bound, Grant, HoldFacts, Limit, Scope, Unit, Window
from headgate.model.records import AttemptRow, CallRow
from headgate.policy.windows import TOTAL

INPUT, OUTPUT = 100, 50
NANO = 2_000
"""What 100 tokens of input and 50 of output cost at most."""
PRICED = Bound(INPUT, INPUT, OUTPUT, OUTPUT, 1, 10_000_000, 20_000_000)
UNPRICED = Bound(INPUT, INPUT, OUTPUT, OUTPUT, 1, None, None)
SUBJECTS = {Scope.ACCOUNT: "acme", Scope.KEY: "key_ci", Scope.PROVIDER: "openai", Scope.SESSION: "acme\x1fs"}


def limit(
    ledger: Ledger, unit: Unit = Unit.USD, scope: Scope = Scope.ACCOUNT, window: Window = TOTAL, **changes: Any
) -> Applied:
    """Put a limit in force that has room."""
    name = {Scope.ACCOUNT: "acme", Scope.KEY: "key_ci", Scope.PROVIDER: "openai", Scope.SESSION: "each"}[scope]
    wanted = Limit(0, scope, name, unit, window, 10**12)
    with ledger.write() as connection:
        made = limits.set_limit(connection, msgspec.structs.replace(wanted, **changes), NOW)
    return Applied(made, SUBJECTS[scope])


def facts(**changes: Any) -> HoldFacts:
    values: dict[str, Any] = {
        "account": "acme",
        "key": "key_ci",
        "session": None,
        "endpoint": "chat/completions",
        "model_asked": "fast",
        "call_model": "gpt-5-mini",
        "stream": True,
        "call_started_at": NOW,
        "provider": "openai",
        "upstream_name": "gpt-5-mini",
        "backend": "",
        "model": "gpt-5-mini",
        "started_at": NOW,
        "input": 0,
        "output": 0,
        "nano": None,
        "entries": (),
    }
    values.update(changes)
    return HoldFacts(**values)


def ask_of(ledger: Ledger, call: int, *own: Applied, no: int = 1, bound: Bound = PRICED, **changes: Any) -> Ask:
    with ledger.reader().connection() as connection:
        epoch = keys.read_epoch(connection)
    return Ask(f"call-{call}", no, epoch, bound, own, (), facts(**changes))


def asking(ask: Ask) -> Work:
    return Work("acme", "key_ci", ask=ask)


class Life:
    """One life of a writer, whose store's clock stands at `now`."""

    def __init__(self, ledger: Ledger, lock_dir: Path, now: int = NOW) -> None:
        self.ledger = ledger
        self.incarnation = incarnations.register(ledger, lock_dir, now)
        self.id = self.incarnation.id
        self.store = open_store(ledger.url, Durability.CALL, lambda: now)

    def write(self, *works: Work) -> bool:
        batch = Batch(works)
        batch.tag(self.id)
        return self.store.write(self.id, NOW, batch) is not None

    def hold(
        self,
        call: int,
        own: Sequence[Applied] = (),
        whole: Sequence[Applied] = (),
        *,
        no: int = 1,
        bound: Bound = PRICED,
        settled: Sequence[AttemptRow] = (),
        **changes: Any,
    ) -> Grant:
        """Take a hold for an attempt; `settled` are the call's earlier attempts, which end in the same transaction."""
        with self.ledger.reader().connection() as connection:
            epoch = keys.read_epoch(connection)
        ask = Ask(f"call-{call}", no, epoch, bound, tuple(own), tuple(whole), facts(**changes))
        work = Work("acme", "key_ci", settled, [None] * len(settled), ask=ask)
        assert self.write(work)
        assert isinstance(work.answer, Grant)
        return work.answer

    def end(self) -> None:
        """Let the lock file go, as the kernel does for a process that was killed."""
        self.incarnation._lock.close()


@contextlib.contextmanager
def living(ledger: Ledger, lock_dir: Path, now: int = NOW) -> Iterator[Life]:
    life = Life(ledger, lock_dir, now)
    try:
        yield life
    finally:
        life.store.close()
        life.end()


def balance(ledger: Ledger, applied: Applied) -> dict[int, tuple[int, int]]:
    """{bucket_start: (spent, held)} of a limit's balance."""
    table = tables.limit_balances.c
    with ledger.reader().connection() as connection:
        found = connection.execute(
            sa.select(table.bucket_start, table.spent, table.held).where(
                table.limit_id == applied.limit.id, table.subject == applied.subject
            )
        )
        return {row.bucket_start: (row.spent, row.held) for row in found}


def rows(ledger: Ledger, table: sa.Table) -> list[Any]:
    with ledger.reader().connection() as connection:
        return list(connection.execute(sa.select(table).order_by(*table.primary_key)).all())


def spent(ledger: Ledger, scope: str = "account", name: str = "acme") -> dict[tuple[str, int], int]:
    """{(unit, bucket_start): spent} of an account or key."""
    return {(row.unit, row.bucket_start): row.spent for row in ledger.reader().balances(scope, name)}


def truth(call: int, no: int = 1, **changes: Any) -> AttemptRow:
    """How an attempt ended in truth: 90 tokens for 700 nano-USD."""
    classes = dict.fromkeys(tables.TOKEN_CLASSES, 0) | {"input": 60, "output": 30}
    return attempt_row(call, no, **{**classes, "cost_nano": 700, "hold_nano": NANO, "reported_nano": 700, **changes})


def call_of(call: int, *tries: AttemptRow, **changes: Any) -> CallRow:
    """The row of a call over its attempts."""
    sums = {name: sum(getattr(row, name) for row in tries) for name in (*tables.TOKEN_CLASSES, "cost_nano")}
    return call_row(call, **{**sums, "attempts": len(tries), **changes})


def consistent(ledger: Ledger) -> None:
    """Nothing is held, and calls, attempts and the account's balances tell one sum."""
    reader = ledger.reader()
    assert rows(ledger, tables.holds) == []
    assert [row for row in rows(ledger, tables.limit_balances) if row.held] == []
    by_call, by_try = reader.usage(), reader.usage(GroupBy.PROVIDER)
    kept = spent(ledger)
    assert sum(one.cost_nano for one in by_call) == sum(one.cost_nano for one in by_try) == kept.get(("usd", 0), 0)
    tokens = [name for name in tables.TOKEN_CLASSES if name != "reasoning"]
    total = sum(getattr(one, name) for one in by_try for name in tokens)
    assert total == sum(getattr(one, name) for one in by_call for name in tokens) == kept.get(("tokens", 0), 0)
    assert by_call[0].requests == kept.get(("requests", 0), 0)
