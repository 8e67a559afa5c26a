"""What the file owns, put in force in the ledger."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
import sqlalchemy as sa
from tests.ledger.rows import NOW

from headgate.ledger import keys, tables
from headgate.ledger.engine import Ledger, open_ledger
from headgate.ledger.errors import OwnedByFile, OwnedByStore
from headgate.ledger.keys import KeyInfo, hash_secret
from headgate.ledger.limits import list_limits, remove_limit, set_limit
from headgate.ledger.owned import adopt, put_in_force
from headgate.model.limit import Limit, Per, Scope, Unit
from headgate.model.owned import Owned, OwnedKey
from headgate.policy.windows import TOTAL, calendar, rolling

HOUR = 3_600_000_000_000
FIRST, SECOND, THIRD = "first-secret-of-the-tests", "second-secret-of-the-tests", "third-secret-of-the-tests"
LIMIT = Limit(0, Scope.ACCOUNT, "acme", Unit.USD, TOTAL, 50, source="file")
DAILY = Limit(0, Scope.KEY, "ci", Unit.TOKENS, calendar(Per.DAY, "Europe/Berlin"), 7, "acme", "gpt-*", source="file")
ROLLING = Limit(0, Scope.PROVIDER, "openai", Unit.REQUESTS, rolling(24 * HOUR), 9, source="file")


def key(name: str = "ci", secret: str = FIRST, account: str = "acme", **more: object) -> OwnedKey:
    return OwnedKey(account, name, hash_secret(secret), secret[:3], **more)  # type: ignore[arg-type]


def of(*, accounts: Sequence[str] = (), keys: Sequence[OwnedKey] = (), limits: Sequence[Limit] = ()) -> Owned:
    return Owned(tuple(accounts), tuple(keys), tuple(limits))


def put(ledger: Ledger, owned: Owned, now: int = NOW) -> bool:
    return adopt(ledger, owned, now)


def who(ledger: Ledger, secret: str, now: int = NOW) -> tuple[str, str] | None:
    """Return account and key's id of whom a secret stands for."""
    with ledger.reader().connection() as connection:
        identity = keys.load_identities(connection, now=now).get(hash_secret(secret))
    return None if identity is None else (identity.principal.account, identity.principal.key)


def infos(ledger: Ledger) -> dict[str, KeyInfo]:
    return {info.name: info for info in ledger.reader().keys(NOW)}


def in_force(ledger: Ledger) -> list[Limit]:
    with ledger.reader().connection() as connection:
        return list_limits(connection)


def ids(ledger: Ledger) -> dict[tuple[str, str], int]:
    return {(limit.scope.value, limit.name): limit.id for limit in in_force(ledger)}


def accounts(ledger: Ledger) -> dict[str, str]:
    with ledger.reader().connection() as connection:
        return {row.name: row.source for row in connection.execute(sa.select(tables.accounts))}


def epoch(ledger: Ledger) -> int:
    return ledger.reader().epoch()


def without_ids(limits: list[Limit]) -> list[Limit]:
    return [msgspec.structs.replace(limit, id=0) for limit in limits]


def test_what_the_file_owns_is_in_the_ledger_and_marked_as_the_files(ledger: Ledger) -> None:
    first = key(allowed_models=("gpt-*",), expires_at=NOW + HOUR)
    assert put(ledger, of(accounts=["acme", "idle"], keys=[first], limits=[LIMIT, DAILY, ROLLING]))
    assert accounts(ledger) == {"acme": "file", "idle": "file"}
    made = infos(ledger)["ci"]
    assert (made.account, made.source, made.allowed_models, made.expires_at) == (
        "acme",
        "file",
        ("gpt-*",),
        NOW + HOUR,
    )
    assert made.prefixes == ("fir",)
    assert who(ledger, FIRST) == ("acme", made.id)
    assert who(ledger, FIRST, NOW + HOUR) is None
    assert sorted(without_ids(in_force(ledger)), key=str) == sorted([LIMIT, DAILY, ROLLING], key=str)


