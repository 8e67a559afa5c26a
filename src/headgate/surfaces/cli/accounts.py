"""`headgate accounts`: list, create, show."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate.surfaces import shown, shown_limits
from headgate.surfaces.cli.common import ConfigOption, JsonOption, ledger_of, now_ns
from headgate.surfaces.cli.output import moment_text, say, say_json, table
from headgate.surfaces.cli.progress import waiting
from headgate.surfaces.cli.standings import standing_table

if TYPE_CHECKING:
    from headgate.ledger.accounts import Account

app = typer.Typer(help="Accounts, which own keys: list, create, show.", no_args_is_help=True, rich_markup_mode=None)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The account's name.")]


@app.command("list")
def list_(json: JsonOption = False, config: ConfigOption = None) -> None:
    """List accounts, those of the configuration file too."""
    from headgate.ledger.accounts import list_accounts

    with waiting("reading the ledger"), ledger_of(config) as ledger, ledger.reader().connection() as connection:
        found = list_accounts(connection)
    if json:
        for account in found:
            say_json(shown_limits.account(account))
    elif found:
        table(["name", "keys", "source", "created"], [_row(account) for account in found], numeric=["keys"])
    else:
        say("There are no accounts yet; create one with: headgate accounts create NAME")


def _row(account: "Account") -> tuple[str, ...]:
    return account.name, str(account.keys), account.source, moment_text(account.created_at)


@app.command()
def create(account: NameArgument, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Create an account. Creating a key creates its account too."""
    from headgate.ledger.accounts import create_account, get_account

    now = now_ns()
    with waiting("preparing the ledger"), ledger_of(config, create=True) as ledger, ledger.write() as connection:
        create_account(connection, account, now=now)
        made = get_account(connection, account)
    if json:
        say_json(shown_limits.account(made))
    else:
        say(f"The account {made.name!r} is there. Its first key: headgate keys create NAME --account ACCOUNT")


@app.command()
def show(account: NameArgument, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show an account: its keys, how its limits stand, what it spent."""
    from headgate.ledger.accounts import get_account
    from headgate.ledger.limit_views import of_account, standings

    now = now_ns()
    with waiting("reading the ledger"), ledger_of(config) as ledger:
        reader = ledger.reader()
        with reader.connection() as connection:
            found = get_account(connection, account)
            stand = standings(connection, of_account(connection, account), now)
        keys = reader.keys(now, account)
        balances = reader.balances("account", account, since=now)
    whole = shown_limits.account_whole(found, keys, stand, balances, now)
    if json:
        say_json(whole)
        return
    say(f"account   {found.name} ({found.source}, since {moment_text(found.created_at)})")
    say(f"in all    {_spent(whole['all_time'])}")
    say(f"today     {_spent(whole['today'])}")
    say("")
    if keys:
        rows = [(key.id, key.name, shown.key_state(key, now), moment_text(key.created_at)) for key in keys]
        table(["key", "name", "state", "created"], rows)
    else:
        say("It has no keys; create one with: headgate keys create NAME --account ACCOUNT")
    say("")
    if stand:
        standing_table(stand, {key.id: key for key in keys})
    else:
        say("It has no limits; set one with: headgate limits set --account NAME --usd 50 --per month")


def _spent(sums: dict[str, Any]) -> str:
    return f"${sums['cost_usd']}, {sums['calls']} calls, {sums['tokens']} tokens"
