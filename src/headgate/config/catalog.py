"""The catalog of a configuration: providers, their known routes with prices, models and virtual models."""

from datetime import datetime

from headgate.config.prices import ModelFacts, lookup, models_of, override
from headgate.config.schema import Config, ModelConfig, ProviderConfig
from headgate.config.vendors import cut_stops_billing, default_base_url, normal_base_url
from headgate.model.catalog import Catalog, CatalogProvider, Model, VirtualModel
from headgate.model.dialect import SERVED_BY
from headgate.model.price import FREE, UNKNOWN, Prices
from headgate.model.route import Provider, Route, Timeouts

_NOTHING = ModelConfig()


def catalog_of(config: Config, at: datetime) -> Catalog:
    """Return all that clients can name under `config`, at the prices of `at` (aware)."""
    providers: dict[str, CatalogProvider] = {}
    served: dict[str, list[Route]] = {}
    aliases: dict[str, str] = {}
    chained = _names_in_chains(config)
    for name, settings in config.providers.items():
        provider = provider_of(name, settings)
        listed = settings.models or {}
        bundled = models_of(name, provider.base_url) if settings.open else []
        routes: dict[str, tuple[Route, ...]] = {}
        for upstream_name in dict.fromkeys([*listed, *chained.get(name, ()), *bundled]):
            route = _route(provider, upstream_name, settings, at)
            routes[upstream_name] = (route,)
            if not listed or upstream_name in listed:
                served.setdefault(route.model, []).append(route)
                if upstream_name != route.model:
                    aliases.setdefault(upstream_name, route.model)
        price = prices_of(settings.price)
        providers[name] = CatalogProvider(
            provider, routes, settings.open, UNKNOWN if price is None else price
        )
    models = {model: Model(model, tuple(routes)) for model, routes in served.items()}
    return Catalog(
        virtual={name: _virtual(name, entry.routes, providers) for name, entry in config.models.items()},
        models=models,
        aliases={spelling: model for spelling, model in aliases.items() if spelling not in models},
        providers=providers,
    )


def provider_of(name: str, settings: ProviderConfig) -> Provider:
    """Return a provider as the data path sees it."""
    base_url = settings.base_url or default_base_url(name, settings.kind)
    if base_url is None:
        raise ValueError(f"provider {name} has no base_url")
    base_url = normal_base_url(base_url, settings.kind)
    known = settings.cut_stops_billing
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
        timeouts=Timeouts(settings.timeouts.connect, settings.timeouts.first_token, settings.timeouts.idle),
    )


def prices_of(price: dict[str, object] | None) -> Prices | None:
    """Return the prices that `price:` means; an empty mapping is `free`, None is for nothing said."""
    if price is None:
        return None
    return override(price) if price else FREE


def _route(provider: Provider, upstream_name: str, settings: ProviderConfig, at: datetime) -> Route:
    """What the model's entry says, else the provider's, else the bundled data, else unknown."""
    said = (settings.models or {}).get(upstream_name, _NOTHING)
    facts: ModelFacts | None = lookup(provider.name, provider.base_url, upstream_name, at)
    prices = prices_of(said.price)
    if prices is None:
        prices = prices_of(settings.price)
    if prices is None:
        prices = facts.prices if facts is not None else UNKNOWN
    return Route(
        provider=provider,
        upstream_name=upstream_name,
        model=said.model or (facts.model if facts is not None else upstream_name),
        prices=prices,
        context=said.context or (facts.context if facts is not None else None),
        max_output=said.max_output or (facts.max_output if facts is not None else None),
    )


def _names_in_chains(config: Config) -> dict[str, list[str]]:
    """Return the upstream names that virtual models use, by provider."""
    names: dict[str, list[str]] = {}
    for entry in config.models.values():
        for route in entry.routes:
            provider, _, upstream_name = route.partition("/")
            names.setdefault(provider, []).append(upstream_name)
    return names


def _virtual(name: str, chain: list[str], providers: dict[str, CatalogProvider]) -> VirtualModel:
    routes: list[Route] = []
    for route in chain:
        provider, _, upstream_name = route.partition("/")
        routes += providers[provider].routes[upstream_name]
    return VirtualModel(name, tuple(routes))
