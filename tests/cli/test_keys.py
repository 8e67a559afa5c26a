import json
import time
from datetime import datetime
from pathlib import Path

from headgate.ledger.engine import Ledger, open_ledger
from headgate.ledger.keys import Identity, hash_secret

from .conftest import Run


def identities(folder: Path, now: int | None = None) -> dict[bytes, Identity]:
    return open_ledger(f"sqlite:///{folder}/headgate.db").reader().identities(now or time.time_ns())[1]


def test_a_created_key_is_printed_once_and_works(run: Run, folder: Path) -> None:
    result = run("keys", "create", "--json", "--account", "bench")
    assert result.exit_code == 0, result.output
    new = json.loads(result.stdout)
    assert new["key"].startswith("hg_")
    assert new["account"] == "bench"
    identity = identities(folder)[hash_secret(new["key"])]
    assert (identity.principal.account, identity.principal.key) == ("bench", new["id"])
    assert new["key"] not in run("keys", "list", "--json").stdout


def test_for_people_only_the_key_goes_to_stdout(run: Run) -> None:
    result = run("keys", "create", "ci", "--account", "acme")
    assert result.stdout.startswith("hg_")
    assert len(result.stdout.splitlines()) == 1
    assert "'ci' of account 'acme'" in result.stderr


def test_a_key_may_be_bound_to_models_and_a_time(run: Run, folder: Path) -> None:
    new = json.loads(run("keys", "create", "--json", "--model", "claude-*", "-m", "gpt-5", "--expires", "30d").stdout)
    identity = identities(folder)[hash_secret(new["key"])]
    assert identity.principal.allowed_models == ("claude-*", "gpt-5")
    assert identity.not_after_ns is not None
    listed = json.loads(run("keys", "list", "--json").stdout)
    assert listed["models"] == ["claude-*", "gpt-5"]
    assert datetime.fromisoformat(listed["expires_at"]).tzinfo is not None


def test_the_list_shows_every_key_and_its_state(run: Run) -> None:
    run("keys", "create", "one", "--account", "acme")
    run("keys", "create", "two", "--account", "acme")
    run("keys", "create", "three", "--account", "other")
    run("keys", "revoke", "two")
    rows = [json.loads(line) for line in run("keys", "list", "--json", "--account", "acme").stdout.splitlines()]
    assert [(row["name"], row["state"]) for row in rows] == [("one", "active"), ("two", "revoked")]
    text = run("keys", "list").stdout
    assert "three" in text
    assert "revoked" in text
    assert text.isascii()


def test_rotation_keeps_the_id_and_lets_the_old_secret_live_for_its_grace(run: Run, folder: Path) -> None:
    old = json.loads(run("keys", "create", "ci", "--json").stdout)
    new = json.loads(run("keys", "rotate", "ci", "--grace", "1h", "--json").stdout)
    assert new["id"] == old["id"]
    assert new["key"] != old["key"]
    now = time.time_ns()
    works = identities(folder, now)
    assert works[hash_secret(new["key"])].not_after_ns is None
    end = works[hash_secret(old["key"])].not_after_ns
    assert end is not None
    assert hash_secret(old["key"]) not in identities(folder, end)


def test_rotation_without_grace_ends_the_old_secret_at_once(run: Run, folder: Path) -> None:
    old = json.loads(run("keys", "create", "ci", "--json").stdout)
    new = json.loads(run("keys", "rotate", old["id"], "--grace", "0s", "--json").stdout)
    assert set(identities(folder)) == {hash_secret(new["key"])}


def test_a_revoked_key_works_no_more(run: Run, folder: Path) -> None:
    new = json.loads(run("keys", "create", "ci", "--json").stdout)
    result = run("keys", "revoke", "ci", "--json")
    assert json.loads(result.stdout) == {"id": new["id"], "state": "revoked"}
    assert identities(folder) == {}


def test_what_is_wrong_is_said_in_one_line_with_what_to_do(run: Run) -> None:
    run("keys", "create", "ci", "--account", "a")
    run("keys", "create", "ci", "--account", "b")
    for args, code, said in [
        (("keys", "revoke", "nobody"), 1, "see: headgate keys list"),
        (("keys", "create", "ci", "--account", "a"), 1, "rotate it or take another name"),
        (("keys", "rotate", "ci"), 1, "give its id or the account"),
        (("keys", "create", "a\nb"), 1, "control character"),
        (("keys", "create", "x", "--name", "y"), 1, "given twice"),
        (("keys", "rotate", "ci", "--grace", "soon"), 2, "must be a duration with its unit"),
        (("keys", "rotate"), 2, "Missing argument"),
        (("keys", "frobnicate"), 2, "No such command"),
        (("keys", "list", "--nope"), 2, "No such option"),
    ]:
        result = run(*args)
        assert result.exit_code == code, (args, result.output)
        assert said in result.stderr, (args, result.stderr)
        assert result.stdout == ""
        assert "Traceback" not in result.output


def test_two_accounts_may_have_a_key_of_one_name(run: Run) -> None:
    run("keys", "create", "ci", "--account", "a")
    run("keys", "create", "ci", "--account", "b")
    assert run("keys", "revoke", "ci", "--account", "b").exit_code == 0
    rows = [json.loads(line) for line in run("keys", "list", "--json").stdout.splitlines()]
    assert [(row["account"], row["state"]) for row in rows] == [("a", "active"), ("b", "revoked")]


def test_without_a_ledger_only_create_makes_one(run: Run, folder: Path) -> None:
    result = run("keys", "list")
    assert result.exit_code == 1
    assert "make one with `headgate keys create`" in result.stderr
    assert not (folder / "headgate.db").exists()
    assert run("keys", "create").exit_code == 0
    assert (folder / "headgate.db").exists()


def test_the_ledger_is_reached_without_the_providers_keys_in_the_environment(run: Run, folder: Path) -> None:
    (folder / "headgate.yaml").write_text(
        "ledger: {url: 'sqlite:///other.db'}\nproviders: {openai: {kind: openai, api_key: '${NOT_SET_HERE}'}}\n"
    )
    assert run("keys", "create").exit_code == 0
    assert (folder / "other.db").exists()
    assert run("check").exit_code == 1


def test_an_empty_ledger_says_what_to_type(run: Run, ledger: Ledger) -> None:
    ledger.close()
    assert "headgate keys create" in run("keys", "list").stdout
    assert run("keys", "list", "--json").stdout == ""
