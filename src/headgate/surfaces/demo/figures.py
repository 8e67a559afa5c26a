"""Figures of the ledger as people read them, on the screen and in the summary."""

from typing import Any

from headgate.ledger.views import Usage
from headgate.model.money import NANO_PER_USD


def total_cost(group: Usage) -> str:
    """Return a group's known cost for people, or "unknown" where nothing of it is known."""
    if group.unknown_cost and not group.cost_nano:
        return "unknown"
    return money(group.cost_nano, 6)


def happened(row: dict[str, Any]) -> str:
    """Return in a few words how a call of the ledger went."""
    failed = [one for one in row["attempts"] if one["failure"] not in (None, "client_gone")]
    if failed:
        said = ", ".join(f"{one['provider']} said {one['status']}" for one in failed)
        return f"{said}; {row['route'].partition('/')[0]} answered"
    if row["outcome"] == "client_gone":
        return "the client left; charged as estimated"
    if row["cost_nano"] is None:
        return "no price: unknown, not zero"
    kind = f"{row['endpoint']}, streamed" if row["stream"] else str(row["endpoint"])
    written = row["cache_write_5m"] + row["cache_write_1h"]
    return f"{kind}; {written} put into the cache" if written else kind


def fresh(row: dict[str, Any]) -> int:
    """Return the input tokens that no cache had: fresh ones, and those that were written into one."""
    return int(row["input"]) + int(row["cache_write_5m"]) + int(row["cache_write_1h"])


def fresh_of(group: Usage) -> int:
    """As `fresh`, of a group."""
    return group.input + group.cache_write_5m + group.cache_write_1h


def money(nano: int, digits: int) -> str:
    """Return nano-USD as dollars with so many decimals (1 to 9), rounded half up, without a sign for them."""
    unit = 10 ** (9 - digits)
    whole, rest = divmod((2 * nano + unit) // (2 * unit), NANO_PER_USD // unit)
    return f"{whole}.{rest:0{digits}d}"


def span(ns: int | None) -> str:
    """Return a duration in at most five characters below 1,000 s."""
    if ns is None:
        return "-"
    ms = ns // 1_000_000
    return f"{ms}ms" if ms < 1000 else f"{ns / 1e9:.1f}s"


def fit(text: str, width: int) -> str:
    """Return the text in exactly so many characters, cut with ".." if need be; to the right where negative."""
    size = abs(width)
    if len(text) > size:
        text = text[: size - 2] + ".." if size > 2 else text[:size]
    return text.rjust(size) if width < 0 else text.ljust(size)
