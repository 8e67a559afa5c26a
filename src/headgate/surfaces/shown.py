"""What programs are shown, the same on the command line (`--json`) and on the admin plane.

Times are ISO 8601 in UTC, durations ms, money decimal strings in USD; None: nobody knows, which is not zero.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from headgate.model.money import format_usd
from headgate.model.price import Prices, Rate
from headgate.model.route import Route
from headgate.model.usage import Basis, Usage

if TYPE_CHECKING:
    from headgate.ledger.keys import KeyInfo, NewKey
    from headgate.ledger.views import Usage as UsageRow

_SECOND_NS = 1_000_000_000
_CLASSES: tuple[str, ...] = Usage.__struct_fields__
_PRICED: tuple[str, ...] = tuple(name for name in Prices.__struct_fields__ if name != "request")
_SHORT_NS = 100_000_000


def moment(ns: int) -> str:
    """Return ns since the Unix epoch as ISO 8601 in UTC, to the millisecond."""
    second, rest = divmod(ns, _SECOND_NS)
    at = datetime.fromtimestamp(second, UTC).replace(microsecond=rest // 1000)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _moment(ns: int | None) -> str | None:
    return None if ns is None else moment(ns)


def _ms(ns: int | None) -> float | None:
    return None if ns is None else round(ns / 1e6, 3)


def _usd(nano: int | None) -> str | None:
    return None if nano is None else format_usd(nano)


def tokens(row: Mapping[str, Any]) -> dict[str, int]:
    """Return the counts by class, and `total_input` and `total_output` after them."""
    usage = Usage(**{name: int(row[name]) for name in _CLASSES})
    return msgspec.structs.asdict(usage) | {"total_input": usage.total_input, "total_output": usage.total_output}


def net_cost(row: Mapping[str, Any]) -> int | None:
    """Return the cost of a row of `Reader.calls` with its corrections, in nano-USD; None where nobody knows it."""
    cost, adjusted = row["cost_nano"], int(row["adjusted_nano"])
    return None if cost is None and adjusted == 0 else int(cost or 0) + adjusted


def call(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of `Reader.calls`; the cost includes its corrections."""
    return {
        "id": row["id"],
        "started_at": moment(row["started_at"]),
        "account": row["account"],
        "key": row["key"],
        "key_name": row["key_name"],
        "session": row["session"],
        "endpoint": row["endpoint"],
        "model_asked": row["model_asked"],
        "model": row["model"],
        "route": row["route"],
        "stream": bool(row["stream"]),
        "status": row["status"],
        "outcome": row["outcome"],
        "error": row["error"],
        "attempts": row["attempts"],
        "duration_ms": _ms(row["duration"]),
        "ttft_ms": _ms(row["ttft"]),
        "output_tok_s": speed(row),
        "usage": tokens(row),
        "cost_usd": _usd(net_cost(row)),
        "basis": row["basis"],
        "savings_usd": format_usd(row["savings_nano"]),
        "dropped": row["dropped"],
        "incarnation": row["incarnation"],
    }


def speed(row: Mapping[str, Any]) -> float | None:
    """Return output tokens a second of a call or attempt, None where there were none, or where they are an estimate.

    Counted from the first content of a stream; over the whole where that took less than 0.1 s, or for a unary answer.
    """
    if row["basis"] == Basis.ESTIMATED:
        return None
    made = row["output"] + row["output_audio"]
    span = row["duration"] - (row["ttft"] or 0)
    if span < _SHORT_NS:
        span = row["duration"]
    return round(made * 1e9 / span, 1) if made and span > 0 else None


