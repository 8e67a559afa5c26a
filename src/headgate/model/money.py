"""Money as integers: nano-USD (1 USD = 10**9 nano-USD). Never floats."""

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

NANO_PER_USD = 1_000_000_000
TOKENS_PER_PRICE = 1_000_000
"""Prices are whole nano-USD per this many tokens."""

MAX_NANO_USD = 2**63 - 1
"""Amounts fit a signed 64-bit column of the ledger."""

_SCALE = 9


def parse_usd(text: str | int | Decimal) -> int:
    """Return the nano-USD of an amount in USD, rounded half up to a whole nano-dollar.

    Raises ValueError for what is no finite decimal number or does not fit 64 bits.
    """
    try:
        amount = Decimal(text)
    except (InvalidOperation, TypeError) as error:
        raise ValueError(f"not an amount in USD: {text!r}") from error
    if not amount.is_finite() or abs(amount.adjusted()) > 40:
        raise ValueError(f"not an amount in USD: {text!r}")
    nano = int(amount.scaleb(_SCALE).to_integral_value(rounding=ROUND_HALF_UP))
    if abs(nano) > MAX_NANO_USD:
        raise ValueError(f"amount beyond 64 bits of nano-USD: {text!r}")
    return nano


def format_usd(nano: int) -> str:
    """Return nano-USD as a plain decimal string in USD, exact, without an exponent ("0.000012")."""
    sign = "-" if nano < 0 else ""
    whole, rest = divmod(abs(nano), NANO_PER_USD)
    digits = f"{rest:09d}".rstrip("0")
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"


def divide_half_up(numerator: int, denominator: int) -> int:
    """Return numerator / denominator rounded half up; both are non-negative, denominator > 0."""
    return (2 * numerator + denominator) // (2 * denominator)
