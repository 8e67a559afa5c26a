"""What one part of a configuration asks of another. Runs on raw values, to find faults beside others."""

from typing import Any

from headgate.config.problems import nearest
from headgate.config.schema import DEFAULT_ADMIN_PORT, DEFAULT_PORT
from headgate.config.tree import Tree
from headgate.config.vendors import default_base_url, is_loopback, normal_base_url
from headgate.model.dialect import SERVED_BY, Endpoint, Kind

_PORTS = {"port": DEFAULT_PORT, "admin_port": DEFAULT_ADMIN_PORT}
RESERVED_MODELS = frozenset({"auto"})


def check_references(tree: Tree, data: dict[str, Any]) -> None:
    """Report names that mean nothing or two things, URLs that cannot be used, and an open door."""
    providers, models = _mapping(data, "providers"), _mapping(data, "models")
    for name, provider in providers.items():
        if isinstance(provider, dict):
            _check_provider(tree, name, provider)
        if name in models:
            tree.report(("models", name), "is the name of a provider as well; call one of them otherwise")
    for name, model in models.items():
        if name in RESERVED_MODELS:
            tree.report(("models", name), f"'{name}' is reserved")
        if isinstance(model, dict) and isinstance(model.get("routes"), list):
            _check_routes(tree, name, model["routes"], providers)
    _check_server(tree, _mapping(data, "server"))


def _mapping(data: dict[str, Any], key: str) -> dict[str, Any]:
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def _check_provider(tree: Tree, name: str, provider: dict[str, Any]) -> None:
    where = ("providers", name)
    try:
        kind = Kind(str(provider.get("kind")))
    except ValueError:
        return
    base_url = provider.get("base_url")
    if base_url is None:
        if (*where, "base_url") not in tree.poisoned and default_base_url(name, kind) is None:
            tree.report(where, "'base_url' is missing, and no vendor is known by this name and kind")
    elif isinstance(base_url, str):
        try:
            normal_base_url(base_url, kind)
        except ValueError as error:
            tree.report((*where, "base_url"), str(error))
    if provider.get("open") is False and not provider.get("models"):
        tree.report((*where, "open"), "'open: false' needs 'models:', the names that may be asked for")
    headers = {str(header).lower() for header in _mapping(provider, "headers")}
    clash = headers & {"authorization", "x-api-key"}
    if provider.get("api_key") is not None and clash:
        tree.report((*where, "headers"), f"'{min(clash)}' and api_key are both given; keep one")
    serves = provider.get("serves")
    for index, endpoint in enumerate(serves if isinstance(serves, list) else []):
        if endpoint in set(Endpoint) and endpoint not in SERVED_BY[kind]:
            tree.report((*where, "serves", index), f"kind {kind} does not speak this endpoint")


def _check_routes(tree: Tree, name: str, routes: list[Any], providers: dict[str, Any]) -> None:
    seen: set[str] = set()
    for index, route in enumerate(routes):
        where = ("models", name, "routes", index)
        if not isinstance(route, str):
            continue
        provider, slash, upstream_name = route.partition("/")
        if not slash or not upstream_name or not provider:
            tree.report(where, "a route is written provider/upstream-name")
        elif provider not in providers:
            near = nearest(provider, providers)
            hint = f"; did you mean '{near}'?" if near else ""
            tree.report(where, f"there is no provider '{provider}'{hint}")
        elif route in seen:
            tree.report(where, f"'{route}' stands twice in this chain")
        elif not _is_served(providers[provider], upstream_name):
            tree.report(where, f"provider '{provider}' is not open and lists no model '{upstream_name}'")
        seen.add(route)


def _is_served(provider: Any, upstream_name: str) -> bool:
    """Whether a route's name can be had: any, unless the provider is closed and lists its models."""
    if not isinstance(provider, dict) or provider.get("open") is not False:
        return True
    listed = provider.get("models")
    return not isinstance(listed, dict | list) or upstream_name in listed


def _check_server(tree: Tree, server: dict[str, Any]) -> None:
    host = server.get("host", "127.0.0.1")
    if server.get("auth") == "off" and isinstance(host, str) and not is_loopback(host):
        tree.report(("server", "auth"), f"'off' is allowed on a loopback host only, and host is '{host}'")
    port, admin_port = (str(server.get(key, default)) for key, default in _PORTS.items())
    if port == admin_port != "0":
        where = ("server", "admin_port" if "admin_port" in server else "port")
        tree.report(where, "the data plane and the admin plane need a port each")