def test_the_epoch_moves_with_a_change_and_only_then(ledger: Ledger) -> None:
    base = of(accounts=["acme"], keys=[key()], limits=[LIMIT, DAILY])
    steps = [
        base,
        of(accounts=["acme", "b"], keys=[key()], limits=[LIMIT, DAILY]),
        of(accounts=["acme", "b"], keys=[key(expires_at=NOW + 1)], limits=[LIMIT, DAILY]),
        of(accounts=["acme", "b"], keys=[key(allowed_models=("x",))], limits=[LIMIT, DAILY]),
        of(accounts=["acme", "b"], keys=[key(secret=SECOND)], limits=[LIMIT, DAILY]),
        of(accounts=["acme", "b"], keys=[key(secret=SECOND)], limits=[msgspec.structs.replace(LIMIT, cap=51), DAILY]),
        of(accounts=["acme", "b"], keys=[key(secret=SECOND)], limits=[msgspec.structs.replace(LIMIT, clamp=True)]),
        of(accounts=["acme", "b"], keys=[], limits=[msgspec.structs.replace(LIMIT, clamp=True)]),
        of(accounts=["acme"], keys=[], limits=[msgspec.structs.replace(LIMIT, clamp=True)]),
        Owned(),
    ]
    for owned in steps:
        before = epoch(ledger)
        assert put(ledger, owned) is True
        moved = epoch(ledger)
        assert moved > before
        assert put(ledger, owned, NOW + 1) is False
        assert epoch(ledger) == moved
    assert put(ledger, base)


def test_a_key_keeps_its_id_when_its_secret_changes_and_the_old_one_ends_at_once(ledger: Ledger) -> None:
    put(ledger, of(keys=[key()]))
    before = infos(ledger)["ci"].id
    put(ledger, of(keys=[key(secret=SECOND)]), NOW + 1)
    assert who(ledger, SECOND) == ("acme", before)
    assert who(ledger, FIRST) is None
    put(ledger, of(keys=[key()]), NOW + 2)
    assert who(ledger, FIRST) == ("acme", before)
    assert who(ledger, SECOND) is None


def test_a_key_that_the_file_drops_is_revoked_and_comes_back_as_it_was(ledger: Ledger) -> None:
    put(ledger, of(accounts=["acme"], keys=[key()]))
    before = infos(ledger)["ci"].id
    put(ledger, Owned(), NOW + 1)
    assert who(ledger, FIRST) is None
    assert infos(ledger)["ci"].revoked_at == NOW + 1
    put(ledger, of(accounts=["acme"], keys=[key()]), NOW + 2)
    assert who(ledger, FIRST) == ("acme", before)
    assert infos(ledger)["ci"].revoked_at is None


def test_keys_may_change_names_or_secrets_among_each_other(ledger: Ledger) -> None:
    put(ledger, of(keys=[key("a", FIRST), key("b", SECOND)]))
    a, b = infos(ledger)["a"].id, infos(ledger)["b"].id
    put(ledger, of(keys=[key("a", SECOND), key("b", FIRST)]))
    assert (who(ledger, FIRST), who(ledger, SECOND)) == (("acme", b), ("acme", a))
    put(ledger, of(keys=[key("renamed", SECOND), key("b", FIRST)]))
    renamed = infos(ledger)["renamed"]
    assert who(ledger, SECOND) == ("acme", renamed.id)
    assert (renamed.id, infos(ledger)["a"].prefixes) != (a, ("sec",))
    assert infos(ledger)["a"].revoked_at is not None


def test_a_limit_keeps_its_balances_over_removal_and_takes_its_new_cap(ledger: Ledger) -> None:
    put(ledger, of(limits=[LIMIT]))
    (made,) = in_force(ledger)
    with ledger.write() as connection:
        connection.execute(
            tables.limit_balances.insert().values(limit_id=made.id, subject="acme", bucket_start=0, spent=33, held=4)
        )
    put(ledger, Owned(), NOW + 1)
    assert in_force(ledger) == []
    put(ledger, of(limits=[msgspec.structs.replace(LIMIT, cap=60, clamp=True)]), NOW + 2)
    (again,) = in_force(ledger)
    assert (again.id, again.cap, again.clamp, again.source) == (made.id, 60, True, "file")
    with ledger.reader().connection() as connection:
        (balance,) = connection.execute(sa.select(tables.limit_balances)).all()
    assert (balance.spent, balance.held) == (33, 4)


def test_other_windows_and_zones_are_other_limits(ledger: Ledger) -> None:
    elsewhere = msgspec.structs.replace(DAILY, window=calendar(Per.DAY, "America/New_York"))
    put(ledger, of(limits=[DAILY, elsewhere]))
    assert len({limit.id for limit in in_force(ledger)}) == 2
    put(ledger, of(limits=[elsewhere]))
    assert without_ids(in_force(ledger)) == [elsewhere]


