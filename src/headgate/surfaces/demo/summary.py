"""The demo's end: what the ledger holds, read back, and checked against its own balances and the simulator's bill."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from headgate.ledger.views import Filter, GroupBy, Reader, Usage
from headgate.model.money import format_usd
from headgate.model.price import Prices
from headgate.model.usage import Usage as Tokens
from headgate.sim.bill import Bill, BillLine, Outcome, add_usage
from headgate.surfaces import shown
from headgate.surfaces.demo.scenario import ACCOUNT

MANY = 10_000
"""More calls than a demo makes."""


class Check(msgspec.Struct, frozen=True):
    """Something that must hold, and what was found."""

    name: str
    ok: bool
    found: str


class Left(msgspec.Struct, frozen=True):
    """A call whose client left: what the ledger charges, on which basis, and what the simulator billed, in nano-USD."""

    call: str
    route: str
    basis: str
    cost_nano: int | None
    billed_nano: int


class Saved(msgspec.Struct, frozen=True):
    """A call that a fallback saved: which routes failed and how, and who answered."""

    call: str
    failed: tuple[str, ...]
    answered: str
    failed_cost_nano: int


class Summary(msgspec.Struct, frozen=True):
    """All that is told at the end; sums are the ledger's own. `simulator_nano` is the whole bill of the simulator."""

    total: Usage
    attempts: int
    models: list[Usage]
    providers: list[Usage]
    saved: list[Saved]
    left: list[Left]
    unpriced: list[str]
    simulator_nano: int
    checks: list[Check]

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)


def read_back(
    reader: Reader, key_id: str, bill: Bill, prices: Mapping[str, Prices], problems: Sequence[str]
) -> Summary:
    """Ask the ledger what happened; `bill` is the simulator's, `problems` what did not go as the scenario says.

    Raises LedgerError.
    """
    [total] = reader.usage(GroupBy.ALL)
    providers = reader.usage(GroupBy.PROVIDER)
    found = [reader.call(row["id"]) for row in reader.calls(Filter(), limit=MANY)]
    calls = [call for call in reversed(found) if call is not None]
    gone = [line for line in bill.lines if line.outcome is Outcome.CANCELLED]
    left = [_left(call, gone, prices) for call in calls if call["outcome"] == "client_gone"]
    attempts = [one for call in calls for one in call["attempts"]]
    checks = [
        _balanced(reader, key_id, total, attempts),
        *_billed(calls, bill, prices),
        Check("every call went as the scenario says", not problems, "; ".join(problems) or f"{len(calls)} calls"),
    ]
    return Summary(
        total=total,
        attempts=len(attempts),
        models=reader.usage(GroupBy.MODEL),
        providers=providers,
        saved=[_saved(call) for call in calls if call["outcome"] == "ok" and len(call["attempts"]) > 1],
        left=left,
        unpriced=[call["id"] for call in calls if call["cost_nano"] is None],
        simulator_nano=cost_of(bill.lines, prices),
        checks=checks,
    )


def _balanced(reader: Reader, key_id: str, total: Usage, attempts: Sequence[Mapping[str, Any]]) -> Check:
    """The sum of the calls, that of their attempts, and the balances of account and key are one amount."""
    usd = [
        one
        for scope, name in (("account", ACCOUNT), ("key", key_id))
        for one in reader.balances(scope, name)
        if one.unit == "usd" and one.bucket_start == 0
    ]
    tried = sum(one["cost_nano"] or 0 for one in attempts)
    ok = len(usd) == 2 and {total.cost_nano, tried, *(one.spent for one in usd)} == {tried}
    held = sum(one.held for one in usd)
    balances = ", ".join(f"{one.scope} ${format_usd(one.spent)}" for one in usd)
    found = f"calls ${format_usd(total.cost_nano)}, attempts ${format_usd(tried)}, balance of {balances}; held {held}"
    return Check("the calls add up to the ledger's balance", ok and not held, found)


