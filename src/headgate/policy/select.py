"""Name → candidates → plan: which routes a call may use, in which order, and why the others may not."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase

import msgspec

from headgate.model.catalog import Catalog, Model
from headgate.model.dialect import TRANSLATED, Endpoint
from headgate.model.errors import ErrorKind, HeadgateError
from headgate.model.identity import Principal
from headgate.model.route import Plan, Provider, Rejected, Route
from headgate.policy.failures import seconds_up
from headgate.policy.health import RouteHealth, rate_limited, rejection, wait_ns

NOT_ALLOWED = "not allowed for this key"
NO_TRANSLATION = "speaks no dialect that this endpoint can be translated into"
NO_STATE = "has no such state"

MAX_NAME = 256
"""Longer names are nobody's; the bound keeps them out of headers and rows."""
_MAX_COMPARED = 64
_NEVER = frozenset({NOT_ALLOWED, NO_TRANSLATION, NO_STATE})
"""Reasons that waiting does not mend."""

_DATE = re.compile(r"[-@](?:[0-9]{8}|[0-9]{4}-[0-9]{2}-[0-9]{2}|latest)\Z")
"""How vendors mark a snapshot of a model: `-20250929`, `@20250929`, `-2025-08-07`, `-latest`."""


class Candidates:
    """What an asked name stands for. `own_name` is the virtual model's name, which patterns may match."""

    __slots__ = ("ad_hoc", "name", "own_name", "routes")

    def __init__(
        self, name: str, routes: tuple[Route, ...], *, own_name: str | None = None, ad_hoc: bool = False
    ) -> None:
        self.name = name
        self.routes = routes
        self.own_name = own_name
        self.ad_hoc = ad_hoc


def plan(
    catalog: Catalog,
    endpoint: Endpoint,
    asked: str,
    principal: Principal,
    health: Mapping[str, RouteHealth],
    now_ns: int,
    *,
    state: str | None = None,
    pin: str | None = None,
) -> tuple[Plan, str]:
    """Return the ordered routes for one call with every rejected one, and the name of the model asked for.

    The name is the virtual model's or the model's, not the client's spelling. `health` is keyed by route name; a route
    that is not in it is healthy. `state` names a member of the request that only an upstream of its own dialect can
    serve, and no other one instead; `pin` is the route that has it, where one is known; else it is presumed to be the
    first that speaks the dialect, even while that one rests. Where no chain says otherwise, routes that need no
    translation go first. For a token count the plan may hold no route: it is to be estimated. Raises HeadgateError:
    MODEL_NOT_FOUND, MODEL_NOT_ALLOWED, DIALECT_UNAVAILABLE, THREAD_NOT_FOUND, RATE_LIMIT_EXCEEDED, SERVICE_UNAVAILABLE.
    """
    found = resolve(catalog, asked)
    if found is None:
        raise HeadgateError(ErrorKind.MODEL_NOT_FOUND, nearest(catalog, asked, principal), param="model")
    allowed, home = principal.allowed_models, None
    taken: list[Route] = []
    rejected: list[Rejected] = []
    for route in found.routes:
        if allowed is not None and not _allows(allowed, route, found):
            rejected.append(Rejected(route.name, NOT_ALLOWED))
            continue
        if home is None and endpoint in route.provider.serves:
            home = route.provider
        target = asked_of(route.provider, endpoint)
        if state is not None and target is endpoint:
            pin = pin or route.name
        if target is None:
            reason: str | None = NO_TRANSLATION
        elif state is not None and (target is not endpoint or route.name != pin):
            reason = NO_STATE
        else:
            reason = _resting(route, health, now_ns)
        if reason is None:
            taken.append(route)
        else:
            rejected.append(Rejected(route.name, reason))
    if not taken and not (endpoint is Endpoint.COUNT_TOKENS and any(_can_be_counted(item) for item in rejected)):
        raise _refusal(found, endpoint, rejected, health, now_ns, state)
    if found.own_name is None and len(taken) > 1:
        taken.sort(key=lambda route: endpoint not in route.provider.serves)
    return Plan(tuple(taken), tuple(rejected), home), found.name


