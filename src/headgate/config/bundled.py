"""genai-prices' bundled data: models of known vendors, their names, and their prices compiled to exact tables.

The data is never updated over the network. It is imported on first use (0.35 s once), only at load.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from headgate.config.prices import CLASSES, complete, dearer, nano
from headgate.model.price import Prices, Rate

if TYPE_CHECKING:
    from genai_prices import types as genai

_VENDOR_IDS = {"xai": "x-ai", "gemini": "google"}


class ModelFacts(msgspec.Struct, frozen=True, gc=False):
    """What the bundled data says of a vendor's model.

    `model` is its provider-neutral name. `context` in tokens. `max_output` is not in the data of today.
    """

    model: str
    prices: Prices
    context: int | None = None
    max_output: int | None = None


def lookup(provider: str, base_url: str, upstream_name: str, at: datetime) -> ModelFacts | None:
    """Return the facts of a model on the vendor that `base_url` belongs to, None if either is unknown.

    The URL alone decides; only where it is empty the provider's name or kind names the vendor. `at` (aware)
    chooses among prices that changed by date. A model without any price for tokens has unknown prices.
    """
    vendor = _vendor(provider, base_url)
    if vendor is None:
        return None
    model = _find(vendor.id, upstream_name)
    if model is None:
        return None
    claude = "claude" in model.id.lower()
    return ModelFacts(_neutral_name(model.id), _compile(_prices_at(model, at), claude=claude), model.context_window)


def models_of(provider: str, base_url: str) -> list[str]:
    """Return the upstream names of the vendor's models in the bundled data, [] for an unknown vendor."""
    vendor = _vendor(provider, base_url)
    if vendor is None:
        return []
    names = [_upstream_name(vendor, model) for model in vendor.models]
    # OpenRouter's own names are all `maker/model`; what the data has without a maker cannot be asked for.
    return [name for name in names if name is not None and ("/" in name or vendor.id != "openrouter")]


def spellings_of(provider: str, base_url: str) -> dict[str, str]:
    """Return other spellings of the vendor's models (`claude-4-5-haiku`) → the names of `models_of`."""
    vendor = _vendor(provider, base_url)
    if vendor is None:
        return {}
    names = set(models_of(provider, base_url))
    spellings: dict[str, str] = {}
    for model in vendor.models:
        name = _upstream_name(vendor, model)
        if name in names:
            for text in _literals(model.match):
                spelling = text.strip().rstrip("-@:/.")
                if spelling and spelling not in names and _find(vendor.id, spelling) is model:
                    spellings.setdefault(spelling, name)
    return spellings


def _vendors() -> "list[genai.Provider]":
    from genai_prices.data import providers  # noqa: PLC0415 - 1.6 MB of data, needed only at load

    return providers


def _vendor(provider: str, base_url: str) -> "genai.Provider | None":
    vendor_id = _vendor_id_of_url(base_url) if base_url else _VENDOR_IDS.get(provider, provider)
    return next((vendor for vendor in _vendors() if vendor.id == vendor_id), None)


@cache
def _vendor_id_of_url(base_url: str) -> str | None:
    """Return the vendor whose `api_pattern` the URL matches up to a boundary of host or path.

    genai-prices itself matches a prefix, by which `https://api.openai.com.example.org` would be OpenAI's.
    """
    try:
        parts = urlsplit(base_url.strip())
        host = parts.hostname
    except ValueError:
        return None
    if not host:
        return None
    origin = f"{parts.scheme}://{host}"
    for vendor in _vendors():
        # A pattern without a path must match within the origin: `.*` could otherwise reach into the path.
        plain = re.sub(r"https\?://|https://|\(\?:/\|\$\)|\(/\|\$\)", "", vendor.api_pattern)
        url = origin + parts.path if "/" in plain else origin
        match = re.match(vendor.api_pattern, url)
        # `https://api\.moonshot\.` leaves its top-level domain open.
        if match and (url[match.end() :][:1] in {"", "/"} or match.group().endswith(("/", "."))):
            return vendor.id
    return None