def call_whole(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `Reader.call` found: the call, its attempts as `tries`, its corrections and its facts."""
    fixes = row["adjustments"]
    flat = {**row, "attempts": row["attempt_count"], "adjusted_nano": sum(fix["delta_nano"] for fix in fixes)}
    return call(flat) | {
        "tries": [_attempt(attempt) for attempt in row["attempts"]],
        "adjustments": [_adjustment(fix) for fix in fixes],
        "facts": _facts(bytes(row["facts"])),
    }


def _attempt(row: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("no", "provider", "upstream_name", "backend", "model", "state", "status", "failure", "message", "basis")
    return {name: row[name] for name in (*kept, "incarnation")} | {
        "started_at": moment(row["started_at"]),
        "duration_ms": _ms(row["duration"]),
        "ttft_ms": _ms(row["ttft"]),
        "output_tok_s": speed(row),
        "usage": tokens(row),
        "hold_tokens": row["hold_tokens"],
        "hold_usd": _usd(row["hold_nano"]),
        "reported_usd": _usd(row["reported_nano"]),
        "cost_usd": _usd(row["cost_nano"]),
        "over_usd": format_usd(row["over_nano"]),
        "savings_usd": format_usd(row["savings_nano"]),
    }


def lost(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a lost attempt of `ledger/lost_views.py`: what it was charged, and what it costs with its corrections."""
    return {
        "call": row["call"],
        "no": row["no"],
        "started_at": moment(row["started_at"]),
        "account": row["account"],
        "key": row["key"],
        "key_name": row["key_name"],
        "session": row["session"],
        "model": row["model"],
        "route": f"{row['provider']}/{row['upstream_name']}",
        "status": row["status"],
        "hold_usd": _usd(row["hold_nano"]),
        "charged_usd": _usd(row["cost_nano"]),
        "cost_usd": _usd(lost_cost(row)),
        "adjustments": [_adjustment(fix) for fix in row["adjustments"]],
    }


def lost_cost(row: Mapping[str, Any]) -> int | None:
    """Return what a lost attempt costs by now, in nano-USD; None where nobody knows."""
    fixes = row["adjustments"]
    if row["cost_nano"] is None and not fixes:
        return None
    return int(row["cost_nano"] or 0) + sum(int(fix["delta_nano"]) for fix in fixes)


def _adjustment(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "no": row["no"],
        "at": moment(row["at"]),
        "delta_usd": format_usd(row["delta_nano"]),
        "target_usd": format_usd(row["target_nano"]),
        "reason": row["reason"],
        "author": row["author"],
    }


def _facts(facts: bytes) -> Any:
    if not facts:
        return None
    try:
        return msgspec.json.decode(facts)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return facts.decode("utf-8", "replace")


def usage(by: str, row: "UsageRow") -> dict[str, Any]:
    """Return one group of `Reader.usage`; its name (of a day the date) is `group`, and stands under `by` too."""
    group = group_name(row)
    named = {"key_name": row.label} if by == "key" else {}
    return {"group": group, by: group, **named, **_sums([row])}


def group_name(row: "UsageRow") -> str:
    """Return the name of a group of `Reader.usage`; of a day the date."""
    return moment(row.group)[:10] if isinstance(row.group, int) else row.group


def usage_total(rows: list["UsageRow"]) -> dict[str, Any]:
    """Return the sum of all groups."""
    return _sums(rows)


def _sums(rows: list["UsageRow"]) -> dict[str, Any]:
    counts = {name: sum(getattr(row, name) for row in rows) for name in _CLASSES}
    return {
        "requests": sum(row.requests for row in rows),
        "usage": tokens(counts),
        "cost_usd": format_usd(sum(row.cost_nano for row in rows)),
        "unknown_cost": sum(row.unknown_cost for row in rows),
        "savings_usd": format_usd(sum(row.savings_nano for row in rows)),
    }


def key(info: "KeyInfo", now: int) -> dict[str, Any]:
    """Return a key as people may see it; never its secret."""
    return {
        "id": info.id,
        "account": info.account,
        "name": info.name,
        "state": key_state(info, now),
        "source": info.source,
        "prefixes": list(info.prefixes),
        "models": None if info.allowed_models is None else list(info.allowed_models),
        "created_at": moment(info.created_at),
        "expires_at": _moment(info.expires_at),
        "revoked_at": _moment(info.revoked_at),
    }


def key_state(info: "KeyInfo", now: int) -> str:
    """Return `active`, `expired` or `revoked`."""
    if info.revoked_at is not None:
        return "revoked"
    return "expired" if info.expires_at is not None and info.expires_at <= now else "active"


def new_key(made: "NewKey", **times: int | None) -> dict[str, Any]:
    """Return a key just created or rotated, with its secret: the only time that it is shown."""
    shown = {"key": made.secret, "id": made.id, "account": made.account, "name": made.name}
    return shown | {name: _moment(at) for name, at in times.items()}


def route(one: Route) -> dict[str, Any]:
    """Return a route with its prices in USD per million tokens; null: nobody knows. Nothing of its credential."""
    rates: dict[str, Rate | None] = {name: getattr(one.prices, name) for name in _PRICED}
    return {
        "route": one.name,
        "provider": one.provider.name,
        "kind": one.provider.kind.value,
        "upstream_name": one.upstream_name,
        "backend": one.backend,
        "model": one.model,
        "serves": sorted(endpoint.value for endpoint in one.provider.serves),
        "billing": one.provider.billing.value,
        "context": one.context,
        "max_output": one.max_output,
        "prices": {name: None if rate is None else format_usd(rate.base) for name, rate in rates.items()},
        "tiers": {
            name: [{"above": above, "price": format_usd(price)} for above, price in rate.tiers]
            for name, rate in rates.items()
            if rate is not None and rate.tiers
        },
        "request_usd": format_usd(one.prices.request),
    }
