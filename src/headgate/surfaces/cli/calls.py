"""`headgate calls` and `headgate calls show ID`; for lost ones see `lost.py`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate.surfaces import shown
from headgate.surfaces.cli.common import ConfigOption, JsonOption, ledger_of, since_of
from headgate.surfaces.cli.lost import settle, show_lost
from headgate.surfaces.cli.output import (
    Complaint,
    duration_text,
    moment_text,
    say,
    say_json,
    table,
    usd_text,
)
from headgate.surfaces.cli.progress import waiting

if TYPE_CHECKING:
    from headgate.ledger.views import Filter

app = typer.Typer(help="Calls in the ledger, newest first.", rich_markup_mode=None)

SinceOption = Annotated[
    str, typer.Option("--since", metavar="WHEN", help="A duration back from now (24h), a date in UTC, or all.")
]
KeyOption = Annotated[str | None, typer.Option("--key", metavar="KEY", help="Only those of this key (id or name).")]
AccountOption = Annotated[
    str | None, typer.Option("--account", "-a", metavar="ACCOUNT", help="Only those of this account.")
]
ModelOption = Annotated[str | None, typer.Option("--model", "-m", metavar="MODEL", help="Only those of this model.")]


@app.callback(invoke_without_command=True)
def calls(
    ctx: typer.Context,
    *,
    since: SinceOption = "all",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1_000_000, help="How many at most.")] = 50,
    key: KeyOption = None,
    account: AccountOption = None,
    model: ModelOption = None,
    outcome: Annotated[
        str | None,
        typer.Option(
            "--outcome", metavar="OUTCOME", help="Only ok, rejected, failed, broken, client_gone, capped or lost."
        ),
    ] = None,
    lost: Annotated[
        bool, typer.Option("--lost", help="Attempts whose end nobody heard of, and the lines that settle them.")
    ] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List calls, newest first."""
    if ctx.invoked_subcommand is not None:
        return
    where = filter_of(since, key=key, account=account, model=model, outcome=outcome)
    if lost:
        show_lost(where, limit, config, as_json=json)
        return
    with waiting("reading the ledger"), ledger_of(config) as ledger:
        found = ledger.reader().calls(where, limit=limit)
    if json:
        with waiting("writing the calls", total=len(found)) as progress:
            for call in progress.each(found):
                say_json(shown.call(call))
        return
    if not found:
        say("There are no such calls.")
        return
    table(
        ["time (UTC)", "id", "key", "model", "route", "status", "outcome", "in", "out", "cost", "took"],
        [_row(call) for call in found],
        numeric=("status", "in", "out", "cost", "took"),
    )


app.command()(settle)


@app.command()
def show(
    call_id: Annotated[str, typer.Argument(metavar="ID", help="The call's id, as x-headgate-call tells it.")],
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show one call with its attempts and the corrections of its cost."""
    with waiting("reading the ledger"), ledger_of(config) as ledger:
        call = ledger.reader().call(call_id)
    if call is None:
        raise Complaint(f"there is no call {call_id!r}; see: headgate calls")
    if json:
        say_json(shown.call_whole(call))
    else:
        _show_call(call)


def filter_of(
    since: str,
    *,
    key: str | None = None,
    account: str | None = None,
    model: str | None = None,
    outcome: str | None = None,
) -> "Filter":
    """Return what the ledger is asked for; usage errors for a time or an outcome that is none."""
    from headgate.ledger.views import Filter
    from headgate.model.records import Outcome

    if outcome is not None and outcome not in set(Outcome):
        raise typer.BadParameter(f"must be one of {', '.join(Outcome)}", param_hint="--outcome")
    return Filter(since=since_of(since), key=key, account=account, model=model, outcome=outcome)


def _row(call: dict[str, Any]) -> tuple[str, ...]:
    usage = shown.tokens(call)
    return (
        moment_text(call["started_at"]),
        call["id"],
        call["key_name"] or call["key"],
        call["model"] or call["model_asked"],
        call["route"] or "-",
        str(call["status"]),
        call["error"] or call["outcome"],
        str(usage["total_input"]),
        str(usage["total_output"]),
        usd_text(shown.net_cost(call)),
        duration_text(call["duration"]),
    )


def _show_call(call: dict[str, Any]) -> None:
    for name, value in shown.call_whole(call).items():
        if name in {"tries", "adjustments", "facts"}:
            continue
        if isinstance(value, dict):
            counts = ", ".join(f"{kind} {count}" for kind, count in value.items() if count)
            say(f"{name}: {counts or 'none'}")
        else:
            say(f"{name}: {'-' if value is None else value}")
    say("")
    _show_attempts(call["attempts"])
    for fix in call["adjustments"]:
        say(
            f"corrected attempt {fix['no']} to {usd_text(fix['target_nano'])} at {moment_text(fix['at'])}"
            f" by {fix['author']}: {fix['reason']}"
        )


def _show_attempts(attempts: list[dict[str, Any]]) -> None:
    """Print attempts; what was reported and what passed the hold stand beside the cost where they say more than it."""
    amounts = ["hold", "cost"]
    if any(one["over_nano"] or one["reported_nano"] not in (None, one["cost_nano"]) for one in attempts):
        amounts = ["hold", "reported", "cost", "over"]
    table(
        ["no", "route", "state", "status", "failure", "in", "out", *amounts, "basis", "took", "message"],
        [
            (
                str(one["no"]),
                f"{one['provider']}/{one['upstream_name']}",
                one["state"],
                str(one["status"] or "-"),
                one["failure"] or "-",
                str(shown.tokens(one)["total_input"]),
                str(shown.tokens(one)["total_output"]),
                *(usd_text(one[f"{name}_nano"]) for name in amounts),
                one["basis"],
                duration_text(one["duration"]),
                one["message"] or "",
            )
            for one in attempts
        ],
        numeric=("no", "status", "in", "out", *amounts, "took"),
    )
