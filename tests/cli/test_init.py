"""`headgate init`, and what commands take from the environment and from a .env."""

import functools
import json
import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from headgate.surfaces import configured
from headgate.surfaces.cli.main import app

from .conftest import Run

DOC = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever serves models on the machine of the tests is not asked, and no key of its user is found."""
    monkeypatch.setattr(configured, "find", functools.partial(configured.find, usual=()))
    for name in os.environ:
        if name.endswith(("_API_KEY", "_BASE_URL")) or name.startswith(("OLLAMA", "HEADGATE")):
            monkeypatch.delenv(name)


KEYS = {"OPENAI_API_KEY": "sk-proj-5ecre7", "ANTHROPIC_API_KEY": "sk-ant-5ecre7"}


def test_what_it_writes_is_what_check_finds_without_problems(run: Run, folder: Path) -> None:
    before = json.loads(run("check", "--json", env=KEYS).stdout)
    written = run("init", env=KEYS)
    assert written.exit_code == 0, written.output
    assert "openai (OPENAI_API_KEY), openai-responses (OPENAI_API_KEY), anthropic (ANTHROPIC_API_KEY)" in written.stdout
    assert "headgate check, then headgate serve" in written.stdout
    checked = run("check", "--json", env=KEYS)
    told = json.loads(checked.stdout)
    assert told["file"] == str(folder / "headgate.yaml")
    assert told["fingerprint"] == before["fingerprint"]
    assert (told["providers"], told["found"]) == (["openai", "openai-responses", "anthropic"], [])
    assert before["found"] == [
        "openai (OPENAI_API_KEY)",
        "openai-responses (OPENAI_API_KEY)",
        "anthropic (ANTHROPIC_API_KEY)",
    ]
    assert "5ecre7" not in (folder / "headgate.yaml").read_text() + written.output + checked.output


def test_with_nothing_found_it_names_the_simulated_upstream(run: Run, folder: Path) -> None:
    written = run("init")
    assert "headgate sim & headgate serve" in written.stdout
    assert run("check").exit_code == 0
    assert "4190" in (folder / "headgate.yaml").read_text()


def test_a_file_that_is_there_is_left_alone_unless_told(run: Run, folder: Path) -> None:
    file = folder / "headgate.yaml"
    file.write_text("mine")
    refused = run("init")
    assert refused.exit_code == 1
    assert "--force" in refused.stderr
    assert file.read_text() == "mine"
    assert run("init", "--force").exit_code == 0
    assert "providers:" in file.read_text()


def test_a_link_to_nowhere_counts_as_a_file(run: Run, folder: Path) -> None:
    (folder / "headgate.yaml").symlink_to(folder / "elsewhere")
    assert run("init").exit_code == 1
    assert not (folder / "elsewhere").exists()


def test_nothing_but_the_file_is_left_in_the_folder(run: Run, folder: Path) -> None:
    assert run("init").exit_code == 0
    assert [path.name for path in folder.iterdir()] == ["headgate.yaml"]
    assert run("init", "--config", "sub/x.yaml").exit_code == 1
    assert [path.name for path in folder.iterdir()] == ["headgate.yaml"]


def test_a_place_that_cannot_be_written_is_said(run: Run, folder: Path) -> None:
    result = run("init", "--config", "/proc/headgate.yaml")
    assert result.exit_code == 1
    assert "cannot write /proc/headgate.yaml" in result.stderr
    assert "--print" in result.stderr


def test_another_file_is_named_in_what_to_type_next(run: Run, folder: Path) -> None:
    result = run("init", "--config", str(folder / "other.yaml"), env=KEYS)
    assert f"headgate serve --config {folder / 'other.yaml'}" in result.stdout
    assert run("check", "--config", "other.yaml", env=KEYS).exit_code == 0


def test_what_to_type_next_can_be_typed_in_any_folder(run: Run, folder: Path) -> None:
    (folder / "a b; touch c").mkdir()
    path = folder / "a b; touch c" / "other.yaml"
    told = run("init", "--config", str(path), env=KEYS).stdout
    assert shlex.split(told.partition("then ")[2]) == ["headgate", "serve", "--config", str(path)]


def test_printing_writes_nothing_and_keeps_notes_apart(run: Run, folder: Path) -> None:
    result = run("init", "--print", env={"OPENAI_API_KEY": "sk-ant-5ecre7"})
    assert result.exit_code == 0
    assert "sim-small" in result.stdout
    assert "Set ANTHROPIC_API_KEY instead" in result.stderr
    assert list(folder.iterdir()) == []
    assert "5ecre7" not in result.output
    told = json.loads(run("init", "--print", "--json", env=KEYS).stdout)
    assert (told["file"], told["simulated"]) == (None, False)
    (folder / "headgate.yaml").write_text(told["text"])
    assert run("check", env=KEYS).exit_code == 0


def test_json_names_the_file(run: Run, folder: Path) -> None:
    told = json.loads(run("init", "--json").stdout)
    assert told == {"file": str(folder / "headgate.yaml"), "found": [], "simulated": True, "notes": []}


def env_file(folder: Path, text: str) -> Path:
    path = folder / ".env"
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_a_env_file_is_found_by_check_and_init(run: Run, folder: Path) -> None:
    env_file(folder, "OPENAI_API_KEY=sk-proj-5ecre7\nHEADGATE_ADMIN_TOKEN=0123456789abcdef\n")
    checked = run("check")
    assert "found: openai (OPENAI_API_KEY)" in checked.stdout
    assert "closed" not in checked.stdout
    assert "openai (OPENAI_API_KEY)" in run("init").stdout
    assert run("check").exit_code == 0
    assert "5ecre7" not in checked.output


def test_the_ledgers_url_may_stand_in_the_env_file_beside_the_configuration(run: Run, folder: Path) -> None:
    there = folder / "etc"
    there.mkdir()
    (there / "headgate.yaml").write_text('ledger: {url: "${LEDGER}"}\nproviders: {x: {kind: openai, api_key: "${NO}"}}')
    env_file(there, f"LEDGER=sqlite:///{folder}/mine.db\n")
    env_file(folder, "LEDGER=sqlite:///wrong.db\n")
    config = str(there / "headgate.yaml")
    assert run("keys", "create", "dev", "--config", config).exit_code == 0
    assert (folder / "mine.db").exists()
    assert "dev" in run("keys", "list", env={"HEADGATE_CONFIG": config}).stdout
    assert run("keys", "list", "--config", config, env={"LEDGER": "sqlite:///other.db"}).exit_code == 1


def test_check_notes_broken_lines_and_who_can_read_them(run: Run, folder: Path) -> None:
    path = env_file(folder, "A=1\n5ecre7\n")
    path.chmod(path.stat().st_mode | stat.S_IROTH)
    told = json.loads(run("check", "--json").stdout)
    assert any(f"{path}:2" in note for note in told["notes"])
    assert any("chmod 600" in note for note in told["notes"])
    assert "5ecre7" not in str(told)


def test_every_variable_of_an_option_is_documented() -> None:
    def variables(command: Any) -> Iterator[str]:
        for param in command.params:
            named = getattr(param, "envvar", None)
            yield from [named] if isinstance(named, str) else named or []
        for inner in getattr(command, "commands", {}).values():
            yield from variables(inner)

    found = set(variables(get_command(app)))
    assert found == {"HEADGATE_CONFIG", "HEADGATE_HOST", "HEADGATE_PORT", "HEADGATE_ADMIN_PORT", "HEADGATE_WORKERS"}
    assert [name for name in found if f"`{name}`" not in DOC] == []
