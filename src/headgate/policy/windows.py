"""Windows of limits: which bucket an amount counts in, which buckets count now, and when they leave.

Times are ns since the epoch, and always the store's. A reading beyond 64 bits counts as their last ns. Rolling windows
slide over sub-buckets of `width`; calendars have one bucket, dated at the window's start; total has one, dated 0. One
rule for all: what counts at `now` is the sum over the buckets dated `opens(window, now)` or later. So a bucket dated
after now counts as now, and a clock that stepped back gives nothing back.
"""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from headgate.model.limit import Per, Window

BUCKETS = 60
"""Sub-buckets of a rolling window: it is exact to a sixtieth of its length."""
SECOND_NS = 1_000_000_000
MIN_LENGTH = SECOND_NS
MAX_LENGTH = 3_660 * 86_400 * SECOND_NS
"""Ten years: the longest duration that the configuration takes."""
MAX_TIME = 2**63 - 1

TOTAL = Window(Per.TOTAL, Per.TOTAL.value)

_UNITS = {"h": 3_600 * SECOND_NS, "m": 60 * SECOND_NS, "s": SECOND_NS}
_LENGTH = re.compile(r"([1-9][0-9]{0,8})([hms])")
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]{0,31}(/[A-Za-z0-9_+-]{1,32}){0,2}")
_NO_ZONES = ("posix", "right", "localtime", "posixrules", "Factory")
"""In the zone folders beside the zones: the host's own, and those that count leap seconds."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
_DAY_NS = 86_400 * SECOND_NS
_LONGEST = {Per.DAY: 2 * _DAY_NS, Per.WEEK: 9 * _DAY_NS, Per.MONTH: 33 * _DAY_NS}
"""Longer than any such window: a zone may go back by up to a day."""


def rolling(length: int) -> Window:
    """Return the rolling window of `length` ns. Its text is the same for equal lengths: 24h, 90m or 45s.

    Raises ValueError for less than 1 s, more than ten years, or a fraction of a second.
    """
    if not MIN_LENGTH <= length <= MAX_LENGTH or length % SECOND_NS:
        raise ValueError("a rolling window is 1 second to ten years long, in whole seconds, such as 45s, 90m or 24h")
    name, unit = next((name, unit) for name, unit in _UNITS.items() if length % unit == 0)
    return Window(Per.ROLLING, f"{length // unit}{name}", length)


def calendar(per: Per, zone: str = "UTC") -> Window:
    """Return the window of a day, a week (from Monday) or a month in a zone of the IANA database.

    Raises ValueError for another `per`, and for a zone that the machine does not know.
    """
    if per not in _LONGEST:
        raise ValueError(f"not a calendar window: {per.value}")
    return Window(per, per.value, zone=zone, tz=_zone(zone))


def from_text(text: str, zone: str = "UTC") -> Window:
    """Return the window whose `text` this is. `zone` is a calendar's alone. Raises ValueError for any other text."""
    if text == TOTAL.text:
        return TOTAL
    if text in (Per.DAY, Per.WEEK, Per.MONTH):
        return calendar(Per(text), zone)
    found = _LENGTH.fullmatch(text)
    window = rolling(int(found[1]) * _UNITS[found[2]]) if found else None
    if window is None or window.text != text:
        raise ValueError(f"not a window: {text!r}; write total, day, week, month, or a duration such as 24h")
    return window


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        if _ZONE.fullmatch(name) and name.partition("/")[0] not in _NO_ZONES:
            return ZoneInfo(name)
    except (KeyError, ValueError, OSError, ImportError):
        pass
    raise ValueError(f"no time zone {name!r} on this machine; write a name such as UTC or Europe/Berlin")


