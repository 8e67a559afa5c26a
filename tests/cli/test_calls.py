import json
import time
from typing import Any

import pytest

from headgate.ledger.engine import Ledger
from headgate.ledger.tables import adjustments

from .conftest import HOUR, Run, a_call, an_attempt, record


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    now = time.time_ns()
    rows = [
        a_call(1, now - 48 * HOUR, account="other", key="key_2"),
        a_call(2, now - 2 * HOUR, model="unpriced", cost_nano=None, basis="unknown", stream=True),
        a_call(3, now - HOUR, outcome="failed", status=502, error="upstream_error", route="", cost_nano=0, attempts=2),
    ]
    tries = [
        an_attempt(rows[0]),
        an_attempt(rows[1], hold_nano=None),
        an_attempt(rows[2], 1, failure="rate_limited", status=429, message="slow down", cost_nano=0),
        an_attempt(rows[2], 2, failure="cut", status=200, provider="box", cost_nano=0),
    ]
    record(ledger, rows, tries)
    return ledger


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_calls_are_one_json_object_a_line_newest_first(run: Run, filled: Ledger) -> None:
    found = lines(run("calls", "--json").stdout)
    assert [call["id"] for call in found] == ["call-3", "call-2", "call-1"]


def test_a_call_for_programs_has_decimal_money_and_times_with_a_unit(run: Run, ledger: Ledger) -> None:
    at = 1_700_000_000_123_456_789
    record(ledger, [a_call(1, at)])
    assert lines(run("calls", "--json").stdout) == [
        {
            "id": "call-1",
            "started_at": "2023-11-14T22:13:20.123Z",
            "account": "acme",
            "key": "key_1",
            "key_name": None,
            "session": None,
            "endpoint": "chat/completions",
            "model_asked": "fast",
            "model": "gpt-5-mini",
            "route": "openai/gpt-5-mini",
            "stream": False,
            "status": 200,
            "outcome": "ok",
            "error": None,
            "attempts": 1,
            "duration_ms": 1234.568,
            "ttft_ms": 456.0,
            "output_tok_s": 64.2,  # 50 tokens in 1234.568 ms - 456 ms
            "usage": {
                "input": 100,
                "cache_read": 20,
                "cache_write_5m": 0,
                "cache_write_1h": 0,
                "output": 50,
                "reasoning": 10,
                "input_audio": 0,
                "cache_read_audio": 0,
                "output_audio": 0,
                "total_input": 120,
                "total_output": 50,
            },
            "cost_usd": "0.0001255",
            "basis": "computed",
            "savings_usd": "0.0000045",
            "dropped": None,
            "incarnation": 1,
        }
    ]


def test_an_unknown_cost_is_null_and_not_zero(run: Run, filled: Ledger) -> None:
    costs = {call["id"]: call["cost_usd"] for call in lines(run("calls", "--json").stdout)}
    assert costs == {"call-1": "0.0001255", "call-2": None, "call-3": "0"}
    assert "unknown" in run("calls").stdout


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (("--since", "3h"), ["call-3", "call-2"]),
        (("--since", "all", "--limit", "1"), ["call-3"]),
        (("--account", "other"), ["call-1"]),
        (("--key", "key_2"), ["call-1"]),
        (("--model", "unpriced"), ["call-2"]),
        (("--outcome", "failed"), ["call-3"]),
        (("--since", "2020-01-01", "--outcome", "ok"), ["call-2", "call-1"]),
        (("--since", "2099-01-01"), []),
    ],
)
def test_calls_can_be_narrowed(run: Run, filled: Ledger, options: tuple[str, ...], ids: list[str]) -> None:
    assert [call["id"] for call in lines(run("calls", *options, "--json").stdout)] == ids


def test_the_table_is_plain_text_whole_in_a_pipe(run: Run, filled: Ledger) -> None:
    result = run("calls")
    assert result.exit_code == 0
    assert "openai/gpt-5-mini" in result.stdout
    assert "$0.000126" in result.stdout
    assert "\x1b" not in result.stdout
    assert len(result.stdout.splitlines()) == 4


def test_a_narrow_terminal_gets_blocks_and_loses_nothing(
    run: Run, filled: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "60")
    lines = run("calls").stdout.splitlines()
    assert all(len(line) <= 60 for line in lines)
    assert "route: openai/gpt-5-mini" in lines
    assert "cost: unknown" in lines


def test_what_a_stranger_named_cannot_steer_the_terminal(run: Run, ledger: Ledger) -> None:
    record(ledger, [a_call(1, time.time_ns(), model="evil\x1b]0;owned\x07\n\u202e", route="[bold]x[/bold]")])
    text = run("calls").stdout
    assert "\x1b" not in text
    assert "\\x1b" in text
    assert "[bold]x[/bold]" in text
    assert len(text.splitlines()) == 2


