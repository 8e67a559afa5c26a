"""A signal at any stage of the demo ends it, with nothing left behind."""

import fcntl
import os
import pty
import signal
import sqlite3
import struct
import subprocess
import termios
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from tests.demo.conftest import HEADGATE, PATIENCE, environment, running, spoil, start


def until(seen: Callable[[], object], process: "subprocess.Popen[str]") -> None:
    """Look until it is there. Raises TimeoutError; fails where the demo has ended before."""
    deadline = time.monotonic() + PATIENCE
    while not seen():
        assert process.poll() is None, "the demo ended before"
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.002)


def folder_made(tmp_path: Path) -> bool:
    return any(tmp_path.glob("headgate-demo-*"))


def gateway_starts(tmp_path: Path) -> bool:
    return any(tmp_path.glob("headgate-demo-*/gateway.log"))


def a_call_ended(tmp_path: Path) -> bool:
    for ledger in tmp_path.glob("headgate-demo-*/headgate.db"):
        with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as connection:
            try:
                return bool(connection.execute("SELECT count(*) FROM calls").fetchone()[0])
            except sqlite3.OperationalError:  # not migrated yet
                return False
    return False


@pytest.mark.parametrize(
    ("stage", "number"),
    [(folder_made, signal.SIGINT), (gateway_starts, signal.SIGTERM), (a_call_ended, signal.SIGTERM)],
)
def test_a_signal_leaves_nothing_behind(tmp_path: Path, stage: Callable[[Path], bool], number: signal.Signals) -> None:
    # With a picture to write the calls take their time, so that there is a middle to be interrupted in.
    process = start(tmp_path, "--svg", "demo.svg")
    until(lambda: stage(tmp_path), process)
    if stage is a_call_ended:
        assert len(running(tmp_path)) >= 3  # the demo, its gateway, a worker
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=PATIENCE)
    assert (process.returncode, stdout) == (130, "")
    assert stderr == "headgate: stopped; nothing of the demo is left running\n"
    assert running(tmp_path) == []
    assert not folder_made(tmp_path)


def test_an_impatient_second_signal_changes_nothing(tmp_path: Path) -> None:
    process = start(tmp_path, "--svg", "demo.svg")
    until(lambda: a_call_ended(tmp_path), process)
    gateway = [one for one in running(tmp_path) if one.pid != process.pid]
    process.send_signal(signal.SIGINT)
    until(lambda: not all(one.is_running() for one in gateway) or process.poll() is not None, process)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert running(tmp_path) == []


@pytest.mark.parametrize("stage", [folder_made, a_call_ended])
def test_a_key_held_down_leaves_nothing_behind(tmp_path: Path, stage: Callable[[Path], bool]) -> None:
    process = start(tmp_path, "--svg", "demo.svg")
    until(lambda: stage(tmp_path), process)
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        process.send_signal(signal.SIGINT)
        time.sleep(0.0005)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode in {130, -signal.SIGINT}
    # A signal inside a destructor, or in the interpreter's own end, is Python's to tell, and ends nothing.
    told = stderr.partition("nothing of the demo is left running")[0]
    assert told.count("Traceback") == told.count("Exception ignored in")
    assert running(tmp_path) == []
    assert not folder_made(tmp_path)


def test_a_gateway_does_not_outlive_a_demo_that_was_killed(tmp_path: Path) -> None:
    process = start(tmp_path, "--svg", "demo.svg")
    until(lambda: a_call_ended(tmp_path), process)
    others = [one for one in running(tmp_path) if one.pid != process.pid]
    assert len(others) >= 2  # its gateway, a worker
    process.kill()
    process.communicate(timeout=PATIENCE)
    assert psutil.wait_procs(others, timeout=PATIENCE)[1] == []


def test_ctrl_c_on_the_live_screen_gives_the_terminal_back(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))

    def own_terminal() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        [HEADGATE, "demo"],
        cwd=spoil(tmp_path),
        env=environment(tmp_path),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=own_terminal,  # noqa: PLW1509
    )
    os.close(theirs)
    seen = b""
    pressed = False
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        while True:
            try:
                data = terminal.read(65_536)
            except OSError:  # the other side has been closed
                break
            if not data:
                break
            seen += data
            if not pressed and b"claude-opus" in seen and b"waiting" in seen:
                os.write(terminal.fileno(), b"\x03")
                pressed = True
    assert process.wait(PATIENCE) == 130
    assert b"simulated upstream, invented answers, real prices" in seen
    assert b"Traceback" not in seen
    assert seen.rstrip().endswith(b"stopped; nothing of the demo is left running")
    assert seen.rfind(b"\x1b[?25h") > seen.rfind(b"\x1b[?25l")  # the cursor is shown again
    assert running(tmp_path) == []
