"""`headgate serve`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from headgate.surfaces.cli.common import ConfigOption
from headgate.surfaces.cli.output import Complaint, say

LOG_LEVELS = ("debug", "info", "warning", "error")


def serve(
    config: ConfigOption = None,
    host: Annotated[
        str | None, typer.Option("--host", envvar="HEADGATE_HOST", help="Address of the data plane.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", "-p", min=0, max=65535, envvar="HEADGATE_PORT", help="Port of the data plane."),
    ] = None,
    admin_port: Annotated[
        int | None,
        typer.Option("--admin-port", min=0, max=65535, envvar="HEADGATE_ADMIN_PORT", help="Port of the admin plane."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, max=256, envvar="HEADGATE_WORKERS", help="Worker processes."),
    ] = None,
    log_level: Annotated[
        str | None, typer.Option("--log-level", metavar="LEVEL", help=f"One of {', '.join(LOG_LEVELS)}.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Write log lines as JSON.")] = False,
) -> None:
    """Run the gateway.

    That is the data plane, the admin plane and the workers. Options go before what the file says. Without a file,
    providers are found: by the usual environment variables, a .env, and servers on this machine; where there is none
    the simulated upstream answers.
    """
    if log_level is not None and log_level not in LOG_LEVELS:
        raise typer.BadParameter(f"must be one of {', '.join(LOG_LEVELS)}", param_hint="--log-level")
    file = config if config is None else existing(config)
    from headgate.config.settings import Overrides
    from headgate.surfaces.serve import ServeFailed
    from headgate.surfaces.serve import serve as run

    overrides = Overrides(
        host=host, port=port, admin_port=admin_port, workers=workers, log_level=log_level, log_json=json
    )
    try:
        status = run(file, overrides, say, is_terminal=sys.stdout.isatty())
    except ServeFailed as error:
        raise Complaint(str(error)) from None
    raise typer.Exit(status)


def existing(config: Path) -> Path:
    """Return the path; a file that is not there is said before anything starts."""
    if not config.is_file():
        raise Complaint(f"there is no file {config}; give another with --config, or leave it out")
    return config
