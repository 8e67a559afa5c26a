"""One run of the demo, from an empty folder to the summary. However it ends, nothing of it is left running."""

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.live import Live

from headgate.sim.server import SimServer
from headgate.surfaces.cli.output import PROBLEM, complain, say_json
from headgate.surfaces.demo.board import Board, DemoFailed
from headgate.surfaces.demo.picture import write_svg
from headgate.surfaces.demo.place import Gateway, Place
from headgate.surfaces.demo.scenario import config_text, prices, scenario
from headgate.surfaces.demo.screen import canvas_of, draw
from headgate.surfaces.demo.signals import Signals
from headgate.surfaces.demo.summary import Summary, as_json, read_back
from headgate.surfaces.demo.told import commands, tell
from headgate.surfaces.demo.traffic import Traffic

PIPE_WIDTH = 100
_FRAME = 0.1
"""Seconds between two pictures."""


@dataclass(frozen=True, slots=True)
class Options:
    """`once`: no live screen and no waiting; `svg`: write the last screen there, `width` columns wide."""

    once: bool = False
    as_json: bool = False
    seed: int = 1
    svg: Path | None = None
    width: int = 80


def run(options: Options, signals: Signals) -> int:
    """Run the demo and print its end; return the exit status.

    Raises DemoFailed, LedgerError, and Interrupted where a signal ended it.
    """
    if options.svg is not None and not os.access(options.svg.absolute().parent, os.W_OK):
        raise DemoFailed(f"Cannot write into the folder of {options.svg}. Name another file: --svg FILE")
    console = Console(file=sys.stdout, emoji=False, markup=False, highlight=False)
    at = datetime.now(UTC)
    try:
        known = prices(at)
    except LookupError as error:
        raise DemoFailed(f"The demo cannot price its models: {error}.") from None
    place: Place | None = None
    board = Board()
    try:
        with signals.deferred():
            place = Place.fresh()
        with _busy(options, "Making a ledger and a key"):
            place.prepare()
        with asyncio.Runner() as runner:
            sim = runner.run(_traffic(options, place, board, at, console, signals))
        signals.install()
        summary = read_back(place.ledger.reader(), place.key_id, sim.bill, known, board.problems)
    except DemoFailed:
        raise  # the folder stays: the gateway's log says why
    except BaseException:  # an interruption above all; it is raised again
        if place is not None:
            with signals.deferred():
                place.remove()
        raise
    with contextlib.closing(place.ledger):
        if options.svg is not None:
            write_svg(board, options.svg, options.width)
        _print(options, summary, place)
    return 0 if summary.ok else PROBLEM


def _print(options: Options, summary: Summary, place: Place) -> None:
    next_ = commands(summary, place, Path.cwd())
    if options.as_json:
        where = {"seed": options.seed, "config": str(place.config), "ledger": str(place.folder / "headgate.db")}
        say_json(as_json(summary) | where | {"commands": next_})
    else:
        tell(summary, place, next_, shutil.get_terminal_size((PIPE_WIDTH, 0)).columns)
    for check in summary.checks:
        if not check.ok:
            complain(f"the demo went wrong: {check.name}: {check.found}")


async def _traffic(
    options: Options, place: Place, board: Board, at: datetime, console: Console, signals: Signals
) -> SimServer:
    """Start simulator and gateway, make all calls, and end both. Return the simulator for its bill."""
    live = not options.once and not options.as_json and sys.stdout.isatty() and not console.is_dumb_terminal
    delays = live or options.svg is not None
    sim = SimServer(seed=options.seed, delays=delays)
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(signals.attend())
        await stack.enter_async_context(sim)
        place.write(config_text(sim.port, at))
        with _busy(options, "Starting the gateway"):
            gateway = await stack.enter_async_context(Gateway(place, signals.guarded))
        traffic = Traffic(gateway.url, place.key, place.ledger.reader(), board, delays=delays)
        if live:
            await _shown(console, board, traffic)
        else:
            with _busy(options, "Making calls"):
                await traffic.run(scenario())
    return sim


async def _shown(console: Console, board: Board, traffic: Traffic) -> None:
    """Make the calls with the screen above the cursor, drawn anew until they have ended."""
    live = Live(
        console=console,
        auto_refresh=False,
        redirect_stdout=False,
        redirect_stderr=False,
        vertical_overflow="crop",
        get_renderable=lambda: draw(board, canvas_of(console)),
    )

    async def drawing() -> None:
        while True:
            live.refresh()
            await asyncio.sleep(_FRAME)

    with live:
        drawer = asyncio.ensure_future(drawing())
        try:
            await traffic.run(scenario())
        finally:
            drawer.cancel()
            await asyncio.gather(drawer, return_exceptions=True)
        live.refresh()


@contextlib.contextmanager
def _busy(options: Options, what: str) -> Iterator[None]:
    """Show on a terminal's stderr that something goes on."""
    console = Console(stderr=True, emoji=False, markup=False, highlight=False)
    if options.as_json or not console.is_terminal or console.is_dumb_terminal:
        yield
        return
    spinner = "dots" if console.encoding.lower().startswith("utf") else "line"
    mark = "…" if spinner == "dots" else "..."
    with console.status(f"{what}{mark}", spinner=spinner):
        yield
