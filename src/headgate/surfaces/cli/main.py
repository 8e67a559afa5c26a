"""The console script `headgate`: its commands, and what becomes of their errors."""

import errno
import locale
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any, TextIO

import typer
from typer.core import TyperGroup

from headgate.surfaces.cli import accounts, calls, check, completion, demo, init, keys, limits, serve, sim, usage
from headgate.surfaces.cli.output import PROBLEM, USAGE, Complaint, complain

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What writing to standard output fails with where there is no room for it."""
_ASCII = frozenset({"ANSI_X3.4-1968", "ASCII", "US-ASCII"})
"""The C locale's encoding, as glibc, musl and macOS call it."""


class Group(TyperGroup):
    """Says what went wrong in plain lines on stderr and exits with 1; what is not foreseen keeps its traceback."""

    def main(self, args: Sequence[str] | None = None, *more: Any, **extra: Any) -> Any:
        """Run the program, or answer a shell that asks what may stand at its cursor."""
        shell = os.environ.get(completion.VARIABLE)
        if shell is not None:
            sys.stdout.buffer.write(f"{completion.answer(self, shell, sys.argv[1:])}\n".encode())
            sys.exit(0)
        _fit_streams()
        words = _as_utf_8(sys.argv[1:] if args is None else args)
        try:
            if len(words) == 2 and words[0] == "completion" and words[1] in completion.SCRIPTS:
                # Shells run this whenever they start, and typer imports pydantic to look at a word.
                completion.completion(words[1])
                sys.exit(0)
            return super().main(words, *more, **extra)
        except BrokenPipeError:
            _let_go(sys.stdout, sys.stderr)
        except OSError as error:
            if error.errno not in _FULL or error.filename is not None:
                raise
            complain(f"cannot write the output: {error.strerror}; free some space or send it elsewhere")
            _let_go(sys.stdout)
        sys.exit(PROBLEM)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            _let_go(sys.stdout)
            ctx.exit(PROBLEM)
        except _foreseen() as error:
            complain(str(error))
            if _is_of_file(error):
                complain("mend that, then look with: headgate check")
            ctx.exit(PROBLEM)
        except FileNotFoundError:
            if _has_folder():
                raise
            complain("the folder that this shell stands in is gone; change to another: cd ~")
            ctx.exit(PROBLEM)


def _let_go(*streams: TextIO) -> None:
    """Nobody takes what these streams still hold; Python would try again at exit, and say that it failed."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        os.dup2(nowhere, stream.fileno())


def _as_utf_8(words: Sequence[str]) -> list[str]:
    """Return the arguments as UTF-8, whatever the locale took them for; usage error where one is none."""
    try:
        return [os.fsencode(word).decode() for word in words]
    except UnicodeError:
        complain("an argument is no UTF-8 text; write it anew, or give the id instead of the name")
        sys.exit(USAGE)


def _foreseen() -> tuple[type[Exception], ...]:
    from headgate.config.problems import ConfigError
    from headgate.ledger.errors import LedgerError

    return (Complaint, ConfigError, LedgerError)


def _is_of_file(error: Exception) -> bool:
    from headgate.config.problems import ConfigError

    return isinstance(error, ConfigError)


def _has_folder() -> bool:
    try:
        os.getcwd()  # noqa: PTH109  asked of the kernel, no path is needed
    except FileNotFoundError:
        return False
    return True


def _fit_streams() -> None:
    """A character that the terminal's encoding lacks must not be an error.

    Python takes the C locale for UTF-8; what shows it may not be, unless PYTHONIOENCODING says so.
    """
    is_ascii = locale.getencoding() in _ASCII and "PYTHONIOENCODING" not in os.environ
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="ascii" if is_ascii and stream.isatty() else None, errors="backslashreplace")


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
app.command("demo")(demo.demo)
app.command("sim")(sim.sim)
app.command("check")(check.check)
app.command("init")(init.init)
app.add_typer(keys.app, name="keys")
app.add_typer(accounts.app, name="accounts")
app.add_typer(limits.app, name="limits")
app.add_typer(calls.app, name="calls")
app.command("usage")(usage.usage)
app.command("completion")(completion.completion)
