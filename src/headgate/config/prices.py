"""Prices of known vendors: genai-prices' bundled data compiled to exact tables, and prices from the file.

The bundled data is never updated over the network. It is imported on first use (0.35 s once), only at load.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from headgate.model.dialect import Kind
from headgate.model.money import NANO_PER_USD
from headgate.model.price import FREE, Prices, Rate

if TYPE_CHECKING:
    from genai_prices import types as genai

MAX_USD_PER_MTOK = 1_000_000
"""A price above one dollar a token is a slip of the pen."""

# Anthropic, "Prompt caching", pricing: 5-minute writes cost 1.25 times, 1-hour writes 2 times the base input
# price. https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching#pricing
_WRITE_5M = Decimal("1.25")
_WRITE_1H = Decimal(2)

_CLASSES: dict[str, str] = {
    "input": "input",
    "output": "output",
    "cache_read": "cache_read",
    "cache_write": "cache_write",
    "cache_write_5m": "cache_write_5m",
    "cache_write_1h": "cache_write_1h",
    "input_audio": "input_audio",
    "cache_audio_read": "cache_read_audio",
    "output_audio": "output_audio",
}
"""genai-prices' names of the classes that are metered (there with `_mtok` after them) → ours."""

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


def override(spec: str | Mapping[str, object], kind: Kind | None = None) -> Prices:
    """Return the prices of a `price:` entry: `free`, or USD per million tokens by class.

    Classes are `_CLASSES`, with or without genai-prices' `_mtok`, and `requests_kcount` (USD per thousand
    requests). A cache class that is not named is billed as fresh input; on kind `anthropic` writes are billed
    by Anthropic's multiples of it. Raises ValueError naming the class at fault.
    """
    if isinstance(spec, str):
        if spec != "free":
            raise ValueError("must be 'free' or prices by class")
        return FREE
    rates: dict[str, Rate] = {}
    request = 0
    for name, value in spec.items():
        if name == "requests_kcount":
            request = _nano(_amount(name, value) / 1000)
            continue
        ours = _CLASSES.get(str(name).removesuffix("_mtok"))
        if ours is None:
            raise ValueError(f"unknown price class {name!r}; known are {', '.join(_CLASSES)}, requests_kcount")
        if ours in rates:
            raise ValueError(f"the price class {name!r} stands twice")
        rates[ours] = Rate(_nano(_amount(str(name), value)))
    return _complete(rates, request, multiples=kind is Kind.ANTHROPIC)


def _amount(name: str, value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        # ValueError, not TypeError: it is the file that is wrong, not the program.
        raise ValueError(f"the price of {name!r} must be a number in USD per million tokens")  # noqa: TRY004
    try:
        amount = Decimal(str(value).strip())
    except InvalidOperation:
        raise ValueError(f"the price of {name!r} is no number: {str(value)[:40]!r}") from None
    if not amount.is_finite() or amount < 0 or amount > MAX_USD_PER_MTOK:
        raise ValueError(f"the price of {name!r} must lie between 0 and {MAX_USD_PER_MTOK} USD per million tokens")
    return amount


def _nano(usd: Decimal) -> int:
    return int((usd * NANO_PER_USD).to_integral_value(rounding=ROUND_HALF_UP))


def _complete(rates: dict[str, Rate], request: int, *, multiples: bool) -> Prices:
    """Fill every class that has no price of its own with the one that the vendor bills it as.

    Where two could apply the dearer is taken: nothing is undercharged. `multiples`: Anthropic's models.
    """
    fresh = rates.get("input")
    output = rates.get("output")
    read = rates.get("cache_read", fresh)
    write_5m = rates.get("cache_write_5m", rates.get("cache_write"))
    write_1h = rates.get("cache_write_1h")
    if write_1h is None:
        derived = _times(fresh, _WRITE_1H) if multiples else fresh
        write_1h = _dearer(write_5m, derived)
    if write_5m is None:
        write_5m = _times(fresh, _WRITE_5M) if multiples else fresh
    audio = rates.get("input_audio", fresh)
    # A cached audio token is both cached and audio; without a price of its own either may be its bill.
    read_audio = rates.get("cache_read_audio", _dearer(read, audio))
    return Prices(
        input=fresh,
        output=output,
        cache_read=read,
        cache_write_5m=write_5m,
        cache_write_1h=write_1h,
        input_audio=audio,
        cache_read_audio=read_audio,
        output_audio=rates.get("output_audio", output),
        request=request,
    )


def _dearer(one: Rate | None, other: Rate | None) -> Rate | None:
    """Return the elementwise maximum of two rates; None is no price, so the other one counts."""
    if one is None or other is None:
        return one or other
    base = max(one.base, other.base)
    thresholds = sorted({above for above, _ in one.tiers + other.tiers})
    return Rate(base, tuple((above, max(_above(one, above), _above(other, above))) for above in thresholds))


def _above(rate: Rate, threshold: int) -> int:
    """Return the price just above a threshold."""
    price = rate.base
    for above, tier_price in rate.tiers:
        if above <= threshold:
            price = tier_price
    return price


def _times(rate: Rate | None, factor: Decimal) -> Rate | None:
    if rate is None:
        return None

    def scaled(price: int) -> int:
        return int((price * factor).to_integral_value(rounding=ROUND_HALF_UP))

    return Rate(scaled(rate.base), tuple((above, scaled(price)) for above, price in rate.tiers))


# -- the bundled data


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
        for name, ours in _CLASSES.items():
            rate = _rate(values.get(f"{name}_mtok"))
            dearer = _dearer(rates.get(ours), rate)
            if dearer is not None:
                rates[ours] = dearer
        per_thousand = values.get("requests_kcount")
        if isinstance(per_thousand, Decimal):
            request = max(request, _nano(per_thousand / 1000))
    return _complete(rates, request, multiples=claude)


def _rate(value: object) -> Rate | None:
    from genai_prices.types import TieredPrices  # noqa: PLC0415 - as above

    if isinstance(value, TieredPrices):
        return Rate(_nano(value.base), tuple((tier.start, _nano(tier.price)) for tier in value.tiers))
    return Rate(_nano(value)) if isinstance(value, Decimal) else None


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
