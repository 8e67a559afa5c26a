"""`GET /v1/limits`: how the limits of the key that asks stand. No other key's figures, and no provider's."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
import structlog

from headgate.ledger.engine import Ledger
from headgate.ledger.errors import LedgerUnusable
from headgate.ledger.limit_views import of_key, standings
from headgate.model.errors import ErrorKind, HeadgateError
from headgate.model.identity import Principal
from headgate.model.limit import Standing
from headgate.policy.patience import RETRY_STORE
from headgate.surfaces import shown_limits
from headgate.surfaces.data.reading import in_turn

log = structlog.get_logger("headgate.data")

LimitsQuery = Callable[[Principal, int], Awaitable[list[Standing]]]
"""(whose, now in ns since the epoch) → how the limits of the key and of its account stand."""

_encode = msgspec.json.Encoder().encode
_TOLD = ("scope", "name", "model", "unit", "cap", "per", "zone")


def limits_query(ledger: Ledger) -> LimitsQuery:
    """Return the question of `/v1/limits`, asked in a thread. It raises HeadgateError(SERVICE_UNAVAILABLE)."""
    reader = ledger.reader()

    def ask(principal: Principal, now: int) -> list[Standing]:
        with reader.connection() as connection:
            return standings(connection, of_key(connection, principal.account, principal.key), now)

    async def in_thread(principal: Principal, now: int) -> list[Standing]:
        try:
            return await in_turn(ask, principal, now)
        except LedgerUnusable as error:
            log.warning("limits cannot be read", error=str(error))
            raise HeadgateError(
                ErrorKind.SERVICE_UNAVAILABLE, "The ledger cannot be read now; retry.", retry_after=RETRY_STORE
            ) from None

    return in_thread


def encoded(found: Sequence[Standing]) -> bytes:
    """Return the answer: amounts in the limit's unit (usd as decimal strings), `resets_at` null where no clock says."""
    return _encode({"object": "limits", "limits": [_shown(standing) for standing in found]})


def _shown(standing: Standing) -> dict[str, Any]:
    limit = shown_limits.limit(standing.limit)
    return {**{name: limit[name] for name in _TOLD}, **shown_limits.figures(standing)}
