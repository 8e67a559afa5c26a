"""What the data plane answers by itself: lists of models, a key's usage."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import msgspec

from headgate.config.units import parse_duration
from headgate.ledger.engine import Ledger
from headgate.ledger.views import Balance, Filter, GroupBy, Usage
from headgate.model.catalog import Catalog
from headgate.model.errors import ErrorKind, HeadgateError
from headgate.model.identity import Principal
from headgate.model.money import format_usd
from headgate.model.usage import Usage as Tokens
from headgate.policy.select import may_use, nearest
from headgate.surfaces.data.reading import in_turn

UsageQuery = Callable[[Principal, int], Awaitable[tuple[list[Balance], list[Usage]]]]
"""(whose, since in ns since the epoch) → the key's balances over all time, and the sums by model since then."""

DEFAULT_SINCE = "24h"
MAX_NS = 2**63 - 1

_encode = msgspec.json.Encoder().encode
EPOCH = "1970-01-01T00:00:00Z"
"""Models have no date here; both vendors' clients want one."""


def models(catalog: Catalog, principal: Principal, *, anthropic: bool) -> bytes:
    """Return the list of what this key may ask for, in the vendor's form."""
    names = [name for name in (*catalog.virtual, *catalog.models) if may_use(principal, catalog, name)]
    if anthropic:
        listed = [_anthropic_model(name) for name in names]
        return _encode(
            {
                "data": listed,
                "has_more": False,
                "first_id": names[0] if names else None,
                "last_id": names[-1] if names else None,
            }
        )
    return _encode({"object": "list", "data": [_openai_model(catalog, name) for name in names]})


def model(catalog: Catalog, principal: Principal, name: str, *, anthropic: bool) -> bytes:
    """Return one model. Raises HeadgateError(MODEL_NOT_FOUND), also for one that this key may not use."""
    if not may_use(principal, catalog, name):
        raise HeadgateError(ErrorKind.MODEL_NOT_FOUND, nearest(catalog, name, principal), param="model")
    return _encode(_anthropic_model(name) if anthropic else _openai_model(catalog, name))


def _openai_model(catalog: Catalog, name: str) -> dict[str, Any]:
    found = catalog.virtual.get(name) or catalog.models.get(name)
    owners = sorted({route.provider.name for route in found.routes}) if found else [name.partition("/")[0]]
    return {"id": name, "object": "model", "created": 0, "owned_by": ",".join(owners)}


def _anthropic_model(name: str) -> dict[str, Any]:
    return {"type": "model", "id": name, "display_name": name, "created_at": EPOCH}


def usage_query(ledger: Ledger) -> UsageQuery:
    """Return the question of `/v1/usage`, asked in a thread."""
    reader = ledger.reader()

    def ask(principal: Principal, since: int) -> tuple[list[Balance], list[Usage]]:
        where = Filter(since=since, key=principal.key, account=principal.account)
        # Since tomorrow: the total alone. It survives retention, and costs the same for any number of calls.
        totals = reader.balances("key", principal.key, since=MAX_NS)
        return totals, reader.usage(GroupBy.MODEL, where)

    async def in_thread(principal: Principal, since: int) -> tuple[list[Balance], list[Usage]]:
        return await in_turn(ask, principal, since)

    return in_thread


async def usage(query: UsageQuery, principal: Principal, query_string: str, now: int) -> bytes:
    """Return what a key has used: in all, and by model for a while (`?since=`, 24h where it is not given)."""
    asked = parse_qs(query_string).get("since", [DEFAULT_SINCE])[-1]
    try:
        since = max(0, now - parse_duration(asked))
    except ValueError as error:
        raise HeadgateError(ErrorKind.INVALID_REQUEST, f"since: {error}", param="since") from None
    balances, by_model = await query(principal, since)
    spent = {balance.unit: balance.spent for balance in balances}
    return _encode(
        {
            "object": "usage",
            "account": principal.account,
            "key": principal.key,
            "all_time": {
                "calls": spent.get("requests", 0),
                "tokens": spent.get("tokens", 0),
                "cost_usd": format_usd(spent.get("usd", 0)),
            },
            "since": asked,
            "models": [{"model": sums.group, **_shown(sums)} for sums in by_model],
        }
    )


def _shown(sums: Usage) -> dict[str, Any]:
    tokens = {name: getattr(sums, name) for name in Tokens.__struct_fields__}
    return {
        "calls": sums.requests,
        **tokens,
        "cost_usd": format_usd(sums.cost_nano),
        "unpriced_calls": sums.unknown_cost,
        "savings_usd": format_usd(sums.savings_nano),
    }
