"""Migrations, run by the program itself under a lock, on both engines."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from headgate.ledger import locks
from headgate.ledger.errors import LedgerTooNew, LedgerUnusable
from headgate.ledger.url import LedgerUrl

_ADVISORY_LOCK = 0x6865616467617465
"""The bytes of "headgate" as a signed 64-bit number."""


def upgrade(url: LedgerUrl, engine: sa.Engine) -> None:
    """Bring the ledger to this version's schema in one transaction. Raises LedgerTooNew, driver errors."""
    config = _config()
    with _one_at_a_time(url), engine.connect() as connection:
        if url.is_sqlite:
            _prepare_sqlite(connection)
        with connection.begin():
            if not url.is_sqlite:
                # Another replica may be migrating for longer than a statement may take, or a turn may idle.
                connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
                connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
            _refuse_newer(connection, config, url.shown)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def check_version(connection: sa.Connection, shown: str) -> None:
    """Raise LedgerTooNew if the ledger is newer than this program, LedgerUnusable if it is older or empty."""
    config = _config()
    _refuse_newer(connection, config, shown)
    head = ScriptDirectory.from_config(config).get_current_head()
    if MigrationContext.configure(connection).get_current_revision() != head:
        raise LedgerUnusable(f"The ledger {shown} has not been migrated to this version; start `headgate serve` once.")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _refuse_newer(connection: sa.Connection, config: Config, shown: str) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    for revision in MigrationContext.configure(connection).get_current_heads():
        if revision not in known:
            raise LedgerTooNew(
                f"The ledger {shown} was written by a newer Headgate (its schema is {revision}). "
                "Install that version or a later one (pip install --upgrade headgate), "
                "or name another ledger in ledger.url."
            )


def _prepare_sqlite(connection: sa.Connection) -> None:
    # Both only work outside a transaction, and auto_vacuum only before the first table is created.
    raw = connection.connection.driver_connection
    if raw is None:
        raise LedgerUnusable("The ledger was closed while it was being migrated; try again.")
    raw.execute("PRAGMA auto_vacuum=INCREMENTAL")
    raw.execute("PRAGMA journal_mode=WAL")


@contextlib.contextmanager
def _one_at_a_time(url: LedgerUrl) -> Iterator[None]:
    directory = url.state_dir
    if directory is None:
        yield
        return
    locks.make_directory(directory)
    with locks.exclusive(directory / "migrate"):
        yield