def _resting(route: Route, health: Mapping[str, RouteHealth], now_ns: int) -> str | None:
    """Return why a route cannot be asked now, None where it can."""
    known = health.get(route.name) if health else None
    return rejection(known, now_ns) if known is not None else None


def asked_of(provider: Provider, endpoint: Endpoint) -> Endpoint | None:
    """Return the endpoint of a provider that a call to `endpoint` goes to: itself, else one to translate it for."""
    serves = provider.serves
    if endpoint in serves:
        return endpoint
    if endpoint not in TRANSLATED:
        return None
    return next((other for other in TRANSLATED if other in serves), None)


def resolve(catalog: Catalog, asked: str) -> Candidates | None:
    """Return what a name stands for: a virtual model, a model or `provider/upstream-name`, in this order.

    A model's name with a date after it that is not known by itself is the model; a route that goes by the
    undated name then asks its upstream for the dated one.
    """
    virtual = catalog.virtual.get(asked)
    if virtual is not None:
        return Candidates(asked, virtual.routes, own_name=asked)
    model = _model(catalog, asked)
    if model is not None:
        return Candidates(model.name, model.routes)
    return _one_route(catalog, asked) or _dated_model(catalog, asked)


def may_use(principal: Principal, catalog: Catalog, asked: str) -> bool:
    """Say whether any route behind a name is allowed for this key; for lists of models."""
    found = resolve(catalog, asked)
    if found is None:
        return False
    allowed = principal.allowed_models
    return allowed is None or any(_allows(allowed, route, found) for route in found.routes)


def _model(catalog: Catalog, name: str) -> Model | None:
    model = catalog.models.get(name)
    if model is None:
        alias = catalog.aliases.get(name)
        model = catalog.models.get(alias) if alias is not None else None
    return model


def _dated_model(catalog: Catalog, asked: str) -> Candidates | None:
    undated = _undated(asked)
    model = _model(catalog, undated) if undated is not None else None
    if model is None:
        return None
    routes = tuple(
        _dated_route(catalog, route, asked)
        if undated in (route.upstream_name, _undated(route.upstream_name))
        else route
        for route in model.routes
    )
    return Candidates(model.name, routes)


def _dated_route(catalog: Catalog, route: Route, dated: str) -> Route:
    """Return the route to a dated model: the provider's own where it is known, since old dates have other prices."""
    entry = catalog.providers.get(route.provider.name)
    known = entry.routes.get(dated, ()) if entry is not None else ()
    same = next((one for one in known if one.backend == route.backend), None)
    return msgspec.structs.replace(route, upstream_name=dated) if same is None else same


def _undated(name: str) -> str | None:
    match = _DATE.search(name) if len(name) <= MAX_NAME else None
    return name[: match.start()] if match is not None else None


def nearest(catalog: Catalog, asked: str, principal: Principal) -> str:
    """Return what a client is told whose name nobody serves, with the nearest one that its key may use."""
    near = (
        name
        for name in get_close_matches(asked[:_MAX_COMPARED], _names(catalog, asked), n=3, cutoff=0.7)
        if may_use(principal, catalog, name)
    )
    name = next(near, None)
    hint = "" if name is None else f" The nearest is {_shown(name)}."
    return f"The model {_shown(asked)} does not exist here.{hint}"


def _one_route(catalog: Catalog, asked: str) -> Candidates | None:
    provider_name, slash, upstream_name = asked.partition("/")
    entry = catalog.providers.get(provider_name)
    if entry is None or not slash:
        return None
    known = entry.routes.get(upstream_name)
    if known:
        return Candidates(known[0].model, known)
    # The name goes into headers and rows, so an invented one must be short and printable.
    if not entry.open or not upstream_name or len(asked) > MAX_NAME or not _is_plain(upstream_name):
        return None
    undated = entry.routes.get(_undated(upstream_name) or "")
    if undated:
        dated = tuple(msgspec.structs.replace(route, upstream_name=upstream_name) for route in undated)
        return Candidates(undated[0].model, dated)
    route = Route(entry.provider, upstream_name, upstream_name, entry.prices, shaping=entry.shaping)
    return Candidates(upstream_name, (route,), ad_hoc=True)


