"""What a limit counts of the time before it was set, on both engines."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa
from tests.ledger.rows import DAY, NOW, attempt_row, call_row
from tests.ledger.test_limits import HOUR, MONTH, in_force, put

from headgate.ledger import keys, limits, tables
from headgate.ledger.engine import Ledger
from headgate.model.limit import EACH, Limit, Per, Scope, Unit
from headgate.policy.windows import TOTAL, bucket_of, calendar, rolling, width

Rows = dict[tuple[str, int], int]
"""{(subject, bucket_start): spent}."""


def spent(ledger: Ledger, limit: Limit) -> Rows:
    table = tables.limit_balances
    with ledger.reader().connection() as connection:
        found = connection.execute(sa.select(table).where(table.c.limit_id == limit.id))
        return {(row.subject, row.bucket_start): row.spent for row in found}


def record(ledger: Ledger, number: int, **changes: Any) -> None:
    """Record a call with one attempt; what both have is changed in both."""
    of_attempt = {name: value for name, value in changes.items() if name in ("provider", "state")}
    call = call_row(number, **{name: value for name, value in changes.items() if name not in of_attempt})
    shared = {name: changes[name] for name in ("model", "started_at", "cost_nano", "output") if name in changes}
    with ledger.write() as connection:
        connection.execute(tables.calls.insert(), [msgspec.structs.asdict(call)])
        if call.attempts:
            row = attempt_row(number, **shared, **of_attempt)
            connection.execute(tables.attempts.insert(), [msgspec.structs.asdict(row)])


def correct(ledger: Ledger, number: int, nano: int, tokens: int = 0) -> None:
    with ledger.write() as connection:
        connection.execute(
            tables.adjustments.insert().values(
                call=f"call-{number}",
                no=1,
                at=NOW + 40 * DAY,
                delta_nano=nano,
                target_nano=0,
                reason="bill",
                author="ops",
                delta_tokens=tokens,
            )
        )


def balance(ledger: Ledger, scope: str, name: str, unit: str, day: int, amount: int) -> None:
    with ledger.write() as connection:
        values = {"scope": scope, "scope_id": name, "unit": unit, "bucket_start": day, "spent": amount, "held": 0}
        connection.execute(tables.balances.insert().values(values))


def test_names_with_wildcards_or_sql_are_only_names(ledger: Ledger) -> None:
    record(ledger, 1, account="acme")
    names = ["%", "_cme", "*", "a'; DROP TABLE limits; --", '"', "日本"]
    for name in names:
        made = put(ledger, name=name, window=rolling(24 * HOUR))
        assert spent(ledger, made) == {}
        assert put(ledger, scope=Scope.KEY, name=name, window=rolling(24 * HOUR)).name == name
    assert {limit.name for limit in in_force(ledger)} == set(names)


def test_a_new_rolling_limit_counts_what_was_spent_before_in_its_window(ledger: Ledger) -> None:
    window = rolling(24 * HOUR)
    record(ledger, 1, started_at=NOW - 25 * HOUR, cost_nano=1)
    record(ledger, 2, started_at=NOW - 23 * HOUR, cost_nano=20)
    record(ledger, 3, started_at=NOW - HOUR, cost_nano=300)
    record(ledger, 4, started_at=NOW - HOUR + 1, cost_nano=4_000)
    record(ledger, 5, started_at=NOW - HOUR, cost_nano=7, account="other")
    record(ledger, 6, started_at=NOW, cost_nano=None)
    correct(ledger, 2, 50_000)
    assert spent(ledger, put(ledger, window=window)) == {
        ("acme", bucket_of(window, NOW - 23 * HOUR)): 50_020,
        ("acme", bucket_of(window, NOW - HOUR)): 4_300,
    }


def test_the_oldest_bucket_that_counts_is_whole(ledger: Ledger) -> None:
    window = rolling(24 * HOUR)
    first = bucket_of(window, NOW - 24 * HOUR)
    record(ledger, 1, started_at=first, cost_nano=1)
    record(ledger, 2, started_at=first + width(window) - 1, cost_nano=2)
    record(ledger, 3, started_at=first - 1, cost_nano=4)
    assert spent(ledger, put(ledger, window=window)) == {("acme", first): 3}


def test_tokens_and_requests_are_counted_too(ledger: Ledger) -> None:
    window = rolling(HOUR)
    record(ledger, 1, output=50)
    record(ledger, 2, output=60)
    record(ledger, 3, attempts=0)
    correct(ledger, 1, 0, -7)
    now = bucket_of(window, NOW)
    each = 100 + 20 + 3 + 4
    assert spent(ledger, put(ledger, unit=Unit.TOKENS, window=window)) == {("acme", now): 2 * each + 110 - 7}
    assert spent(ledger, put(ledger, unit=Unit.REQUESTS, window=window)) == {("acme", now): 2}
    assert spent(ledger, put(ledger, unit=Unit.CONCURRENCY, window=TOTAL)) == {}


def test_a_calendar_of_another_zone_counts_from_its_own_midnight(ledger: Ledger) -> None:
    window = calendar(Per.DAY, "Asia/Tokyo")
    midnight = bucket_of(window, NOW)
    assert midnight % DAY != 0
    record(ledger, 1, started_at=midnight - 1, cost_nano=1)
    record(ledger, 2, started_at=midnight, cost_nano=20)
    record(ledger, 3, started_at=NOW + HOUR, cost_nano=300)
    assert spent(ledger, put(ledger, window=window)) == {("acme", midnight): 320}


def test_windows_that_the_balances_know_are_taken_from_them(ledger: Ledger) -> None:
    today = NOW - NOW % DAY
    month = bucket_of(MONTH, NOW)
    for unit, amount in (("usd", 1), ("tokens", 10), ("requests", 100)):
        balance(ledger, "account", "acme", unit, 0, amount * 1_000)
        balance(ledger, "account", "acme", unit, month - DAY, amount * 100)
        balance(ledger, "account", "acme", unit, month, amount)
        balance(ledger, "account", "acme", unit, today, amount * 2)
        balance(ledger, "account", "other", unit, today, 7)
        balance(ledger, "key", "acme", unit, today, 7)
    for unit, amount in ((Unit.USD, 1), (Unit.TOKENS, 10), (Unit.REQUESTS, 100)):
        assert spent(ledger, put(ledger, unit=unit, window=TOTAL)) == {("acme", 0): amount * 1_000}
        assert spent(ledger, put(ledger, unit=unit, window=MONTH)) == {("acme", month): amount * 3}
        assert spent(ledger, put(ledger, unit=unit, window=calendar(Per.DAY))) == {("acme", today): amount * 2}


def test_a_limit_of_a_key_counts_for_each_key_of_that_name_or_id(ledger: Ledger) -> None:
    made = {}
    for account in ("acme", "other"):
        with ledger.write() as connection:
            made[account] = keys.create_key(connection, account=account, name="ci", now=NOW).id
    window = rolling(HOUR)
    now = bucket_of(window, NOW)
    record(ledger, 1, key=made["acme"], cost_nano=5)
    record(ledger, 2, key=made["other"], account="other", cost_nano=6)
    record(ledger, 3, key="key_else", cost_nano=7)
    ours = {(made["acme"], now): 5}
    both = ours | {(made["other"], now): 6}
    assert spent(ledger, put(ledger, scope=Scope.KEY, name="ci", window=window)) == both
    assert spent(ledger, put(ledger, scope=Scope.KEY, name="ci", account="acme", window=window)) == ours
    assert spent(ledger, put(ledger, scope=Scope.KEY, name=made["acme"], window=window)) == ours
    assert spent(ledger, put(ledger, scope=Scope.KEY, name="nobody", window=window)) == {}
    balance(ledger, "key", made["acme"], "usd", 0, 70)
    assert spent(ledger, put(ledger, scope=Scope.KEY, name="ci", window=TOTAL)) == {(made["acme"], 0): 70}
    assert spent(ledger, put(ledger, scope=Scope.KEY, name="nobody", window=TOTAL)) == {}


def test_a_limit_on_models_counts_those_that_its_pattern_takes(ledger: Ledger) -> None:
    with ledger.write() as connection:
        key = keys.create_key(connection, account="acme", name="ci", now=NOW).id
    record(ledger, 1, key=key, model="claude-sonnet", cost_nano=1)
    record(ledger, 2, key=key, model="claude-opus", cost_nano=20)
    record(ledger, 3, key=key, model="CLAUDE-opus", cost_nano=300)
    record(ledger, 4, key=key, model="gpt-5", cost_nano=4_000)
    record(ledger, 5, key=key, model="models/claude-x", cost_nano=50_000)
    balance(ledger, "key", key, "usd", 0, 99_999)
    ours: dict[str, Any] = {"scope": Scope.KEY, "name": "ci", "pattern": "claude-*"}
    for window in (rolling(HOUR), MONTH, TOTAL):
        place = (key, bucket_of(window, NOW))
        assert spent(ledger, put(ledger, window=window, **ours)) == {place: 50_321}
        assert spent(ledger, put(ledger, window=window, unit=Unit.REQUESTS, **ours)) == {place: 4}


def test_a_limit_of_a_provider_counts_attempts_of_everybody(ledger: Ledger) -> None:
    record(ledger, 1, cost_nano=1)
    record(ledger, 2, cost_nano=20, account="other", state="lost")
    record(ledger, 3, cost_nano=300, provider="box")
    ours: dict[str, Any] = {"scope": Scope.PROVIDER, "name": "openai", "window": TOTAL}
    assert spent(ledger, put(ledger, **ours)) == {("openai", 0): 21}
    assert spent(ledger, put(ledger, unit=Unit.REQUESTS, **ours)) == {("openai", 0): 2}


def test_a_limit_of_each_session_counts_for_every_one_by_itself(ledger: Ledger) -> None:
    record(ledger, 1, session="s", cost_nano=1)
    record(ledger, 2, session="s", cost_nano=20)
    record(ledger, 3, session="t", cost_nano=300)
    record(ledger, 4, session="s", cost_nano=4_000, account="other")
    record(ledger, 5, session=None, cost_nano=50_000)
    ours: dict[str, Any] = {"scope": Scope.SESSION, "window": TOTAL}
    everybody = {("acme\x1fs", 0): 21, ("acme\x1ft", 0): 300, ("other\x1fs", 0): 4_000}
    assert spent(ledger, put(ledger, name=EACH, **ours)) == everybody
    assert spent(ledger, put(ledger, name=EACH, account="other", **ours)) == {("other\x1fs", 0): 4_000}
    assert spent(ledger, put(ledger, name="s", account="acme", **ours)) == {("acme\x1fs", 0): 21}
    assert spent(ledger, put(ledger, name=EACH, unit=Unit.REQUESTS, **ours)) == {
        ("acme\x1fs", 0): 2,
        ("acme\x1ft", 0): 1,
        ("other\x1fs", 0): 1,
    }


def test_a_changed_cap_leaves_what_is_counted_alone(ledger: Ledger) -> None:
    made = put(ledger, window=TOTAL)
    balance(ledger, "account", "acme", "usd", 0, 70)
    assert put(ledger, window=TOTAL, cap=1).id == made.id
    assert spent(ledger, made) == {}


def test_a_limit_that_comes_back_counts_what_it_did_and_what_it_missed(ledger: Ledger) -> None:
    window = rolling(HOUR)
    record(ledger, 1, started_at=NOW, cost_nano=5)
    made = put(ledger, window=window)
    first, second = bucket_of(window, NOW), bucket_of(window, NOW + HOUR // 2)
    with ledger.write() as connection:
        connection.execute(tables.limit_balances.update().values(spent=9, held=4))
        limits.remove_limit(connection, made.id, NOW)
    record(ledger, 2, started_at=NOW + HOUR // 2, cost_nano=6)
    again = put(ledger, window=window, now=NOW + HOUR // 2, cap=1)
    assert again.id == made.id
    assert spent(ledger, again) == {("acme", first): 9, ("acme", second): 6}
    record(ledger, 3, started_at=NOW + HOUR // 2, cost_nano=100)
    with ledger.write() as connection:
        limits.remove_limit(connection, made.id, NOW)
    put(ledger, window=window, now=NOW + HOUR // 2)
    assert spent(ledger, again) == {("acme", first): 9, ("acme", second): 106}
    with ledger.reader().connection() as connection:
        held = connection.scalars(sa.select(tables.limit_balances.c.held).order_by(tables.limit_balances.c.spent))
        assert list(held) == [4, 0]
