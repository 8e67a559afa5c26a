"""Windows against plain calendars and clocks: which bucket counts, from when, and until when."""

from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headgate.model.limit import Per, Window
from headgate.policy.windows import (
    BUCKETS,
    MAX_LENGTH,
    MAX_TIME,
    SECOND_NS,
    TOTAL,
    bucket_of,
    calendar,
    frees_at,
    from_text,
    opens,
    reach,
    resets_at,
    rolling,
    width,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR = 3600 * SECOND_NS
DAY = timedelta(days=1)
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",  # half an hour of DST
    "America/Sao_Paulo",  # skipped midnights until 2018
    "America/St_Johns",  # set its clocks at one minute past midnight until 2011
    "Pacific/Apia",  # skipped a whole day in 2011
    "Asia/Kathmandu",
    "Pacific/Kiritimati",
]
CALENDARS = (Per.DAY, Per.WEEK, Per.MONTH)

instants = st.integers(0, MAX_TIME)
recent = st.integers(0, 75 * 366 * 24 * HOUR)
calendars = st.builds(calendar, st.sampled_from(CALENDARS), st.sampled_from(ZONES))
rollings = st.builds(lambda seconds: rolling(seconds * SECOND_NS), st.integers(1, 10**5) | st.integers(1, 3660 * 86400))
windows = calendars | rollings | st.just(TOTAL)


def ns(year: int, month: int, day: int, hour: int = 0, minute: int = 0, zone: str = "UTC", fold: int = 0) -> int:
    when = datetime(year, month, day, hour, minute, tzinfo=ZoneInfo(zone), fold=fold)
    return (when - EPOCH) // timedelta(microseconds=1) * 1000