def test_what_was_spent_before_counts_in_a_new_limit_of_the_file(ledger: Ledger) -> None:
    total = {"scope": "account", "scope_id": "acme", "unit": "usd", "bucket_start": tables.TOTAL_BUCKET}
    with ledger.write() as connection:
        connection.execute(tables.balances.insert().values(**total, spent=12, held=0))
    put(ledger, of(limits=[LIMIT]))
    with ledger.reader().connection() as connection:
        assert connection.scalars(sa.select(tables.limit_balances.c.spent)).all() == [12]


def test_what_belongs_to_the_store_is_never_taken_and_all_of_it_is_named(ledger: Ledger) -> None:
    with ledger.write() as connection:
        made = keys.create_key(connection, account="acme", name="ci", now=NOW)
        taken = set_limit(connection, msgspec.structs.replace(LIMIT, cap=40 * 10**9), NOW)
    before = epoch(ledger)
    claimed = of(
        accounts=["acme", "new"],
        keys=[key(), key("thief", made.secret)],
        limits=[msgspec.structs.replace(LIMIT, cap=50 * 10**9), DAILY],
    )
    with pytest.raises(OwnedByStore) as caught:
        put(ledger, claimed)
    said = caught.value.conflicts
    assert len(said) == 4
    assert "'acme' stands under accounts:" in said[0]
    assert f"headgate keys revoke {made.id}" in said[1]
    assert f"secret of the ledger's key 'ci' of account 'acme' ({made.id})" in said[2]
    assert "with 50 USD, and belongs to the ledger already with 40 USD. " in said[3]
    assert f"headgate limits remove {taken.id}" in said[3]
    assert made.secret not in str(caught.value)
    assert epoch(ledger) == before
    assert accounts(ledger) == {"acme": "store"}
    assert [info.name for info in infos(ledger).values()] == ["ci"]
    assert [limit.cap for limit in in_force(ledger)] == [40 * 10**9]


def test_what_the_store_has_ended_the_file_may_have(ledger: Ledger) -> None:
    with ledger.write() as connection:
        made = keys.create_key(connection, account="acme", name="ci", now=NOW)
        taken = set_limit(connection, LIMIT, NOW)
    with ledger.write() as connection:
        keys.revoke_key(connection, made.id, now=NOW)
        remove_limit(connection, taken.id, NOW)
    put(ledger, of(keys=[key()], limits=[LIMIT]), NOW + 1)
    assert who(ledger, FIRST) == ("acme", made.id)
    assert who(ledger, made.secret) is None
    assert [(limit.id, limit.source) for limit in in_force(ledger)] == [(taken.id, "file")]


def test_a_revoked_secret_of_the_store_stays_void_under_another_name(ledger: Ledger) -> None:
    with ledger.write() as connection:
        made = keys.create_key(connection, account="acme", name="leaked", now=NOW)
        keys.revoke_key(connection, made.id, now=NOW)
    with pytest.raises(OwnedByStore, match="Give it another secret"):
        put(ledger, of(keys=[key("fresh", made.secret)]))
    assert who(ledger, made.secret) is None


def test_an_account_of_the_store_may_be_named_by_keys_and_limits(ledger: Ledger) -> None:
    with ledger.write() as connection:
        keys.create_key(connection, account="acme", name="people", now=NOW)
    put(ledger, of(keys=[key()], limits=[LIMIT]))
    assert accounts(ledger) == {"acme": "store"}
    put(ledger, Owned())
    assert accounts(ledger) == {"acme": "store"}
    assert infos(ledger)["people"].revoked_at is None


def test_an_account_that_is_mentioned_may_be_claimed_later(ledger: Ledger) -> None:
    put(ledger, of(limits=[LIMIT]))
    assert accounts(ledger) == {"acme": "file"}
    put(ledger, of(accounts=["acme"], keys=[key()], limits=[LIMIT]))
    put(ledger, Owned())
    assert accounts(ledger) == {"acme": "file"}, "its key's row names it"
    put(ledger, of(accounts=["acme"]))


def test_an_account_without_any_key_goes_with_its_line(ledger: Ledger) -> None:
    put(ledger, of(accounts=["acme", "other"], limits=[LIMIT]))
    put(ledger, of(accounts=["other"]))
    assert accounts(ledger) == {"other": "file"}


def test_store_keys_of_a_files_account_stay_the_stores(ledger: Ledger) -> None:
    put(ledger, of(accounts=["acme"]))
    with ledger.write() as connection:
        made = keys.create_key(connection, account="acme", name="people", now=NOW)
    put(ledger, Owned())
    assert who(ledger, made.secret) == ("acme", made.id)


