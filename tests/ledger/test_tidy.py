"""Balances that no window counts any more go; all that can count, is held, or is of a total window stays."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from tests.ledger.holding import NANO, balance, call_of, limit, living, rows, truth
from tests.ledger.rows import DAY, NOW

from headgate.ledger import corrections, incarnations, limits, tables, tidy
from headgate.ledger.batch import Work
from headgate.ledger.engine import Ledger, open_ledger
from headgate.model.limit import Applied, Per, Scope, Unit, Window
from headgate.policy.windows import TOTAL, bucket_of, calendar, opens, reach, rolling

SECOND = 1_000_000_000
HOUR = 3_600 * SECOND
WINDOWS = [
    rolling(SECOND),
    rolling(24 * HOUR),
    rolling(3_660 * DAY),
    calendar(Per.DAY, "America/Sao_Paulo"),
    calendar(Per.WEEK),
    calendar(Per.MONTH, "Europe/Berlin"),
]


def put(ledger: Ledger, applied: Applied, buckets: Iterable[int], *, spent: int = 7, held: int = 0) -> None:
    with ledger.write() as connection:
        connection.execute(
            tables.limit_balances.insert(),
            [
                {
                    "limit_id": applied.limit.id,
                    "subject": applied.subject,
                    "bucket_start": at,
                    "spent": spent,
                    "held": held,
                }
                for at in buckets
            ],
        )


def tidied(ledger: Ledger, now: int = NOW) -> int:
    """Delete all there is to delete; return how many balances went."""
    before = len(rows(ledger, tables.limit_balances))
    places = tidy.outdated(ledger, now)
    for first in range(0, len(places), tidy.SLICE):
        tidy.delete(ledger, places[first : first + tidy.SLICE])
    return before - len(rows(ledger, tables.limit_balances))


def last_kept(window: Window, now: int = NOW) -> int:
    """The oldest date of a bucket that stays."""
    back = reach(window)
    assert back is not None
    return now - 2 * back - 2 * DAY


@pytest.mark.parametrize("window", WINDOWS, ids=lambda window: window.text)
def test_a_bucket_goes_at_twice_its_windows_age_and_two_days_and_not_before(ledger: Ledger, window: Window) -> None:
    one = limit(ledger, window=window)
    kept = max(last_kept(window), 1)
    put(ledger, one, {kept, bucket_of(window, NOW), opens(window, NOW), NOW + 9 * DAY})
    before = balance(ledger, one)
    assert tidied(ledger) == 0
    if kept > 1:
        put(ledger, one, [kept - 1, 1])
        assert tidied(ledger) == 2
    assert balance(ledger, one) == before


@pytest.mark.parametrize("window", WINDOWS, ids=lambda window: window.text)
def test_a_store_whose_clock_steps_back_by_a_window_and_two_days_still_counts_the_same(
    ledger: Ledger, window: Window
) -> None:
    one = limit(ledger, window=window)
    back = reach(window)
    assert back is not None
    stepped = max(NOW - back - 2 * DAY, 1)
    counted = {max(opens(window, stepped), 1), bucket_of(window, stepped), bucket_of(window, NOW)}
    put(ledger, one, counted)
    assert tidied(ledger) == 0
    assert set(balance(ledger, one)) == counted


def test_total_windows_calls_at_once_and_what_is_held_stay(ledger: Ledger) -> None:
    total, at_once = limit(ledger, window=TOTAL), limit(ledger, Unit.CONCURRENCY)
    sliding = limit(ledger, window=rolling(HOUR))
    put(ledger, total, [0, 1])
    put(ledger, at_once, [0], spent=0, held=3)
    put(ledger, sliding, [1], held=1)
    assert tidied(ledger) == 0


def test_a_bucket_that_is_held_on_since_it_was_looked_for_stays(ledger: Ledger) -> None:
    one = limit(ledger, window=rolling(HOUR))
    put(ledger, one, [1, 2])
    places = tidy.outdated(ledger, NOW)
    with ledger.write() as connection:
        connection.execute(
            tables.limit_balances.update().where(tables.limit_balances.c.bucket_start == 1).values(held=5)
        )
    tidy.delete(ledger, places)
    assert balance(ledger, one) == {1: (7, 5)}


def test_removed_limits_every_subject_and_unknown_windows(ledger: Ledger) -> None:
    window = rolling(HOUR)
    removed, sessions = limit(ledger, window=window), limit(ledger, scope=Scope.SESSION, window=window)
    strange = limit(ledger, Unit.TOKENS, window=window)
    others = [Applied(sessions.limit, f"acme\x1f{number}'%_\"") for number in range(3)]
    for one in (removed, strange, *others):
        put(ledger, one, [5])
    with ledger.write() as connection:
        limits.remove_limit(connection, removed.limit.id, NOW)
        connection.execute(tables.limits.update().where(tables.limits.c.id == strange.limit.id).values(per="fortnight"))
    assert tidied(ledger) == 4
    assert balance(ledger, strange) == {5: (7, 0)}


def test_on_postgresql_the_servers_clock_counts_where_it_is_behind(postgres_url: str) -> None:
    ledger = open_ledger(postgres_url)
    ledger.migrate()
    one = limit(ledger, window=rolling(HOUR))
    ahead = 2**63 - 1
    put(ledger, one, [ahead - 30 * DAY])
    assert tidied(ledger, ahead) == 0
    ledger.close()


def test_a_late_settle_into_a_bucket_that_is_gone_makes_it_anew(ledger: Ledger, lock_dir: Path) -> None:
    usd = limit(ledger, window=rolling(HOUR))
    much = usd.limit.window.length * 4 + 4 * DAY
    with living(ledger, lock_dir) as life:
        grant = life.hold(1, [usd])
        life.end()
        assert incarnations.sweep(ledger, lock_dir, NOW) == [life.id]
    bucket = bucket_of(usd.limit.window, NOW)
    assert balance(ledger, usd) == {bucket: (NANO, 0)}
    assert tidied(ledger, NOW + much) == 1
    row = truth(1, cost_nano=NANO + 300, over_nano=300)
    with ledger.write() as connection:
        corrections.settle_late(connection, row, grant, call_of(1, row), NOW + much)
    assert balance(ledger, usd) == {bucket: (300, 0)}
    with ledger.write() as connection:
        corrections.settle_by_hand(connection, "call-1", None, 0, author="ann", reason="free", now=NOW + much)
    assert balance(ledger, usd) == {bucket: (0, 0)}
    assert tidied(ledger, NOW + much) == 1
    with ledger.write() as connection:
        corrections.settle_by_hand(connection, "call-1", None, 50, author="ann", reason="not so", now=NOW + much)
        corrections.settle_by_hand(connection, "call-1", None, 20, author="ann", reason="less", now=NOW + much)
    assert balance(ledger, usd) == {bucket: (20, 0)}


def test_a_live_hold_of_nothing_settles_into_a_bucket_that_is_gone(ledger: Ledger, lock_dir: Path) -> None:
    usd = limit(ledger, window=rolling(HOUR))
    put(ledger, usd, [bucket_of(usd.limit.window, NOW)], spent=0)
    assert tidied(ledger, NOW + 9 * DAY) == 1
    with living(ledger, lock_dir) as life:
        grant = life.hold(1, [usd])
        assert tidied(ledger, NOW + 9 * DAY) == 0, "it is held on"
        assert life.write(Work("acme", "key_ci", [truth(1)], [grant]))
    assert balance(ledger, usd) == {bucket_of(usd.limit.window, NOW): (700, 0)}
