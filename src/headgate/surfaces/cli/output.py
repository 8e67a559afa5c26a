"""What commands print: lines, tables for people, JSON for programs."""

import json
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from headgate.surfaces.cli.progress import waiting

if TYPE_CHECKING:
    from rich.console import Console

PROBLEM = 1
USAGE = 2

_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_GAP = "  "
"""What stands between two columns of a table."""


class Complaint(Exception):
    """A problem that the user can solve; the message says what it is and what to type next."""


def complain(text: str) -> None:
    """Print to stderr, line by line, without anything that could steer a terminal."""
    for line in text.splitlines() or [""]:
        typer.echo(f"headgate: {_printable(line, sys.stderr)}", err=True)


def say(text: str) -> None:
    """Print a line to stdout."""
    typer.echo(_printable(text, sys.stdout))


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
    from rich.cells import cell_len
    from rich.console import Console

    cells = [[_printable(cell, sys.stdout) for cell in row] for row in rows]
    lines = [list(columns), *cells]
    widths = [max(cell_len(line[index]) for line in lines) for index in range(len(columns))]
    console = Console(file=sys.stdout, emoji=False, markup=False, highlight=False)
    narrow = console.is_terminal and sum(widths) + len(_GAP) * (len(columns) - 1) > console.width
    right = [name in frozenset(numeric) for name in columns]
    with waiting("writing the rows", total=len(cells)) as progress:
        if narrow:
            for row in progress.each(cells):
                typer.echo("\n".join(f"{name}: {cell}" for name, cell in zip(columns, row, strict=True)) + "\n")
            return
        for number, line in enumerate(progress.each(lines)):
            padded = [
                " " * (width - cell_len(cell)) + cell if to_right else cell + " " * (width - cell_len(cell))
                for cell, width, to_right in zip(line, widths, right, strict=True)
            ]
            text = _GAP.join(padded).rstrip()
            typer.echo(typer.style(text, bold=True) if number == 0 and _is_styled(console) else text)


def _is_styled(console: "Console") -> bool:
    return console.is_terminal and not console.no_color and not console.is_dumb_terminal


def _printable(text: str, stream: Any) -> str:
    """Return `text` as `stream` can show it: what its encoding lacks is spelled out, so that columns stay in line."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return plain(text).encode(encoding, "backslashreplace").decode(encoding)


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
