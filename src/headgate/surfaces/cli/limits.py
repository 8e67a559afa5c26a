"""`headgate limits`: list, set, remove, top."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate.surfaces import shown_limits
from headgate.surfaces.cli.common import ConfigOption, JsonOption, ledger_of, now_ns, provider_names
from headgate.surfaces.cli.output import Complaint, say, say_json, table
from headgate.surfaces.cli.progress import waiting
from headgate.surfaces.cli.standings import amount_text, standing_table, subject_text

if TYPE_CHECKING:
    from headgate.ledger.engine import Ledger
    from headgate.ledger.limit_views import KeyName
    from headgate.model.limit import Limit, Standing

app = typer.Typer(
    help="Limits of spending and use: list, set, remove, top.", no_args_is_help=True, rich_markup_mode=None
)

MOST = 10_000

AccountWord = Annotated[
    str | None, typer.Option("--account", "-a", metavar="ACCOUNT", help="The account; or whose key or session it is.")
]
KeyWord = Annotated[str | None, typer.Option("--key", metavar="KEY", help="The key, by id or name.")]
ModelWord = Annotated[
    str | None, typer.Option("--model", "-m", metavar="PATTERN", help="Only the key's calls to models such as 'gpt-*'.")
]
ProviderWord = Annotated[
    str | None, typer.Option("--provider", metavar="PROVIDER", help="The provider, for all accounts together.")
]
SessionWord = Annotated[
    str | None, typer.Option("--session", metavar="each|ID", help="Each session by itself, or one of an account.")
]
UsdWord = Annotated[str | None, typer.Option("--usd", metavar="AMOUNT", help="So many USD, such as 50 or 0.25.")]
TokensWord = Annotated[str | None, typer.Option("--tokens", metavar="COUNT", help="So many tokens, in and out.")]
RequestsWord = Annotated[str | None, typer.Option("--requests", metavar="COUNT", help="So many calls.")]
ConcurrencyWord = Annotated[str | None, typer.Option("--concurrency", metavar="COUNT", help="So many calls at once.")]
PerWord = Annotated[
    str | None,
    typer.Option("--per", metavar="WINDOW", help="total, day, week, month, or a duration that slides, such as 24h."),
]
ZoneWord = Annotated[
    str | None, typer.Option("--zone", metavar="ZONE", help="Where a day, week or month begins; UTC if left out.")
]
ClampWord = Annotated[
    bool | None,
    typer.Option("--clamp/--no-clamp", help="Lower an output maximum that a client asked for, if it would fit."),
]


@app.command("list")
def list_(
    everything: Annotated[bool, typer.Option("--all", help="Those that were removed, too.")] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List limits, those of the configuration file too."""
    from headgate.ledger.limits import list_limits

    with waiting("reading the ledger"), ledger_of(config) as ledger, ledger.reader().connection() as connection:
        found = list_limits(connection, everything=everything)
        in_force = {limit.id for limit in list_limits(connection)} if everything else set()
    if json:
        for limit in found:
            removed = {"removed": limit.id not in in_force} if everything else {}
            say_json(shown_limits.limit(limit) | removed)
        return
    if not found:
        say("There are no limits yet; set one with: headgate limits set --account NAME --usd 50 --per month")
        return
    columns = ["id", "scope", "name", "account", "models", "cap", "per", "zone", "clamp", "source"]
    table([*columns, *(["state"] if everything else [])], [_row(limit, in_force, everything) for limit in found])


def _row(limit: "Limit", in_force: set[int], everything: bool) -> tuple[str, ...]:
    told = shown_limits.limit(limit)
    return (
        str(limit.id),
        limit.scope.value,
        limit.name,
        told["account"] or "any",
        limit.pattern or "all",
        amount_text(limit, limit.cap),
        told["per"] or "-",
        told["zone"] or "-",
        "yes" if limit.clamp else "no",
        limit.source,
        *((("in force" if limit.id in in_force else "removed"),) if everything else ()),
    )


