"""What a shell is offered at a TAB: through the scripts, and by the words that they pass on."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.main import get_command

from headgate.ledger.engine import Ledger
from headgate.ledger.keys import create_key, revoke_key
from headgate.ledger.limits import set_limit
from headgate.model.limit import Limit, Scope, Unit
from headgate.policy.windows import TOTAL
from headgate.surfaces.cli.completion import answer
from headgate.surfaces.cli.main import app

from .conftest import Run, a_call, record

HEADGATE = Path(sys.executable).with_name("headgate")
ROOT = get_command(app)
HOSTILE = ("\\$(touch owned)", "`touch owned`", "$(touch owned)", "a;touch owned", "'a", "a b", "-x", "\x1b[2J", "a\nb")


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    now = time.time_ns()
    with ledger.write() as connection:
        for account, name in (("acme", "ci"), ("acme", "größe"), ("other", "cd")):
            create_key(connection, account=account, name=name, now=now)
        revoke_key(connection, create_key(connection, account="acme", name="old", now=now).id, now=now)
        set_limit(connection, Limit(0, Scope.ACCOUNT, "acme", Unit.USD, TOTAL, 1), now)
    rows = [a_call(1, now, model="qwen3:8b", model_asked="fast"), a_call(2, now, model="")]
    record(ledger, [*rows, *(a_call(9 + at, now, model_asked=name) for at, name in enumerate(HOSTILE))])
    ledger.close()
    return ledger


def offered(*words: str) -> list[str]:
    """Return the values that are offered for the last of the words."""
    return [line.partition("\t")[0] for line in answer(ROOT, "zsh", words).splitlines()]


def in_bash(folder: Path, line: str, breaks: str | None = None) -> list[str]:
    """Return what bash itself would offer at the end of `line`, as it stands in COMPREPLY."""
    change = "" if breaks is None else f"COMP_WORDBREAKS={breaks!r}\n"
    script = (
        f'eval "$("$1" completion bash)"\n{change}'
        "COMP_LINE=$2 COMP_POINT=${#2} COMP_WORDS=($2) COMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n"
        '_headgate headgate\nprintf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    result = subprocess.run(
        ["bash", "--norc", "-c", script, "bash", HEADGATE, line],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"},
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert result.stderr == b""
    return result.stdout.decode().split()


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["ca"], ["calls"]),
        (["keys", ""], ["create", "list", "update", "rotate", "revoke"]),
        (["limits", ""], ["list", "set", "remove", "top"]),
        (["limits", "set", "--per", "m"], ["month"]),
        (["limits", "set", "--session", ""], ["each"]),
        (["limits", "set", "--no"], ["--no-clamp"]),
        (["limits", "set", "--no-clamp", "--per", "w"], ["week"]),
        (["usage", "--by", ""], ["model", "provider", "key", "day", "account"]),
        (["usage", "--by=mo"], ["--by=model"]),
        (["calls", "--outcome", "b"], ["broken"]),
        (["serve", "--log-level", ""], ["debug", "info", "warning", "error"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["calls", "--since", "3"], ["30d"]),
        (["calls", "--ou"], ["--outcome"]),
        (["calls", "--json", "--js"], []),
        (["calls", "-n", "5", "--lim"], []),
        (["keys", "create", "--model", "a", "--mo"], ["--model"]),
        (["calls", "show", "--js"], ["--json"]),
        (["calls", "--", "--js"], []),
        (["nope", ""], []),
        (["usage", "--nope", ""], []),
        (["calls", "--config", ""], [":files"]),
        (["calls", "-c", "x"], [":files"]),
        (["calls", "--config=x"], [":files"]),
        (["sim", "--api-key", ""], []),
    ],
    ids=" ".join,
)
def test_the_words_of_a_line_decide_what_is_offered(folder: Path, words: list[str], values: list[str]) -> None:
    assert offered(*words) == values


def test_every_command_and_every_long_option_is_offered() -> None:
    assert set(offered("")) >= set(ROOT.commands)  # type: ignore[attr-defined]
    for name, command in ROOT.commands.items():  # type: ignore[attr-defined]
        long = {option for param in command.params for option in param.opts if option.startswith("--")}
        assert set(offered(name, "--")) == {*long, "--help"}


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["keys", "rotate", ""], ["cd", "ci", "größe"]),
        (["keys", "revoke", "--account", "acme", "c"], ["ci"]),
        (["calls", "--key", ""], ["cd", "ci", "größe", "old"]),
        (["usage", "--account", ""], ["acme", "other"]),
        (["accounts", "show", ""], ["acme", "other"]),
        (["limits", "set", "--key", "c"], ["cd", "ci"]),
        (["limits", "remove", ""], ["1"]),
        (["calls", "--model", ""], ["fast", "gpt-5-mini", "qwen3:8b"]),
        (["keys", "create", "--model", "q"], ["qwen3:8b"]),
        (["calls", "show", "call-1"], ["call-1", *(f"call-{number}" for number in range(10, 18))]),
    ],
    ids=" ".join,
)
def test_names_come_from_the_ledger(words: list[str], values: list[str]) -> None:
    assert sorted(offered(*words)) == sorted(values)


@pytest.mark.usefixtures("filled")
def test_what_a_shell_could_run_or_a_terminal_obey_is_not_offered(folder: Path) -> None:
    for shell in ("zsh", "fish"):
        told = answer(ROOT, shell, ["calls", "--model", ""])
        assert "touch" not in told
        assert "\x1b" not in told
    assert in_bash(folder, "headgate calls --model ") == ["fast", "gpt-5-mini", "qwen3:8b"]
    assert not (folder / "owned").exists()


@pytest.mark.usefixtures("filled")
def test_the_configuration_names_the_ledger_and_virtual_models(folder: Path) -> None:
    there = folder / "there"
    there.mkdir()
    (folder / "headgate.db").rename(there / "other.db")
    (there / "h.yaml").write_text(
        "ledger: {url: 'sqlite:///${NAME:-other}.db'}\nmodels: {smart: {routes: ['a/${NOPE}']}}\nproviders: {box: {}}\n"
    )
    assert offered("keys", "rotate", "--config", "there/h.yaml", "c") == ["cd", "ci"]
    assert offered("calls", "--config=there/h.yaml", "--model", "") == ["smart", "fast", "gpt-5-mini", "qwen3:8b"]
    assert offered("limits", "set", "--config", "there/h.yaml", "--provider", "") == ["box"]
    assert offered("keys", "rotate", "c") == []


@pytest.mark.usefixtures("filled")
def test_a_variable_names_the_configuration_and_a_file_beside_it_the_ledger(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = folder / "there"
    there.mkdir()
    (folder / "headgate.db").rename(there / "other.db")
    (there / "h.yaml").write_text("ledger: {url: '${LEDGER}'}\n")
    (there / ".env").write_text("LEDGER=sqlite:///other.db\n")
    monkeypatch.setenv("HEADGATE_CONFIG", "there/h.yaml")
    assert offered("keys", "rotate", "c") == ["cd", "ci"]
    assert offered("keys", "rotate", "--config", "none.yaml", "c") == []


@pytest.mark.parametrize(
    "config",
    [
        "",
        "ledger: {url: 'postgresql://127.0.0.1:9/x'}",
        "ledger: {url: 5}",
        "ledger: []",
        "- a",
        "a: [",
        "ledger: {url: 'sqlite:///headgate.yaml'}",
        "ledger: {url: 'sqlite:////proc/none/x.db'}",
        "#" * 300_000,
    ],
)
def test_what_is_wrong_is_met_with_silence_and_nothing_is_made(folder: Path, config: str) -> None:
    (folder / "headgate.yaml").write_text(config)
    for words in (["keys", "rotate", ""], ["calls", "--model", ""], ["calls", "show", ""]):
        assert offered(*words) == []
    assert [one.name for one in folder.iterdir()] == ["headgate.yaml"]


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "headgate.db")
    assert asked("zsh", folder, ["keys", "rotate", ""]) == "\n"
    os.mkfifo(folder / "headgate.yaml")
    assert asked("zsh", folder, ["calls", "--model", ""]) == "\n"


def test_without_a_ledger_none_is_made(folder: Path) -> None:
    assert in_bash(folder, "headgate keys rotate ") == []
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("headgate ca", ["calls"]),
        (f"{HEADGATE} usage --by ", ["model", "provider", "key", "day", "account"]),
        ("headgate usage --by=mo", ["model"]),
        ('headgate usage --by "mo', ["model"]),
        ("headgate calls --model qwen3:", ["8b"]),
        ("headgate calls --model=qwen3:", ["8b"]),
        ("headgate keys rotate g", ["größe"]),
        ("headgate calls --config ", []),
        ("headgate 'calls' --ou", ["--outcome"]),
    ],
)
def test_bash_completes_through_its_script(folder: Path, line: str, values: list[str]) -> None:
    assert in_bash(folder, line) == values


@pytest.mark.usefixtures("filled")
def test_bash_without_its_usual_word_breaks_gets_whole_words(folder: Path) -> None:
    assert in_bash(folder, "headgate calls --model qwen3:", breaks=" ") == ["qwen3:8b"]


def asked(shell: str, folder: Path, words: Sequence[str]) -> str:
    """Return what the console script answers to the call that the script of `shell` makes."""
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "_HEADGATE_COMPLETE": shell}
    return subprocess.run(
        [HEADGATE, *words], cwd=folder, env=env, capture_output=True, timeout=60, check=True
    ).stdout.decode()


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_zsh_and_fish_get_a_line_a_value_with_its_help(folder: Path, shell: str) -> None:
    assert asked(shell, folder, ["keys", "rotate", "c"]) == "cd\tother\nci\tacme\n"
    assert asked(shell, folder, ["calls", "--config", ""]) == ":files\n"
    assert asked(shell, folder, ["usage", "--by", "x"]) == "\n"
    assert asked(shell, folder, []) == "\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_script_calls_this_very_program(folder: Path, shell: str) -> None:
    result = subprocess.run([HEADGATE, "completion", shell], cwd=folder, capture_output=True, timeout=60, check=True)
    script = result.stdout.decode()
    assert str(HEADGATE) in script
    assert f"_HEADGATE_COMPLETE={shell}" in script
    real = shutil.which(shell)
    if real is not None:
        subprocess.run([real, "-n"], input=result.stdout, timeout=60, check=True)


def test_a_program_at_an_odd_path_is_quoted(folder: Path) -> None:
    odd = folder / "it's; touch owned" / "headgate"
    odd.parent.mkdir()
    odd.write_text(HEADGATE.read_text())
    odd.chmod(0o755)
    script = subprocess.run([odd, "completion", "bash"], capture_output=True, timeout=60, check=True).stdout
    line = 'COMP_LINE="headgate ca" COMP_POINT=11; _headgate; echo "${COMPREPLY[@]}"'
    result = subprocess.run(
        ["bash", "--norc", "-c", f"{script.decode()}\n{line}"], cwd=folder, capture_output=True, timeout=60, check=True
    )
    assert result.stdout == b"calls\n"
    assert [one.name for one in folder.iterdir()] == ["it's; touch owned"]


def test_another_shell_is_a_usage_error(run: Run) -> None:
    result = run("completion", "tcsh")
    assert result.exit_code == 2
    assert "must be one of bash, zsh, fish" in result.stderr
