"""Options that commands share, and the way from `--config` to an open ledger."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headgate.surfaces.cli.output import Complaint

if TYPE_CHECKING:
    from headgate.config.envfile import EnvFile
    from headgate.config.settings import Settings
    from headgate.ledger.engine import Ledger

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        envvar="HEADGATE_CONFIG",
        help="The configuration; ./headgate.yaml where not given.",
    ),
]
LEDGER_SECTIONS = frozenset({"server", "ledger"})
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def settings_of(config: Path | None) -> "Settings":
    """Return what the file says of server and ledger, or a start without one would. Raises ConfigError."""
    from headgate.config.compile import settings_of as compiled
    from headgate.config.load import Document, load, locate
    from headgate.config.schema import Config

    folder = Path.cwd()
    file = locate(config, folder)
    env = env_file_of(config).under(os.environ)
    document = load(file, env, LEDGER_SECTIONS) if file is not None else Document(Config(), None, folder)
    return compiled(document, env)


def env_file_of(config: Path | None) -> "EnvFile":
    """Read the .env beside the configuration; without a file, that of the working directory."""
    from headgate.config.envfile import read_env_file
    from headgate.config.load import locate

    file = locate(config, Path.cwd())
    return read_env_file(Path.cwd() if file is None else file.absolute().parent)


@contextlib.contextmanager
def ledger_of(config: Path | None, *, create: bool = False) -> Iterator["Ledger"]:
    """Open the ledger that the configuration names. Raises ConfigError, LedgerUnusable.

    `create`: it is made, or brought to this version's schema, if need be.
    """
    from headgate.ledger.engine import open_ledger

    ledger = open_ledger(settings_of(config).ledger_url)
    try:
        if create:
            ledger.migrate()
        else:
            ledger.check()
        yield ledger
    finally:
        ledger.close()


def now_ns() -> int:
    """Return the time in ns since the Unix epoch."""
    return time.time_ns()


def duration_of(text: str, option: str) -> int:
    """Return the ns of a duration given as an option's value; a usage error where it is none."""
    from headgate.config.units import parse_duration

    with _usage_error(option):
        return parse_duration(text)


def since_of(text: str) -> int:
    """Return the ns since the epoch from which `--since` counts; a usage error where it says no time."""
    from headgate.config.units import parse_since

    with _usage_error("--since"):
        return parse_since(text, now_ns())


@contextlib.contextmanager
def _usage_error(option: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(f"{error}", param_hint=option) from None


def provider_names(config: Path | None) -> list[str] | None:
    """Return the names of providers as the file has them; None where there is no file, or no such section in it."""
    from headgate.config.load import locate
    from headgate.config.tree import read_tree

    file = locate(config, Path.cwd())
    if file is None:
        return None
    env = env_file_of(config).under(os.environ)
    data = read_tree(file.read_text(encoding="utf-8-sig"), str(file), env).data
    section = data.get("providers") if isinstance(data, dict) else None
    return [str(name) for name in section] if isinstance(section, dict) else None


def not_both(argument: str | None, option: str | None, name: str) -> str | None:
    """Return whichever of two ways was used to give `name`; a Complaint where both were."""
    if argument is not None and option is not None:
        raise Complaint(f"{name} is given twice; give it once.")
    return argument if argument is not None else option
