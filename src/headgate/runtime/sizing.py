"""How large an attempt under a limit can get: its request with a maximum that binds, and what that comes to."""

import asyncio

import msgspec

from headgate.model.dialect import Endpoint
from headgate.model.failure import Failure
from headgate.model.limit import Ask, Bound, Unit
from headgate.model.request import RequestHead, Visible
from headgate.model.route import Route
from headgate.policy.estimate import TOKENS_PER_BYTE, bound, choice_maximum, left_of_context, likely_tokens
from headgate.policy.refusals import unpriceable, unpriced
from headgate.protocols.attachments import visible
from headgate.protocols.beyond_tokens import beyond_tokens, searches
from headgate.runtime.outgoing import LARGE, Canonical, Outgoing, outgoing

_NO_OUTPUT = frozenset({Endpoint.EMBEDDINGS, Endpoint.COUNT_TOKENS})


class Sized(msgspec.Struct, gc=False):
    """What goes to a route under a limit, and what it can come to.

    `seen`: None where nobody looked closely; `beyond`: what tokens do not measure.
    """

    out: Outgoing
    bound: Bound
    seen: Visible | None = None
    beyond: str | None = None


async def sized_soon(canonical: Canonical, route: Route, rate: float, *, closely: bool) -> Sized:
    """Return what `sized` does; a large request is looked through while other calls go on."""
    if len(canonical.head.body) <= LARGE:
        return sized(canonical, route, rate, closely=closely)
    return await asyncio.to_thread(sized, canonical, route, rate, closely=closely)


def sized(canonical: Canonical, route: Route, rate: float, *, closely: bool) -> Sized:
    """Return what goes to the route, and how large it can get at `rate` tokens a byte.

    `closely`: a limit counts its tokens or money, so it has an output maximum, and attachments are told from text.
    Raises HeadgateError as `outgoing` does.
    """
    lowerable = canonical.head.max_output is None
    if not closely:
        out = outgoing(canonical, route)
        rough = Visible(len(out.head.body))
        return Sized(out, bound(out.head, route, seen=rough, tokens_per_byte=rate, lowerable=lowerable))
    out = _with_maximum(canonical, route)
    head, seen = out.head, visible(out.head)
    beyond = beyond_tokens(head) or searches(route.upstream_name)
    if beyond is not None:
        seen = msgspec.structs.replace(seen, unseen=True)
    return Sized(out, bound(head, route, seen=seen, tokens_per_byte=rate, lowerable=lowerable), seen, beyond)


def _with_maximum(canonical: Canonical, route: Route) -> Outgoing:
    """Return what goes to the route with an output maximum in it, the client's or the most that there can be."""
    client = canonical.head
    if client.max_output is not None or client.endpoint in _NO_OUTPUT:
        return outgoing(canonical, route)
    most = choice_maximum(client, route)
    if route.context is not None and most + likely_tokens(len(client.body)) > route.context:
        most = left_of_context(most, route, visible(client))
    if route.shaping.extra_body:
        out = outgoing(canonical, route)
        if out.head.max_output is not None:
            return out
    return outgoing(canonical, route, most)


def roughly(head: RequestHead, route: Route) -> Bound:
    """Return how large an attempt can get with all of its body taken as text."""
    return bound(head, route, seen=Visible(len(head.body)), tokens_per_byte=TOKENS_PER_BYTE)


def refused_outright(ask: Ask, beyond: str | None) -> Failure | None:
    """Return why no hold can be made for an attempt under a usd limit, None where it can.

    `beyond` is what of it tokens do not measure.
    """
    size = ask.bound
    if size.priced and (beyond is None or not (size.input_rate or size.output_rate or size.request)):
        return None
    limit = next((one.limit for one in ask.limits if one.limit.unit is Unit.USD), None)
    if limit is None:
        return None
    if not size.priced:
        return unpriced(f"{ask.facts.provider}/{ask.facts.upstream_name}", limit)
    return unpriceable(beyond, limit) if beyond is not None else None
