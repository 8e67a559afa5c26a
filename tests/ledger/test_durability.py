"""What SQLite promises at each level of durability; PostgreSQL's is in test_trouble_postgres."""

from pathlib import Path

import pytest

from headgate.ledger.connect import Durability, connect_sqlite
from headgate.ledger.engine import open_ledger

NORMAL, FULL = 1, 2
"""https://sqlite.org/pragma.html#pragma_synchronous: in WAL mode NORMAL outlives the process, FULL the power."""


@pytest.mark.parametrize(
    ("durability", "level"), [(Durability.BATCH, NORMAL), (Durability.CALL, NORMAL), (Durability.FSYNC, FULL)]
)
def test_only_fsync_waits_for_the_disk(tmp_path: Path, durability: Durability, level: int) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path}/ledger.db")
    ledger.migrate()
    ledger.close()
    connection = connect_sqlite(tmp_path / "ledger.db", durability=durability)
    try:
        assert connection.execute("PRAGMA synchronous").fetchone() == (level,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    finally:
        connection.close()
