"""The console script itself, in a process of its own."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HEADGATE = Path(sys.executable).with_name("headgate")


def headgate(folder: Path, *args: str, **env: str) -> subprocess.CompletedProcess[bytes]:
    clean = {"PATH": os.environ["PATH"], "HOME": str(folder), **env}
    return subprocess.run([HEADGATE, *args], cwd=folder, env=clean, capture_output=True, timeout=60, check=False)


def test_help_names_every_command(tmp_path: Path) -> None:
    result = headgate(tmp_path, "--help")
    assert result.returncode == 0
    for command in (b"serve", b"sim", b"check", b"keys", b"calls", b"usage"):
        assert command in result.stdout


def test_the_version_is_told(tmp_path: Path) -> None:
    assert headgate(tmp_path, "--version").stdout.startswith(b"headgate ")


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from headgate.surfaces.cli.main import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'sqlalchemy', 'pydantic', 'rich', 'granian', 'pyreqwest', 'genai_prices', 'ruamel', 'h11'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False, cwd=tmp_path)
    assert result.stderr.strip() == b"[]"


def test_a_key_is_made_and_listed_where_the_locale_is_ascii(tmp_path: Path) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    made = headgate(tmp_path, "keys", "create", "größe", "--json", PYTHONUTF8="1")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["name"] == "größe"
    listed = headgate(tmp_path, "keys", "list", **ascii_only)
    assert listed.returncode == 0, listed.stderr
    assert b"gr\\xf6\\xdfe" in listed.stdout


def test_errors_are_one_line_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "headgate.yaml").write_text("ledger: {url: 'sqlite:////proc/none/headgate.db'}\n")
    result = headgate(tmp_path, "keys", "create")
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert b"Traceback" not in result.stderr
    assert result.stdout == b""


def test_a_reader_that_leaves_a_pipe_is_no_error_to_shout_about(tmp_path: Path) -> None:
    command = f"'{HEADGATE}' check --schema | head -c 1"
    result = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, timeout=60, check=False)
    assert result.stdout == b"{"
    assert result.stderr == b""


def test_usage_errors_exit_with_2(tmp_path: Path) -> None:
    assert headgate(tmp_path, "nope").returncode == 2
    assert headgate(tmp_path, "calls", "--limit", "many").returncode == 2


def test_serve_names_a_missing_file_before_anything_starts(tmp_path: Path) -> None:
    result = headgate(tmp_path, "serve", "--config", "none.yaml")
    assert result.returncode == 1
    assert b"there is no file none.yaml" in result.stderr
    assert not list(tmp_path.iterdir())


def test_sim_says_where_it_listens_and_ends_on_a_signal(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [HEADGATE, "sim", "--port", "0", "--json"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert told["url"].startswith("http://127.0.0.1:")
    finally:
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 0
    assert stderr == b""


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_sim_prints_its_faults(tmp_path: Path, options: tuple[str, ...]) -> None:
    result = headgate(tmp_path, "sim", "--faults", *options)
    assert result.returncode == 0
    assert b"hang-first" in result.stdout
    if options:
        assert all("fault" in json.loads(line) for line in result.stdout.splitlines())


def test_a_taken_port_is_said_with_what_to_do(tmp_path: Path) -> None:
    first = subprocess.Popen([HEADGATE, "sim", "--port", "0", "--json"], cwd=tmp_path, stdout=subprocess.PIPE)
    try:
        assert first.stdout is not None
        port = json.loads(first.stdout.readline())["url"].rpartition(":")[2]
        second = headgate(tmp_path, "sim", "--port", port)
        assert second.returncode == 1
        assert b"choose another with --port" in second.stderr
        assert b"Traceback" not in second.stderr
    finally:
        first.terminate()
        first.communicate(timeout=30)