def _is_plain(name: str) -> bool:
    return name.isascii() and name.isprintable() and " " not in name


def _allows(patterns: tuple[str, ...], route: Route, found: Candidates) -> bool:
    names = [f"{route.provider.name}/{route.upstream_name}"]
    if found.own_name is not None:
        names.append(found.own_name)
    # An ad-hoc route's model is the client's own word: it must not unlock anything.
    if not found.ad_hoc:
        names.append(route.model)
    return any(fnmatchcase(name, pattern) for pattern in patterns for name in names)


def _refusal(
    found: Candidates,
    endpoint: Endpoint,
    rejected: list[Rejected],
    health: Mapping[str, RouteHealth],
    now_ns: int,
    state: str | None,
) -> HeadgateError:
    reasons = {item.reason for item in rejected}
    if reasons <= {NOT_ALLOWED} and rejected:
        message = f"This key may not use the model {_shown(found.name)}."
        return HeadgateError(ErrorKind.MODEL_NOT_ALLOWED, message, param="model")
    if reasons <= _NEVER:
        if NO_STATE in reasons:
            return _stateless(found, endpoint, state)
        return _unspoken(found, endpoint, rejected)
    if endpoint is Endpoint.MESSAGES and NO_STATE in reasons:
        return _stateless(found, endpoint, state)  # another route can have the whole conversation
    resting = {item.route: health[item.route] for item in rejected if item.reason not in _NEVER}
    limited = all(rate_limited(state, now_ns) for state in resting.values())
    kind = ErrorKind.RATE_LIMIT_EXCEEDED if limited else ErrorKind.SERVICE_UNAVAILABLE
    why = "; ".join(f"{item.route}: {item.reason}" for item in rejected if item.route in resting)
    wait = min(wait_ns(state, now_ns) for state in resting.values())
    message = f"No route of {_shown(found.name)} can be used now: {why}"
    return HeadgateError(kind, message, retry_after=seconds_up(wait))


def _can_be_counted(rejected: Rejected) -> bool:
    """Tell that the model is there and allowed, so that its tokens can be estimated though nobody counts them."""
    return rejected.reason != NOT_ALLOWED


def _stateless(found: Candidates, endpoint: Endpoint, state: str | None) -> HeadgateError:
    if endpoint is Endpoint.MESSAGES:
        message = f"No route of {_shown(found.name)} holds this thread. Send the whole conversation."
        return HeadgateError(ErrorKind.THREAD_NOT_FOUND, message, param=state)
    message = (
        f"{state} needs an upstream that speaks /v1/{endpoint.value} itself and keeps its state; no route of "
        f"{_shown(found.name)} does. Send the whole conversation instead, or name a model that has one."
    )
    return HeadgateError(ErrorKind.DIALECT_UNAVAILABLE, message, param=state)


def _unspoken(found: Candidates, endpoint: Endpoint, rejected: list[Rejected]) -> HeadgateError:
    hidden = {item.route for item in rejected if item.reason == NOT_ALLOWED}
    spoken = "; ".join(
        f"{route.name} speaks {', '.join(sorted(route.provider.serves)) or 'nothing'}"
        for route in found.routes
        if route.name not in hidden
    )
    message = f"No route of {_shown(found.name)} speaks /v1/{endpoint.value}: {spoken or 'it has no routes'}"
    return HeadgateError(ErrorKind.DIALECT_UNAVAILABLE, message, param="model")


def _names(catalog: Catalog, asked: str) -> Iterable[str]:
    provider_name, slash, _ = asked.partition("/")
    entry = catalog.providers.get(provider_name)
    if slash and entry is not None:
        return [f"{provider_name}/{upstream_name}" for upstream_name in entry.routes]
    return [*catalog.virtual, *catalog.models, *catalog.aliases]


def _shown(name: str) -> str:
    text = name if len(name) <= MAX_NAME else name[:MAX_NAME] + "…"
    return f"'{text}'"