def test_one_call_is_shown_with_its_attempts(run: Run, filled: Ledger) -> None:
    whole = json.loads(run("calls", "show", "call-3", "--json").stdout)
    assert whole["attempts"] == 2
    assert [(one["no"], one["failure"], one["provider"]) for one in whole["tries"]] == [
        (1, "rate_limited", "openai"),
        (2, "cut", "box"),
    ]
    assert whole["tries"][0]["hold_usd"] == "0.0009"
    assert whole["facts"] == {"endpoint": "chat/completions"}
    text = run("calls", "show", "call-3").stdout
    assert "slow down" in text
    assert "box/gpt-5-mini" in text


def test_what_passed_a_hold_stands_beside_it(run: Run, ledger: Ledger) -> None:
    call = a_call(1, time.time_ns(), cost_nano=1_250_000)
    record(ledger, [call], [an_attempt(call, reported_nano=1_250_000, over_nano=350_000)])
    [attempt] = json.loads(run("calls", "show", "call-1", "--json").stdout)["tries"]
    amounts = {name: attempt[f"{name}_usd"] for name in ("hold", "reported", "cost", "over")}
    assert amounts == {"hold": "0.0009", "reported": "0.00125", "cost": "0.00125", "over": "0.00035"}
    text = run("calls", "show", "call-1").stdout
    assert "$0.000900  $0.001250  $0.001250  $0.000350" in text


def test_a_correction_counts_in_the_cost_and_is_shown(run: Run, filled: Ledger) -> None:
    with filled.write() as connection:
        connection.execute(
            adjustments.insert().values(
                call="call-2",
                no=1,
                at=1_700_000_000 * 10**9,
                delta_nano=5_000_000,
                target_nano=5_000_000,
                reason="invoice",
                author="ops",
            )
        )
    whole = json.loads(run("calls", "show", "call-2", "--json").stdout)
    assert whole["cost_usd"] == "0.005"
    assert whole["adjustments"][0]["target_usd"] == "0.005"
    listed = {call["id"]: call["cost_usd"] for call in lines(run("calls", "--json").stdout)}
    assert listed["call-2"] == "0.005"
    assert "invoice" in run("calls", "show", "call-2").stdout


def test_a_call_that_is_not_there_and_odd_options_are_said(run: Run, filled: Ledger) -> None:
    for args, code, said in [
        (("calls", "show", "nope"), 1, "see: headgate calls"),
        (("calls", "--outcome", "nope"), 2, "must be one of ok"),
        (("calls", "--since", "yesterday"), 2, "--since"),
        (("calls", "--limit", "0"), 2, "--limit"),
    ]:
        result = run(*args)
        assert result.exit_code == code, (args, result.output)
        assert said in result.stderr


def test_usage_is_summed_by_each_group(run: Run, filled: Ledger) -> None:
    by_model = lines(run("usage", "--since", "all", "--json").stdout)
    assert [(row["model"], row["requests"], row["cost_usd"], row["unknown_cost"]) for row in by_model] == [
        ("gpt-5-mini", 2, "0.0001255", 0),
        ("unpriced", 1, "0", 1),
    ]
    assert by_model[0]["usage"]["total_input"] == 240
    by_account = lines(run("usage", "--by", "account", "--since", "all", "--json").stdout)
    assert {row["account"]: row["requests"] for row in by_account} == {"acme": 2, "other": 1}
    by_provider = lines(run("usage", "--by", "provider", "--since", "all", "--json").stdout)
    assert {row["provider"]: row["requests"] for row in by_provider} == {"openai": 3, "box": 1}
    by_key = lines(run("usage", "--by", "key", "--since", "all", "--json").stdout)
    assert {row["key"] for row in by_key} == {"key_1", "key_2"}


def test_usage_by_day_names_days(run: Run, ledger: Ledger) -> None:
    at = 1_700_000_000 * 10**9
    record(ledger, [a_call(1, at), a_call(2, at + 24 * HOUR)])
    days = lines(run("usage", "--by", "day", "--since", "all", "--json").stdout)
    assert [day["day"] for day in days] == ["2023-11-14", "2023-11-15"]


def test_usage_looks_back_a_day_unless_told(run: Run, filled: Ledger) -> None:
    assert sum(row["requests"] for row in lines(run("usage", "--json").stdout)) == 2
    assert sum(row["requests"] for row in lines(run("usage", "--since", "7d", "--json").stdout)) == 3


def test_usage_for_people_ends_in_a_total(run: Run, filled: Ledger) -> None:
    text = run("usage", "--since", "all").stdout.splitlines()
    assert text[-1].split()[:2] == ["total", "3"]
    assert "further back" in run("usage", "--since", "2099-01-01").stdout


def test_usage_by_what_is_no_group_is_a_usage_error(run: Run, filled: Ledger) -> None:
    result = run("usage", "--by", "colour")
    assert result.exit_code == 2
    assert "must be one of model" in result.stderr
