"""The console script `headgate`: its commands, and what becomes of their errors."""

import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from headgate.surfaces.cli import calls, check, keys, serve, sim, usage
from headgate.surfaces.cli.output import PROBLEM, Complaint, complain


class Group(TyperGroup):
    """Says what went wrong in plain lines on stderr and exits with 1; what is not foreseen keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        _fit_streams()
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # The reader of a pipe has left; what Python would still flush at exit has nowhere to go.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(PROBLEM)
        except _foreseen() as error:
            complain(str(error))
            ctx.exit(PROBLEM)


def _foreseen() -> tuple[type[Exception], ...]:
    from headgate.config.problems import ConfigError
    from headgate.ledger.errors import LedgerError

    return (Complaint, ConfigError, LedgerError)


def _fit_streams() -> None:
    """A character that the terminal's encoding lacks must not be an error."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _show_version(wanted: bool) -> None:
    if wanted:
        from headgate import __version__

        typer.echo(f"headgate {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="headgate",
    cls=Group,
    help="A gateway for language models that knows what every token costs.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """A gateway for language models that knows what every token costs."""


app.command("serve")(serve.serve)
app.command("sim")(sim.sim)
app.command("check")(check.check)
app.add_typer(keys.app, name="keys")
app.add_typer(calls.app, name="calls")
app.command("usage")(usage.usage)
