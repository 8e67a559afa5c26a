"""How limits stand: for a key, for an account, for operators; what is held and lost in all. On both engines."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.ledger.rows import DAY, NOW, attempt_row, call_row
from tests.ledger.test_limits import HOUR, USD, put

from headgate.ledger import accounts, keys, limit_views, limits, tables
from headgate.ledger.engine import Ledger
from headgate.ledger.errors import InvalidName, NameTaken, OwnedByFile, UnknownName
from headgate.ledger.limit_views import Total
from headgate.model.limit import EACH, Applied, HoldFacts, Limit, Per, Scope, Standing, Unit
from headgate.policy.windows import TOTAL, bucket_of, calendar, resets_at, rolling


def a_key(ledger: Ledger, name: str, account: str = "acme") -> str:
    with ledger.write() as connection:
        return keys.create_key(connection, account=account, name=name, now=NOW).id


def use(ledger: Ledger, limit: Limit, subject: str, spent: int, held: int = 0, bucket: int | None = None) -> None:
    start = bucket_of(limit.window, NOW) if bucket is None else bucket
    row = {"limit_id": limit.id, "subject": subject, "bucket_start": start, "spent": spent, "held": held}
    with ledger.write() as connection:
        connection.execute(tables.limit_balances.insert().values(row))


def ask(ledger: Ledger, question: Any, *args: Any) -> Any:
    with ledger.reader().connection() as connection:
        return question(connection, *args)


def test_a_key_sees_its_own_limits_and_its_accounts(ledger: Ledger) -> None:
    ci, other = a_key(ledger, "ci"), a_key(ledger, "ci", "other")
    account = put(ledger)
    by_name = put(ledger, scope=Scope.KEY, name="ci")
    by_id = put(ledger, scope=Scope.KEY, name=ci, pattern="claude-*")
    of_acme = put(ledger, scope=Scope.KEY, name="ci", account="acme")
    put(ledger, name="other")
    put(ledger, scope=Scope.KEY, name="ci", account="other")
    put(ledger, scope=Scope.KEY, name="cd")
    put(ledger, scope=Scope.PROVIDER, name="acme")
    put(ledger, scope=Scope.SESSION, name=EACH)
    gone = put(ledger, unit=Unit.TOKENS)
    with ledger.write() as connection:
        limits.remove_limit(connection, gone.id, NOW)
    found = ask(ledger, limit_views.of_key, "acme", ci)
    expected = [Applied(account, "acme"), Applied(by_name, ci), Applied(by_id, ci), Applied(of_acme, ci)]
    assert sorted(found, key=lambda one: one.limit.id) == expected
    assert {one.subject for one in ask(ledger, limit_views.of_key, "other", other)} == {"other", other}
    assert ask(ledger, limit_views.of_key, "nobody", "nobody") == []


def test_an_account_sees_the_limits_of_all_its_keys(ledger: Ledger) -> None:
    ci, cd, old = a_key(ledger, "ci"), a_key(ledger, "cd"), a_key(ledger, "old")
    a_key(ledger, "ci", "other")
    with ledger.write() as connection:
        keys.revoke_key(connection, old, now=NOW)
    account = put(ledger)
    named = put(ledger, scope=Scope.KEY, name="ci")
    by_id = put(ledger, scope=Scope.KEY, name=cd)
    put(ledger, scope=Scope.KEY, name="old")
    put(ledger, scope=Scope.KEY, name="ci", account="other")
    found = ask(ledger, limit_views.of_account, "acme")
    assert sorted(found, key=lambda one: one.limit.id) == [
        Applied(account, "acme"),
        Applied(named, ci),
        Applied(by_id, cd),
    ]


def test_what_stands_is_the_sum_over_the_open_window(ledger: Ledger) -> None:
    day, slide, total = (
        put(ledger, window=calendar(Per.DAY)),
        put(ledger, window=rolling(HOUR)),
        put(ledger, window=TOTAL),
    )
    at_once = put(ledger, unit=Unit.CONCURRENCY, window=TOTAL, cap=5)
    use(ledger, day, "acme", 1, 2)
    use(ledger, day, "acme", 70, 80, bucket=bucket_of(day.window, NOW - DAY))
    use(ledger, slide, "acme", 10, 20)
    use(ledger, slide, "acme", 100, 0, bucket=bucket_of(slide.window, NOW - HOUR // 2))
    use(ledger, slide, "acme", 7_000, 0, bucket=bucket_of(slide.window, NOW - 2 * HOUR))
    use(ledger, slide, "acme", 1_000, 0, bucket=bucket_of(slide.window, NOW + HOUR))
    use(ledger, total, "acme", 40, 0)
    use(ledger, total, "other", 90, 0)
    use(ledger, at_once, "acme", 0, 3)
    applied = [Applied(limit, "acme") for limit in (total, day, slide, at_once)] + [Applied(day, "nobody")]
    assert ask(ledger, limit_views.standings, applied, NOW) == [
        Standing(total, "acme", 40, 0, None),
        Standing(day, "acme", 1, 2, resets_at(day.window, NOW)),
        Standing(slide, "acme", 1_110, 20, None),
        Standing(at_once, "acme", 0, 3, None),
        Standing(day, "nobody", 0, 0, resets_at(day.window, NOW)),
    ]


def test_the_fullest_come_first_and_sessions_are_few(ledger: Ledger) -> None:
    ci, cd = a_key(ledger, "ci"), a_key(ledger, "ci", "other")
    half = put(ledger, cap=10 * USD)
    closed = put(ledger, name="closed", cap=0)
    of_keys = put(ledger, scope=Scope.KEY, name="ci", cap=100, unit=Unit.REQUESTS)
    empty = put(ledger, scope=Scope.PROVIDER, name="box")
    put(ledger, scope=Scope.KEY, name="nobody")
    each = put(ledger, scope=Scope.SESSION, name=EACH, cap=1_000, window=TOTAL)
    use(ledger, half, "acme", 2 * USD, 3 * USD)
    use(ledger, of_keys, ci, 99)
    for number in range(30):
        use(ledger, each, f"acme\x1fs{number:02}", 10 * number)
    found = ask(ledger, limit_views.fullest, NOW, 5)
    told = [(one.limit.id, one.subject) for one in found]
    assert told == [
        (closed.id, "closed"),
        (of_keys.id, ci),
        (half.id, "acme"),
        *((each.id, f"acme\x1fs{n}") for n in (29, 28)),
    ]
    whole = ask(ledger, limit_views.fullest, NOW, 1_000)
    assert [(one.limit.id, one.subject) for one in whole[-3:]] == [
        (of_keys.id, cd),
        (empty.id, "box"),
        (each.id, "acme\x1fs00"),
    ]
    assert len(whole) == 35


def test_more_limits_than_one_statement_takes_are_asked_in_parts(ledger: Ledger) -> None:
    with ledger.write() as connection:
        made = [limits.place(connection, a_small(number), NOW) for number in range(900)]
    use(ledger, made[899], "a899", 5)
    found = ask(ledger, limit_views.fullest, NOW, 2_000)
    assert len(found) == 900
    assert (found[0].limit.id, found[0].spent) == (made[899].id, 5)


def a_small(number: int) -> Limit:
    return Limit(0, Scope.ACCOUNT, f"a{number}", Unit.TOKENS, TOTAL, 10)


def test_names_of_keys_are_told_by_their_ids(ledger: Ledger) -> None:
    ci = a_key(ledger, "ci")
    assert ask(ledger, limit_views.key_names, [ci, "key_gone", ci]) == {ci: limit_views.KeyName("acme", "ci")}


@pytest.mark.parametrize("known", [5_000, None])
def test_what_is_held_is_told_in_all(ledger: Ledger, known: int | None) -> None:
    assert ask(ledger, limit_views.held_totals) == Total(0, 0)
    facts = HoldFacts(
        account="acme",
        key="key_ci",
        session=None,
        endpoint="chat/completions",
        model_asked="fast",
        call_model="fast",
        stream=True,
        call_started_at=NOW,
        provider="openai",
        upstream_name="gpt",
        backend="",
        model="gpt",
        started_at=NOW,
        input=1,
        output=2,
        nano=known,
        entries=(),
    )
    rows = [("a", 1, facts), ("b", 2, msgspec.structs.replace(facts, nano=70)), ("b", 0, facts)]
    with ledger.write() as connection:
        for call, no, one in rows:
            connection.execute(
                tables.holds.insert().values(
                    call=call, no=no, incarnation=1, at=NOW, facts=msgspec.json.encode(one).decode()
                )
            )
    assert ask(ledger, limit_views.held_totals) == Total(2, 70 + (known or 0))


def test_what_is_lost_is_told_with_its_corrections(ledger: Ledger) -> None:
    assert ask(ledger, limit_views.lost_totals) == Total(0, 0)
    with ledger.write() as connection:
        for number, cost, state in ((1, 100, "lost"), (2, None, "lost"), (3, 9_000, "settled")):
            row = attempt_row(number, cost_nano=cost, state=state)
            connection.execute(tables.calls.insert(), [msgspec.structs.asdict(call_row(number))])
            connection.execute(tables.attempts.insert(), [msgspec.structs.asdict(row)])
            if state == "lost":
                connection.execute(tables.lost_holds.insert().values(call=row.call, no=1, facts="{}"))
        for call, delta in (("call-1", -30), ("call-1", -20), ("call-3", -1)):
            values = {"call": call, "no": 1, "at": NOW, "delta_nano": delta, "target_nano": 0}
            connection.execute(tables.adjustments.insert().values(**values, reason="bill", author="ops"))
    assert ask(ledger, limit_views.lost_totals) == Total(2, 50)


def test_accounts_are_created_listed_and_told(ledger: Ledger) -> None:
    before = ledger.reader().epoch()
    with ledger.write() as connection:
        accounts.create_account(connection, "zeta", now=NOW)
    assert ledger.reader().epoch() > before
    a_key(ledger, "ci")
    old = a_key(ledger, "old")
    with ledger.write() as connection:
        keys.revoke_key(connection, old, now=NOW)
    acme, zeta = ask(ledger, accounts.list_accounts)
    assert (acme.name, acme.keys, acme.source) == ("acme", 1, "store")
    assert zeta == accounts.Account("zeta", "store", NOW, 0) == ask(ledger, accounts.get_account, "zeta")
    with pytest.raises(NameTaken, match="accounts list"), ledger.write() as connection:
        accounts.create_account(connection, "acme", now=NOW)
    with pytest.raises(UnknownName, match="accounts list"):
        ask(ledger, accounts.get_account, "z%")
    for name in ("anonymous", "", "a\x1fb"):
        with pytest.raises(InvalidName), ledger.write() as connection:
            accounts.create_account(connection, name, now=NOW)


def test_models_and_end_of_a_key_can_be_changed(ledger: Ledger) -> None:
    key = a_key(ledger, "ci")
    before = ledger.reader().epoch()
    with ledger.write() as connection:
        keys.update_key(connection, key, allowed_models=["gpt-*"], expires_at=NOW + HOUR)
    [info] = ledger.reader().keys(NOW)
    assert (info.allowed_models, info.expires_at) == (("gpt-*",), NOW + HOUR)
    assert ledger.reader().epoch() > before
    with ledger.write() as connection:
        keys.update_key(connection, key, expires_at=None)
    [info] = ledger.reader().keys(NOW)
    assert (info.allowed_models, info.expires_at) == (("gpt-*",), None)
    with ledger.write() as connection:
        keys.update_key(connection, key, allowed_models=None)
    assert ledger.reader().keys(NOW)[0].allowed_models is None
    with pytest.raises(InvalidName), ledger.write() as connection:
        keys.update_key(connection, key, allowed_models=[""])
    with ledger.write() as connection:
        keys.revoke_key(connection, key, now=NOW)
    with pytest.raises(UnknownName, match="revoked"), ledger.write() as connection:
        keys.update_key(connection, key, expires_at=None)
    with ledger.write() as connection:
        connection.execute(tables.keys.update().values(source="file"))
    with pytest.raises(OwnedByFile), ledger.write() as connection:
        keys.update_key(connection, key, expires_at=None)
