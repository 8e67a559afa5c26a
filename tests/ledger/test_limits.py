"""Limits of the store: set, changed, removed, and what they count of the time before them, on both engines."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from tests.ledger.rows import DAY, NOW, attempt_row, call_row

from headgate.ledger import keys, limits, tables
from headgate.ledger.engine import Ledger
from headgate.ledger.errors import InvalidName, LedgerUnusable, OwnedByFile, UnknownName
from headgate.model.limit import EACH, MAX_CAP, Limit, Per, Scope, Unit, Window
from headgate.policy.windows import TOTAL, bucket_of, calendar, rolling, width

HOUR = 3_600_000_000_000
USD = 1_000_000_000
MONTH = calendar(Per.MONTH)
Rows = dict[tuple[str, int], int]


def a_limit(**changes: Any) -> Limit:
    usual = Limit(id=0, scope=Scope.ACCOUNT, name="acme", unit=Unit.USD, window=MONTH, cap=50 * USD)
    return msgspec.structs.replace(usual, **changes)


def put(ledger: Ledger, now: int = NOW, **changes: Any) -> Limit:
    with ledger.write() as connection:
        return limits.set_limit(connection, a_limit(**changes), now)


def in_force(ledger: Ledger, *, everything: bool = False) -> list[Limit]:
    with ledger.reader().connection() as connection:
        return limits.list_limits(connection, everything=everything)


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


def test_a_limit_is_set_changed_and_removed(ledger: Ledger) -> None:
    made = put(ledger)
    assert in_force(ledger) == [made]
    assert made == a_limit(id=made.id)
    changed = put(ledger, cap=3, clamp=True)
    assert in_force(ledger) == [changed]
    assert (changed.id, changed.cap, changed.clamp) == (made.id, 3, True)
    with ledger.write() as connection:
        assert limits.remove_limit(connection, a_limit(cap=7), NOW) == made.id
    assert in_force(ledger) == []
    assert in_force(ledger, everything=True) == [changed]
    assert put(ledger).id == made.id
    with ledger.write() as connection:
        limits.remove_limit(connection, made.id, NOW)
    assert in_force(ledger) == []


@pytest.mark.parametrize(
    "other",
    [
        {"scope": Scope.KEY},
        {"scope": Scope.KEY, "account": "acme"},
        {"scope": Scope.KEY, "pattern": "claude-*"},
        {"scope": Scope.PROVIDER},
        {"scope": Scope.SESSION, "name": EACH},
        {"name": "other"},
        {"unit": Unit.TOKENS},
        {"window": TOTAL},
        {"window": rolling(24 * HOUR)},
        {"window": calendar(Per.DAY)},
        {"window": calendar(Per.MONTH, "Europe/Berlin")},
    ],
)
def test_what_differs_in_scope_unit_or_window_is_another_limit(ledger: Ledger, other: dict[str, Any]) -> None:
    first, second = put(ledger), put(ledger, **other)
    assert first.id != second.id
    assert {limit.id: limit for limit in in_force(ledger)} == {first.id: first, second.id: second}


def test_every_change_advances_the_epoch(ledger: Ledger) -> None:
    seen = [ledger.reader().epoch()]
    made = put(ledger)
    seen.append(ledger.reader().epoch())
    put(ledger, cap=1)
    seen.append(ledger.reader().epoch())
    with ledger.write() as connection:
        limits.remove_limit(connection, made.id, NOW)
    seen.append(ledger.reader().epoch())
    assert seen == sorted(set(seen))


def test_a_limit_of_the_configuration_file_is_read_only(ledger: Ledger) -> None:
    with ledger.write() as connection:
        made = limits.place(connection, a_limit(source="file"), NOW)
    with pytest.raises(OwnedByFile, match="change it there"):
        put(ledger, cap=1)
    for which in (made.id, made):
        with ledger.write() as connection, pytest.raises(OwnedByFile, match="remove it there"):
            limits.remove_limit(connection, which, NOW)
    assert in_force(ledger) == [made]
    with ledger.write() as connection:
        limits.withdraw(connection, made.id, NOW)
    assert put(ledger).source == "store"


def test_what_is_not_there_cannot_be_removed(ledger: Ledger) -> None:
    made = put(ledger)
    with ledger.write() as connection:
        limits.remove_limit(connection, made.id, NOW)
    for which in (made.id, made, 0, -1, made.id + 1, 2**63, 10**30):
        with ledger.write() as connection, pytest.raises(UnknownName, match="headgate limits list"):
            limits.remove_limit(connection, which, NOW)


@pytest.mark.parametrize(
    "bad",
    [
        {"cap": -1},
        {"cap": MAX_CAP + 1},
        {"name": ""},
        {"name": " a"},
        {"name": "a\x1fb"},
        {"name": "x" * 201},
        {"name": "anonymous"},
        {"scope": Scope.KEY, "account": "anonymous"},
        {"scope": Scope.KEY, "account": "a\0"},
        {"scope": Scope.KEY, "pattern": "a\n"},
        {"account": "other"},
        {"pattern": "gpt-*"},
        {"scope": Scope.PROVIDER, "account": "acme"},
        {"scope": Scope.PROVIDER, "pattern": "gpt-*"},
        {"scope": Scope.SESSION, "name": "s-1"},
        {"unit": Unit.CONCURRENCY},
    ],
    ids=str,
)
def test_a_limit_that_cannot_be_is_refused_and_leaves_nothing(ledger: Ledger, bad: dict[str, Any]) -> None:
    before = ledger.reader().epoch()
    with pytest.raises(InvalidName):
        put(ledger, **bad)
    assert in_force(ledger, everything=True) == []
    assert ledger.reader().epoch() == before


def test_caps_of_nothing_and_of_all_are_kept(ledger: Ledger) -> None:
    assert put(ledger, cap=0).cap == 0
    put(ledger, name="rich", cap=MAX_CAP)
    assert {limit.cap for limit in in_force(ledger)} == {0, MAX_CAP}


def test_names_with_wildcards_or_sql_are_only_names(ledger: Ledger) -> None:
    record(ledger, 1, account="acme")
    names = ["%", "_cme", "*", "a'; DROP TABLE limits; --", '"', "日本"]
    for name in names:
        made = put(ledger, name=name, window=rolling(24 * HOUR))
        assert spent(ledger, made) == {}
        assert put(ledger, scope=Scope.KEY, name=name, window=rolling(24 * HOUR)).name == name
    assert {limit.name for limit in in_force(ledger)} == set(names)


def test_a_window_that_this_machine_does_not_know_stops_those_who_hold_by_it(ledger: Ledger) -> None:
    made = put(ledger)
    with ledger.write() as connection:
        connection.execute(tables.limits.update().values(zone="Mars/Olympus"))
    with ledger.reader().connection() as connection, pytest.raises(LedgerUnusable, match="tzdata") as caught:
        limits.load_limits(connection)
    assert f"headgate limits remove {made.id}" in str(caught.value)


def test_a_window_that_this_machine_does_not_know_can_be_removed(ledger: Ledger) -> None:
    made = put(ledger)
    with ledger.write() as connection:
        connection.execute(tables.limits.update().values(zone="Mars/Olympus"))
    with ledger.write() as connection:
        limits.remove_limit(connection, made.id, NOW)
    assert in_force(ledger) == []


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
    balance(ledger, "key", key, "usd", 0, 99_999)
    ours: dict[str, Any] = {"scope": Scope.KEY, "name": "ci", "pattern": "claude-*"}
    for window in (rolling(HOUR), MONTH, TOTAL):
        place = (key, bucket_of(window, NOW))
        assert spent(ledger, put(ledger, window=window, **ours)) == {place: 21}
        assert spent(ledger, put(ledger, window=window, unit=Unit.REQUESTS, **ours)) == {place: 2}


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


def test_the_store_refuses_a_window_it_could_not_read_back() -> None:
    with pytest.raises(InvalidName, match="no window"):
        limits.checked(a_limit(unit=Unit.CONCURRENCY, window=Window(Per.DAY, "day")))


def test_terms_are_the_epoch_the_identities_and_the_limits_in_force(ledger: Ledger) -> None:
    made = put(ledger)
    with ledger.write() as connection:
        new = keys.create_key(connection, account="acme", name="ci", now=NOW)
    epoch, identities, loaded = ledger.reader().terms(NOW)
    assert epoch == ledger.reader().epoch()
    assert set(identities) == {keys.hash_secret(new.secret)}
    assert loaded == [made]
    with ledger.write() as connection:
        limits.remove_limit(connection, made.id, NOW)
    later, *rest = ledger.reader().terms(NOW)
    assert later > epoch
    assert rest == [identities, []]


def test_a_slip_of_the_pen_in_an_owners_name_is_told(ledger: Ledger) -> None:
    with ledger.write() as connection:
        key = keys.create_key(connection, account="acme", name="ci", now=NOW).id
    for known in (
        a_limit(),
        a_limit(scope=Scope.KEY, name="ci"),
        a_limit(scope=Scope.KEY, name=key, account="acme"),
        a_limit(scope=Scope.SESSION, name=EACH),
        a_limit(scope=Scope.SESSION, name="s-1", account="acme"),
        a_limit(scope=Scope.PROVIDER, name="openai"),
    ):
        with ledger.reader().connection() as connection:
            limits.check_owner(connection, known)
    for unknown, said in (
        (a_limit(name="acm"), "accounts list"),
        (a_limit(scope=Scope.KEY, name="c%"), "keys list"),
        (a_limit(scope=Scope.KEY, name="ci", account="other"), "accounts list"),
        (a_limit(scope=Scope.SESSION, name=EACH, account="other"), "accounts list"),
    ):
        with ledger.reader().connection() as connection, pytest.raises(UnknownName, match=said):
            limits.check_owner(connection, unknown)
