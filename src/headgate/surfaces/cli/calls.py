"""`headgate calls` and `headgate calls show ID`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate.surfaces.cli.common import ConfigOption, JsonOption, ledger_of, now_ns, since_of
from headgate.surfaces.cli.output import (
    Complaint,
    duration_text,
    milliseconds,
    moment,
    moment_text,
    say,
    say_json,
    table,
    usd,
    usd_text,
)
from headgate.surfaces.cli.tokens import tokens_of

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
        typer.Option("--outcome", metavar="OUTCOME", help="Only ok, rejected, failed, broken or client_gone."),
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List calls, newest first."""
    if ctx.invoked_subcommand is not None:
        return
    where = filter_of(since, key=key, account=account, model=model, outcome=outcome)
    with ledger_of(config) as ledger:
        found = ledger.reader().calls(where, limit=limit)
    if json:
        for call in found:
            say_json(call_json(call))
        return
    if not found:
        say("There are no such calls.")
        return
    table(
        ["time (UTC)", "id", "key", "model", "route", "status", "outcome", "in", "out", "cost", "took"],
        [_row(call) for call in found],
        numeric=("status", "in", "out", "cost", "took"),
    )


@app.command()
def show(
    call_id: Annotated[str, typer.Argument(metavar="ID", help="The call's id, as x-headgate-call tells it.")],
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show one call with its attempts and the corrections of its cost."""
    with ledger_of(config) as ledger:
        call = ledger.reader().call(call_id)
    if call is None:
        raise Complaint(f"there is no call {call_id!r}; see: headgate calls")
    attempts, fixes = call["attempts"], call["adjustments"]
    call = {**call, "attempts": call["attempt_count"], "adjusted_nano": sum(fix["delta_nano"] for fix in fixes)}
    if json:
        facts = bytes(call["facts"]).decode("utf-8", "replace")
        whole = call_json(call) | {
            "tries": [_attempt_json(attempt) for attempt in attempts],
            "adjustments": [_fix_json(fix) for fix in fixes],
            "facts": _parsed(facts),
        }
        say_json(whole)
        return
    _show_call(call, attempts, fixes)


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
    return Filter(since=since_of(since, now_ns()), key=key, account=account, model=model, outcome=outcome)


def net_cost(row: dict[str, Any]) -> int | None:
    """Return a call's cost with its corrections, in nano-USD; None where nobody knows it."""
    cost, adjusted = row["cost_nano"], row.get("adjusted_nano") or 0
    if cost is None and adjusted == 0:
        return None
    return int(cost or 0) + int(adjusted)


def call_json(call: dict[str, Any]) -> dict[str, Any]:
    """Return a call for programs: times in ISO 8601, durations in ms, money as decimal strings in USD."""
    return {
        "id": call["id"],
        "started_at": moment(call["started_at"]),
        "account": call["account"],
        "key": call["key"],
        "key_name": call["key_name"],
        "session": call["session"],
        "endpoint": call["endpoint"],
        "model_asked": call["model_asked"],
        "model": call["model"],
        "route": call["route"],
        "stream": bool(call["stream"]),
        "status": call["status"],
        "outcome": call["outcome"],
        "error": call["error"],
        "attempts": call["attempts"],
        "duration_ms": milliseconds(call["duration"]),
        "ttft_ms": milliseconds(call["ttft"]),
        "usage": tokens_of(call),
        "cost_usd": usd(net_cost(call)),
        "basis": call["basis"],
        "savings_usd": usd(call["savings_nano"]),
        "dropped": call["dropped"],
        "incarnation": call["incarnation"],
    }


def _attempt_json(attempt: dict[str, Any]) -> dict[str, Any]:
    kept = ("no", "provider", "upstream_name", "backend", "model", "state", "status", "failure", "message", "basis")
    return {key: attempt[key] for key in kept} | {
        "started_at": moment(attempt["started_at"]),
        "duration_ms": milliseconds(attempt["duration"]),
        "ttft_ms": milliseconds(attempt["ttft"]),
        "usage": tokens_of(attempt),
        "hold_usd": usd(attempt["hold_nano"]),
        "cost_usd": usd(attempt["cost_nano"]),
        "savings_usd": usd(attempt["savings_nano"]),
        "incarnation": attempt["incarnation"],
    }


def _fix_json(fix: dict[str, Any]) -> dict[str, Any]:
    return {
        "no": fix["no"],
        "at": moment(fix["at"]),
        "delta_usd": usd(fix["delta_nano"]),
        "target_usd": usd(fix["target_nano"]),
        "reason": fix["reason"],
        "author": fix["author"],
    }


def _parsed(facts: str) -> Any:
    from json import JSONDecodeError, loads

    try:
        return loads(facts) if facts else None
    except JSONDecodeError:
        return facts


def _row(call: dict[str, Any]) -> tuple[str, ...]:
    usage = tokens_of(call)
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
        usd_text(net_cost(call)),
        duration_text(call["duration"]),
    )


def _show_call(call: dict[str, Any], attempts: list[dict[str, Any]], fixes: list[dict[str, Any]]) -> None:
    for name, value in call_json(call).items():
        if isinstance(value, dict):
            counts = ", ".join(f"{kind} {count}" for kind, count in value.items() if count)
            say(f"{name}: {counts or 'none'}")
        else:
            say(f"{name}: {'-' if value is None else value}")
    say("")
    table(
        ["no", "route", "state", "status", "failure", "in", "out", "hold", "cost", "basis", "took", "message"],
        [
            (
                str(attempt["no"]),
                f"{attempt['provider']}/{attempt['upstream_name']}",
                attempt["state"],
                str(attempt["status"] or "-"),
                attempt["failure"] or "-",
                str(tokens_of(attempt)["total_input"]),
                str(tokens_of(attempt)["total_output"]),
                usd_text(attempt["hold_nano"]),
                usd_text(attempt["cost_nano"]),
                attempt["basis"],
                duration_text(attempt["duration"]),
                attempt["message"] or "",
            )
            for attempt in attempts
        ],
        numeric=("no", "status", "in", "out", "hold", "cost", "took"),
    )
    for fix in fixes:
        say(
            f"corrected attempt {fix['no']} to {usd_text(fix['target_nano'])} at {moment_text(fix['at'])}"
            f" by {fix['author']}: {fix['reason']}"
        )
