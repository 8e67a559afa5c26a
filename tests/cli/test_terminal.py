"""The main commands on terminals that are narrow, without colour, without cursor or without UTF-8."""

import sys
import time
from pathlib import Path

import pytest

from headgate.ledger.engine import Ledger
from headgate.ledger.keys import create_key

from .conftest import a_call, an_attempt, record
from .terminal import Terminal

HEADGATE = Path(sys.executable).with_name("headgate")
MODEL = "größe-日本-a-model-with-quite-a-long-name"
COMMANDS = [
    ("--help",),
    ("calls",),
    ("calls", "show", "call-1"),
    ("usage", "--by", "model"),
    ("keys", "list"),
    ("keys", "create", "größe"),
    ("check",),
    ("sim", "--faults"),
    ("calls", "show", "größe"),
    ("usage", "--by", "größe"),
    ("uage",),
]
ASCII = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
TERMINALS: dict[str, dict[str, str]] = {"narrow": {}, "poor": {"NO_COLOR": "1", "TERM": "dumb", **ASCII}}


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    row = a_call(1, time.time_ns(), model=MODEL, route=f"openai/{MODEL}")
    with ledger.write() as connection:
        create_key(connection, account="acme", name="größe-日本-of-a-key-with-a-long-name", now=time.time_ns())
    record(ledger, [row], [an_attempt(row, message="größe")])
    ledger.close()
    return ledger


def shown(folder: Path, args: tuple[str, ...], env: dict[str, str]) -> Terminal:
    with Terminal([HEADGATE, *args], folder, 40, env) as terminal:
        assert terminal.finish() in {0, 1, 2}
    return terminal


@pytest.mark.parametrize("name", TERMINALS)
@pytest.mark.parametrize("args", COMMANDS, ids=" ".join)
@pytest.mark.usefixtures("filled")
def test_no_command_fails_for_the_terminal_it_writes_to(folder: Path, name: str, args: tuple[str, ...]) -> None:
    text = shown(folder, args, TERMINALS[name]).text
    assert text.strip()
    assert "Traceback" not in text
    assert "…" not in text


@pytest.mark.parametrize("name", TERMINALS)
@pytest.mark.usefixtures("filled")
def test_nothing_of_a_row_is_cut(folder: Path, name: str) -> None:
    spelled = MODEL.encode("ascii", "backslashreplace").decode() if name == "poor" else MODEL
    for args in (("calls",), ("usage",), ("calls", "show", "call-1")):
        assert spelled in shown(folder, args, TERMINALS[name]).text
    assert "openai/" + spelled in shown(folder, ("calls",), TERMINALS[name]).text


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
@pytest.mark.usefixtures("filled")
def test_who_wants_no_colour_gets_no_escapes(folder: Path, env: dict[str, str]) -> None:
    with Terminal([HEADGATE, "calls"], folder, 400, env) as terminal:
        assert terminal.finish() == 0
    assert b"\x1b" not in terminal.raw
    assert terminal.text.startswith("time (UTC)")


@pytest.mark.usefixtures("filled")
def test_a_wide_terminal_gets_a_table_whose_columns_stand_in_line(folder: Path) -> None:
    with Terminal([HEADGATE, "calls"], folder, 400) as terminal:
        assert terminal.finish() == 0
    head, row = terminal.text.splitlines()
    assert b"\x1b[1m" in terminal.raw
    # Each of the two Japanese characters takes two columns.
    assert head.index("route") == row.index("openai/") + 2


@pytest.mark.parametrize("args", [("calls",), ("keys", "list"), ("calls", "show", "größe")], ids=" ".join)
@pytest.mark.usefixtures("filled")
def test_a_terminal_whose_locale_is_c_gets_ascii_though_python_would_take_it_for_utf_8(
    folder: Path, args: tuple[str, ...]
) -> None:
    raw = shown(folder, args, {"LC_ALL": "C"}).raw
    assert raw.isascii()
    assert b"Traceback" not in raw


@pytest.mark.usefixtures("filled")
def test_a_pipe_gets_utf_8_in_every_locale(folder: Path) -> None:
    with Terminal([HEADGATE, "calls"], folder, 40, {"LC_ALL": "C"}, piped=True) as terminal:
        assert terminal.process.stdout is not None
        assert MODEL in terminal.process.stdout.read().decode()
        assert terminal.finish() == 0