def at(now: int, tz: tzinfo) -> datetime:
    return (EPOCH + timedelta(microseconds=now // 1000)).astimezone(tz)


def first_minute_of(day: date, tz: tzinfo) -> int:
    """Walk a clock by minutes until it shows the date."""
    minute = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=40)
    hours = [minute + timedelta(hours=n) for n in range(80)]
    # Two hours before: a clock may show the date for a minute, and be set back.
    minute = next(hour for hour in hours if hour.astimezone(tz).date() >= day) - timedelta(hours=2)
    while minute.astimezone(tz).date() < day:
        minute += timedelta(minutes=1)
    return (minute - EPOCH) // timedelta(microseconds=1) * 1000


def plain_starts(per: Per, day: date) -> list[date]:
    """Three windows in a row, the middle one holding `day`."""
    if per is Per.DAY:
        return [day - DAY, day, day + DAY]
    if per is Per.WEEK:
        year, week, _ = day.isocalendar()
        monday = date.fromisocalendar(year, week, 1)
        return [monday - 7 * DAY, monday, monday + 7 * DAY]
    return [date(day.year + n // 12, n % 12 + 1, 1) for n in range(day.month - 2, day.month + 1)]


@given(calendars, recent)
@example(calendar(Per.DAY, "America/St_Johns"), ns(2006, 10, 29, 2, 45))
@example(calendar(Per.MONTH, "America/St_Johns"), ns(2009, 11, 1, 2, 45))
@example(calendar(Per.DAY, "Pacific/Apia"), ns(2011, 12, 30, 9, 59))
@example(calendar(Per.DAY, "Pacific/Apia"), ns(2011, 12, 30, 10))
@example(calendar(Per.DAY, "America/Sao_Paulo"), ns(2018, 11, 4, 3))
def test_a_calendar_window_is_what_a_wall_calendar_shows(window: Window, now: int) -> None:
    starts = [first_minute_of(day, window.tz) for day in plain_starts(window.per, at(now, window.tz).date())]
    assert bucket_of(window, now) == max(start for start in starts if start <= now)
    ends = [start for start in starts if start > now]
    if ends:
        assert resets_at(window, now) == min(ends)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", (2026, 3, 29), 23),
        ("Europe/Berlin", (2026, 10, 25), 25),
        ("America/New_York", (2026, 3, 8), 23),
        ("America/New_York", (2026, 11, 1), 25),
        ("Australia/Lord_Howe", (2026, 10, 4), 23.5),
        ("Australia/Lord_Howe", (2026, 4, 5), 24.5),
        ("America/Sao_Paulo", (2018, 11, 4), 23),
        ("UTC", (2026, 3, 29), 24),
    ],
)
def test_a_day_of_dst_is_as_long_as_its_clock_says(zone: str, day: tuple[int, int, int], hours: float) -> None:
    window, noon = calendar(Per.DAY, zone), ns(*day, 12, zone=zone)
    end = resets_at(window, noon)
    assert end is not None
    assert end - bucket_of(window, noon) == int(hours * HOUR)


@pytest.mark.parametrize(
    ("per", "now", "start", "end"),
    [
        (Per.MONTH, (2028, 2, 29, 23, 59), (2028, 2, 1), (2028, 3, 1)),
        (Per.MONTH, (2027, 2, 28, 12, 0), (2027, 2, 1), (2027, 3, 1)),
        (Per.MONTH, (2100, 2, 28, 12, 0), (2100, 2, 1), (2100, 3, 1)),
        (Per.MONTH, (2026, 12, 31, 23, 59), (2026, 12, 1), (2027, 1, 1)),
        (Per.WEEK, (2027, 1, 1, 0, 0), (2026, 12, 28), (2027, 1, 4)),
        (Per.WEEK, (2026, 11, 23, 0, 0), (2026, 11, 23), (2026, 11, 30)),
        (Per.WEEK, (2026, 11, 22, 23, 59), (2026, 11, 16), (2026, 11, 23)),
        (Per.DAY, (2026, 12, 31, 23, 59), (2026, 12, 31), (2027, 1, 1)),
    ],
)
def test_ends_of_months_weeks_and_years(
    per: Per, now: tuple[int, int, int, int, int], start: tuple[int, int, int], end: tuple[int, int, int]
) -> None:
    for zone in ZONES[:4]:
        window, moment = calendar(per, zone), ns(*now, zone=zone)
        assert bucket_of(window, moment) == ns(*start, zone=zone)
        assert resets_at(window, moment) == ns(*end, zone=zone)


def test_a_window_ends_to_the_nanosecond() -> None:
    window, midnight = calendar(Per.DAY, "Europe/Berlin"), ns(2026, 3, 29, zone="Europe/Berlin")
    assert bucket_of(window, midnight) == midnight
    assert bucket_of(window, midnight - 1) == ns(2026, 3, 28, zone="Europe/Berlin")
    assert resets_at(window, midnight - 1) == midnight


def test_a_clock_set_back_over_midnight_begins_no_new_day_twice() -> None:
    window = calendar(Per.DAY, "America/St_Johns")
    begun = ns(2006, 10, 29, zone="America/St_Johns")
    again = ns(2006, 10, 28, 23, 30, zone="America/St_Johns", fold=1)
    assert again > begun
    assert bucket_of(window, again) == begun


@given(windows, instants | st.integers(0, 10**30), st.integers(0, 10**18))
def test_time_that_goes_on_takes_no_bucket_back(window: Window, now: int, more: int) -> None:
    assert opens(window, now) <= opens(window, now + more)
    assert bucket_of(window, now) <= bucket_of(window, now + more)


@given(windows, instants | st.sampled_from([0, 1, MAX_TIME, MAX_TIME + 1, 10**30]))
def test_what_is_dated_now_counts_now_and_fits_a_column(window: Window, now: int) -> None:
    bucket = bucket_of(window, now)
    assert opens(window, now) <= bucket <= min(now, MAX_TIME)
    assert bucket >= -(2**63)
    assert bucket_of(window, bucket) == bucket


@given(windows, instants)
def test_reach_covers_every_bucket_that_counts(window: Window, now: int) -> None:
    back = reach(window)
    if back is None:
        assert window is TOTAL
    else:
        assert opens(window, now) >= now - back


@given(calendars, instants)
def test_a_calendar_counts_its_own_window_until_it_resets(window: Window, now: int) -> None:
    assert opens(window, now) == bucket_of(window, now)
    end = resets_at(window, now)
    assert end is not None
    assert end > now
    if end <= MAX_TIME:
        assert opens(window, end) == end
        assert opens(window, end - 1) == opens(window, now)


@given(rollings, instants, st.data())
def test_a_rolling_window_forgets_nothing_younger_and_keeps_nothing_much_older(
    window: Window, now: int, data: st.DataObject
) -> None:
    spent_at = data.draw(st.integers(max(0, now - 2 * window.length), now))
    counts = bucket_of(window, spent_at) >= opens(window, now)
    if now - spent_at <= window.length:
        assert counts
    if now - spent_at >= window.length + width(window):
        assert not counts


@given(windows, instants, st.integers(0, 10**18))
def test_a_clock_that_steps_back_gives_nothing_back(window: Window, now: int, step: int) -> None:
    assert bucket_of(window, now) >= opens(window, max(0, now - step))


rows = st.lists(st.tuples(st.integers(-3 * BUCKETS, 5), st.integers(0, 50)), max_size=12)


@given(rollings | calendars, st.integers(MAX_LENGTH, MAX_LENGTH + 10**18), rows, st.integers(-5, 200))
def test_room_comes_when_enough_has_left_and_not_before(
    window: Window, now: int, rows: list[tuple[int, int]], excess: int
) -> None:
    step = width(window) if window.per is Per.ROLLING else 20 * HOUR
    buckets = [(bucket_of(window, now + n * step), spent) for n, spent in rows]

    def spent_at(when: int) -> int:
        return sum(spent for start, spent in buckets if start >= opens(window, when))

    free = frees_at(window, now, buckets, excess)
    before = spent_at(now)
    if free is None:
        assert before < excess
    elif excess <= 0:
        assert free == now
    else:
        assert free > now
        assert before - spent_at(free) >= excess
        assert before - spent_at(free - 1) < excess


def test_a_total_never_frees() -> None:
    assert frees_at(TOTAL, 5, [(0, 100)], 1) is None
    assert frees_at(TOTAL, 5, [(0, 100)], 0) == 5
    assert (bucket_of(TOTAL, 7), opens(TOTAL, 7), resets_at(TOTAL, 7)) == (0, 0, None)


def test_a_rolling_window_resets_at_no_one_time() -> None:
    assert resets_at(rolling(HOUR), 5) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1, "1s"),
        (60, "1m"),
        (90, "90s"),
        (5400, "90m"),
        (3600, "1h"),
        (86400, "24h"),
        (7 * 86400, "168h"),
        (3660 * 86400, "87840h"),
        (3660 * 86400 - 1, "316223999s"),
    ],
)
def test_equal_lengths_have_one_text(seconds: int, text: str) -> None:
    window = rolling(seconds * SECOND_NS)
    assert (window.text, window.length) == (text, seconds * SECOND_NS)
    assert from_text(text, "nowhere") == window


