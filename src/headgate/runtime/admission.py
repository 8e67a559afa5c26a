"""Which routes a request may take: the catalog, health, and the state that it goes on from."""

from headgate.ledger.errors import LedgerError
from headgate.model.dialect import Endpoint
from headgate.model.errors import ErrorKind, HeadgateError
from headgate.model.identity import Principal
from headgate.model.request import RequestHead
from headgate.model.route import Plan
from headgate.policy.patience import RETRY_SOON
from headgate.policy.select import plan
from headgate.protocols.codec import translator_for
from headgate.runtime.gate import Gate, Terms

MAX_RESPONSE_ID = 200
STATEFUL = frozenset({Endpoint.RESPONSES, Endpoint.MESSAGES})
"""Endpoints of which a request may go on from an answer that its upstream still holds."""
LEDGER_UNREAD = HeadgateError(
    ErrorKind.SERVICE_UNAVAILABLE,
    "The gateway cannot look up now what the request goes on from; retry.",
    retry_after=RETRY_SOON,
)


async def plan_of(gate: Gate, terms: Terms, principal: Principal, head: RequestHead, now: int) -> tuple[Plan, str]:
    """Return the plan of a call and the name of its model; `now` in monotonic ns. Raises HeadgateError."""
    endpoint = head.endpoint
    state = translator_for(endpoint).needs_state(head) if endpoint in STATEFUL else None
    pin = await _made_by(gate, principal, head) if state is not None else None
    return plan(terms.catalog, endpoint, head.model, principal, gate.health, now, state=state, pin=pin)


async def _made_by(gate: Gate, principal: Principal, head: RequestHead) -> str | None:
    """Return the route that made the response which this request goes on from, None where nobody knows."""
    previous = translator_for(head.endpoint).previous(head)
    if previous is None or not is_response_id(previous):
        return None
    try:
        return await gate.find_route(principal.account, previous)
    except LedgerError:
        raise LEDGER_UNREAD from None


def is_response_id(text: str) -> bool:
    """Tell whether the ledger may be asked for it: a store refuses what holds a NUL, with all of its row."""
    return 0 < len(text) <= MAX_RESPONSE_ID and text.isprintable()