@app.command("set")
def set_(
    *,
    account: AccountWord = None,
    key: KeyWord = None,
    model: ModelWord = None,
    provider: ProviderWord = None,
    session: SessionWord = None,
    usd: UsdWord = None,
    tokens: TokensWord = None,
    requests: RequestsWord = None,
    concurrency: ConcurrencyWord = None,
    per: PerWord = None,
    zone: ZoneWord = None,
    clamp: ClampWord = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Set a limit, or give the one with the same words another amount.

    A new one counts what was spent before in its present window.
    """
    from headgate.ledger.limits import check_owner, set_limit

    wanted = _limit_of(
        account=account,
        key=key,
        model=model,
        provider=provider,
        session=session,
        usd=usd,
        tokens=tokens,
        requests=requests,
        concurrency=concurrency,
        per=per,
        zone=zone,
        clamp=bool(clamp),
    )
    _check_provider(provider, config)
    now = now_ns()
    with waiting("writing to the ledger"), ledger_of(config) as ledger:
        with ledger.write() as connection:
            check_owner(connection, wanted)
            made = set_limit(connection, wanted, now, keep_clamp=clamp is None)
        standings, names = _stand(ledger, now, 3, made.id)
    if json:
        say_json(shown_limits.limit(made))
        return
    _say_set(made, standings, names)


def _say_set(made: "Limit", standings: "list[Standing]", names: shown_limits.Names) -> None:
    per = "" if shown_limits.limit(made)["per"] is None else f" per {made.window.text}"
    say(f"Limit {made.id}: {amount_text(made, made.cap)}{per} of {made.title.partition(' of ')[2]}.")
    for one in standings:
        spent, held = amount_text(made, one.spent), amount_text(made, one.held)
        say(f"So far {subject_text(one, names)}: {spent} spent, {held} held.")


def _check_provider(provider: str | None, config: Path | None) -> None:
    known = None if provider is None else provider_names(config)
    if known is not None and provider not in known:
        raise Complaint(f"There is no provider {provider!r} in the configuration; it has: {', '.join(known)}")


@app.command()
def remove(
    limit_id: Annotated[int | None, typer.Argument(metavar="[ID]", help="The limit's id, or the words it has.")] = None,
    *,
    account: AccountWord = None,
    key: KeyWord = None,
    model: ModelWord = None,
    provider: ProviderWord = None,
    session: SessionWord = None,
    usd: UsdWord = None,
    tokens: TokensWord = None,
    requests: RequestsWord = None,
    concurrency: ConcurrencyWord = None,
    per: PerWord = None,
    zone: ZoneWord = None,
    clamp: ClampWord = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Remove a limit, by its id or by the words it was set with.

    It keeps its count: set again, it goes on from there.
    """
    from headgate.ledger.limits import remove_limit

    words = {
        "account": account,
        "key": key,
        "model": model,
        "provider": provider,
        "session": session,
        "usd": usd,
        "tokens": tokens,
        "requests": requests,
        "concurrency": concurrency,
        "per": per,
        "zone": zone,
    }
    if limit_id is not None and any(word is not None for word in words.values()):
        raise typer.BadParameter("give the id or the words of the limit, not both", param_hint="ID")
    which = _limit_of(**words, clamp=bool(clamp)) if limit_id is None else limit_id
    with waiting("writing to the ledger"), ledger_of(config) as ledger, ledger.write() as connection:
        found = remove_limit(connection, which, now_ns())
    if json:
        say_json({"id": found, "state": "removed"})
    else:
        say(f"The limit {found} is removed. Running gateways heed it no more with their next call.")


@app.command()
def top(
    most: Annotated[
        int, typer.Option("--limit", "-n", metavar="COUNT", min=1, max=MOST, help="How many at most.")
    ] = 20,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show how limits stand, the fullest first."""
    now = now_ns()
    with waiting("reading the ledger"), ledger_of(config) as ledger:
        standings, names = _stand(ledger, now, most)
    if json:
        for standing in standings:
            say_json(shown_limits.standing(standing, names))
        return
    if not standings:
        say("There are no limits yet; set one with: headgate limits set --account NAME --usd 50 --per month")
        return
    standing_table(standings, names)


def _stand(
    ledger: "Ledger", now: int, most: int, limit: int | None = None
) -> "tuple[list[Standing], dict[str, KeyName]]":
    from headgate.ledger.limit_views import fullest, key_names
    from headgate.ledger.tables import limits
    from headgate.model.limit import Scope

    where = [] if limit is None else [limits.c.id == limit]
    with ledger.reader().connection() as connection:
        found = fullest(connection, now, most, *where)
        of_keys = (standing.subject for standing in found if standing.limit.scope is Scope.KEY)
        return found, key_names(connection, of_keys)


def _limit_of(**words: Any) -> "Limit":
    """Return the limit of these words, the fields of Words; a usage error where they say none."""
    from headgate.surfaces.limit_words import Words, WrongWord, limit_of

    try:
        return limit_of(Words(**words))
    except WrongWord as error:
        raise typer.BadParameter(f"{error}", param_hint=f"--{error.field}") from None