@pytest.mark.parametrize(
    "length", [-1, 0, 1, SECOND_NS - 1, SECOND_NS + 1, MAX_LENGTH + 1, MAX_LENGTH + SECOND_NS, 10**30]
)
def test_a_length_out_of_bounds_or_in_fractions_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="whole seconds"):
        rolling(length)


@given(windows)
def test_every_window_comes_back_from_its_text(window: Window) -> None:
    assert from_text(window.text, window.zone) == window


@given(st.text(max_size=12) | st.from_regex(r"[0-9]{1,12}[a-z]{1,2}", fullmatch=True))
@example("1440m")
@example("60s")
@example("7d")
@example("024h")
@example("24H")
@example("٣h")
@example("24h\n")
@example("rolling")
@example("")
def test_any_other_text_is_refused(text: str) -> None:
    try:
        window = from_text(text)
    except ValueError:
        return
    assert window.text == text


@pytest.mark.parametrize(
    "zone",
    [
        "",
        "utc ",
        "Europe",
        "Europe/",
        "Europe/Nowhere",
        "/etc/passwd",
        "../../etc/passwd",
        "Europe/../Europe/Berlin",
        "right/UTC",
        "posix/UTC",
        "localtime",
        "posixrules",
        "Factory",
        "zone.tab",
        "tzdata.zi",
        "Europe/Berlin\x00",
        "Europe/Berlin\n",
        "Zürich",
        "A" * 5000,
        "CET-1CEST",
    ],
)
def test_what_is_no_zone_is_refused(zone: str) -> None:
    with pytest.raises(ValueError, match="time zone"):
        calendar(Per.DAY, zone)


@pytest.mark.parametrize("per", [Per.TOTAL, Per.ROLLING])
def test_a_calendar_is_a_day_a_week_or_a_month(per: Per) -> None:
    with pytest.raises(ValueError, match="not a calendar"):
        calendar(per)