def _prices_at(model: "genai.ModelInfo", at: datetime) -> "list[genai.ModelPrice]":
    """Return the prices that may be billed on the day of `at`: the standard one and those by time of day.

    Prices are compiled once and used all day, so times of day cannot be told apart: the dearer counts.
    """
    from genai_prices.types import ModelPrice, TimeOfDateConstraint  # noqa: PLC0415 - as above

    if isinstance(model.prices, ModelPrice):
        return [model.prices]
    by_time = [entry for entry in model.prices if isinstance(entry.constraint, TimeOfDateConstraint)]
    by_date = [entry for entry in model.prices if not isinstance(entry.constraint, TimeOfDateConstraint)]
    valid = [entry for entry in by_date if entry.constraint is None or entry.constraint.active(at)]
    # The last active one counts, and the first where none is (`ModelInfo.get_prices`).
    standard = valid[-1] if valid else model.prices[0]
    return [standard.prices, *(entry.prices for entry in by_time)]


def _compile(prices: "list[genai.ModelPrice]", *, claude: bool) -> Prices:
    """Quantise prices to whole nano-USD per million tokens, the dearest of several by class.

    Of what is priced beside tokens of text and audio (searches, images, pages, minutes) only the price per
    request is kept. Reasoning and citations cost less than output where they have a price: output's counts.
    """
    rates: dict[str, Rate] = {}
    request = 0
    for entry in prices:
        values: Mapping[str, object] = vars(entry)
        for name, ours in CLASSES.items():
            rate = _rate(values.get(f"{name}_mtok"))
            dearest = dearer(rates.get(ours), rate)
            if dearest is not None:
                rates[ours] = dearest
        per_thousand = values.get("requests_kcount")
        if isinstance(per_thousand, Decimal):
            request = max(request, nano(per_thousand / 1000))
    return complete(rates, request, multiples=claude)


def _rate(value: object) -> Rate | None:
    from genai_prices.types import TieredPrices  # noqa: PLC0415 - as above

    if isinstance(value, TieredPrices):
        return Rate(nano(value.base), tuple((tier.start, nano(tier.price)) for tier in value.tiers))
    return Rate(nano(value)) if isinstance(value, Decimal) else None


@cache
def _find(vendor_id: str, name: str) -> "genai.ModelInfo | None":
    """Cached: a reload asks for the same names again, and matching goes through a vendor's whole list."""
    vendors = _vendors()
    vendor = next(vendor for vendor in vendors if vendor.id == vendor_id)
    return vendor.find_model(name, all_providers=vendors)


def _upstream_name(vendor: "genai.Provider", model: "genai.ModelInfo") -> str | None:
    """Return what the vendor itself calls the model: the data's id is not always one of its names."""
    return next((name for name in (model.id, *_literals(model.match)) if _find(vendor.id, name) is model), None)


def _neutral_name(model_id: str) -> str:
    """Return the provider-neutral name: the vendor's own where the id's prefix names one, else the last part.

    `anthropic/claude-sonnet-4.5` of a reseller is Anthropic's `claude-sonnet-4-5`.
    """
    if "/" not in model_id:
        return model_id
    prefix, _, _ = model_id.partition("/")
    name = model_id.rpartition("/")[2]
    maker = next((vendor for vendor in _vendors() if vendor.id == prefix), None)
    for model in maker.models if maker is not None else ():
        if model.id.replace(".", "-") == name.replace(".", "-"):
            return model.id
    return name


def _literals(clause: "genai.MatchLogic") -> Iterator[str]:
    from genai_prices.types import ClauseEquals, ClauseOr, ClauseStartsWith  # noqa: PLC0415 - as above

    if isinstance(clause, ClauseEquals):
        yield clause.equals
    elif isinstance(clause, ClauseStartsWith):
        yield clause.starts_with
    elif isinstance(clause, ClauseOr):
        for part in clause.or_:
            yield from _literals(part)