def test_what_is_the_files_is_read_only_elsewhere(ledger: Ledger) -> None:
    put(ledger, of(keys=[key()], limits=[LIMIT]))
    made, (limit,) = infos(ledger)["ci"], in_force(ledger)
    with ledger.write() as connection:
        with pytest.raises(OwnedByFile):
            keys.rotate_key(connection, made.id, now=NOW)
        with pytest.raises(OwnedByFile):
            keys.revoke_key(connection, made.id, now=NOW)
        with pytest.raises(OwnedByFile):
            set_limit(connection, msgspec.structs.replace(LIMIT, cap=1), NOW)
        with pytest.raises(OwnedByFile):
            remove_limit(connection, limit.id, NOW)
    assert in_force(ledger) == [limit]


def test_limits_of_the_store_are_left_alone(ledger: Ledger) -> None:
    with ledger.write() as connection:
        made = set_limit(connection, msgspec.structs.replace(ROLLING, source="store"), NOW)
    put(ledger, of(limits=[LIMIT]))
    put(ledger, Owned())
    assert in_force(ledger) == [made]


def test_names_are_only_names(ledger: Ledger) -> None:
    names = ["'; DROP TABLE keys; --", '"', "%", "_", "*", "日本語 ключ", "x" * 200]
    secrets = [f"secret-{number}-of-the-tests" for number in range(len(names))]
    owned = of(
        accounts=names,
        keys=[key(name, secret, name) for name, secret in zip(names, secrets, strict=True)],
        limits=[msgspec.structs.replace(LIMIT, name=name) for name in names],
    )
    put(ledger, owned)
    assert put(ledger, owned) is False
    assert sorted(accounts(ledger)) == sorted(names)
    assert sorted(limit.name for limit in in_force(ledger)) == sorted(names)
    put(ledger, of(accounts=names[:1], keys=owned.keys[:1], limits=owned.limits[:1]))
    assert [name for name, info in infos(ledger).items() if info.revoked_at is None] == names[:1]


def test_a_failure_leaves_nothing_half_done(ledger: Ledger) -> None:
    put(ledger, of(keys=[key()], limits=[LIMIT]))
    before = epoch(ledger)
    with pytest.raises(ZeroDivisionError), ledger.write() as connection:  # noqa: PT012  what came first must go too
        put_in_force(connection, of(keys=[key("other", SECOND)]), NOW)
        _ = 1 // 0
    assert epoch(ledger) == before
    assert who(ledger, FIRST) is not None
    assert who(ledger, SECOND) is None
    assert len(in_force(ledger)) == 1


def test_replicas_that_start_at_once_make_everything_once(ledger: Ledger, ledger_url: str) -> None:
    owned = of(
        accounts=["acme"],
        keys=[key(f"k{number}", f"secret-{number}-of-the-tests") for number in range(5)],
        limits=[msgspec.structs.replace(LIMIT, name=f"a{number}") for number in range(5)],
    )

    def start(_: int) -> bool:
        own = open_ledger(ledger_url)
        try:
            return adopt(own, owned, NOW)
        finally:
            own.close()

    with ThreadPoolExecutor(4) as pool:
        changed = list(pool.map(start, range(4)))
    assert changed.count(True) == 1
    assert len(infos(ledger)) == len(in_force(ledger)) == 5


def test_of_two_files_at_once_the_later_is_in_force_whole(ledger: Ledger) -> None:
    put(ledger, of(keys=[key()], limits=[LIMIT]))
    with ThreadPoolExecutor(1) as pool:
        with ledger.write() as connection:
            put_in_force(connection, of(keys=[key(secret=SECOND)]), NOW)
            later = pool.submit(adopt, ledger, of(keys=[key(secret=THIRD)], limits=[LIMIT]), NOW)
            until_waiting(ledger)
        assert later.result(30) is True
    assert [who(ledger, secret) is not None for secret in (FIRST, SECOND, THIRD)] == [False, False, True]
    assert without_ids(in_force(ledger)) == [LIMIT]


def until_waiting(ledger: Ledger) -> None:
    """Return when another transaction waits for a lock; on SQLite it takes no step before its turn."""
    deadline = time.monotonic() + 30
    while not ledger.url.is_sqlite:
        with ledger.reader().connection() as connection:
            if connection.scalar(sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
                return
        assert time.monotonic() < deadline, "nobody waits"
