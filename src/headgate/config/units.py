"""Durations, sizes and times as people write them: `24h`, `500ms`, `1h30m`, `32MiB`, `2026-01-31`."""

import re
from datetime import UTC, datetime

NS_PER = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
    "w": 604_800_000_000_000,
}
BYTES_PER = {
    "B": 1,
    "kB": 1_000,
    "MB": 1_000_000,
    "GB": 1_000_000_000,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
}
MAX_DURATION = 3_660 * NS_PER["d"]
MAX_TIME = 2**63 - 1
"""The last ns since the Unix epoch that 64 bits hold, in the year 2262."""
DURATION_PATTERN = r"^(\d{1,9}(\.\d{1,9})?(ns|us|ms|s|m|h|d|w))+$"
SIZE_PATTERN = r"^\d{1,12}(\.\d{1,6})? ?(B|kB|MB|GB|KiB|MiB|GiB)?$"

_DURATION = re.compile(DURATION_PATTERN, re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PART = re.compile(r"(\d+)(?:\.(\d+))?(ns|us|ms|s|m|h|d|w)", re.ASCII)
_SIZE = re.compile(r"^(\d{1,12})(?:\.(\d{1,6}))? ?(B|kB|MB|GB|KiB|MiB|GiB)?$", re.ASCII)


def _scaled(whole: str, fraction: str | None, unit: int) -> int:
    digits = fraction or ""
    scale: int = 10 ** len(digits)
    return int(whole + digits) * unit // scale


def parse_duration(text: object) -> int:
    """Return a duration in ns. Raises ValueError where `text` is none, has no unit or passes ten years."""
    if text == 0 and not isinstance(text, bool):
        return 0
    if not isinstance(text, str) or not _DURATION.match(text.strip()):
        raise ValueError("must be a duration with its unit, such as 500ms, 30s, 10m or 24h")
    total = sum(_scaled(whole, part, NS_PER[unit]) for whole, part, unit in _PART.findall(text))
    if total > MAX_DURATION:
        raise ValueError("is too long: ten years are the most")
    return total


def parse_since(text: str, now: int) -> int:
    """Return the ns since the epoch of a duration back from `now` (ns), a date or time (UTC unless it says), or `all`.

    What lies before the epoch or beyond 64 bits is brought within. Raises ValueError where `text` is none of them.
    """
    if text == "all":
        return 0
    if _DURATION.match(text):
        return max(now - parse_duration(text), 0)
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("must be a duration back from now (24h), a date or a time in UTC, or all") from None
    return min(max(_ns_of(date), 0), MAX_TIME)


def parse_time(text: object) -> int:
    """Return the ns since the epoch of a date (its beginning) or a time, in UTC unless it says; `text` as in a file.

    Raises ValueError where it is none, or lies before the epoch or beyond 64 bits.
    """
    try:
        ns = _ns_of(datetime.fromisoformat(text.strip())) if isinstance(text, str) else -1
    except ValueError:
        ns = -1
    if not 0 <= ns <= MAX_TIME:
        raise ValueError("must be a date or a time, such as 2027-01-31 or 2027-01-31T12:00:00+01:00")
    return ns


def _ns_of(date: datetime) -> int:
    since = (date if date.tzinfo else date.replace(tzinfo=UTC)) - _EPOCH
    return (since.days * 86_400 + since.seconds) * NS_PER["s"] + since.microseconds * NS_PER["us"]


def parse_size(text: object) -> int:
    """Return a size in bytes. Raises ValueError where `text` is none."""
    if isinstance(text, int) and not isinstance(text, bool) and text >= 0:
        return text
    found = _SIZE.match(text.strip()) if isinstance(text, str) else None
    if found is None:
        raise ValueError("must be a size, such as 65536, 512KiB or 32MiB")
    whole, fraction, unit = found.groups()
    return _scaled(whole, fraction, BYTES_PER[unit or "B"])
