"""Prices as exact tables: those of a `price:` entry, and which class is billed as which where one has no price."""

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from headgate.model.dialect import Kind
from headgate.model.money import NANO_PER_USD
from headgate.model.price import FREE, Prices, Rate

MAX_USD_PER_MTOK = 1_000_000
"""A price above one dollar a token is a slip of the pen."""

# Anthropic, "Prompt caching", pricing: 5-minute writes cost 1.25 times, 1-hour writes 2 times the base input
# price. https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching#pricing
_WRITE_5M = Decimal("1.25")
_WRITE_1H = Decimal(2)

CLASSES: dict[str, str] = {
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


def override(spec: str | Mapping[str, object], kind: Kind | None = None) -> Prices:
    """Return the prices of a `price:` entry: `free`, or USD per million tokens by class.

    Classes are `CLASSES`, with or without genai-prices' `_mtok`, and `requests_kcount` (USD per thousand
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
            request = nano(_amount(name, value) / 1000)
            continue
        ours = CLASSES.get(str(name).removesuffix("_mtok"))
        if ours is None:
            raise ValueError(f"unknown price class {name!r}; known are {', '.join(CLASSES)}, requests_kcount")
        if ours in rates:
            raise ValueError(f"the price class {name!r} stands twice")
        rates[ours] = Rate(nano(_amount(str(name), value)))
    return complete(rates, request, multiples=kind is Kind.ANTHROPIC)


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


def nano(usd: Decimal) -> int:
    """Return an amount in USD as whole nano-USD, rounded half up."""
    return int((usd * NANO_PER_USD).to_integral_value(rounding=ROUND_HALF_UP))


def complete(rates: dict[str, Rate], request: int, *, multiples: bool) -> Prices:
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
        write_1h = dearer(write_5m, derived)
    if write_5m is None:
        write_5m = _times(fresh, _WRITE_5M) if multiples else fresh
    audio = rates.get("input_audio", fresh)
    # A cached audio token is both cached and audio; without a price of its own either may be its bill.
    read_audio = rates.get("cache_read_audio", dearer(read, audio))
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


def dearer(one: Rate | None, other: Rate | None) -> Rate | None:
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
