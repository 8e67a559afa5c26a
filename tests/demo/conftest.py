"""One real run of the demo that many tests look at, and the processes a run may leave behind."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest

from headgate.ledger.engine import Ledger, open_ledger

HEADGATE = Path(sys.executable).with_name("headgate")
PATIENCE = 120.0
"""Seconds after which a demo that does not end counts as broken."""


def environment(folder: Path, **more: str) -> dict[str, str]:
    """What a user's shell might hold: an empty home, and keys and proxies that the demo must not touch."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": str(folder),
        "TERM": "xterm-256color",
        "OPENAI_API_KEY": "sk-must-not-be-used",
        "ANTHROPIC_API_KEY": "sk-must-not-be-used",
        "HEADGATE_ADMIN_TOKEN": "a-token-of-the-users-own",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "ALL_PROXY": "http://127.0.0.1:9",
        **more,
    }


def spoil(folder: Path) -> Path:
    """Return a working directory with a configuration and an .env that would stop any gateway."""
    cwd = folder / "cwd"
    cwd.mkdir()
    (cwd / "headgate.yaml").write_text("no: {such: key}\n")
    (cwd / ".env").write_text("HEADGATE_ADMIN_TOKEN=short\n")
    return cwd


def start(folder: Path, *args: str, **env: str) -> "subprocess.Popen[str]":
    """Start a demo that works below `folder`."""
    return subprocess.Popen(
        [HEADGATE, "demo", *args],
        cwd=spoil(folder),
        env=environment(folder, **env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A runner in the background hands down an ignored SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )


def running(folder: Path) -> list[psutil.Process]:
    """Return the processes of a demo below `folder`: its gateway and workers have their home there."""
    found = []
    for process in psutil.process_iter():
        try:
            home = process.environ().get("HOME", "") if process.status() != psutil.STATUS_ZOMBIE else ""
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if home.startswith(str(folder)):
            found.append(process)
    return found


@dataclass
class Done:
    """A demo that has ended well: what it printed as JSON, where it ran, and its ledger."""

    folder: Path
    told: dict[str, Any]
    ledger: Ledger


@pytest.fixture(scope="session")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    folder = tmp_path_factory.mktemp("demo")
    process = start(folder, "--once", "--json")
    stdout, stderr = process.communicate(timeout=PATIENCE)
    assert (process.returncode, stderr) == (0, "")
    told = json.loads(stdout)
    ledger = open_ledger(f"sqlite:///{told['ledger']}")
    yield Done(folder, told, ledger)
    ledger.close()
