"""`headgate calls --lost` and `headgate calls settle ID`: what was charged because nobody heard how it ended."""

import getpass
import os
import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate.model.limit import MAX_AMOUNT
from headgate.model.money import format_usd, parse_usd
from headgate.surfaces import shown
from headgate.surfaces.cli.common import ConfigOption, JsonOption, ledger_of, now_ns
from headgate.surfaces.cli.output import moment_text, plain, say, say_json, table, usd_text
from headgate.surfaces.cli.progress import waiting

if TYPE_CHECKING:
    from pathlib import Path

    from headgate.ledger.views import Filter


def show_lost(where: "Filter", limit: int, config: "Path | None", *, as_json: bool) -> None:
    """Print lost attempts, each with the line that settles it."""
    from headgate.ledger.lost_views import lost_attempts

    with waiting("reading the ledger"), ledger_of(config) as ledger, ledger.reader().connection() as connection:
        found = lost_attempts(connection, where, limit=limit)
    if as_json:
        for row in found:
            say_json(shown.lost(row) | {"settle": _line(row)})
        return
    if not found:
        say("No attempt is lost.")
        return
    table(
        ["time (UTC)", "key", "route", "charged", "costs now", "said by", "to settle it"],
        [_row(row) for row in found],
        numeric=("charged", "costs now"),
    )


def settle(
    call_id: Annotated[str, typer.Argument(metavar="ID", help="The call's id, as x-headgate-call tells it.")],
    usd: Annotated[str, typer.Option("--usd", metavar="AMOUNT", help="What the attempt cost in truth, such as 0.25.")],
    attempt: Annotated[
        int | None, typer.Option("--attempt", metavar="N", min=1, help="Which attempt; the lost one if left out.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept with it.")] = "settled by hand",
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Set what an attempt cost, in the ledger and in its limits.

    For attempts that were lost, and for bills that say otherwise.
    """
    from headgate.ledger.corrections import settle_by_hand

    nano = _nano(usd)
    with waiting("writing to the ledger"), ledger_of(config) as ledger, ledger.write() as connection:
        done = settle_by_hand(connection, call_id, attempt, nano, author=_author(), reason=reason, now=now_ns())
    if json:
        before = None if done.before is None else format_usd(done.before)
        said = {"call": done.call, "no": done.no, "state": done.state}
        say_json(said | {"before_usd": before, "after_usd": format_usd(done.after)})
        return
    before = "unknown" if done.before is None else f"{format_usd(done.before)} USD"
    say(f"Attempt {done.no} of {done.call} ({done.state}): was {before}, is {format_usd(done.after)} USD now.")


def _nano(text: str) -> int:
    try:
        nano = parse_usd(text.strip().removeprefix("$"))
    except ValueError:
        raise typer.BadParameter("must be an amount in USD, such as 0.25", param_hint="--usd") from None
    if not 0 <= nano <= MAX_AMOUNT:
        raise typer.BadParameter(f"must be from 0 to {format_usd(MAX_AMOUNT)}", param_hint="--usd")
    return nano


def _author() -> str:
    """Return who types: the user's name, or the number where there is none."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError, ImportError):
        name = str(os.getuid())
    return f"user {plain(name)[:100]}".strip()


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    fixes = row["adjustments"]
    return (
        moment_text(row["started_at"]),
        row["key_name"] or row["key"],
        f"{row['provider']}/{row['upstream_name']}",
        usd_text(row["cost_nano"]),
        usd_text(shown.lost_cost(row)),
        fixes[-1]["author"] if fixes else "nobody yet",
        _line(row),
    )


def _line(row: dict[str, Any]) -> str:
    return f"headgate calls settle {shlex.quote(row['call'])} --attempt {row['no']} --usd AMOUNT"
