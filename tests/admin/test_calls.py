"""Calls and usage over the admin plane, on both engines."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from tests.admin.client import Client
from tests.ledger.rows import DAY, NOW, attempt_row, call_row
from typer.testing import CliRunner

from headgate.ledger.engine import Ledger
from headgate.ledger.tables import adjustments, attempts, calls
from headgate.ledger.views import GroupBy
from headgate.surfaces.cli.main import app


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    """Three calls: one of two attempts with a correction, one whose cost nobody knows, one of the day after."""
    rows = [
        call_row(1, attempts=2, cost_nano=1_000_000_000),
        call_row(
            2, cost_nano=None, basis="unknown", account="other", key="key_2", outcome="failed", started_at=NOW + 1
        ),
        call_row(3, started_at=NOW + DAY, model="claude-haiku-4-5", cost_nano=3),
    ]
    tries = [
        attempt_row(1, 1, provider="box", status=500, failure="server_error", cost_nano=0, message="it broke"),
        attempt_row(1, 2, cost_nano=1_000_000_000),
        attempt_row(2, 1, cost_nano=None),
        attempt_row(3, 1, cost_nano=3),
    ]
    fix = {"call": "call-1", "no": 2, "at": NOW, "delta_nano": -250_000_000, "target_nano": 750_000_000}
    with ledger.write() as connection:
        connection.execute(calls.insert(), [msgspec.structs.asdict(row) for row in rows])
        connection.execute(attempts.insert(), [msgspec.structs.asdict(row) for row in tries])
        connection.execute(adjustments.insert().values(**fix, reason="refund", author="ops"))
    return ledger


def ids(answer: Any) -> list[str]:
    return [call["id"] for call in answer.json["calls"]]


async def test_calls_come_newest_first_with_money_as_decimal_text(filled: Ledger, any_client: Client) -> None:
    answer = await any_client.get("/calls")
    assert ids(answer) == ["call-3", "call-2", "call-1"]
    costs = [call["cost_usd"] for call in answer.json["calls"]]
    assert costs == ["0.000000003", None, "0.75"]
    first = answer.json["calls"][2]
    assert first["started_at"] == "2024-10-04T00:00:05.000Z"
    assert (first["duration_ms"], first["ttft_ms"], first["stream"]) == (1500.0, 300.0, True)
    assert first["output_tok_s"] == 41.7  # 50 tokens in 1.2 s
    assert (first["usage"]["total_input"], first["usage"]["total_output"]) == (127, 50)


FILTERS: list[tuple[str, list[str]]] = [
    ("limit=1", ["call-3"]),
    ("account=other", ["call-2"]),
    ("key=key_2", ["call-2"]),
    ("model=claude-haiku-4-5", ["call-3"]),
    ("outcome=failed", ["call-2"]),
    ("since=2024-10-05", ["call-3"]),
    ("since=2024-10-05T00:00:05Z", ["call-3"]),
    ("since=2024-10-05T00:00:05.000001Z", []),
    (f"since={quote('2024-10-05T02:00:00+02:00')}", ["call-3"]),
    ("since=9999-12-31", []),
    ("since=0001-01-01T00:00:00Z", ["call-3", "call-2", "call-1"]),
    ("since=1m", []),
    ("account=other&model=claude-haiku-4-5", []),
    ("account=%25", []),
    (f"account={quote(chr(39) + ' OR 1=1 --')}", []),
    (f"model={quote('x) UNION SELECT sha256 FROM key_secrets --')}", []),  # noqa: S608  it is to be no SQL
]


async def test_a_filter_picks(filled: Ledger, any_client: Client) -> None:
    for query, expected in FILTERS:
        answer = await any_client.get(f"/calls?{query}")
        assert answer.status == 200, answer.body
        assert ids(answer) == expected, query


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=-1",
        "limit=1001",
        "limit=1e2",
        "limit=%D9%A1",
        "limit=9999999999999999999999",
        "limit=",
        "limit=1&limit=2",
        "since=yesterday",
        "since=",
        "since=12",
        "outcome=great",
        "key=",
        "key=%00",
        "account=a%0Ab",
        "key=%FF",
        "model=" + "m" * 300,
        "sinse=24h",
        "order_by=cost",
        "&".join(f"x{number}=1" for number in range(100)),
    ],
)
async def test_a_bad_query_is_refused_and_says_why(client: Client, query: str) -> None:
    answer = await client.get(f"/calls?{query}")
    assert (answer.status, answer.code) == (400, "invalid_request"), answer.body


async def test_one_call_is_shown_with_its_attempts_and_corrections(filled: Ledger, any_client: Client) -> None:
    call = (await any_client.get("/calls/call-1")).json
    assert (call["attempts"], call["cost_usd"], call["facts"]) == (2, "0.75", {"size": 1})
    assert [(one["no"], one["provider"], one["failure"], one["cost_usd"]) for one in call["tries"]] == [
        (1, "box", "server_error", "0"),
        (2, "openai", None, "1"),
    ]
    [fix] = call["adjustments"]
    assert (fix["delta_usd"], fix["target_usd"], fix["author"]) == ("-0.25", "0.75", "ops")


async def test_a_call_that_is_not_there(filled: Ledger, any_client: Client) -> None:
    for call_id in ("call-9", "%27%20OR%201=1", "call-1%20;", "..."):
        answer = await any_client.get(f"/calls/{call_id}")
        assert (answer.status, answer.code) == (404, "not_found")


@pytest.mark.parametrize("call_id", ["%00", "call-1%00", "%0d%0aset-cookie:x=1", "c" * 300])
async def test_an_id_that_none_can_have_is_refused(client: Client, call_id: str) -> None:
    answer = await client.get(f"/calls/{call_id}")
    assert answer.status == 400
    assert "set-cookie" not in answer.headers


async def test_usage_sums_by_group_and_in_total(filled: Ledger, any_client: Client) -> None:
    answer = (await any_client.get("/usage?by=account&since=all")).json
    assert [(one["group"], one["requests"], one["cost_usd"], one["unknown_cost"]) for one in answer["groups"]] == [
        ("acme", 2, "0.750000003", 0),
        ("other", 1, "0", 1),
    ]
    assert (answer["total"]["requests"], answer["total"]["cost_usd"], answer["total"]["unknown_cost"]) == (
        3,
        "0.750000003",
        1,
    )
    assert answer["total"]["usage"]["total_input"] == 3 * 127


async def test_usage_by_provider_counts_attempts(filled: Ledger, any_client: Client) -> None:
    groups = (await any_client.get("/usage?by=provider&since=all")).json["groups"]
    assert {one["group"]: one["requests"] for one in groups} == {"openai": 3, "box": 1}


async def test_usage_by_day_names_the_day(filled: Ledger, any_client: Client) -> None:
    groups = (await any_client.get("/usage?by=day&since=all")).json["groups"]
    assert [(one["group"], one["requests"]) for one in groups] == [("2024-10-04", 2), ("2024-10-05", 1)]


async def test_usage_of_nothing_is_zero(any_client: Client) -> None:
    for by in GroupBy:
        answer = await any_client.get(f"/usage?by={by}")
        assert answer.status == 200
        assert (answer.json["total"]["requests"], answer.json["total"]["cost_usd"]) == (0, "0")


async def test_usage_by_what_is_no_group_is_refused(client: Client) -> None:
    answer = await client.get("/usage?by=account;drop")
    assert (answer.status, answer.code) == (400, "invalid_request")


async def test_the_command_line_shows_the_same(
    filled: Ledger, any_client: Client, ledger_url: str, tmp_path: Path
) -> None:
    config = tmp_path / "headgate.yaml"
    config.write_text(f"ledger: {{url: '{ledger_url}'}}\n")

    async def told(*args: str) -> list[Any]:
        command = [*args, "--json", "--config", str(config)]
        result = await asyncio.to_thread(CliRunner().invoke, app, command)
        assert result.exit_code == 0, result.output
        return [msgspec.json.decode(line) for line in result.stdout.splitlines()]

    [made] = await told("keys", "create", "ci", "--expires", "30d")
    assert set(made) == {"key", "id", "account", "name", "expires_at"}
    assert await told("keys", "list") == (await any_client.get("/keys")).json["keys"]
    assert await told("calls") == (await any_client.get("/calls")).json["calls"]
    for call in ("call-1", "call-2"):
        assert await told("calls", "show", call) == [(await any_client.get(f"/calls/{call}")).json]
    for by in set(GroupBy) - {GroupBy.ALL}:
        groups = (await any_client.get(f"/usage?by={by}&since=2024-10-04")).json["groups"]
        assert await told("usage", "--by", by, "--since", "2024-10-04") == groups
        assert groups
