from __future__ import annotations

from pathlib import Path

import pytest
from tests.ledger.rows import DAY, NOW, attempt_row, call_row, work_of

from headgate.ledger import incarnations, keys, tables
from headgate.ledger.batch import Batch
from headgate.ledger.connect import Durability
from headgate.ledger.engine import Ledger
from headgate.ledger.errors import LedgerUnusable
from headgate.ledger.store import open_store
from headgate.ledger.views import Filter, GroupBy, Reader

TODAY = NOW - NOW % DAY


@pytest.fixture
def reader(ledger: Ledger, lock_dir: Path) -> Reader:
    """Five calls: two models, two keys, two days, one failure over two providers, one of unknown cost."""
    with ledger.write() as connection:
        key = keys.create_key(connection, account="acme", name="ci", now=NOW).id
    rows = [
        (call_row(1, key=key), [attempt_row(1)]),
        (
            call_row(2, key=key, started_at=NOW + 1, attempts=2, model_asked="smart"),
            [attempt_row(2, 1, provider="box", failure="cut", cost_nano=0), attempt_row(2, 2)],
        ),
        (
            call_row(3, key=key, started_at=NOW + 2, cost_nano=None, model="qwen3:8b"),
            [attempt_row(3, provider="box", cost_nano=None)],
        ),
        (call_row(4, started_at=NOW + DAY, account="other", key="gone"), [attempt_row(4, cost_nano=1_000)]),
        (call_row(5, started_at=NOW + 3, attempts=0, outcome="rejected", cost_nano=0), []),
    ]
    store = open_store(ledger.url, Durability.CALL)
    life = incarnations.register(ledger, lock_dir, NOW)
    assert store.write(life.id, NOW, Batch([work_of(call, attempts) for call, attempts in rows]))
    store.retire(life.id, NOW)
    store.close()
    life.end()
    fix = {"at": NOW, "reason": "invoice", "author": "ops"}
    with ledger.write() as connection:
        connection.execute(
            tables.adjustments.insert(),
            [
                {"call": "call-1", "no": 1, "delta_nano": 500, "target_nano": 1_500, **fix},
                {"call": "call-1", "no": 1, "delta_nano": -200, "target_nano": 1_300, **fix},
            ],
        )
    return ledger.reader()


def ids(reader: Reader, where: Filter, limit: int = 100) -> list[str]:
    return [row["id"].removeprefix("call-") for row in reader.calls(where, limit=limit)]


FILTERS: list[tuple[Filter, list[str]]] = [
    (Filter(), ["4", "5", "3", "2", "1"]),
    (Filter(since=NOW + 2), ["4", "5", "3"]),
    (Filter(since=NOW + 2, until=NOW + DAY), ["5", "3"]),
    (Filter(key="ci"), ["3", "2", "1"]),
    (Filter(key="gone"), ["4"]),
    (Filter(key="nobody' OR 1=1 --"), []),
    (Filter(account="other"), ["4"]),
    (Filter(model="qwen3:8b"), ["3"]),
    (Filter(model="smart"), ["2"]),
    (Filter(outcome="rejected"), ["5"]),
    (Filter(account="acme", outcome="ok", since=NOW + 1), ["3", "2"]),
]


def test_calls_are_filtered_newest_first(reader: Reader) -> None:
    for where, wanted in FILTERS:
        assert ids(reader, where) == wanted, where
        assert ids(reader, where, limit=2) == wanted[:2], where


def test_a_call_in_a_list_names_its_key_and_its_corrections(reader: Reader) -> None:
    rows = {row["id"]: row for row in reader.calls()}
    assert (rows["call-1"]["key_name"], rows["call-1"]["adjusted_nano"]) == ("ci", 300)
    assert (rows["call-4"]["key_name"], rows["call-4"]["adjusted_nano"]) == (None, 0)
    assert "facts" not in rows["call-1"]
    assert rows["call-1"]["stream"] is True


def test_one_call_comes_with_its_attempts_and_corrections(reader: Reader) -> None:
    call = reader.call("call-2")
    assert call is not None
    assert call["attempt_count"] == 2
    assert [(row["no"], row["provider"], row["failure"]) for row in call["attempts"]] == [
        (1, "box", "cut"),
        (2, "openai", None),
    ]
    assert call["facts"] == b'{"size":1}'
    first = reader.call("call-1")
    assert first is not None
    assert [row["delta_nano"] for row in first["adjustments"]] == [500, -200]
    assert reader.call("call-0") is None


def test_usage_by_each_group(reader: Reader) -> None:
    def sums(by: GroupBy) -> list[tuple[object, ...]]:
        return [
            (row.group, row.label, row.requests, row.output, row.cost_nano, row.unknown_cost, row.savings_nano)
            for row in reader.usage(by)
        ]

    key = reader.keys(NOW)[0].id
    assert sums(GroupBy.ALL) == [("all", None, 5, 250, 3_300, 1, 35)]
    assert sums(GroupBy.MODEL) == [("gpt-5-mini", None, 4, 200, 3_300, 0, 28), ("qwen3:8b", None, 1, 50, 0, 1, 7)]
    assert sums(GroupBy.PROVIDER) == [("openai", None, 3, 150, 3_300, 0, 21), ("box", None, 2, 100, 0, 1, 14)]
    assert sums(GroupBy.KEY) == [
        (key, "ci", 3, 150, 2_300, 1, 21),
        ("gone", None, 1, 50, 1_000, 0, 7),
        ("key_ci", None, 1, 50, 0, 0, 7),
    ]
    assert sums(GroupBy.ACCOUNT) == [("acme", None, 4, 200, 2_300, 1, 28), ("other", None, 1, 50, 1_000, 0, 7)]
    assert sums(GroupBy.DAY) == [(TODAY, None, 4, 200, 2_300, 1, 28), (TODAY + DAY, None, 1, 50, 1_000, 0, 7)]


def test_usage_of_a_window_and_of_nothing(reader: Reader) -> None:
    only = reader.usage(GroupBy.ALL, Filter(since=NOW, until=NOW + 1))[0]
    assert (only.requests, only.input, only.cache_read, only.cache_write_5m, only.cache_write_1h) == (1, 100, 20, 3, 4)
    assert (only.output, only.reasoning, only.cost_nano) == (50, 10, 1_300)
    nothing = reader.usage(GroupBy.ALL, Filter(since=NOW + 9 * DAY))[0]
    assert (nothing.requests, nothing.cost_nano, nothing.unknown_cost) == (0, 0, 0)
    assert reader.usage(GroupBy.MODEL, Filter(since=NOW + 9 * DAY)) == []
    assert reader.usage(GroupBy.PROVIDER, Filter(key="ci"))[0].requests == 2


def test_amounts_are_integers_whatever_the_engine_sums_to(reader: Reader) -> None:
    for by in GroupBy:
        for row in reader.usage(by):
            assert {type(getattr(row, name)) for name in ("cost_nano", "unknown_cost", "input")} == {int}


def test_a_reader_cannot_write(reader: Reader) -> None:
    with pytest.raises(LedgerUnusable, match="read-only"), reader.connection() as connection:
        connection.execute(tables.calls.delete())
