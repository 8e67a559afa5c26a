"""`headgate init`."""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headgate.surfaces.cli.common import ConfigOption, JsonOption
from headgate.surfaces.cli.output import Complaint, complain, say, say_json

if TYPE_CHECKING:
    from headgate.config.discover import Found


def init(
    config: ConfigOption = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    print_: Annotated[bool, typer.Option("--print", help="Print the configuration; write nothing.")] = False,
    json: JsonOption = False,
) -> None:
    """Write headgate.yaml with what can be found.

    That is by environment variables, a .env, and servers on this machine. No credential is written: `${NAME}` stands
    for it.
    """
    from headgate.config.envfile import exposed, read_env_file
    from headgate.config.load import FILE_NAME
    from headgate.config.starter import text_of
    from headgate.surfaces.configured import find

    path = (config if config is not None else Path(FILE_NAME)).absolute()
    if not (force or print_) and os.path.lexists(path):
        raise _exists(path)
    file = read_env_file(path.parent)
    found = find(file.under(os.environ))
    text = text_of(found)
    notes = [*found.notes, *file.problems, *exposed(file.path)]
    if print_ and not json:
        typer.echo(text, nl=False)
        for note in notes:
            complain(f"note: {note}")
        return
    if not print_:
        _write(path, text, force=force)
    if json:
        told = {"file": None if print_ else str(path), "found": list(found.shown), "simulated": found.simulated}
        say_json({**told, "notes": notes, **({"text": text} if print_ else {})})
        return
    _tell(path, found, notes)


def _tell(path: Path, found: "Found", notes: list[str]) -> None:
    say(f"{path} is written.")
    say(f"found: {', '.join(found.shown) or 'no provider, so it names the simulated upstream'}")
    for note in notes:
        say(f"note: {note}")
    usual = path == Path.cwd() / "headgate.yaml"
    option = "" if usual else f" --config {shlex.quote(str(path))}"
    if found.simulated:
        say(f"Next: headgate sim & headgate serve{option}")
    else:
        say(f"Next: headgate check{option}, then headgate serve{option}")


def _exists(path: Path) -> Complaint:
    return Complaint(f"{path} exists; look at a new one with: headgate init --print, write over it with: --force")


def _write(path: Path, text: str, *, force: bool) -> None:
    """Write the file whole or not at all; nobody ever reads half of it. Raises Complaint."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            with beside.open("x", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            _put(beside, path, force=force)
        finally:
            beside.unlink(missing_ok=True)
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        elsewhere = "name another place with --config, or print it: headgate init --print"
        raise Complaint(f"cannot write {path}: {error.strerror}; {elsewhere}") from None


def _put(beside: Path, path: Path, *, force: bool) -> None:
    if force:
        beside.replace(path)
        return
    try:
        os.link(beside, path)  # unlike a rename it fails where a file has come meanwhile
    except FileExistsError:
        raise
    except OSError:
        # A file system without links.
        if os.path.lexists(path):
            raise FileExistsError from None
        beside.replace(path)
