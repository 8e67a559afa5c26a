"""Tokens × price: what an attempt cost, and the most that it may cost. Integers only, rounded once."""

from headgate.model.money import MAX_NANO_USD, TOKENS_PER_PRICE
from headgate.model.price import Billing, Cost, Prices, Rate
from headgate.model.usage import Basis, Usage

_UNKNOWN = Cost(None, Basis.UNKNOWN)
_SUBSCRIPTION = Cost(0, Basis.SUBSCRIPTION)
_REPORTED = Basis.REPORTED
_COMPUTED = Basis.COMPUTED
_BY_SUBSCRIPTION = Billing.SUBSCRIPTION
_TWICE = 2 * TOKENS_PER_PRICE


def cost_of(
    usage: Usage,
    prices: Prices,
    billing: Billing,
    reported_cost: int | None,
    basis_if_priced: Basis = _COMPUTED,
) -> Cost:
    """Return the cost of one attempt in nano-USD, rounded half up once over the sum of tokens × rate.

    A cost that the provider itself names (`reported_cost`, nano-USD) wins, if it lies within 0 … 2**63 - 1.
    A class with tokens but without a price makes the cost unknown. Amounts are cut off at 2**63 - 1 nano-USD.
    """
    if billing is _BY_SUBSCRIPTION:
        return _SUBSCRIPTION
    classes = [
        (usage.input, prices.input),
        (usage.cache_read, prices.cache_read),
        (usage.cache_write_5m, prices.cache_write_5m),
        (usage.cache_write_1h, prices.cache_write_1h),
        (usage.output, prices.output),
    ]
    if usage.input_audio or usage.cache_read_audio or usage.output_audio:
        classes += (
            (usage.input_audio, prices.input_audio),
            (usage.cache_read_audio, prices.cache_read_audio),
            (usage.output_audio, prices.output_audio),
        )
    sum_ = prices.request * TOKENS_PER_PRICE
    total = -1
    unknown = False
    for tokens, rate in classes:
        if tokens <= 0:
            continue
        if rate is None:
            unknown = True
        elif rate.tiers:
            if total < 0:
                total = usage.total_input
            sum_ += tokens * rate_at(rate, total)
        else:
            sum_ += tokens * rate.base
    savings = 0
    if usage.cache_read > 0 or usage.cache_read_audio > 0:
        savings = _savings(usage, prices, usage.total_input if total < 0 else total)
    if reported_cost is not None and 0 <= reported_cost <= MAX_NANO_USD:
        return Cost(reported_cost, _REPORTED, savings)
    if unknown:
        return _UNKNOWN
    return Cost(_rounded(sum_), basis_if_priced, savings)


def rate_at(rate: Rate, total_input: int) -> int:
    """Return the price (nano-USD per million tokens) of a class for a request of `total_input` tokens.

    A tier holds strictly above its threshold, and then for all tokens of the class.
    """
    price = rate.base
    for above, tier_price in rate.tiers:
        if total_input <= above:
            break
        price = tier_price
    return price


def dearest(
    input_tokens: int, prices: Prices, billing: Billing, *, has_output: bool = True, audio: bool = False
) -> tuple[int | None, int | None, int]:
    """Return the most that a token of input and one of output may cost, and what the request itself does.

    Rates in nano-USD per million tokens, None where unpriced; the request in nano-USD. All input is taken at its
    dearest class (fresh or a cache write; audio where the request may hold it), at the dearest tier that up to
    `input_tokens` can reach; output likewise. A class without a price that may be billed makes the rate None.
    """
    if billing is _BY_SUBSCRIPTION:
        return 0, 0, 0
    input_rate: int | None = 0
    output_rate: int | None = 0
    if input_tokens > 0:
        inputs = [prices.input, prices.cache_read, prices.cache_write_5m, prices.cache_write_1h]
        if audio:
            inputs += (prices.input_audio, prices.cache_read_audio)
        input_rate = _dearest(inputs, input_tokens)
    if has_output:
        output_rate = _dearest([prices.output, prices.output_audio] if audio else [prices.output], input_tokens)
    return input_rate, output_rate, prices.request


def _dearest(rates: list[Rate | None], total_input: int) -> int | None:
    dearest = 0
    for rate in rates:
        if rate is None:
            return None
        if rate.base > dearest:  # noqa: PLR1730 - max() would cost as much as all the rest
            dearest = rate.base
        for above, price in rate.tiers:
            if total_input > above and price > dearest:
                dearest = price
    return dearest


def _savings(usage: Usage, prices: Prices, total: int) -> int:
    saved = _saved(usage.cache_read, prices.input, prices.cache_read, total)
    if usage.cache_read_audio:
        saved += _saved(usage.cache_read_audio, prices.input_audio, prices.cache_read_audio, total)
    return _rounded(saved)


def _saved(tokens: int, fresh: Rate | None, read: Rate | None, total: int) -> int:
    if tokens <= 0 or fresh is None or read is None:
        return 0
    tiered = fresh.tiers or read.tiers
    a_token = rate_at(fresh, total) - rate_at(read, total) if tiered else fresh.base - read.base
    return tokens * a_token if a_token > 0 else 0


def _rounded(sum_: int) -> int:
    """Return a sum of tokens × rate in nano-USD, rounded half up."""
    nano = (2 * sum_ + TOKENS_PER_PRICE) // _TWICE
    return nano if nano <= MAX_NANO_USD else MAX_NANO_USD  # noqa: FURB136 - min() takes twice as long
