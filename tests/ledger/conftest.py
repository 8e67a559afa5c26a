"""A migrated ledger, and rows to write to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from headgate.ledger.engine import Ledger, open_ledger


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    handle = open_ledger(ledger_url)
    handle.migrate()
    yield handle
    handle.close()
