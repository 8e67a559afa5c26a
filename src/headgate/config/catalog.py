"""The catalog of a configuration: providers, their known routes with prices, models and virtual models."""

import re
from collections.abc import Iterable
from datetime import datetime

import msgspec

from headgate.config.bundled import lookup, models_of, spellings_of
from headgate.config.outputs import known_max_output
from headgate.config.prices import override
from headgate.config.schema import Config, ModelConfig, ProviderConfig, VirtualModelConfig
from headgate.config.shaping import shaped
from headgate.config.vendors import cut_stops_billing, default_base_url, normal_base_url
from headgate.model.catalog import Catalog, CatalogProvider, Model, VirtualModel
from headgate.model.dialect import SERVED_BY, Kind
from headgate.model.price import FREE, UNKNOWN, Prices
from headgate.model.route import UNSHAPED, Provider, Route, Timeouts

_NOTHING = ModelConfig()

_DATE = re.compile(r"[-@](?:\d{8}|\d{4}-\d{2}-\d{2})$", re.ASCII)
_FRAGMENT = re.compile(r"^ft:|[-:.@]$|-20\d\d$", re.ASCII)
"""The bundled data matches some names by their beginnings; what looks like one is no name to ask for."""


def catalog_of(config: Config, at: datetime) -> Catalog:
    """Return all that clients can name under `config`, at the prices of `at` (aware)."""
    providers: dict[str, CatalogProvider] = {}
    served: dict[str, dict[str, Route]] = {}
    aliases: dict[str, str] = {}
    chained = _names_in_chains(config)
    for name, settings in config.providers.items():
        provider = provider_of(name, settings)
        listed = settings.models or {}
        bundled = _bundled(name, provider.base_url) if settings.open else []
        routes: dict[str, tuple[Route, ...]] = {}
        for upstream_name in dict.fromkeys([*listed, *chained.get(name, ()), *bundled]):
            route = _route(provider, upstream_name, settings, at)
            routes[upstream_name] = (route,)
            if (listed and upstream_name not in listed) or _names_a_route(route.model, config):
                continue
            # One route of a provider serves a model, unless the file lists more of them.
            slot = upstream_name if upstream_name in listed else ""
            served.setdefault(route.model, {}).setdefault(f"{name}/{slot}", route)
            if _is_alias(upstream_name, route.model) and not _names_a_route(upstream_name, config):
                aliases.setdefault(upstream_name, route.model)
        price = prices_of(settings.price, settings.kind)
        providers[name] = CatalogProvider(
            provider, routes, settings.open, UNKNOWN if price is None else price, shaped(UNSHAPED, settings)
        )
    return Catalog(
        virtual={name: _virtual(name, entry, providers) for name, entry in config.models.items()},
        models={model: Model(model, tuple(routes.values())) for model, routes in served.items()},
        aliases={spelling: model for spelling, model in aliases.items() if spelling not in served},
        providers=providers,
    )


def provider_of(name: str, settings: ProviderConfig) -> Provider:
    """Return a provider as the data path sees it."""
    base_url = settings.base_url or default_base_url(name, settings.kind)
    if base_url is None:
        raise ValueError(f"provider {name} has no base_url")
    base_url = normal_base_url(base_url, settings.kind)
    known = settings.cut_stops_billing
    timeouts = settings.timeouts
    return Provider(
        name=name,
        kind=settings.kind,
        base_url=base_url,
        api_key=settings.api_key.get_secret_value() if settings.api_key is not None else None,
        serves=frozenset(settings.serves) if settings.serves is not None else SERVED_BY[settings.kind],
        headers=tuple((header, value.get_secret_value()) for header, value in settings.headers.items()),
        billing=settings.billing,
        drain_on_disconnect=settings.on_disconnect == "drain",
        cut_stops_billing=cut_stops_billing(base_url) if known is None else known,
        timeouts=Timeouts(
            connect=timeouts.connect,
            answer=timeouts.answer,
            first_token=timeouts.first_token,
            idle=timeouts.idle,
        ),
    )


def prices_of(price: dict[str, object] | None, kind: Kind) -> Prices | None:
    """Return the prices that `price:` means; an empty mapping is `free`, None is for nothing said."""
    if price is None:
        return None
    return override(price, kind) if price else FREE


def _route(provider: Provider, upstream_name: str, settings: ProviderConfig, at: datetime) -> Route:
    """What the model's entry says, else the provider's, else the bundled data, else unknown."""
    said = (settings.models or {}).get(upstream_name, _NOTHING)
    facts = lookup(provider.name, provider.base_url, upstream_name, at)
    prices = prices_of(said.price, provider.kind)
    if prices is None:
        prices = prices_of(settings.price, provider.kind)
    if prices is None:
        prices = facts.prices if facts is not None else UNKNOWN
    return Route(
        provider=provider,
        upstream_name=upstream_name,
        model=said.model or neutral_name(upstream_name, facts.model if facts is not None else None),
        prices=prices,
        context=said.context or (facts.context if facts is not None else None),
        max_output=said.max_output
        or (facts.max_output if facts is not None else None)
        or known_max_output(upstream_name),
        shaping=shaped(shaped(UNSHAPED, settings), said),
    )


def neutral_name(upstream_name: str, priced_as: str | None) -> str:
    """Return the provider-neutral name of what a provider calls `upstream_name`.

    The bundled data groups models by price (`gpt-5-codex` under `gpt-5`), so its name `priced_as` is taken
    only where it is the same words in another order or with other dots: a reseller's `claude-4.5-haiku`.
    """
    if priced_as is None:
        return upstream_name
    own = _DATE.sub("", upstream_name.rpartition("/")[2])
    return priced_as if _words(own) == _words(priced_as) else own


def _is_alias(spelling: str, model: str) -> bool:
    """A dated spelling asks for that very snapshot, which policy/select.py sees to."""
    return spelling != model and not _DATE.search(spelling)


def _names_a_route(name: str, config: Config) -> bool:
    """`openai/gpt-oss-20b` must mean the route on `openai` where there is one, whatever others call theirs."""
    provider, slash, _ = name.partition("/")
    return bool(slash) and provider in config.providers


def _words(name: str) -> list[str]:
    return sorted(re.split(r"[-.]", name.lower()))


def _bundled(name: str, base_url: str) -> Iterable[str]:
    """Return the names of a vendor's models in the bundled data, its canonical ones first."""
    names = [*models_of(name, base_url), *spellings_of(name, base_url)]
    return [upstream_name for upstream_name in names if not _FRAGMENT.search(upstream_name)]


def _names_in_chains(config: Config) -> dict[str, list[str]]:
    """Return the upstream names that virtual models use, by provider."""
    names: dict[str, list[str]] = {}
    for entry in config.models.values():
        for route in entry.routes:
            provider, _, upstream_name = route.partition("/")
            names.setdefault(provider, []).append(upstream_name)
    return names


def _virtual(name: str, entry: VirtualModelConfig, providers: dict[str, CatalogProvider]) -> VirtualModel:
    routes: list[Route] = []
    for route in entry.routes:
        provider, _, upstream_name = route.partition("/")
        routes += [_shaped(known, entry) for known in providers[provider].routes[upstream_name]]
    return VirtualModel(name, tuple(routes))


def _shaped(route: Route, entry: VirtualModelConfig) -> Route:
    shaping = shaped(route.shaping, entry)
    return route if shaping is route.shaping else msgspec.structs.replace(route, shaping=shaping)
