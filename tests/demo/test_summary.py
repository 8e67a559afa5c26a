"""The demo's checks are real: a nano-dollar that is moved anywhere is found."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.demo.conftest import Done

from headgate.ledger.engine import open_ledger
from headgate.ledger.views import Reader
from headgate.model.usage import Usage
from headgate.sim.bill import Bill, BillLine, Outcome
from headgate.surfaces.demo.scenario import ACCOUNT, prices
from headgate.surfaces.demo.summary import Summary, read_back

LEFT = Usage(input=33, output=120)


@pytest.fixture
def copied(done: Done, tmp_path: Path) -> Iterator[tuple[Path, Reader]]:
    """A copy of the demo's ledger that may be spoilt."""
    file = tmp_path / "headgate.db"
    with closing(sqlite3.connect(done.told["ledger"])) as source, closing(sqlite3.connect(file)) as target:
        source.backup(target)
    with closing(open_ledger(f"sqlite:///{file}")) as ledger:
        yield file, ledger.reader()


def bill_of(reader: Reader) -> Bill:
    """What the simulator has billed if the ledger is right; the call whose client left has its own line."""
    bill = Bill()
    for row in reader.calls():
        call = reader.call(row["id"])
        assert call is not None
        for one in call["attempts"]:
            gone = call["outcome"] == "client_gone"
            outcome = Outcome.CANCELLED if gone else Outcome.FAILED if one["failure"] else Outcome.COMPLETED
            usage = LEFT if gone else Usage(*(one[name] for name in Usage.__struct_fields__))
            bill.add(BillLine(one["upstream_name"], call["endpoint"], outcome, usage))
    return bill


def summary_of(reader: Reader, bill: Bill, problems: tuple[str, ...] = ()) -> Summary:
    with reader.connection() as connection:
        key = str(connection.exec_driver_sql("SELECT id FROM keys").scalar_one())
    return read_back(reader, key, bill, prices(datetime.now(UTC)), problems)


def test_an_untouched_ledger_agrees(copied: tuple[Path, Reader]) -> None:
    _, reader = copied
    summary = summary_of(reader, bill_of(reader))
    assert [check.name for check in summary.checks if not check.ok] == []
    assert summary.ok
    assert summary.left[0].billed_nano == 33 * 1_000 + 120 * 5_000


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        ("UPDATE balances SET spent = spent + 1 WHERE unit = 'usd' AND scope = 'account'", {"balance"}),
        ("UPDATE balances SET spent = spent - 1 WHERE unit = 'usd' AND scope = 'key'", {"balance"}),
        ("UPDATE balances SET held = 1 WHERE unit = 'usd' AND scope = 'account' AND bucket_start = 0", {"balance"}),
        ("UPDATE calls SET cost_nano = cost_nano + 1 WHERE model = 'gpt-5.1'", {"balance"}),
        ("UPDATE attempts SET cost_nano = cost_nano + 1 WHERE provider = 'groq'", {"balance", "cost"}),
        ("UPDATE attempts SET cache_read = cache_read + 1 WHERE provider = 'lab'", {"tokens"}),
        ("DELETE FROM attempts WHERE provider = 'lab'", {"tokens"}),
    ],
)
def test_what_does_not_agree_is_found(copied: tuple[Path, Reader], spoil: str, found: set[str]) -> None:
    file, reader = copied
    bill = bill_of(reader)
    with closing(sqlite3.connect(file)) as connection, connection:
        assert connection.execute(spoil).rowcount > 0
    summary = summary_of(reader, bill)
    words = {"balance": "add up to", "cost": "what the simulator bills", "tokens": "have its tokens"}
    wrong = [check.name for check in summary.checks if not check.ok]
    assert {word for word, part in words.items() for name in wrong if part in name} == found
    assert not summary.ok


def test_a_call_that_went_another_way_makes_it_wrong(copied: tuple[Path, Reader]) -> None:
    _, reader = copied
    summary = summary_of(reader, bill_of(reader), ("fast, fast: attempts: 1, not 2",))
    assert [check.found for check in summary.checks if not check.ok] == ["fast, fast: attempts: 1, not 2"]
    assert summary.total.requests == len(reader.calls())
    assert ACCOUNT == "demo"
