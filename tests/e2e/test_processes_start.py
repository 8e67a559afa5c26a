"""Starts that must fail, each with a sentence that says what to do, while what runs is left alone."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.gateway import SCRIPT, Gateway
from tests.e2e.processes import free_port, run, status_of

# Root may write anything; without this capability (CAP_DAC_OVERRIDE) it may not. Others never had it.
AS_OTHERS = "import ctypes, os, sys; ctypes.CDLL(None).prctl(24, 1, 0, 0, 0); os.execv(sys.argv[1], sys.argv[1:])"
FULL = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384))
os.execv(sys.argv[1], sys.argv[1:])
"""


def refused(gateway: Gateway, *options: str, wrapper: str | None = None) -> str:
    """Start `headgate serve`, which must fail without a traceback; return what it says."""
    command = [str(SCRIPT), "serve", "--config", str(gateway.file), *options]
    done = run([sys.executable, "-c", wrapper, *command] if wrapper else command, gateway)
    said = " ".join((done.stderr + done.stdout).split())
    assert done.returncode == 1, (done.returncode, said)
    assert "Traceback" not in said
    return said


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("first"), config="") as running:
        yield running


def made(folder: Path) -> Gateway:
    """A gateway that has a ledger and was never started."""
    gateway = Gateway(folder, config="")
    gateway.new_key("tests")
    return gateway


def test_a_second_start_on_the_same_ledger_is_refused(first: Gateway) -> None:
    said = refused(first, "--port", "0", "--admin-port", "0")
    assert "Another headgate serves the ledger" in said
    assert status_of(first.url + "/readyz") == 200


def test_a_second_start_on_the_same_port_is_refused(first: Gateway, tmp_path: Path) -> None:
    port = first.url.rpartition(":")[2]
    said = refused(made(tmp_path), "--port", port, "--admin-port", "0")
    assert f"Port {port} on 127.0.0.1 is in use" in said
    assert f"--port {int(port) + 1}" in said
    assert status_of(first.url + "/readyz") == 200


def test_a_second_start_on_the_same_admin_port_is_refused(first: Gateway, tmp_path: Path) -> None:
    port = first.admin_url.rpartition(":")[2]
    said = refused(made(tmp_path), "--port", str(free_port()), "--admin-port", port)
    assert f"Port {port} on 127.0.0.1 is in use" in said
    assert "--admin-port" in said


@pytest.mark.parametrize("folder", [True, False])
def test_a_read_only_ledger_is_refused_with_what_to_do(tmp_path: Path, *, folder: bool) -> None:
    """Its folder and all in it, or the file alone."""
    gateway = made(tmp_path)
    closed = [*tmp_path.rglob("*"), tmp_path] if folder else [tmp_path / "headgate.db"]
    for path in closed:
        path.chmod(path.stat().st_mode & 0o555)
    try:
        said = refused(gateway, wrapper=AS_OTHERS)
        keys = [sys.executable, "-c", AS_OTHERS, str(SCRIPT), "keys", "create", "x", "--config", str(gateway.file)]
        said_of_keys = run(keys, gateway).stderr
    finally:
        for path in closed:
            path.chmod(0o755)
    for one in (said, said_of_keys):
        assert "headgate.db" in one
        assert "chmod u+w" in one
        assert "Traceback" not in one


def test_a_ledger_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    gateway = made(tmp_path)
    with sqlite3.connect(tmp_path / "headgate.db") as ledger:
        ledger.execute("UPDATE alembic_version SET version_num = '9999'")
    said = refused(gateway)
    assert "newer" in said
    with sqlite3.connect(tmp_path / "headgate.db") as ledger:
        assert ledger.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)


def test_a_full_disk_at_the_start_is_said(tmp_path: Path) -> None:
    said = refused(Gateway(tmp_path, config=""), wrapper=FULL)
    assert "headgate.db" in said
    assert "df -h" in said


def test_typos_in_the_configuration_are_named_by_their_lines(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, config="")
    gateway.file.write_text(
        'server: {port: 0}\nprovidrs:\n  openai: {}\nledger:\n  durabilty: call\n  url: "sqlite:///x.db"\n'
    )
    said = refused(gateway)
    assert "headgate.yaml:2" in said
    assert "did you mean 'providers'" in said
    assert "headgate.yaml:5" in said
    assert "did you mean 'durability'" in said
    assert not (tmp_path / "x.db").exists()
