"""`headgate sim`."""

from typing import Annotated

import typer

from headgate.surfaces.cli.common import ConfigOption, JsonOption
from headgate.surfaces.cli.output import Complaint, say, say_json, table


def sim(
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", "-p", min=0, max=65535, help="Port; 0 takes any free one.")] = 4190,
    seed: Annotated[int, typer.Option("--seed", help="Answers are computed from it.")] = 1,
    api_key: Annotated[
        str | None, typer.Option("--api-key", metavar="KEY", help="Refuse requests that do not carry this key.")
    ] = None,
    faults: Annotated[bool, typer.Option("--faults", help="Print the faults that can be asked for, and exit.")] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Run a simulated upstream of every dialect, with faults.

    It reads no configuration; --config is accepted as everywhere.
    """
    del config
    if faults:
        _print_faults(as_json=json)
        return
    from headgate.sim import run

    def on_ready(url: str) -> None:
        if json:
            say_json({"url": url, "seed": seed})
        else:
            say(f"The simulated upstream listens on {url}. Stop it with Ctrl-C.")

    try:
        run(host, port, seed, api_key=api_key, on_ready=on_ready)
    except OSError as error:
        reason = error.strerror or str(error)
        raise Complaint(f"cannot listen on {host}:{port}: {reason}; choose another with --port") from None


def _print_faults(*, as_json: bool) -> None:
    from headgate.sim import TABLE

    if as_json:
        for row in TABLE:
            fault = {"fault": row.fault.value, "stream": row.stream, "unary": row.unary, "options": row.options}
            say_json(fault)
        return
    table(
        ["fault", "stream", "unary", "options"],
        [(row.fault.value, row.stream, row.unary, row.options) for row in TABLE],
    )
