"""What a person sees of work that takes more than two seconds: a spinner, or a bar where the end is known."""

import contextlib
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

import typer

T = TypeVar("T")

PATIENCE = 2.0
"""Seconds in which nothing is shown: a spinner that flashes is worse than none."""
PERIOD = 0.1
"""Seconds between two looks at the work."""


class Progress:
    """How far some work is: `done` of `total` steps; `total` None: nobody knows how many there are."""

    def __init__(self, total: int | None) -> None:
        self.total = total
        self.done = 0

    def each(self, steps: Iterable[T]) -> Iterator[T]:
        """Yield the steps, each counted as done when the next is asked for."""
        for step in steps:
            yield step
            self.done += 1


@contextlib.contextmanager
def waiting(what: str, total: int | None = None, *, after: float = PATIENCE) -> Iterator[Progress]:
    """Say on stderr that `what` is going on if the block takes longer than `after` seconds; it is wiped at the end.

    Only on a terminal. With a `total` the block writes to stdout as it goes, so a bar is shown only where stdout is no
    terminal. On a terminal that cannot move its cursor (TERM=dumb) it is one line.
    """
    progress = Progress(total)
    if not _is_terminal(sys.stderr) or (total is not None and _is_terminal(sys.stdout)):
        yield progress
        return
    ended = threading.Event()
    shower = threading.Thread(target=_show, args=(what, progress, ended, after), daemon=True, name="progress")
    shower.start()
    try:
        yield progress
    finally:
        # Joined whatever ended the block, Ctrl-C too: the cursor that the bar hid must come back.
        ended.set()
        shower.join()


def _is_terminal(stream: object) -> bool:
    isatty = getattr(stream, "isatty", None)
    return isatty is not None and bool(isatty())


def _show(what: str, progress: Progress, ended: threading.Event, after: float) -> None:
    if ended.wait(after):
        return
    with contextlib.suppress(OSError, ValueError):  # the terminal was closed; the work goes on without it
        if os.environ.get("TERM", "dumb") in {"dumb", "unknown"}:
            typer.echo(f"headgate: {what}...", err=True)
        else:
            _draw(what, progress, ended)


def _draw(what: str, progress: Progress, ended: threading.Event) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, SpinnerColumn, TextColumn
    from rich.progress import Progress as Bar

    columns: list[ProgressColumn] = [SpinnerColumn("line"), TextColumn("{task.description}", markup=False)]
    if progress.total is not None:
        columns += [BarColumn(bar_width=12), MofNCompleteColumn()]
    console = Console(file=sys.stderr, emoji=False, markup=False, highlight=False)
    with Bar(*columns, console=console, transient=True, auto_refresh=False, redirect_stdout=False) as bar:
        task = bar.add_task(what, total=progress.total)
        while True:
            bar.update(task, completed=progress.done, refresh=True)
            if ended.wait(PERIOD):
                return
