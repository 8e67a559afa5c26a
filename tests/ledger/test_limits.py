"""Limits of the store: set, changed, removed, and what they count of the time before them, on both engines."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.ledger.rows import NOW

from headgate.ledger import keys, limits, tables
from headgate.ledger.engine import Ledger
from headgate.ledger.errors import InvalidName, LedgerUnusable, OwnedByFile, UnknownName
from headgate.model.limit import EACH, MAX_CAP, Limit, Per, Scope, Unit, Window
from headgate.policy.windows import TOTAL, calendar, rolling

HOUR = 3_600_000_000_000
USD = 1_000_000_000
MONTH = calendar(Per.MONTH)


def a_limit(**changes: Any) -> Limit:
    usual = Limit(id=0, scope=Scope.ACCOUNT, name="acme", unit=Unit.USD, window=MONTH, cap=50 * USD)
    return msgspec.structs.replace(usual, **changes)


def put(ledger: Ledger, now: int = NOW, **changes: Any) -> Limit:
    with ledger.write() as connection:
        return limits.set_limit(connection, a_limit(**changes), now)


def in_force(ledger: Ledger, *, everything: bool = False) -> list[Limit]:
    with ledger.reader().connection() as connection:
        return limits.list_limits(connection, everything=everything)


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
