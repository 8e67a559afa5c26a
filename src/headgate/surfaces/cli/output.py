"""What commands print: lines, tables for people, JSON for programs."""

import json
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import typer

PROBLEM = 1
USAGE = 2

_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_WIDE = 10_000
"""Columns where nobody looks at a terminal: nothing is cut for a pipe."""
_FOLDABLE = 1.3
"""A table wider than the terminal by more than this is no longer read across."""


class Complaint(Exception):
    """A problem that the user can solve; the message says what it is and what to type next."""


def complain(text: str) -> None:
    """Print to stderr, line by line, without anything that could steer a terminal."""
    for line in text.splitlines() or [""]:
        typer.echo(f"headgate: {plain(line)}", err=True)


def say(text: str) -> None:
    """Print a line to stdout."""
    typer.echo(plain(text))


def say_json(value: Any) -> None:
    """Print one line of JSON in ASCII, so that no terminal's encoding can spoil it."""
    typer.echo(json.dumps(value, separators=(", ", ": ")))


def plain(text: str) -> str:
    """Return `text` with control characters spelled out: names in the ledger were chosen by strangers."""
    if text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode("ascii") if unicodedata.category(char) in _UNPRINTABLE else char
        for char in text
    )


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], numeric: Iterable[str] = ()) -> None:
    """Print a table; columns in `numeric` stand to the right. Nothing is cut, in a pipe nothing is folded.

    On a terminal too narrow for the table its rows are printed as blocks of `column: value`.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = [[plain(cell) for cell in row] for row in rows]
    console = Console(file=sys.stdout, emoji=False, markup=False, highlight=False)
    if not console.is_terminal:
        console = Console(file=sys.stdout, emoji=False, markup=False, highlight=False, width=_WIDE)
    widest = [max(len(line[index]) for line in [columns, *cells]) for index in range(len(columns))]
    if sum(widest) + len(columns) > console.width * _FOLDABLE:
        for row in cells:
            typer.echo("\n".join(f"{name}: {cell}" for name, cell in zip(columns, row, strict=True)) + "\n")
        return
    right = frozenset(numeric)
    grid = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    for column in columns:
        grid.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in cells:
        grid.add_row(*(Text(cell) for cell in row))
    console.print(grid)


def usd_text(nano: int | None) -> str:
    """Return an amount for people, to a millionth of a dollar, rounded half up; "unknown" where it is."""
    if nano is None:
        return "unknown"
    micro, rest = divmod(abs(nano), 1000)
    micro += rest >= 500
    sign = "-" if nano < 0 else ""
    if micro == 0 and nano != 0:
        return f"{sign}<$0.000001"
    return f"{sign}${micro // 1_000_000}.{micro % 1_000_000:06d}"


def moment_text(ns: int) -> str:
    """Return ns since the Unix epoch for people, in UTC, to the second."""
    return f"{datetime.fromtimestamp(ns // 10**9, UTC):%Y-%m-%d %H:%M:%S}"


def duration_text(ns: int | None) -> str:
    """Return a duration for people."""
    if ns is None:
        return "-"
    return f"{ns / 1e9:.2f}s" if ns >= 10**9 else f"{ns / 1e6:.1f}ms"