def width(window: Window) -> int:
    """Return the ns that one sub-bucket of a rolling window spans."""
    return max(1, window.length // BUCKETS)


def bucket_of(window: Window, now: int) -> int:
    """Return the date of the bucket that an amount of `now` counts in."""
    if window.per is Per.TOTAL:
        return 0
    now = min(now, MAX_TIME)
    if window.per is Per.ROLLING:
        return now - now % width(window)
    return _period(window, now)[0]


def opens(window: Window, now: int) -> int:
    """Return the least date of a bucket that counts at `now`. A rolling one leaves only when wholly older."""
    if window.per is Per.ROLLING:
        return bucket_of(window, min(now, MAX_TIME) - window.length)
    return bucket_of(window, now)


def reach(window: Window) -> int | None:
    """Return how many ns before any reading of the clock, up to 64 bits, the buckets are dated that can count at it.

    None: every bucket counts at any time.
    """
    if window.per is Per.TOTAL:
        return None
    return window.length + width(window) if window.per is Per.ROLLING else _LONGEST[window.per]


def resets_at(window: Window, now: int) -> int | None:
    """Return when a calendar's present window ends; None for the others, of which none ends at once."""
    if window.per in (Per.TOTAL, Per.ROLLING):
        return None
    return _period(window, min(now, MAX_TIME))[1]


def frees_at(window: Window, now: int, buckets: Sequence[tuple[int, int]], excess: int) -> int | None:
    """Return the earliest time at which `excess` of what is spent has left; `now` if none of it has to.

    `buckets` are (date, spent), in any order; those that do not count at `now` have left already. None: it never will,
    since less than that is spent in them, or since the window is total.
    """
    if excess <= 0:
        return now
    if window.per is Per.TOTAL:
        return None
    first = opens(window, now)
    left = 0
    for start, spent in sorted(bucket for bucket in buckets if bucket[0] >= first):
        left += spent
        if left >= excess:
            return _leaves_at(window, start)
    return None


def _leaves_at(window: Window, bucket: int) -> int:
    if window.per is Per.ROLLING:
        return bucket + width(window) + window.length
    return _period(window, min(bucket, MAX_TIME))[1]


def _period(window: Window, now: int) -> tuple[int, int]:
    """Return start and end of the calendar window that holds `now`."""
    key = (window.text, window.tz)
    found = _latest.get(key)
    if found is None or not found[0] <= now < found[1]:
        found = _latest[key] = _reckoned(window, now)
    return found


_latest: dict[tuple[str, tzinfo], tuple[int, int]] = {}
"""The window last asked for, of each kind and zone: clocks mostly go on within it."""


def _reckoned(window: Window, now: int) -> tuple[int, int]:
    local = (_EPOCH + timedelta(seconds=now // SECOND_NS)).astimezone(window.tz).date()
    first, following = _dates(window.per, local)
    end = _start_of(following, window.tz)
    if end > now:
        return _start_of(first, window.tz), end
    # A clock set back over midnight shows the old date again; the window that had begun goes on.
    return end, _start_of(_dates(window.per, following)[1], window.tz)


def _dates(per: Per, day: date) -> tuple[date, date]:
    """Return the first date of the window that holds `day`, and of the one after it."""
    if per is Per.DAY:
        return day, day + _DAY
    if per is Per.WEEK:
        monday = day - day.weekday() * _DAY
        return monday, monday + 7 * _DAY
    first = day.replace(day=1)
    return first, (first + 31 * _DAY).replace(day=1)


def _start_of(day: date, tz: tzinfo) -> int:
    """Return the first ns at which a clock in `tz` shows `day` or a later date."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=tz)
    early, late = _seconds(midnight.replace(fold=1)), _seconds(midnight)
    if late <= early:
        return late * SECOND_NS
    # Midnight is skipped (PEP 495: fold 1 reads the offset after the gap): the clock jumps over it in between.
    while late - early > 1:
        middle = (early + late) // 2
        if (_EPOCH + timedelta(seconds=middle)).astimezone(tz).date() < day:
            early = middle
        else:
            late = middle
    return late * SECOND_NS


def _seconds(when: datetime) -> int:
    return (when - _EPOCH) // timedelta(seconds=1)
