"""`headgate calls --lost` and `headgate calls settle`."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from tests.ledger.holding import NANO, balance, limit, living

from headgate.ledger import incarnations
from headgate.ledger.engine import Ledger
from headgate.ledger.tables import attempts, calls
from headgate.model.limit import Applied

from .conftest import HOUR, Run, a_call, an_attempt, record


@pytest.fixture
def usd(ledger: Ledger) -> Applied:
    return limit(ledger)


@pytest.fixture
def lost(ledger: Ledger, usd: Applied, folder: Path) -> Ledger:
    """A ledger in which two attempts of calls were lost; beside them a call that was not."""
    directory = incarnations.lock_directory(ledger, folder)
    now = time.time_ns()
    with living(ledger, directory) as life:
        life.hold(1, [usd], call_started_at=now, started_at=now)
        life.hold(2, [usd], call_started_at=now - 2 * HOUR, started_at=now - 2 * HOUR)
        life.end()
        assert incarnations.sweep(ledger, directory, now) == [life.id]
    whole = a_call(3, now)
    record(ledger, [whole], [an_attempt(whole)])
    return ledger


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_lost_attempts_are_listed_with_the_line_that_settles_each(run: Run, lost: Ledger) -> None:
    shown = run("calls", "--lost").stdout
    for number in (1, 2):
        assert f"headgate calls settle call-{number} --attempt 1 --usd AMOUNT" in shown
    assert shown.count("$0.000002") == 4
    assert shown.count("nobody yet") == 2
    assert "call-3" not in shown


def test_lost_attempts_for_programs(run: Run, lost: Ledger) -> None:
    run("calls", "settle", "call-1", "--usd", "0.0000005", "--reason", "bill 17")
    found = lines(run("calls", "--lost", "--json").stdout)
    assert [one["call"] for one in found] == ["call-1", "call-2"]
    first = found[0]
    assert (first["no"], first["charged_usd"], first["hold_usd"], first["cost_usd"]) == (
        1,
        "0.000002",
        "0.000002",
        "0.0000005",
    )
    (fix,) = first["adjustments"]
    assert (fix["delta_usd"], fix["target_usd"], fix["reason"]) == ("-0.0000015", "0.0000005", "bill 17")
    assert fix["author"].startswith("user ")
    assert first["settle"] == "headgate calls settle call-1 --attempt 1 --usd AMOUNT"


def test_lost_attempts_can_be_chosen_like_calls(run: Run, lost: Ledger) -> None:
    assert [one["call"] for one in lines(run("calls", "--lost", "--json", "--since", "1h").stdout)] == ["call-1"]
    assert [one["call"] for one in lines(run("calls", "--lost", "--json", "-n", "1").stdout)] == ["call-1"]
    assert lines(run("calls", "--lost", "--json", "--account", "other").stdout) == []
    assert run("calls", "--lost", "--account", "other").stdout == "No attempt is lost.\n"


def test_a_lost_call_can_be_asked_for_by_its_outcome(run: Run, lost: Ledger) -> None:
    assert {one["id"] for one in lines(run("calls", "--outcome", "lost", "--json").stdout)} == {"call-1", "call-2"}


def test_settle_tells_the_cost_before_and_after(run: Run, lost: Ledger, usd: Applied) -> None:
    result = run("calls", "settle", "call-1", "--usd", "$0.25")
    assert result.stdout == "Attempt 1 of call-1 (lost): was 0.000002 USD, is 0.25 USD now.\n"
    assert balance(lost, usd) == {0: (NANO + 250_000_000, 0)}
    again = run("calls", "settle", "call-1", "--attempt", "1", "--usd", "0", "--json")
    assert json.loads(again.stdout) == {
        "call": "call-1",
        "no": 1,
        "state": "lost",
        "before_usd": "0.25",
        "after_usd": "0",
    }
    assert balance(lost, usd) == {0: (NANO, 0)}
    assert json.loads(run("calls", "show", "call-1", "--json").stdout)["cost_usd"] == "0"


def test_a_settled_attempt_can_be_settled_anew(run: Run, lost: Ledger) -> None:
    result = run("calls", "settle", "call-3", "--usd", "1", "--json")
    assert json.loads(result.stdout)["before_usd"] == "0.0001255"


def test_an_unknown_cost_is_said_to_have_been_unknown(run: Run, ledger: Ledger) -> None:
    call = a_call(1, time.time_ns(), cost_nano=None)
    record(ledger, [call], [an_attempt(call)])
    assert "was unknown, is 0 USD now" in run("calls", "settle", "call-1", "--usd", "0").stdout
    assert json.loads(run("calls", "show", "call-1", "--json").stdout)["cost_usd"] == "0"


@pytest.mark.parametrize("amount", ["-1", "nan", "inf", "", "a", "1000000.000000001", "1e40", "0x1", "1,5"])
def test_an_amount_that_is_none_is_wrong_usage(run: Run, lost: Ledger, amount: str) -> None:
    result = run("calls", "settle", "call-1", f"--usd={amount}")
    assert result.exit_code == 2
    assert "--usd" in result.stderr
    with lost.reader().connection() as connection:
        assert {row.cost_nano for row in connection.execute(attempts.select())} == {NANO, 125_500}


@pytest.mark.parametrize("attempt", ["0", "-1", "x"])
def test_an_attempt_that_is_no_number_is_wrong_usage(run: Run, lost: Ledger, attempt: str) -> None:
    assert run("calls", "settle", "call-1", "--usd=1", f"--attempt={attempt}").exit_code == 2


def test_what_is_not_there_is_a_problem_that_says_what_to_type(run: Run, lost: Ledger) -> None:
    for words, said in (
        (["call-9", "--usd", "1"], "see: headgate calls"),
        (["call-1", "--usd", "1", "--attempt", "7"], "it has 1"),
        (["call-1", "--usd", "1", "--attempt", "99999999999999999999"], "no attempt"),
        (["call-1", "--usd", "1", "--reason", "a\nb"], "the reason"),
        (["call-1", "--usd", "1", "--reason", "x" * 201], "the reason"),
    ):
        result = run("calls", "settle", *words)
        assert (result.exit_code, result.stdout) == (1, "")
        assert said in result.stderr


def test_a_user_name_that_is_strange_harms_nothing(run: Run, lost: Ledger) -> None:
    result = run("calls", "settle", "call-1", "--usd", "1", env={"LOGNAME": "late settle\n\x1b[31m" + "x" * 300})
    assert result.exit_code == 0
    (fix,) = lines(run("calls", "--lost", "--json").stdout)[0]["adjustments"]
    assert fix["author"].startswith("user late settle\\n\\x1b[31mx")


def test_a_ledger_without_lost_attempts_says_so(run: Run, ledger: Ledger) -> None:
    with ledger.reader().connection() as connection:
        assert connection.execute(calls.select()).all() == []
    assert run("calls", "--lost").stdout == "No attempt is lost.\n"
    assert run("calls", "--lost", "--json").stdout == ""
