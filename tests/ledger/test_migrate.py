from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from headgate.ledger import tables
from headgate.ledger.engine import Ledger, open_ledger
from headgate.ledger.errors import LedgerTooNew, LedgerUnusable
from headgate.model.records import AttemptRow, CallRow


def test_the_migrated_schema_is_the_declared_one(ledger: Ledger) -> None:
    with ledger.reader().connection() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []
    ledger.check()


def test_rows_and_columns_are_in_the_same_order() -> None:
    assert tuple(tables.calls.c.keys()) == CallRow.__struct_fields__
    assert tuple(tables.attempts.c.keys()) == AttemptRow.__struct_fields__
    assert msgspec.structs.fields(CallRow)


def test_migrating_again_and_at_once_from_many_keeps_one_state(ledger_url: str) -> None:
    failures: list[BaseException] = []

    def migrate() -> None:
        handle = open_ledger(ledger_url)
        try:
            handle.migrate()
        except BaseException as error:  # noqa: BLE001  reported below
            failures.append(error)
        finally:
            handle.close()

    threads = [threading.Thread(target=migrate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    handle = open_ledger(ledger_url)
    with handle.reader().connection() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.ledger_state)) == 1
    handle.close()


def test_sqlite_has_wal_and_incremental_vacuum_from_the_first_table(tmp_path: Path) -> None:
    handle = open_ledger(f"sqlite:///{tmp_path}/l.db")
    handle.migrate()
    handle.close()
    raw = sqlite3.connect(tmp_path / "l.db")
    assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert raw.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    raw.close()


def test_a_newer_ledger_is_refused_and_left_alone(ledger: Ledger, ledger_url: str) -> None:
    with ledger.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    other = open_ledger(ledger_url)
    with pytest.raises(LedgerTooNew, match="pip install --upgrade headgate"):
        other.migrate()
    with pytest.raises(LedgerTooNew, match="9999"):
        other.check()
    with ledger.reader().connection() as connection:
        assert connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == "9999"
    other.close()


def test_an_empty_ledger_is_not_ready(ledger_url: str, tmp_path: Path) -> None:
    if ledger_url.startswith("sqlite"):
        sqlite3.connect(tmp_path / "headgate.db").close()
    handle = open_ledger(ledger_url)
    with pytest.raises(LedgerUnusable, match="headgate serve"):
        handle.check()
    handle.close()
