"""`headgate limits` and `headgate accounts`: what people type, and what they and programs are told."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from headgate.ledger import limits as limit_store
from headgate.ledger.engine import Ledger
from headgate.ledger.keys import create_key, revoke_key
from headgate.ledger.tables import balances, limit_balances
from headgate.model.limit import EACH, Limit, Scope, Unit
from headgate.policy.windows import TOTAL

from .conftest import Run, a_call, an_attempt, record

DAY = 86_400_000_000_000
ACME = ("--account", "acme")


@pytest.fixture
def key(ledger: Ledger) -> str:
    """A key `ci` of account `acme`."""
    with ledger.write() as connection:
        return create_key(connection, account="acme", name="ci", now=time.time_ns()).id


def told(run: Run, *args: str) -> Any:
    """Return what a command says as JSON: a list of its lines."""
    result = run(*args, "--json")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ("--account", "acme", "--usd", "50", "--per", "month", "--zone", "Europe/Berlin"),
            {
                "scope": "account",
                "account": "acme",
                "name": "acme",
                "unit": "usd",
                "cap": "50",
                "zone": "Europe/Berlin",
            },
        ),
        (
            ("--key", "ci", "--usd", "0.25", "--per", "24h", "--clamp"),
            {"scope": "key", "account": None, "name": "ci", "cap": "0.25", "per": "24h", "zone": None, "clamp": True},
        ),
        (
            ("--key", "ci", "-a", "acme", "-m", "claude-*", "--tokens", "2_000_000", "--per", "day"),
            {"account": "acme", "model": "claude-*", "unit": "tokens", "cap": 2_000_000, "per": "day", "zone": "UTC"},
        ),
        (("--provider", "openai", "--usd", "0", "--per", "90m"), {"scope": "provider", "cap": "0", "per": "90m"}),
        (("--session", "each", "--requests", "3", "--per", "total"), {"scope": "session", "name": "each", "cap": 3}),
        (("--session", "s-1", "-a", "acme", "--usd", "1", "--per", "7d"), {"name": "s-1", "per": "168h"}),
        (("--account", "acme", "--concurrency", "20"), {"unit": "concurrency", "cap": 20, "per": None, "zone": None}),
        (("--account", "acme", "--usd", "1000000000", "--per", "week"), {"cap": "1000000000", "model": None}),
    ],
)
def test_a_limit_is_set_in_plain_words(run: Run, words: tuple[str, ...], expected: dict[str, Any]) -> None:
    [made] = told(run, "limits", "set", *words)
    assert {name: made[name] for name in expected} == expected
    assert list(made) == [
        "id", "scope", "account", "name", "model", "unit", "cap", "per", "zone", "clamp", "source"
    ]  # fmt: skip
    assert told(run, "limits", "list") == [made]
    [gone] = told(run, "limits", "remove", *words)
    assert gone == {"id": made["id"], "state": "removed"}
    assert told(run, "limits", "list") == []
    assert told(run, "limits", "list", "--all") == [made | {"removed": True}]


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((*ACME, "--usd", "nan", "--per", "day"), "must be an amount in USD from 0 to 1000000000"),
        ((*ACME, "--usd", "inf", "--per", "day"), "must be an amount in USD"),
        ((*ACME, "--usd", "-1", "--per", "day"), "must be an amount in USD"),
        ((*ACME, "--usd", "1000000000.1", "--per", "day"), "must be an amount in USD"),
        ((*ACME, "--usd", "1e400", "--per", "day"), "must be an amount in USD"),
        ((*ACME, "--usd", "", "--per", "day"), "must be an amount in USD"),
        ((*ACME, "--usd", "$5", "--per", "day"), "must be an amount in USD"),
        ((*ACME, "--tokens", "-1", "--per", "day"), "must be a whole number from 0"),
        ((*ACME, "--tokens", "1.5", "--per", "day"), "must be a whole number"),
        ((*ACME, "--tokens", "9" * 50, "--per", "day"), "must be a whole number"),
        ((*ACME, "--requests", "1000000000000000001", "--per", "day"), "must be a whole number"),
        ((*ACME, "--concurrency", "nan"), "must be a whole number"),
        ((*ACME, "--concurrency", "5", "--per", "day"), "leave it out"),
        ((*ACME, "--concurrency", "5", "--zone", "UTC"), "leave it out"),
        ((*ACME, "--usd", "5"), "say over which time: total, day, week, month"),
        ((*ACME, "--usd", "5", "--per", "fortnight"), "such as 24h"),
        ((*ACME, "--usd", "5", "--per", "0s"), "such as 24h"),
        ((*ACME, "--usd", "5", "--per", "500ms"), "such as 24h"),
        ((*ACME, "--usd", "5", "--per", "9999w"), "such as 24h"),
        ((*ACME, "--usd", "5", "--per", "24h", "--zone", "UTC"), "is for a day, week, month only"),
        ((*ACME, "--usd", "5", "--per", "day", "--zone", "Mars/Olympus"), "such as UTC or Europe/Berlin"),
        ((*ACME, "--usd", "5", "--per", "day", "--zone", "../../etc/passwd"), "such as UTC or Europe/Berlin"),
        ((*ACME, "--usd", "5", "--per", "day", "--zone", ""), "such as UTC or Europe/Berlin"),
        ((*ACME, "--usd", "5", "--tokens", "5", "--per", "day"), "set one for each"),
        ((*ACME, "--per", "day"), "say how much"),
        (("--usd", "5", "--per", "day"), "say whose limit it is"),
        ((*ACME, "--provider", "openai", "--usd", "5", "--per", "day"), "leave the account out"),
        (("--key", "ci", "--session", "each", "--usd", "5", "--per", "day"), "give one of them"),
        ((*ACME, "--model", "gpt-*", "--usd", "5", "--per", "day"), "name the key"),
        (("--session", "s-1", "--usd", "5", "--per", "day"), "say which"),
        (("--account", "anonymous", "--usd", "5", "--per", "day"), "has no limits"),
        (("--account", "", "--usd", "5", "--per", "day"), "must not be empty"),
        (("--key", "", "--usd", "5", "--per", "day"), "must not be empty"),
        (("--account", "a\nb", "--usd", "5", "--per", "day"), "control character"),
        (("--key", "ci", "--model", " x", "--usd", "5", "--per", "day"), "blank"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, tuple) else "",
)
def test_words_that_say_no_limit_are_told_what_to_write(run: Run, words: tuple[str, ...], said: str) -> None:
    result = run("limits", "set", *words, env={"COLUMNS": "300"})
    assert result.exit_code == 2, result.output
    assert said in " ".join(result.stderr.split()), result.stderr
    assert result.stdout == ""
    assert told(run, "limits", "list", "--all") == []


@pytest.mark.usefixtures("key")
def test_another_amount_leaves_the_clamp_alone(run: Run) -> None:
    words = ("limits", "set", "--key", "ci", "--usd", "5", "--per", "day")
    clamps = [told(run, *words, *more)[0]["clamp"] for more in ((), ("--clamp",), (), ("--no-clamp",), ())]
    assert clamps == [False, True, True, False, False]
    told(run, *words, "--clamp")
    told(run, "limits", "remove", "1")
    assert told(run, *words)[0]["clamp"] is False


@pytest.mark.usefixtures("key")
def test_a_slip_of_the_pen_sets_no_limit(run: Run) -> None:
    for words, said in (
        (("--account", "acm"), "headgate accounts list"),
        (("--key", "c%"), "headgate keys list"),
        (("--key", "ci", "--account", "other"), "headgate accounts list"),
    ):
        result = run("limits", "set", *words, "--usd", "1", "--per", "day")
        assert result.exit_code == 1
        assert said in result.stderr
    for word in ("77", "99999999999999999999"):
        assert "headgate limits list" in run("limits", "remove", word).stderr
    assert run("limits", "remove", "1", "--key", "ci").exit_code == 2
    assert run("limits", "remove").exit_code == 2
    assert run("limits", "remove", "one").exit_code == 2


def test_a_provider_that_the_file_does_not_have_gets_no_limit(run: Run, ledger: Ledger, folder: Path) -> None:
    ledger.close()
    (folder / "headgate.yaml").write_text("providers: {box: {api_key: '${NOT_SET}'}, cloud: {}}\n")
    result = run("limits", "set", "--provider", "bxo", "--usd", "1", "--per", "day")
    assert result.exit_code == 1
    assert "it has: box, cloud" in result.stderr
    assert told(run, "limits", "set", "--provider", "box", "--usd", "1", "--per", "day")[0]["name"] == "box"


def test_a_limit_of_the_file_is_changed_in_the_file(run: Run, ledger: Ledger, key: str) -> None:
    own = Limit(0, Scope.KEY, key, Unit.USD, TOTAL, 5, source="file")
    with ledger.write() as connection:
        made = limit_store.place(connection, own, 1)
    for args in (("set", "--key", key, "--usd", "9", "--per", "total"), ("remove", str(made.id))):
        result = run("limits", *args)
        assert result.exit_code == 1
        assert "configuration file" in result.stderr
    [listed] = told(run, "limits", "list")
    assert (listed["source"], listed["cap"]) == ("file", "0.000000005")


def test_a_new_limit_tells_what_was_spent_before_it(run: Run, ledger: Ledger, key: str) -> None:
    call = a_call(1, time.time_ns(), key=key)
    record(ledger, [call], [an_attempt(call)])
    result = run("limits", "set", "--key", "ci", "--usd", "2", "--per", "24h")
    assert "$2.000000 per 24h of key 'ci'" in result.stdout
    assert "key ci of acme: $0.000126 spent, $0.000000 held" in result.stdout
    [top] = told(run, "limits", "top")
    assert (top["spent"], top["left"]) == ("0.0001255", "1.9998745")
    assert top["subject"] == {"account": "acme", "key": key, "key_name": "ci"}
    run("limits", "set", "--key", "ci", "--usd", "0.0001", "--per", "24h")
    [top] = told(run, "limits", "top")
    assert (top["cap"], top["left"]) == ("0.0001", "0")


def test_the_fullest_stand_first(run: Run, ledger: Ledger, key: str) -> None:
    run("limits", "set", "--account", "acme", "--usd", "10", "--per", "total")
    run("limits", "set", "--key", "ci", "--concurrency", "4")
    run("limits", "set", "--session", EACH, "--tokens", "100", "--per", "total")
    rows = [
        (1, "acme", 2_500_000_000, 1_000_000_000),
        (2, key, 0, 3),
        (3, "acme\x1fs\x1b[2J", 90, 0),
        (3, "b\x1ft", 1, 0),
    ]
    with ledger.write() as connection:
        for limit, subject, spent, held in rows:
            values = {"limit_id": limit, "subject": subject, "bucket_start": 0, "spent": spent, "held": held}
            connection.execute(limit_balances.insert().values(values))
    top = told(run, "limits", "top")
    assert [(one["unit"], one["spent"], one["held"], one["left"]) for one in top] == [
        ("tokens", 90, 0, 10),
        ("concurrency", 0, 3, 1),
        ("usd", "2.5", "1", "6.5"),
        ("tokens", 1, 0, 99),
    ]
    assert top[0]["subject"] == {"account": "acme", "session": "s\x1b[2J"}
    assert told(run, "limits", "top", "-n", "1") == top[:1]
    text = run("limits", "top").stdout
    assert "\x1b" not in text
    assert " 90%" in text
    assert "key ci of acme" in text
    assert run("limits", "top", "-n", "0").exit_code == 2


def test_with_no_limits_it_is_told_how_to_set_one(run: Run, ledger: Ledger) -> None:
    ledger.close()
    for command in ("list", "top"):
        assert "headgate limits set" in run("limits", command).stdout
        assert told(run, "limits", command) == []


def test_without_a_ledger_it_is_told_how_to_make_one(run: Run) -> None:
    for args in (("limits", "list"), ("limits", "top"), ("accounts", "list"), ("accounts", "show", "acme")):
        result = run(*args)
        assert result.exit_code == 1
        assert "headgate keys create" in result.stderr


def test_an_account_is_created_listed_and_shown(run: Run, ledger: Ledger) -> None:
    [made] = told(run, "accounts", "create", "größe")
    assert (made["name"], made["keys"], made["source"]) == ("größe", 0, "store")
    now = time.time_ns()
    with ledger.write() as connection:
        key = create_key(connection, account="größe", name="ci", now=now).id
        revoke_key(connection, create_key(connection, account="größe", name="old", now=now).id, now=now)
        for unit, bucket, spent in (("usd", 0, 7_000_000_000), ("requests", 0, 70), ("usd", now - now % DAY, 5)):
            values = {"scope": "account", "scope_id": "größe", "unit": unit, "bucket_start": bucket}
            connection.execute(balances.insert().values(**values, spent=spent, held=0))
    run("limits", "set", "--account", "größe", "--usd", "8", "--per", "total")
    run("limits", "set", "--key", "ci", "--requests", "8", "--per", "day")
    [shown] = told(run, "accounts", "show", "größe")
    assert [(one["name"], one["state"]) for one in shown["keys"]] == [("ci", "active"), ("old", "revoked")]
    assert [(one["unit"], one["spent"]) for one in shown["limits"]] == [("usd", "7"), ("requests", 0)]
    assert shown["limits"][1]["subject"] == {"account": "größe", "key": key, "key_name": "ci"}
    assert shown["all_time"] == {"calls": 70, "tokens": 0, "cost_usd": "7"}
    assert shown["today"] == {"calls": 0, "tokens": 0, "cost_usd": "0.000000005"}
    text = run("accounts", "show", "größe").stdout
    for part in ("größe (store", "$7, 70 calls", "ci", "revoked", " 87%"):
        assert part in text
    assert told(run, "accounts", "list") == [made | {"keys": 1}]
    assert "größe" in run("accounts", "list").stdout


def test_what_is_wrong_with_an_account_is_told(run: Run, ledger: Ledger) -> None:
    ledger.close()
    assert "headgate accounts create" in run("accounts", "list").stdout
    assert run("accounts", "create", "acme").exit_code == 0
    shown = run("accounts", "show", "acme").stdout
    assert "headgate keys create" in shown
    assert "headgate limits set" in shown
    for args, code, said in [
        (("create", "acme"), 1, "headgate accounts list"),
        (("create", "anonymous"), 1, "give another"),
        (("create", "a\x1fb"), 1, "control character"),
        (("show", "acm%"), 1, "headgate accounts list"),
        (("show",), 2, "Missing argument"),
    ]:
        result = run("accounts", *args)
        assert result.exit_code == code
        assert said in result.stderr


def test_a_key_gets_other_models_and_another_end(run: Run, key: str) -> None:
    [changed] = told(run, "keys", "update", "ci", "-m", "gpt-*", "-m", "box/*", "--expires", "30d")
    assert (changed["id"], changed["models"]) == (key, ["gpt-*", "box/*"])
    assert changed["expires_at"] is not None
    [changed] = told(run, "keys", "update", key, "--all-models")
    assert changed["models"] is None
    assert changed["expires_at"] is not None
    assert "all models and never ends" in run("keys", "update", "ci", "--expires", "never").stdout
    for args, said in [
        (("--model", "x", "--all-models"), "not both"),
        ((), "say what to change"),
        (("--expires", "soon"), "must be a duration"),
    ]:
        result = run("keys", "update", "ci", *args)
        assert result.exit_code == 2
        assert said in result.stderr
