"""`headgate check`."""

import json as jsonlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headgate.surfaces.cli.common import ConfigOption, JsonOption, env_file_of, now_ns
from headgate.surfaces.cli.output import PROBLEM, complain, say, say_json

if TYPE_CHECKING:
    from headgate.config.problems import ConfigError
    from headgate.config.settings import Compiled


def check(
    config: ConfigOption = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of the file, and exit.")] = False,
    json: JsonOption = False,
) -> None:
    """Check the configuration and say what a start would use. Exits with 1 if it has problems."""
    if schema:
        from headgate.config.schema import json_schema

        typer.echo(jsonlib.dumps(json_schema(), indent=2))
        return
    from headgate.config.compile import NOTHING, configuration
    from headgate.config.envfile import exposed
    from headgate.config.load import locate
    from headgate.config.problems import ConfigError
    from headgate.surfaces.configured import find

    try:
        file = env_file_of(config)
        env = file.under(os.environ)
        found = find(env) if locate(config, Path.cwd()) is None else NOTHING
        compiled = configuration(config, env, datetime.now(UTC), Path.cwd(), found=found)
    except ConfigError as error:
        _refuse(error, as_json=json)
        raise typer.Exit(PROBLEM) from None
    notes = [*_notes(compiled), *file.problems, *exposed(file.path)]
    if json:
        say_json({"ok": True, **_facts(compiled), "problems": [], "notes": notes})
        return
    facts = _facts(compiled)
    say(f"{facts['file'] or 'No file; what was found'}: no problems.")
    if compiled.found:
        say(f"found: {', '.join(compiled.found)}")
    for key in ("providers", "models"):
        say(f"{key}: {', '.join(facts[key]) or 'none'}")  # type: ignore[arg-type]
    owned = compiled.owned
    if owned.accounts or owned.keys or owned.limits:
        say(f"owned by this file: accounts {len(owned.accounts)}, keys {len(owned.keys)}, limits {len(owned.limits)}")
    for note in notes:
        say(f"note: {note}")


def _refuse(error: "ConfigError", *, as_json: bool) -> None:
    if as_json:
        problems = [
            {"file": one.file, "line": one.line, "where": one.where, "message": one.message} for one in error.problems
        ]
        say_json({"ok": False, "problems": problems})
        return
    complain(str(error))
    count = len(error.problems)
    complain(f"{count} problem{'s' if count != 1 else ''}; mend and run `headgate check` again")


def _facts(compiled: "Compiled") -> dict[str, object]:
    return {
        "file": compiled.settings.config_path,
        "fingerprint": compiled.fingerprint,
        "providers": list(compiled.catalog.providers),
        "models": list(compiled.catalog.virtual),
        "accounts": list(compiled.owned.accounts),
        "keys": [{"account": key.account, "name": key.name} for key in compiled.owned.keys],
        "limits": [limit.title for limit in compiled.owned.limits],
        "found": list(compiled.found),
        "simulated": compiled.simulated,
    }


def _notes(compiled: "Compiled") -> list[str]:
    """Return what is no fault and yet seldom meant."""
    from headgate.config.discover import misplaced

    notes = [*compiled.notes, *misplaced(compiled.catalog)]
    if compiled.simulated:
        notes.append(
            "no provider was found: the SIMULATED upstream would answer; set OPENAI_API_KEY, or: headgate init"
        )
    elif not compiled.catalog.providers:
        notes.append("there is no provider, so no call can be answered; add one under 'providers:'")
    for name, model in compiled.catalog.virtual.items():
        notes += [
            f"models.{name}: {route.name} has no known price; its cost will be unknown until 'price:' says it"
            for route in model.routes
            if route.prices.input is None and route.provider.billing != "subscription"
        ]
    notes += [
        f"the key {key.name!r} of account {key.account!r} has expired; give it another 'expires', or leave it out"
        for key in compiled.owned.keys
        if key.expires_at is not None and key.expires_at <= now_ns()
    ]
    if compiled.settings.admin_token is None:
        notes.append("the admin plane is closed: no server.admin_token and no HEADGATE_ADMIN_TOKEN")
    return notes
