import json
from pathlib import Path

from .conftest import Run


def test_a_good_file_is_told_with_what_it_holds(run: Run, folder: Path) -> None:
    (folder / "headgate.yaml").write_text(
        "providers: {box: {kind: openai, base_url: 'http://127.0.0.1:1', price: free}}\n"
        "models: {fast: {routes: [box/a]}}\n"
    )
    result = run("check")
    assert result.exit_code == 0
    assert "no problems" in result.stdout
    assert "models: fast" in result.stdout
    told = json.loads(run("check", "--json").stdout)
    assert told["ok"] is True
    assert (told["providers"], told["models"]) == (["box"], ["fast"])
    assert len(told["fingerprint"]) == 64


def test_what_the_file_owns_is_counted_and_its_secrets_are_not_shown(run: Run, folder: Path) -> None:
    (folder / "headgate.yaml").write_text(
        "accounts: [acme]\n"
        "keys: [{name: ci, account: acme, secret: sk-very-secret-of-the-tests, expires: 2020-01-01}]\n"
        "limits: [{account: acme, usd: 50, per: month}, {key: ci, requests: 9, per: 90m}]\n"
    )
    result = run("check")
    assert "owned by this file: accounts 1, keys 1, limits 2" in result.stdout
    assert "the key 'ci' of account 'acme' has expired" in result.stdout
    as_json = run("check", "--json")
    told = json.loads(as_json.stdout)
    assert (told["accounts"], told["keys"]) == (["acme"], [{"account": "acme", "name": "ci"}])
    assert told["limits"] == ["usd per month of account 'acme'", "requests per 90m of key 'ci'"]
    assert "very-secret" not in result.output + as_json.output


def test_every_problem_is_a_line_on_stderr_with_its_place(run: Run, folder: Path) -> None:
    file = folder / "other.yaml"
    file.write_text("servr: {}\nproviders:\n  openai: {kind: opnai}\n")
    result = run("check", "--config", str(file))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert f"{file}:1: servr: unknown key; did you mean 'server'?" in result.stderr
    assert f"{file}:3: providers.openai.kind: must be 'openai'" in result.stderr
    assert "headgate check" in result.stderr.splitlines()[-1]
    told = json.loads(run("check", "--config", str(file), "--json").stdout)
    assert told["ok"] is False
    assert [(one["line"], one["where"]) for one in told["problems"]] == [(1, "servr"), (3, "providers.openai.kind")]


def test_a_missing_file_is_said(run: Run) -> None:
    result = run("check", "--config", "nowhere.yaml")
    assert result.exit_code == 1
    assert "nowhere.yaml: cannot be read" in result.stderr


def test_a_route_without_a_known_price_is_noted(run: Run, folder: Path) -> None:
    (folder / "headgate.yaml").write_text(
        "providers: {box: {kind: openai, base_url: 'http://127.0.0.1:1'}}\nmodels: {fast: {routes: [box/a]}}\n"
    )
    result = run("check")
    assert result.exit_code == 0
    assert "box/a has no known price" in result.stdout


def test_without_a_file_the_start_is_told(run: Run) -> None:
    assert "SIMULATED" in run("check").stdout
    found = run("check", env={"OPENAI_API_KEY": "sk-very-secret"})
    assert "found: openai (OPENAI_API_KEY), openai-responses (OPENAI_API_KEY)" in found.stdout
    assert "sk-very-secret" not in found.output


def test_no_secret_is_ever_printed(run: Run, folder: Path) -> None:
    file = folder / "headgate.yaml"
    file.write_text("providers: {openai: {kind: openai, api_key: sk-very-secret, billing: sk-very-secret}}")
    for options in ((), ("--json",)):
        assert "sk-very-secret" not in run("check", *options).output
    file.write_text("providers: {openai: {kind: openai, api_key: sk-very-secret}}")
    for options in ((), ("--json",)):
        assert "sk-very-secret" not in run("check", *options).output


def test_the_schema_is_json(run: Run) -> None:
    schema = json.loads(run("check", "--schema").stdout)
    assert set(schema["properties"]) == {
        "server",
        "ledger",
        "providers",
        "models",
        "accounts",
        "keys",
        "limits",
    }


def test_a_folder_in_the_place_of_the_file_is_a_problem(run: Run, folder: Path) -> None:
    (folder / "headgate.yaml").mkdir()
    told = run("check", "--json")
    assert (told.exit_code, json.loads(told.stdout)["ok"]) == (1, False)
    for command in (("check",), ("calls",), ("serve",)):
        refused = run(*command)
        assert refused.exit_code == 1
        assert "headgate.yaml: is a folder" in refused.stderr
    assert [path.name for path in folder.iterdir()] == ["headgate.yaml"]
