"""`headgate demo --once --json`: its totals are the ledger's, to the nano-dollar, and what it prints works."""

import shlex
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from tests.demo.conftest import PATIENCE, Done, environment, running, start

from headgate.ledger.views import GroupBy
from headgate.model.money import format_usd, parse_usd
from headgate.surfaces import shown
from headgate.surfaces.demo.scenario import ACCOUNT, scenario


def ask(done: Done, query: str) -> tuple[int, ...]:
    with closing(sqlite3.connect(done.told["ledger"])) as connection:
        return tuple(connection.execute(query).fetchone())


def test_its_totals_are_the_ledgers_rows_and_balances(done: Done) -> None:
    told = done.told
    calls, cost, saved, unknown = ask(
        done, "SELECT count(*), sum(cost_nano), sum(savings_nano), sum(cost_nano IS NULL) FROM calls"
    )
    attempts, tried = ask(done, "SELECT count(*), sum(cost_nano) FROM attempts")
    assert (told["calls"], told["attempts"]) == (calls, attempts)
    assert parse_usd(told["cost_usd"]) == cost == tried > 0
    assert (parse_usd(told["savings_usd"]), told["unknown_cost"]) == (saved, unknown)
    [balance] = [
        one for one in done.ledger.reader().balances("account", ACCOUNT) if (one.unit, one.bucket_start) == ("usd", 0)
    ]
    assert (balance.spent, balance.held) == (cost, 0)
    for by, name in (("model", "models"), ("provider", "providers")):
        assert told[name] == [shown.usage(by, group) for group in done.ledger.reader().usage(GroupBy(by))]
        assert sum(parse_usd(group["cost_usd"]) for group in told[name]) == cost


def test_what_the_simulator_bills_differs_by_the_call_that_was_left_alone(done: Done) -> None:
    [left] = done.told["left"]
    assert left["basis"] == "estimated"
    gap = parse_usd(left["cost_usd"]) - parse_usd(left["simulator_usd"])
    assert gap != 0
    assert parse_usd(done.told["cost_usd"]) - parse_usd(done.told["simulator_usd"]) == gap
    assert all(check["ok"] for check in done.told["checks"])
    assert done.told["ok"]


def test_everything_of_the_scenario_is_in_the_ledger(done: Done) -> None:
    lanes = [lane for group in scenario() for lane in group]
    assert done.told["calls"] == sum(len(lane.turns) for lane in lanes)
    endpoints, streams, wholes, left = ask(
        done,
        "SELECT count(DISTINCT endpoint), sum(stream), sum(NOT stream), sum(outcome = 'client_gone') FROM calls",
    )
    assert (endpoints, left) == (3, 1)
    assert streams > 0
    assert wholes > 0
    for provider in ("anthropic", "openai", "openai-responses"):
        [usage] = [group["usage"] for group in done.told["providers"] if group["provider"] == provider]
        assert usage["cache_read"] > usage["output"]
    [saved] = done.told["saved_by_fallback"]
    assert saved["answered"] == "openai/gpt-5-mini"
    assert ask(done, "SELECT status, cost_nano FROM attempts WHERE failure = 'overloaded'") == (503, 0)
    [unpriced] = done.told["unpriced"]
    row = done.ledger.reader().call(unpriced)
    assert row is not None
    assert (row["cost_nano"], row["basis"], row["output"] > 0) == (None, "unknown", True)


def test_the_agents_prompts_grow_and_come_from_the_cache(done: Done) -> None:
    with closing(sqlite3.connect(done.told["ledger"])) as connection:
        rows = connection.execute(
            "SELECT input + cache_read + cache_write_5m, cache_read FROM calls"
            " WHERE model = 'claude-opus-4-5' ORDER BY started_at"
        ).fetchall()
    inputs, cached = zip(*rows, strict=True)
    assert list(inputs) == sorted(set(inputs))
    assert list(cached) == sorted(set(cached))
    assert cached[0] == 0 < cached[1]
    # All of the prompt before is read: only what the turn adds is new.
    assert list(cached[1:]) == list(inputs[:-1])


def test_the_commands_it_prints_work_when_it_is_over(done: Done) -> None:
    *commands, serve = done.told["commands"]
    said = []
    for command in [*commands, f"{serve} --help"]:
        result = subprocess.run(
            ["bash", "-c", command],
            cwd=done.folder / "cwd",
            env=environment(done.folder),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert (result.returncode, result.stderr) == (0, ""), command
        said.append(result.stdout)
    assert len(said[0].splitlines()) == done.told["calls"] + 1
    assert all(provider["provider"] in said[1] for provider in done.told["providers"])
    assert done.told["saved_by_fallback"][0]["id"] in said[2]
    assert shlex.split(serve)[1:] == ["serve"]


def test_nothing_runs_on_and_the_folder_holds_no_key(done: Done) -> None:
    assert running(done.folder) == []
    config = Path(done.told["config"])
    assert b"must-not-be-used" not in b"".join(path.read_bytes() for path in config.parent.rglob("*") if path.is_file())
    assert "must-not-be-used" not in str(done.told)


def test_the_same_seed_gives_the_same_money_and_another_one_other_answers(done: Done, tmp_path: Path) -> None:
    """In words this time: the summary that people get."""
    process = start(tmp_path, "--once", "--seed", str(done.told["seed"]))
    stdout, stderr = process.communicate(timeout=PATIENCE)
    assert (process.returncode, stderr) == (0, "")
    words = " ".join(stdout.split())
    total = format_usd(parse_usd(done.told["cost_usd"]))
    assert f"{done.told['calls']} calls, {done.told['attempts']} attempts: ${total}, and 1 of unknown cost." in words
    assert "WRONG" not in words
    assert words.count(" ok ") == len(done.told["checks"])


def test_a_gateway_that_does_not_start_is_told_with_what_it_said(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text(
        "import sys\nif 'serve' in sys.orig_argv:\n    sys.exit('no gateway today')\n"
    )
    process = start(tmp_path, "--once", PYTHONPATH=str(broken))
    stdout, stderr = process.communicate(timeout=PATIENCE)
    assert (process.returncode, stdout) == (1, "")
    assert "ended with code 1 instead of serving" in stderr
    assert "no gateway today" in stderr
    assert "Traceback" not in stderr
    assert running(tmp_path) == []


def test_a_picture_that_cannot_be_written_is_said_before_anything_starts(tmp_path: Path) -> None:
    process = start(tmp_path, "--svg", "none/demo.svg")
    stdout, stderr = process.communicate(timeout=PATIENCE)
    assert (process.returncode, stdout) == (1, "")
    assert "Cannot write into the folder of none/demo.svg" in stderr
    assert list(tmp_path.glob("headgate-demo-*")) == []
