"""What is shown of long work: nothing, a spinner or a bar; on real terminals, the threshold at nought or far away."""

import signal
import sys
from pathlib import Path

import pytest

from .terminal import Terminal

WORK = """
import sys
from headgate.surfaces.cli.progress import waiting
after, total = float(sys.argv[1]), int(sys.argv[2]) or None
with waiting("reading the ledger", total, after=after) as progress:
    for _ in progress.each(range(3)):
        pass
    sys.stdin.readline()
print("done", file=sys.stderr)
"""
NEVER = "3600"


def work(folder: Path, after: str = "0", total: int = 0, columns: int = 80, **env: str) -> Terminal:
    command = [sys.executable, "-c", WORK, after, str(total)]
    return Terminal(command, folder, columns, env, piped=total > 0)


def test_a_spinner_is_shown_and_wiped_and_the_cursor_comes_back(tmp_path: Path) -> None:
    with work(tmp_path) as terminal:
        terminal.read_until(b"reading the ledger")
        assert terminal.finish() == 0
    shown, _, after = terminal.raw.rpartition(b"\x1b[2K")
    assert b"\x1b[?25l" in shown
    assert shown.rindex(b"\x1b[?25h") > shown.rindex(b"\x1b[?25l")
    assert after == b"done\r\n"


def test_a_bar_counts_where_the_end_is_known(tmp_path: Path) -> None:
    with work(tmp_path, total=9) as terminal:
        terminal.read_until(b"3/9")
        assert terminal.finish() == 0


def test_work_that_is_soon_done_shows_nothing(tmp_path: Path) -> None:
    with work(tmp_path, after=NEVER) as terminal:
        assert terminal.finish() == 0
    assert terminal.text == "done\n"


def test_nothing_is_shown_where_stderr_is_no_terminal(tmp_path: Path) -> None:
    with Terminal(["bash", "-c", '"$0" "$@" 2>file', sys.executable, "-c", WORK, "0", "0"], tmp_path) as terminal:
        assert terminal.finish() == 0
    assert (tmp_path / "file").read_text() == "done\n"


def test_no_bar_disturbs_a_listing_on_the_same_terminal(tmp_path: Path) -> None:
    with Terminal([sys.executable, "-c", WORK, "0", "9"], tmp_path) as terminal:
        assert terminal.finish() == 0
    assert terminal.text == "done\n"


def test_ctrl_c_wipes_it_and_brings_the_cursor_back(tmp_path: Path) -> None:
    with work(tmp_path) as terminal:
        terminal.read_until(b"reading the ledger")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.finish() != 0
    assert terminal.raw.rindex(b"\x1b[?25h") > terminal.raw.rindex(b"\x1b[?25l")
    assert "KeyboardInterrupt" in terminal.text  # it is passed on


@pytest.mark.parametrize("total", [0, 9])
def test_without_colour_and_utf_8_it_is_plain_ascii(tmp_path: Path, total: int) -> None:
    ascii_only = {"NO_COLOR": "1", "LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    with work(tmp_path, total=total, columns=40, **ascii_only) as terminal:
        terminal.read_until(b"reading the ledger")
        assert terminal.finish() == 0
    assert terminal.raw.isascii()
    assert b"\x1b[3" not in terminal.raw


@pytest.mark.parametrize("kind", ["dumb", ""])
def test_a_terminal_that_cannot_move_its_cursor_gets_one_line(tmp_path: Path, kind: str) -> None:
    with work(tmp_path, TERM=kind or "unknown") as terminal:
        terminal.read_until(b"reading the ledger")
        assert terminal.finish() == 0
    assert terminal.text == "headgate: reading the ledger...\ndone\n"
