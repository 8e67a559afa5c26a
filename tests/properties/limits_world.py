"""One ledger for one example: emptied and filled again, its limits to choose from, and what it says."""

from __future__ import annotations

import asyncio
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from tests.properties.limits_arithmetic import SECOND, Key, Place, period, tokens_of
from tests.properties.limits_model import Model

from headgate.ledger import keys, tables
from headgate.ledger.engine import Ledger, open_ledger
from headgate.model.dialect import SERVED_BY, Kind
from headgate.model.identity import Principal
from headgate.model.limit import Limit, Scope, Unit, Window
from headgate.model.price import FREE
from headgate.model.records import AttemptRow
from headgate.model.route import Provider, Route
from headgate.policy.windows import TOTAL, from_text

CI = Principal("acme", "key_1", None, "ci")
DEV = Principal("acme", "key_2", None, "dev")
OTHER = Principal("zoo", "key_3", None, "ci")
PRINCIPALS = (CI, CI, DEV, OTHER)
ROUTES = tuple(
    Route(Provider(name, Kind.OPENAI, "http://x/v1", None, SERVED_BY[Kind.OPENAI]), model, model, FREE)
    for name, model in (("p1", "gpt-5"), ("p1", "claude-4"), ("p2", "gpt-5"))
)
SESSIONS = ("s1", "s1", "s2", None)


def _limit(scope: Scope, name: str, unit: Unit, window: Window = TOTAL, **more: Any) -> Limit:
    return Limit(0, scope, name, unit, window, 0, **more)


CATALOG = (
    _limit(Scope.ACCOUNT, "acme", Unit.USD),
    _limit(Scope.ACCOUNT, "acme", Unit.USD, from_text("day", "Europe/Berlin")),
    _limit(Scope.ACCOUNT, "acme", Unit.USD, from_text("month", "America/Havana")),
    _limit(Scope.ACCOUNT, "acme", Unit.TOKENS, from_text("1h")),
    _limit(Scope.ACCOUNT, "acme", Unit.REQUESTS, from_text("day")),
    _limit(Scope.ACCOUNT, "acme", Unit.CONCURRENCY),
    _limit(Scope.KEY, "ci", Unit.USD, from_text("24h")),
    _limit(Scope.KEY, "ci", Unit.USD, pattern="gpt-*", account="acme", clamp=True),
    _limit(Scope.KEY, "key_1", Unit.TOKENS, from_text("week", "America/Havana"), clamp=True),
    _limit(Scope.KEY, "key_1", Unit.REQUESTS, from_text("1h")),
    _limit(Scope.PROVIDER, "p1", Unit.USD, from_text("week")),
    _limit(Scope.PROVIDER, "p1", Unit.TOKENS),
    _limit(Scope.PROVIDER, "p1", Unit.REQUESTS, from_text("1h")),
    _limit(Scope.PROVIDER, "p2", Unit.CONCURRENCY),
    _limit(Scope.SESSION, "each", Unit.USD),
    _limit(Scope.SESSION, "each", Unit.CONCURRENCY),
    _limit(Scope.SESSION, "s1", Unit.TOKENS, from_text("24h"), account="acme"),
)


def at(year: int, month: int, day: int, hour: int) -> int:
    return int(datetime(year, month, day, hour, tzinfo=UTC).timestamp()) * SECOND


