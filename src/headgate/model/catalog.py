"""What can be asked for: virtual models, models, providers and their routes, built once per configuration."""

import msgspec

from headgate.model.price import UNKNOWN, Prices
from headgate.model.route import UNSHAPED, Provider, Route, Shaping


class Model(msgspec.Struct, frozen=True, gc=False):
    """A provider-neutral model and the routes that serve it, in the order they are tried."""

    name: str
    routes: tuple[Route, ...]


class VirtualModel(msgspec.Struct, frozen=True, gc=False):
    """A name that stands for a chain of routes, tried in their order."""

    name: str
    routes: tuple[Route, ...]


class CatalogProvider(msgspec.Struct, frozen=True, gc=False):
    """A provider and the routes known on it.

    `routes` has every upstream name known at load; several routes under one name are its backends.
    `open`: an upstream name that is not in `routes` makes an ad-hoc route with `prices`
    (unknown, unless the provider's configuration prices all it serves).
    """

    provider: Provider
    routes: dict[str, tuple[Route, ...]]
    open: bool = True
    prices: Prices = UNKNOWN
    shaping: Shaping = UNSHAPED


class Catalog(msgspec.Struct, frozen=True, gc=False):
    """All that clients can name. Never changed after it was built: a reload builds another.

    `virtual` and `models` are keyed by name; `aliases` turns a vendor's spelling into a key of `models`;
    `providers` is keyed by the provider's name, which holds no slash.
    """

    virtual: dict[str, VirtualModel]
    models: dict[str, Model]
    aliases: dict[str, str]
    providers: dict[str, CatalogProvider]


EMPTY = Catalog({}, {}, {}, {})
