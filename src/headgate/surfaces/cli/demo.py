"""`headgate demo`."""

from pathlib import Path
from typing import Annotated

import typer

from headgate.surfaces.cli.common import ConfigOption, JsonOption
from headgate.surfaces.cli.output import Complaint, complain


def demo(
    once: Annotated[bool, typer.Option("--once", help="No live screen and no waiting; print the summary.")] = False,
    json: JsonOption = False,
    seed: Annotated[int, typer.Option("--seed", help="The simulated answers are computed from it.")] = 1,
    svg: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Write the last screen as a picture.")
    ] = None,
    width: Annotated[int, typer.Option("--width", min=40, max=400, help="Columns of that picture.")] = 80,
    config: ConfigOption = None,
) -> None:
    """Show Headgate at work: real calls to a simulated upstream.

    A real gateway stands between, and at the end the ledger is read back. It needs no key, no network and no
    configuration; --config is accepted as everywhere.
    """
    del config
    from headgate.surfaces.demo.signals import INTERRUPTED, Interrupted, Signals

    try:
        with Signals() as signals:
            from headgate.surfaces.demo.board import DemoFailed
            from headgate.surfaces.demo.run import Options, run

            try:
                status = run(Options(once=once, as_json=json, seed=seed, svg=svg, width=width), signals)
            except DemoFailed as error:
                raise Complaint(str(error)) from None
    except Interrupted:
        complain("stopped; nothing of the demo is left running")
        status = INTERRUPTED
    raise typer.Exit(status)
