"""How the console script ends: its exit codes, what Ctrl-C and a closed pipe do, and what goes where with --json."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headgate.ledger.engine import Ledger

from .conftest import Run, a_call, record

HEADGATE = Path(sys.executable).with_name("headgate")
READS = [("calls",), ("calls", "show", "x"), ("usage",), ("keys", "list"), ("keys", "create"), ("keys", "revoke", "x")]
HEAVY = {"sqlalchemy", "alembic", "psycopg", "pydantic", "rich", "granian", "pyreqwest", "genai_prices", "starlette"}


def environment(folder: Path, **env: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", **env}


def headgate(folder: Path, *args: str | bytes, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [HEADGATE, *args],
        cwd=folder,
        env=environment(folder, **env),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("args", [*READS, ("serve",)], ids=" ".join)
def test_ctrl_c_while_the_ledger_is_waited_for_ends_with_130_and_no_word(tmp_path: Path, args: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://u:p@127.0.0.1:{silent.getsockname()[1]}/x"
        (tmp_path / "headgate.yaml").write_text(
            f"ledger: {{url: '{url}'}}\nserver: {{port: 0, admin_port: 0}}\n"
            "providers: {a: {kind: openai, base_url: 'http://127.0.0.1:9'}}\n"
        )
        process = subprocess.Popen(
            [HEADGATE, *args],
            cwd=tmp_path,
            env=environment(tmp_path, XDG_STATE_HOME=str(tmp_path)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        silent.settimeout(60)
        with silent.accept()[0]:
            process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout, stderr) == (130, b"", b"")


def test_ctrl_c_during_the_first_imports_ends_with_130_and_no_word(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'typer':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "from headgate.__main__ import main\n"
        "main()\n"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, timeout=60, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (130, b"", b"")


def test_ctrl_c_when_all_is_done_ends_what_is_left_without_a_word(tmp_path: Path) -> None:
    code = (
        "import atexit, os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "atexit.register(os.kill, os.getpid(), signal.SIGINT)\n"
        "sys.argv[1:] = ['completion', 'bash']\n"
        "from headgate.__main__ import main\n"
        "main()\n"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (-signal.SIGINT, b"")
    assert b"complete -F _headgate headgate" in result.stdout


def test_the_module_is_the_program(tmp_path: Path) -> None:
    result = subprocess.run([sys.executable, "-m", "headgate", "uage"], cwd=tmp_path, capture_output=True, check=False)
    assert result.returncode == 2
    assert b"Usage: headgate [OPTIONS]" in result.stderr


def test_ctrl_c_stops_the_simulated_upstream_in_peace(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [HEADGATE, "sim", "--port", "0"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"The simulated upstream listens")
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[1] == b""
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("args", "meant"),
    [
        (("uage",), "Did you mean 'usage'?"),
        (("keys", "rotat", "x"), "Did you mean 'rotate'"),
        (("usage", "--bye", "key"), "--by"),
        (("usage", "--by", "keys"), "must be one of model, provider, key"),
        (("serve", "--log-level", "warn"), "must be one of debug, info, warning"),
    ],
)
def test_what_is_misspelt_is_told_what_it_may_have_meant(tmp_path: Path, args: tuple[str, ...], meant: str) -> None:
    result = headgate(tmp_path, *args)
    assert (result.returncode, result.stdout) == (2, "")
    assert meant in result.stderr
    assert "--help" in result.stderr


@pytest.mark.parametrize("args", [(), ("keys",)])
def test_without_a_command_the_help_is_printed_and_it_is_a_usage_error(tmp_path: Path, args: tuple[str, ...]) -> None:
    result = headgate(tmp_path, *args)
    assert result.returncode == 2
    assert "Commands:" in result.stdout + result.stderr


@pytest.mark.parametrize("args", [("calls", "--json"), ("calls",), ("keys", "list"), ("--help",), ("usage", "--nope")])
def test_a_reader_that_has_left_is_met_with_silence(folder: Path, ledger: Ledger, args: tuple[str, ...]) -> None:
    record(ledger, [a_call(1, time.time_ns())])
    ledger.close()
    ends, away = os.pipe()
    os.close(ends)
    try:
        headgate(folder, "keys", "create")
        result = subprocess.run(
            [HEADGATE, *args], cwd=folder, env=environment(folder), stdout=away, stderr=away, timeout=60, check=False
        )
    finally:
        os.close(away)
    # Python's own complaint at exit about a pipe that it cannot flush would give 120.
    assert result.returncode == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
@pytest.mark.parametrize("args", [("keys", "list"), ("keys", "list", "--json"), ("check",), ("--help",)], ids=" ".join)
def test_a_full_disk_behind_stdout_is_said(folder: Path, args: tuple[str, ...]) -> None:
    headgate(folder, "keys", "create")
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(
            [HEADGATE, *args], cwd=folder, env=environment(folder), stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert result.returncode == 1
    assert result.stderr.startswith(b"headgate: cannot write the output: No space left on device; free some space")
    assert len(result.stderr.splitlines()) == 1


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    result = subprocess.run(
        ["bash", "-c", 'rmdir "$PWD"; "$0" keys list', HEADGATE], cwd=gone, capture_output=True, timeout=60, check=False
    )
    assert result.returncode == 1
    assert b"headgate: the folder that this shell stands in is gone" in result.stderr
    assert b"Traceback" not in result.stderr


def test_arguments_are_utf_8_whatever_the_locale_says(folder: Path) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert headgate(folder, "keys", "create", "größe".encode(), **ascii_only).returncode == 0
    listed = json.loads(headgate(folder, "keys", "list", "--json").stdout)
    assert listed["name"] == "größe"
    odd = headgate(folder, "keys", "revoke", b"\xff", **ascii_only)
    assert odd.returncode == 2
    assert "no UTF-8 text" in odd.stderr


@pytest.mark.parametrize(
    "args",
    [
        ("calls", "show", "x"),
        ("calls", "--outcome", "x"),
        ("calls", "--config", "none.yaml"),
        ("usage", "--by", "x"),
        ("keys", "create", "--name", "a", "b"),
        ("keys", "rotate", "x"),
        ("keys", "revoke", "x"),
        ("keys", "list", "--config", "none.yaml"),
        ("serve", "--config", "none.yaml"),
        ("sim", "--host", "256.256.256.256"),
    ],
    ids=" ".join,
)
def test_with_json_an_error_is_still_text_on_stderr_and_stdout_stays_empty(
    run: Run, ledger: Ledger, args: tuple[str, ...]
) -> None:
    ledger.close()
    result = run(*args, "--json")
    assert result.exit_code in {1, 2}
    assert result.stdout == ""
    assert result.stderr.strip()


def test_with_json_every_answer_is_json_alone(run: Run) -> None:
    made = run("keys", "create", "a", "--json")
    commands = [
        ("keys", "list"),
        ("keys", "rotate", "a"),
        ("keys", "revoke", "a"),
        ("calls",),
        ("usage",),
        ("check",),
        ("sim", "--faults"),
    ]
    for result in (made, *(run(*args, "--json") for args in commands)):
        assert result.exit_code == 0
        assert result.stderr == ""
        assert all(isinstance(json.loads(line), dict) for line in result.stdout.splitlines())


def test_a_bad_configuration_ends_with_what_to_type(run: Run, folder: Path) -> None:
    (folder / "headgate.yaml").write_text("ledger: {ulr: x}\n")
    result = run("keys", "list")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "headgate: mend that, then look with: headgate check"


@pytest.mark.parametrize(
    ("args", "env"),
    [
        (["--help"], {}),
        (["--version"], {}),
        (["completion", "bash"], {}),
        ([], {}),
        (["keys", "rotate", "--config", "h.yaml", ""], {"_HEADGATE_COMPLETE": "zsh"}),
        (["headgate calls --model ", ":="], {"_HEADGATE_COMPLETE": "bash"}),
    ],
)
def test_what_must_be_quick_imports_nothing_heavy(
    folder: Path, ledger: Ledger, args: list[str], env: dict[str, str]
) -> None:
    ledger.close()
    (folder / "h.yaml").write_text("ledger: {url: 'sqlite:///headgate.db'}\n")
    code = (
        "import sys\nfrom headgate.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"open('loaded', 'w').write(' '.join(sorted({HEAVY!r} & set(sys.modules))))\n"
    )
    subprocess.run(
        [sys.executable, "-c", code, *args], cwd=folder, env=environment(folder, **env), capture_output=True, check=True
    )
    assert (folder / "loaded").read_text() == ""