class World:
    """Where examples run: `fresh` gives each a ledger of its own."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        ledger.migrate()
        with ledger.write() as connection:
            for account in ("acme", "zoo"):
                connection.execute(tables.accounts.insert().values(name=account, source="store", created_at=1))
            for who in (CI, DEV, OTHER):
                connection.execute(
                    tables.keys.insert().values(
                        id=who.key, account=who.account, name=who.key_name, source="store", created_at=1
                    )
                )
        self.loop = asyncio.new_event_loop()
        """Never run: futures want one."""
        self._made = ledger
        self._folder = folder
        self._number = 0

    def close(self) -> None:
        self.loop.close()

    def done(self, ledger: Ledger) -> None:
        if ledger is not self._made:
            ledger.close()

    def fresh(self) -> tuple[Ledger, Path]:
        """A ledger without limits, calls and lives, and its directory of lock files."""
        self._number += 1
        folder = self._folder / str(self._number)
        folder.mkdir()
        path = self._made.url.path
        if path is not None:
            shutil.copy(path, folder / "headgate.db")
            ledger = open_ledger(f"sqlite:///{folder / 'headgate.db'}")
            assert ledger.url.state_dir is not None
            return ledger, ledger.url.state_dir
        kept = ("accounts", "keys", "ledger_state")
        with self._made.write() as connection:
            for table in tables.metadata.sorted_tables[::-1]:
                if table.name not in kept:
                    connection.execute(table.delete())
        return self._made, folder / "locks"


def balances(ledger: Ledger, model: Model) -> dict[Place, tuple[int, int]]:
    """What the ledger has spent and held, by the model's periods."""
    found: dict[Place, tuple[int, int]] = {}
    with ledger.reader().connection() as connection:
        for row in connection.execute(sa.select(tables.limit_balances)):
            place = (row.limit_id, row.subject, period(model.limits[row.limit_id], row.bucket_start))
            if row.spent or row.held:
                assert place not in found, "two buckets of one period"
                found[place] = (row.spent, row.held)
    return found


def epoch_of(ledger: Ledger) -> int:
    with ledger.reader().connection() as connection:
        return keys.read_epoch(connection)


def key_name(key: str) -> str:
    return next(who.key_name for who in PRINCIPALS if who.key == key)


def differences(ledger: Ledger, model: Model) -> str:
    """How the ledger is not as the model has it; empty: it is."""
    with ledger.reader().connection() as connection:
        held = {(row.call, row.no): row.incarnation for row in connection.execute(sa.select(tables.holds))}
        kept = connection.execute(sa.select(tables.balances)).all()
    usage = {(row.scope, row.scope_id, row.unit, row.bucket_start): row.spent for row in kept if row.spent}
    holds = {key: hold.life for key, hold in model.open.items()}
    return _unlike(
        (balances(ledger, model), model.balances()),
        (held, holds),
        (usage, model.usage()),
        (epoch_of(ledger), model.epoch),
    )


def still_held(ledger: Ledger) -> str:
    """What is held; empty: nothing."""
    with ledger.reader().connection() as connection:
        found = connection.execute(sa.select(tables.limit_balances).where(tables.limit_balances.c.held != 0)).all()
        holds = connection.execute(sa.select(tables.holds.c.call, tables.holds.c.no, tables.holds.c.incarnation)).all()
    return "".join(f"{row}\n" for row in (*found, *holds))


def at_rest(ledger: Ledger, model: Model) -> str:
    """How the rows and corrections do not make the sums; empty: they do, to the nano-dollar."""
    with ledger.reader().connection() as connection:
        rows = [AttemptRow(*row) for row in connection.execute(sa.select(tables.attempts))]
        fixes = connection.execute(sa.select(tables.adjustments)).all()
    sums: dict[Key, tuple[int | None, int]] = {}
    for row in rows:
        mine = [fix.delta_nano for fix in fixes if (fix.call, fix.no) == (row.call, row.no)]
        net = None if row.cost_nano is None and not mine else (row.cost_nano or 0) + sum(mine)
        sums[(row.call, row.no)] = (net, tokens_of(row))
    tries = {key: (known.net, known.tokens) for key, known in model.tries.items()}
    found = {
        place: spent
        for place, (spent, _) in balances(ledger, model).items()
        if place[0] not in model.unsteady and model.limits[place[0]].unit in (Unit.USD, Unit.TOKENS)
    }
    return _unlike((sums, tries), (found, model.rows_say()))


def _unlike(*pairs: tuple[object, object]) -> str:
    return "\n".join(f"the ledger has {mine}, the model {theirs}" for mine, theirs in pairs if mine != theirs)