def _billed(calls: Sequence[Mapping[str, Any]], bill: Bill, prices: Mapping[str, Prices]) -> list[Check]:
    """Calls whose end is known cost what the simulator bills for them, to the token and to the nano-dollar."""
    known = [one for call in calls if call["outcome"] != "client_gone" for one in call["attempts"]]
    whole = [line for line in bill.lines if line.outcome is not Outcome.CANCELLED]
    ours = sum(one["cost_nano"] or 0 for one in known)
    theirs = cost_of(whole, prices)
    ours_by_model = _tokens(
        (one["upstream_name"], Tokens(*(one[name] for name in Tokens.__struct_fields__))) for one in known
    )
    theirs_by_model = _tokens((line.model, line.usage) for line in whole)
    wrong = [name for name in theirs_by_model | ours_by_model if theirs_by_model.get(name) != ours_by_model.get(name)]
    tokens = sum(one.total_input + one.total_output for one in ours_by_model.values())
    return [
        Check(
            "calls with a known end cost what the simulator bills",
            ours == theirs,
            f"ledger ${format_usd(ours)}, simulator ${format_usd(theirs)}",
        ),
        Check(
            "and have its tokens, model by model and class by class",
            not wrong,
            f"differ: {wrong}" if wrong else f"{tokens} tokens of input and output",
        ),
    ]


def _tokens(found: Any) -> dict[str, Tokens]:
    sums: dict[str, Tokens] = {}
    for model, usage in found:
        sums[model] = add_usage(sums.get(model, Tokens()), usage)
    return {model: usage for model, usage in sums.items() if usage != Tokens()}


def cost_of(lines: Sequence[BillLine], prices: Mapping[str, Prices]) -> int:
    """Return what the simulator charges for these lines in nano-USD; models without a price are left out."""
    bill = Bill()
    for line in lines:
        if line.model in prices:
            bill.add(line)
    return bill.cost_nano(prices)


def _left(call: Mapping[str, Any], gone: Sequence[BillLine], prices: Mapping[str, Prices]) -> Left:
    upstream_name = call["attempts"][-1]["upstream_name"]
    billed = cost_of([line for line in gone if line.model == upstream_name], prices)
    return Left(call["id"], call["route"], call["basis"], call["cost_nano"], billed)


def _saved(call: Mapping[str, Any]) -> Saved:
    failed = [one for one in call["attempts"] if one["failure"] is not None]
    said = tuple(f"{one['provider']}/{one['upstream_name']}: {one['status']} {one['failure']}" for one in failed)
    return Saved(call["id"], said, call["route"], sum(one["cost_nano"] or 0 for one in failed))


def as_json(summary: Summary) -> dict[str, Any]:
    """Return the summary for programs: money as decimal strings in USD, None where nobody knows it."""
    total = shown.usage("all", summary.total)
    return {
        "ok": summary.ok,
        "calls": summary.total.requests,
        "attempts": summary.attempts,
        "usage": total["usage"],
        "cost_usd": format_usd(summary.total.cost_nano),
        "unknown_cost": summary.total.unknown_cost,
        "savings_usd": format_usd(summary.total.savings_nano),
        "simulator_usd": format_usd(summary.simulator_nano),
        "models": [shown.usage("model", group) for group in summary.models],
        "providers": [shown.usage("provider", group) for group in summary.providers],
        "saved_by_fallback": [
            {
                "id": one.call,
                "failed": list(one.failed),
                "answered": one.answered,
                "failed_cost_usd": format_usd(one.failed_cost_nano),
            }
            for one in summary.saved
        ],
        "left": [
            {
                "id": one.call,
                "route": one.route,
                "basis": one.basis,
                "cost_usd": None if one.cost_nano is None else format_usd(one.cost_nano),
                "simulator_usd": format_usd(one.billed_nano),
            }
            for one in summary.left
        ],
        "unpriced": summary.unpriced,
        "checks": [msgspec.to_builtins(check) for check in summary.checks],
    }
