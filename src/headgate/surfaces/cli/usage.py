"""`headgate usage`."""

from typing import TYPE_CHECKING, Annotated

import typer

from headgate.surfaces import shown
from headgate.surfaces.cli.calls import AccountOption, KeyOption, ModelOption, SinceOption, filter_of
from headgate.surfaces.cli.common import ConfigOption, JsonOption, ledger_of
from headgate.surfaces.cli.output import say, say_json, table, usd_text
from headgate.surfaces.cli.progress import waiting

if TYPE_CHECKING:
    from headgate.ledger.views import Usage

GROUPS = ("model", "provider", "key", "day", "account")


def usage(
    by: Annotated[str, typer.Option("--by", metavar="GROUP", help=f"One of {', '.join(GROUPS)}.")] = "model",
    since: SinceOption = "24h",
    key: KeyOption = None,
    account: AccountOption = None,
    model: ModelOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Sum up calls, tokens, cost and what caches saved. By provider, failed attempts count too."""
    if by not in GROUPS:
        raise typer.BadParameter(f"must be one of {', '.join(GROUPS)}", param_hint="--by")
    from headgate.ledger.views import GroupBy

    where = filter_of(since, key=key, account=account, model=model)
    with waiting("reading the ledger"), ledger_of(config) as ledger:
        reader = ledger.reader()
        groups = reader.usage(GroupBy(by), where)
        total = reader.usage(GroupBy.ALL, where)
    if json:
        for group in groups:
            say_json(shown.usage(by, group))
        return
    if not groups:
        say("There are no calls in this time; see further back with --since 30d or --since all.")
        return
    rows = [_row(by, group) for group in groups]
    rows += [_row("total", group) for group in total] if by != "provider" else []
    counted = "attempts" if by == "provider" else "calls"
    columns = [by, counted, "input", "cache read", "cache write", "output", "cost", "unknown cost", "saved"]
    table(columns, rows, numeric=columns[1:])


def _row(by: str, group: "Usage") -> tuple[str, ...]:
    return (
        "total" if by == "total" else group.label or shown.group_name(group) or "-",
        str(group.requests),
        str(group.input + group.input_audio),
        str(group.cache_read + group.cache_read_audio),
        str(group.cache_write_5m + group.cache_write_1h),
        str(group.output + group.output_audio),
        usd_text(group.cost_nano),
        str(group.unknown_cost),
        usd_text(group.savings_nano),
    )
