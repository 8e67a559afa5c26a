"""`headgate keys`: create, list, update, rotate, revoke."""

import secrets
from typing import TYPE_CHECKING, Annotated

import typer

from headgate.surfaces import shown
from headgate.surfaces.cli.common import ConfigOption, JsonOption, duration_of, ledger_of, not_both, now_ns
from headgate.surfaces.cli.output import moment_text, say, say_json, table
from headgate.surfaces.cli.progress import waiting

if TYPE_CHECKING:
    from headgate.ledger.keys import NewKey

app = typer.Typer(
    help="Keys of clients: create, list, update, rotate, revoke.", no_args_is_help=True, rich_markup_mode=None
)

KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="The key's id or name.")]
AccountOption = Annotated[
    str | None, typer.Option("--account", "-a", metavar="ACCOUNT", help="The account that owns the key.")
]


@app.command()
def create(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="The key's name; invented if left out.")] = None,
    account: Annotated[
        str, typer.Option("--account", "-a", metavar="ACCOUNT", help="Its account; created if need be.")
    ] = "default",
    named: Annotated[str | None, typer.Option("--name", metavar="NAME", help="The name, as an option.")] = None,
    models: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", metavar="PATTERN", help="A model it may use, such as 'claude-*'; repeatable."),
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="DURATION", help="When it ends, such as 30d; never if left out.")
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Create a key and print it, this once.

    The ledger keeps only its hash.
    """
    from headgate.ledger.keys import create_key

    chosen = not_both(name, named, "the name") or f"key-{secrets.token_hex(3)}"
    now = now_ns()
    end = None if expires is None else now + duration_of(expires, "--expires")
    with waiting("preparing the ledger"), ledger_of(config, create=True) as ledger, ledger.write() as connection:
        key = create_key(connection, account=account, name=chosen, now=now, allowed_models=models, expires_at=end)
    _show_new(key, as_json=json, expires_at=end)


@app.command("list")
def list_(account: AccountOption = None, json: JsonOption = False, config: ConfigOption = None) -> None:
    """List keys, revoked ones too; never their secrets."""
    from headgate.ledger.keys import list_keys

    now = now_ns()
    with waiting("reading the ledger"), ledger_of(config) as ledger, ledger.reader().connection() as connection:
        keys = list_keys(connection, now=now, account=account)
    if json:
        for key in keys:
            say_json(shown.key(key, now))
        return
    if not keys:
        say("There are no keys yet; create one with: headgate keys create NAME")
        return
    table(
        ["id", "account", "name", "state", "begins", "models", "created", "expires"],
        [
            (
                key.id,
                key.account,
                key.name,
                shown.key_state(key, now),
                ", ".join(f"{prefix}..." for prefix in key.prefixes),
                "all" if key.allowed_models is None else ", ".join(key.allowed_models),
                moment_text(key.created_at),
                "never" if key.expires_at is None else moment_text(key.expires_at),
            )
            for key in keys
        ],
    )


@app.command()
def update(
    key: KeyArgument,
    *,
    models: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", metavar="PATTERN", help="A model it may use from now on; repeatable."),
    ] = None,
    all_models: Annotated[bool, typer.Option("--all-models", help="It may use all models from now on.")] = False,
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="DURATION|never", help="When it ends from now, or never.")
    ] = None,
    account: AccountOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Change the models a key may use, or when it ends."""
    from headgate.ledger.keys import UNCHANGED, find_key, list_keys, update_key

    if models and all_models:
        raise typer.BadParameter("give models or --all-models, not both", param_hint="--all-models")
    if not models and not all_models and expires is None:
        raise typer.BadParameter("say what to change: --model, --all-models or --expires", param_hint="KEY")
    now = now_ns()
    allowed = None if all_models else models or UNCHANGED
    end = UNCHANGED if expires is None else None if expires == "never" else now + duration_of(expires, "--expires")
    with waiting("writing to the ledger"), ledger_of(config) as ledger, ledger.write() as connection:
        found = find_key(connection, key, account=account)
        update_key(connection, found, allowed_models=allowed, expires_at=end)
        info = next(info for info in list_keys(connection, now=now) if info.id == found)
    if json:
        say_json(shown.key(info, now))
        return
    allows = "all models" if info.allowed_models is None else ", ".join(info.allowed_models)
    ends = "never ends" if info.expires_at is None else f"ends at {moment_text(info.expires_at)} UTC"
    say(f"{info.name} ({info.id}) may use {allows} and {ends}.")


@app.command()
def rotate(
    key: KeyArgument,
    grace: Annotated[
        str, typer.Option("--grace", metavar="DURATION", help="How long the old secret works on; 0s: not at all.")
    ] = "24h",
    account: AccountOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Give a key a new secret and print it, this once. Its id, name and limits stay."""
    from headgate.ledger.keys import find_key, rotate_key

    now, more = now_ns(), duration_of(grace, "--grace")
    with waiting("writing to the ledger"), ledger_of(config) as ledger, ledger.write() as connection:
        new = rotate_key(connection, find_key(connection, key, account=account), now=now, grace=more)
    _show_new(new, as_json=json, old_until=now + more)


@app.command()
def revoke(
    key: KeyArgument, account: AccountOption = None, json: JsonOption = False, config: ConfigOption = None
) -> None:
    """Make a key void at once, with all its secrets."""
    from headgate.ledger.keys import find_key, revoke_key

    now = now_ns()
    with waiting("writing to the ledger"), ledger_of(config) as ledger, ledger.write() as connection:
        found = find_key(connection, key, account=account)
        revoke_key(connection, found, now=now)
    if json:
        say_json({"id": found, "state": "revoked"})
    else:
        say(f"{found} is revoked. Running gateways refuse it within seconds.")


def _show_new(key: "NewKey", *, as_json: bool, **times: int | None) -> None:
    if as_json:
        say_json(shown.new_key(key, **times))
        return
    say(key.secret)
    typer.echo(f"This is {key.name!r} of account {key.account!r}, id {key.id}. It is not shown again.", err=True)
