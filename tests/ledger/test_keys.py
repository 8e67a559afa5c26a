from __future__ import annotations

import re

import pytest
import sqlalchemy as sa
from tests.ledger.rows import NOW

from headgate.ledger import keys, tables
from headgate.ledger.engine import Ledger
from headgate.ledger.errors import InvalidName, NameTaken, OwnedByFile, UnknownName
from headgate.ledger.keys import NewKey
from headgate.model.identity import Principal

HOUR = 3_600_000_000_000


def create(ledger: Ledger, name: str = "ci", account: str = "acme", **changes: object) -> NewKey:
    with ledger.write() as connection:
        return keys.create_key(connection, account=account, name=name, now=NOW, **changes)  # type: ignore[arg-type]


def who(ledger: Ledger, secret: str, now: int = NOW) -> Principal | None:
    identity = ledger.reader().identities(now)[1].get(keys.hash_secret(secret))
    return None if identity is None else identity.principal


def test_a_new_key_stands_for_its_account_and_id(ledger: Ledger) -> None:
    made = create(ledger, allowed_models=["gpt-*", "box/qwen3:8b"])
    assert re.fullmatch(r"hg_[0-9A-Za-z]{43}", made.secret)
    assert made.secret.startswith(made.prefix)
    assert len(made.prefix) == 9
    assert who(ledger, made.secret) == Principal("acme", made.id, ("gpt-*", "box/qwen3:8b"), "ci")
    assert who(ledger, made.secret + "x") is None
    assert made.secret not in repr(made)


def test_the_secret_is_nowhere_in_the_ledger(ledger: Ledger) -> None:
    secret = create(ledger).secret
    with ledger.reader().connection() as connection:
        for table in tables.metadata.sorted_tables:
            for row in connection.execute(sa.select(table)):
                assert secret not in repr(tuple(row))


def test_secrets_hold_256_random_bits() -> None:
    secrets = {keys.new_secret() for _ in range(1_000)}
    assert len(secrets) == 1_000
    assert {len(secret) for secret in secrets} == {46}
    assert len({secret[3:4] for secret in secrets}) > 50


def test_rotation_keeps_the_id_and_the_old_secret_for_its_grace(ledger: Ledger) -> None:
    old = create(ledger)
    with ledger.write() as connection:
        new = keys.rotate_key(connection, old.id, now=NOW, grace=HOUR)
    assert new.id == old.id
    assert who(ledger, old.secret, NOW + HOUR - 1) == who(ledger, new.secret) == Principal("acme", old.id, None, "ci")
    assert who(ledger, old.secret, NOW + HOUR) is None
    held = ledger.reader().identities(NOW)[1]
    assert held[keys.hash_secret(old.secret)].not_after_ns == NOW + HOUR
    assert held[keys.hash_secret(new.secret)].not_after_ns is None
    with ledger.write() as connection:
        keys.rotate_key(connection, old.id, now=NOW, grace=24 * HOUR)
    assert who(ledger, old.secret, NOW + HOUR) is None, "a second rotation must not lengthen the first grace"
    assert who(ledger, new.secret, NOW + HOUR) is not None


def test_a_key_past_its_end_and_a_revoked_one_stand_for_nobody(ledger: Ledger) -> None:
    made = create(ledger, expires_at=NOW + HOUR)
    assert who(ledger, made.secret, NOW + HOUR - 1) is not None
    assert who(ledger, made.secret, NOW + HOUR) is None
    with ledger.write() as connection:
        keys.revoke_key(connection, made.id, now=NOW)
        keys.revoke_key(connection, made.id, now=NOW + 1)
    assert who(ledger, made.secret) is None
    assert [info.revoked_at for info in ledger.reader().keys(NOW)] == [NOW]
    with ledger.write() as connection, pytest.raises(UnknownName, match="revoked"):
        keys.rotate_key(connection, made.id, now=NOW)


def test_every_change_advances_the_epoch(ledger: Ledger) -> None:
    seen = [ledger.reader().epoch()]
    made = create(ledger)
    seen.append(ledger.reader().epoch())
    for change in (keys.rotate_key, keys.revoke_key):
        with ledger.write() as connection:
            change(connection, made.id, now=NOW)
        seen.append(ledger.reader().epoch())
    assert seen == sorted(set(seen))


def test_a_failed_change_leaves_nothing(ledger: Ledger) -> None:
    create(ledger)
    before = ledger.reader().epoch()
    with pytest.raises(NameTaken, match="rotate"):
        create(ledger)
    with pytest.raises(NameTaken), ledger.write() as connection:  # noqa: PT012  the first of two must go too
        keys.create_key(connection, account="other", name="x", now=NOW)
        keys.create_key(connection, account="acme", name="ci", now=NOW)
    assert ledger.reader().epoch() == before
    assert [info.name for info in ledger.reader().keys(NOW)] == ["ci"]


def test_strange_names_are_refused(ledger: Ledger) -> None:
    for name in ("", " x", "x\n", "a\0b", "a\u202eb", "\ud800", "x" * 201, "a\u2028b"):
        with pytest.raises(InvalidName):
            create(ledger, name=name)
        with pytest.raises(InvalidName):
            create(ledger, account=name)
    assert ledger.reader().keys(NOW) == []


def test_other_names_are_only_names(ledger: Ledger) -> None:
    names = ["'; DROP TABLE keys; --", '"', "%s", "日本語 ключ", "x" * 200]
    for name in names:
        made = create(ledger, name=name, account=name)
        with ledger.reader().connection() as connection:
            assert keys.find_key(connection, name) == keys.find_key(connection, made.id) == made.id
    assert {(info.account, info.name) for info in ledger.reader().keys(NOW)} == {(name, name) for name in names}


def test_the_account_of_open_access_has_no_keys(ledger: Ledger) -> None:
    with pytest.raises(InvalidName, match="without a key"):
        create(ledger, account="anonymous")


def test_a_name_in_two_accounts_must_be_told_apart(ledger: Ledger) -> None:
    first, second = create(ledger, account="a"), create(ledger, account="b")
    with ledger.reader().connection() as connection:
        assert keys.find_key(connection, "ci", account="b") == second.id
        with pytest.raises(UnknownName, match="a, b"):
            keys.find_key(connection, "ci")
        with pytest.raises(UnknownName, match="no key"):
            keys.find_key(connection, "nobody")
    assert [info.id for info in ledger.reader().keys(NOW)] == [first.id, second.id]
    assert [info.prefixes for info in ledger.reader().keys(NOW, "a")] == [(first.prefix,)]


def test_a_key_of_the_configuration_file_is_read_only(ledger: Ledger) -> None:
    made = create(ledger)
    with ledger.write() as connection:
        connection.execute(tables.keys.update().values(source="file"))
    for change in (keys.rotate_key, keys.revoke_key):
        with ledger.write() as connection, pytest.raises(OwnedByFile, match="configuration file"):
            change(connection, made.id, now=NOW)
    assert who(ledger, made.secret) is not None
