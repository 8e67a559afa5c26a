"""Accounts, keys and limits in the file: what they mean, and what is wrong with them."""

import hashlib
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from headgate.config.compile import compile_document, fingerprint
from headgate.config.discover import Found
from headgate.config.load import document, parse
from headgate.config.problems import ConfigError
from headgate.config.settings import Compiled, Overrides
from headgate.config.starter import text_of
from headgate.model.limit import Limit, Per, Scope, Unit
from headgate.model.owned import Owned, OwnedKey
from headgate.policy.windows import TOTAL, calendar, rolling

AT = datetime(2026, 1, 15, 12, tzinfo=UTC)
HOUR = 3_600_000_000_000
SECRET = "hg_" + "0123456789abcdefghijKLMNOPQRSTUVWXYZ0123456"
OTHER = "a-team-secret-of-its-own"
OPENAI = "providers: {openai: {kind: openai, api_key: sk-upstream-of-the-tests}}\n"


def compiled(text: str, env: dict[str, str] | None = None) -> Compiled:
    return compile_document(document(text, Path("/srv/headgate.yaml"), env or {}), env or {}, AT, Overrides())


def owned(text: str, env: dict[str, str] | None = None) -> Owned:
    return compiled(text, env).owned


def limit(text: str) -> Limit:
    (one,) = owned(f"{OPENAI}limits: [{text}]\n").limits
    return one


def problems(text: str, env: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, "f", env or {})
    return [str(problem) for problem in caught.value.problems]


def limit_problem(text: str) -> str:
    """Return the one thing that is wrong with a limit, without its place."""
    (one,) = problems(f"{OPENAI}limits:\n  - {text}\n")
    place, _, message = one.partition(": ")
    assert place == "f:3"
    assert message.startswith("limits[0]")
    return message.removeprefix("limits[0]").removeprefix(": ").removeprefix(".")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (
            "{account: acme, usd: 50, per: month, zone: Europe/Berlin}",
            Limit(0, Scope.ACCOUNT, "acme", Unit.USD, calendar(Per.MONTH, "Europe/Berlin"), 50 * 10**9, source="file"),
        ),
        (
            "{key: ci, usd: 2, per: 24h, clamp: true}",
            Limit(0, Scope.KEY, "ci", Unit.USD, rolling(24 * HOUR), 2 * 10**9, clamp=True, source="file"),
        ),
        (
            "{key: ci, account: acme, model: 'claude-*', tokens: 2_000_000, per: day}",
            Limit(
                0,
                Scope.KEY,
                "ci",
                Unit.TOKENS,
                calendar(Per.DAY),
                2_000_000,
                account="acme",
                pattern="claude-*",
                source="file",
            ),
        ),
        (
            "{provider: openai, usd: '300', per: month}",
            Limit(0, Scope.PROVIDER, "openai", Unit.USD, calendar(Per.MONTH), 300 * 10**9, source="file"),
        ),
        (
            "{session: each, usd: 5, per: total}",
            Limit(0, Scope.SESSION, "each", Unit.USD, TOTAL, 5 * 10**9, source="file"),
        ),
        (
            "{session: s-1, account: acme, usd: 5, per: total}",
            Limit(0, Scope.SESSION, "s-1", Unit.USD, TOTAL, 5 * 10**9, account="acme", source="file"),
        ),
        (
            "{account: acme, concurrency: 20}",
            Limit(0, Scope.ACCOUNT, "acme", Unit.CONCURRENCY, TOTAL, 20, source="file"),
        ),
        (
            "{key: ci, requests: 100, per: 1m}",
            Limit(0, Scope.KEY, "ci", Unit.REQUESTS, rolling(HOUR // 60), 100, source="file"),
        ),
        (
            '{key: "\'; DROP TABLE limits; --%_*", requests: 1, per: total}',
            Limit(0, Scope.KEY, "'; DROP TABLE limits; --%_*", Unit.REQUESTS, TOTAL, 1, source="file"),
        ),
    ],
)
def test_a_limit_means_what_it_says(text: str, meant: Limit) -> None:
    assert limit(text) == meant


@pytest.mark.parametrize(
    ("text", "nano"),
    [
        ("0.1", 100_000_000),
        ("'0.1'", 100_000_000),
        ("0.000000001", 1),
        ("0", 0),
        ("-0", 0),
        ("1e3", 1000 * 10**9),
        ("1_000.5", 1_000_500_000_000),
        ("1000000000", 10**18),
        ("'${HEADGATE_NO_SUCH_VARIABLE:-12.5}'", 12_500_000_000),
    ],
)
def test_an_amount_of_money_is_exact(text: str, nano: int) -> None:
    assert limit(f"{{account: acme, usd: {text}, per: total}}").cap == nano


@pytest.mark.parametrize("text", ["100", "'100'", "1e2", "100.0", "1_00", "0100"])
def test_a_count_is_a_whole_number(text: str) -> None:
    assert limit(f"{{account: acme, tokens: {text}, per: total}}").cap == 100


@pytest.mark.parametrize(
    ("cap", "message"),
    [
        ("usd: -1", "usd: must not be negative; write an amount in USD, such as 50 or 0.25"),
        ("usd: .nan", "usd: must be an amount in USD, such as 50 or 0.25"),
        ("usd: .inf", "usd: must be an amount in USD, such as 50 or 0.25"),
        ("usd: 'NaN'", "usd: must be an amount in USD, such as 50 or 0.25"),
        ("usd: $$50", "usd: must be an amount in USD, such as 50 or 0.25"),
        ("usd: 1,5", "unknown key"),
        ("usd: ''", "usd: must be an amount in USD, such as 50 or 0.25"),
        ("usd: true", "usd: must be an amount in USD, such as 50 or 0.25"),
        ("usd: [1]", "usd: must be an amount in USD, such as 50 or 0.25"),
        ("usd: 1000000000.000000001", "usd: is more than 1000000000 USD, the largest cap"),
        ("usd: 1e400", "usd: is more than 1000000000 USD, the largest cap"),
        ("usd: 0.0000000001", "usd: has more than 9 decimals"),
        (f"usd: 1.{'0' * 36}1", "usd: has more than 9 decimals"),
        ("tokens: 1.5", "tokens: must be a whole number"),
        ("tokens: many", "tokens: must be a whole number, such as 100 or 2_000_000"),
        ("tokens: false", "tokens: must be a whole number, such as 100 or 2_000_000"),
        ("tokens: -5", "tokens: must not be negative; write a whole number"),
        ("tokens: 1000000000000000001", "tokens: is more than 1000000000000000000, the largest cap"),
        (f"tokens: {2**70}", "tokens: is more than 1000000000000000000, the largest cap"),
        ("concurrency: 0.5", "concurrency: must be a whole number"),
    ],
)
def test_a_cap_that_is_none_is_refused_with_what_to_write(cap: str, message: str) -> None:
    if cap == "usd: 1,5":
        assert any(message in one for one in problems(f"limits:\n  - {{account: acme, {cap}, per: total}}\n"))
        return
    per = "" if cap.startswith("concurrency") else ", per: total"
    assert limit_problem(f"{{account: acme, {cap}{per}}}").startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{usd: 1, per: day}", "says not whom it limits; write account, key, provider or session"),
        ("{key: a, provider: openai, usd: 1, per: day}", "provider: stands beside 'key'"),
        ("{key: a, session: each, usd: 1, per: day}", "session: stands beside 'key'"),
        ("{provider: openai, account: a, usd: 1, per: day}", "account: a provider's limit counts everybody's calls"),
        ("{provider: opnai, usd: 1, per: day}", "provider: there is no provider 'opnai'; did you mean 'openai'?"),
        ("{provider: zzz, usd: 1, per: day}", "provider: there is no provider 'zzz'; name one of 'providers:'"),
        ("{session: s-1, usd: 1, per: day}", "session: a session belongs to an account; write 'account' too"),
        ("{account: a, model: gpt-*, usd: 1, per: day}", "model: goes with 'key' alone"),
        ("{provider: openai, model: gpt-*, usd: 1, per: day}", "model: goes with 'key' alone"),
        ("{account: anonymous, usd: 1, per: day}", "account: 'anonymous' is kept for calls without a key"),
        ("{key: a, account: anonymous, usd: 1, per: day}", "account: 'anonymous' is kept for calls without a key"),
        ("{account: 5, usd: 1, per: day}", "account: must be text; put quotes around it"),
        ("{account: '', usd: 1, per: day}", "account: must not be empty"),
        ("{account: ' a', usd: 1, per: day}", "account: must not be empty or begin or end with a blank"),
        ('{account: "a\\u202eb", usd: 1, per: day}', "account: holds a control character"),
        (f"{{account: {'a' * 201}, usd: 1, per: day}}", "account: is longer than 200 characters"),
        ("{account: a, per: day}", "has no cap; write usd, tokens, requests or concurrency"),
        ("{account: a, usd: , per: day}", "has no cap; write usd, tokens, requests or concurrency"),
        ("{account: a, usd: 1, tokens: 2, per: day}", "tokens: stands beside 'usd'; a limit caps one of them"),
        ("{account: a, usd: 1}", "'per' is missing; write total, day, week, month, or a duration such as 24h"),
        ("{account: a, concurrency: 2, per: day}", "per: concurrency counts what runs now and has no window"),
        ("{account: a, concurrency: 2, zone: Europe/Berlin}", "zone: goes with per: day, week or month alone"),
        ("{account: a, usd: 1, per: 24h, zone: Europe/Berlin}", "zone: goes with per: day, week or month alone"),
        ("{account: a, usd: 1, per: total, zone: UTC}", "zone: goes with per: day, week or month alone"),
        ("{account: a, usd: 1, per: day, zone: Europe/Berln}", "zone: no time zone 'Europe/Berln' on this machine"),
        ("{account: a, usd: 1, per: day, zone: ../../etc/passwd}", "zone: no time zone '../../etc/passwd'"),
        ("{account: a, usd: 1, per: year}", "per: write total, day, week, month, or a duration such as 24h"),
        ("{account: a, usd: 1, per: 60}", "per: write total, day, week, month, or a duration such as 24h"),
        ("{account: a, usd: 1, per: 0s}", "per: a rolling window is 1 second to ten years long"),
        ("{account: a, usd: 1, per: 500ms}", "per: a rolling window is 1 second to ten years long"),
        ("{account: a, usd: 1, per: 9999999d}", "per: is too long: ten years are the most"),
        ("{account: a, requests: 1, per: day, clamp: true}", "clamp: lowers an output maximum"),
        ("{account: a, usd: 1, per: day, perr: 2}", "perr: unknown key; did you mean 'per'?"),
        ("acme", "must be a mapping"),
    ],
)
def test_a_limit_that_cannot_be_is_refused_with_what_to_write(text: str, message: str) -> None:
    assert limit_problem(text).startswith(message)


def test_the_same_limit_twice_is_told_with_both_lines() -> None:
    text = """\
limits:
  - {account: acme, usd: 50, per: 24h}
  - {account: acme, usd: 50, per: day}
  - {account: acme, usd: 40, per: 1440m, clamp: true}
  - {account: acme, usd: 50, per: day, zone: Europe/Berlin}
  - {account: acme, tokens: 50, per: day}
"""
    assert problems(text) == ["f:4: limits[2]: is the same limit as the one on line 2; keep one"]


def test_faults_in_all_three_sections_are_told_at_once() -> None:
    text = """\
accounts: [acme, anonymous]
keys:
  - {name: ci}
  - {name: ci, secret: "${NOT_SET}"}
limits:
  - {account: acme, usd: many, per: day}
  - {provider: openai, usd: 1, per: day}
"""
    assert problems(text) == [
        "f:1: accounts[1]: 'anonymous' is kept for calls without a key, which have no limits; name another",
        'f:3: keys[0]: has no secret; write secret: "${VARIABLE}", or sha256: with its hash',
        ("f:4: keys[1].secret: environment variable NOT_SET is not set; export it, or write ${NOT_SET:-default}"),
        "f:6: limits[0].usd: must be an amount in USD, such as 50 or 0.25",
        "f:7: limits[1].provider: there is no provider 'openai'; name one of 'providers:'",
    ]


def test_accounts_are_a_list_or_a_mapping_to_nothing() -> None:
    for text in ("accounts: [acme, research]", "accounts: {acme: {}, research: }", "accounts: [acme, 'research']"):
        assert owned(text).accounts == ("acme", "research")
    assert owned("accounts: ").accounts == ()
    assert "a name stands twice" in problems("accounts: [a, b, a]")[0]
    assert "no settings of its own" in problems("accounts: {a: {usd: 3}}")[0]
    assert "valid list" in problems("accounts: acme")[0]
    assert problems("accounts:\n- a\n- 5\n") == ["f:3: accounts[1]: must be text; put quotes around it"]


def test_a_key_is_known_by_its_hash_alone() -> None:
    text = f"""\
keys:
  - {{name: ci, account: acme, secret: "${{CI_KEY}}", models: ["gpt-*", "box/*"], expires: 2027-01-31}}
  - {{name: own, secret: {OTHER}}}
  - {{name: hashed, account: acme, sha256: {hashlib.sha256(b"unknown").hexdigest().upper()}}}
"""
    first, second, third = owned(text, {"CI_KEY": f" {SECRET}\n"}).keys
    ends = int(datetime(2027, 1, 31, tzinfo=UTC).timestamp()) * 10**9
    assert first == OwnedKey(
        "acme", "ci", hashlib.sha256(SECRET.encode()).digest(), SECRET[:9], ("gpt-*", "box/*"), ends
    )
    assert second == OwnedKey("default", "own", hashlib.sha256(OTHER.encode()).digest(), OTHER[:3])
    assert (third.sha256, third.prefix) == (hashlib.sha256(b"unknown").digest(), "sha256:")


def test_no_secret_of_a_key_is_in_a_repr_or_in_the_fingerprint() -> None:
    text = f"keys: [{{name: ci, account: acme, secret: {SECRET}}}]\n"
    ready = compiled(text)
    for shown in (repr(ready), repr(ready.owned), repr(parse(text, "f", {}))):
        assert SECRET not in shown
        assert SECRET[3:9] not in shown
    assert ready.fingerprint == compiled(text.replace(SECRET, OTHER)).fingerprint
    assert ready.fingerprint != compiled(text.replace("acme", "other")).fingerprint


def test_the_fingerprint_covers_what_the_file_owns() -> None:
    texts = [
        "",
        "accounts: [a]",
        "limits: [{account: a, usd: 1, per: day}]",
        "limits: [{account: a, usd: 2, per: day}]",
        "limits: [{account: a, usd: 2, per: day, clamp: true}]",
    ]
    assert len({fingerprint(parse(text, "f", {})) for text in texts}) == len(texts)
    assert fingerprint(parse("accounts: [a]", "f", {})) == fingerprint(parse("accounts: {a: {}}", "f", {}))


@pytest.mark.parametrize(
    ("secret", "message"),
    [
        ("short", "must have 20 to 200 characters; make one: openssl rand -hex 32"),
        ("x" * 201, "must have 20 to 200 characters"),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "is too easy to guess"),
        ("with a blank in the middle of it", "must be ASCII without blanks"),
        ("ein-geheimnis-mit-ümläuten", "must be ASCII without blanks"),
        ("", "must have 20 to 200 characters"),
    ],
)
def test_a_secret_that_guards_nothing_is_refused_and_not_shown(secret: str, message: str) -> None:
    (told,) = problems('keys:\n  - {name: ci, secret: "${CI_KEY}"}\n', {"CI_KEY": secret})
    assert told.startswith(f"f:2: keys[0].secret: {message}")
    assert not secret or secret not in told


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (f"{{name: a, secret: {SECRET}, sha256: {'a' * 64}}}", "has both 'secret' and 'sha256'; keep one"),
        ("{name: a, secret: 12345678901234567890123}", "secret: must be text; put quotes around it"),
        ("{name: a, sha256: abc}", "sha256: must be the secret's SHA-256 in 64 hex digits: printf"),
        (f"{{secret: {SECRET}}}", "'name' is missing"),
        (f"{{name: a, account: anonymous, secret: {SECRET}}}", "account: 'anonymous' is kept for calls without a key"),
        (f"{{name: a, models: [], secret: {SECRET}}}", "models: must have at least 1 item"),
        (f"{{name: a, models: gpt-*, secret: {SECRET}}}", "models: must be a valid list"),
        (f"{{name: a, models: [''], secret: {SECRET}}}", "models[0]: must not be empty"),
        (f"{{name: a, expires: 30d, secret: {SECRET}}}", "expires: must be a date or a time, such as 2027-01-31"),
        (f"{{name: a, expires: 2263-01-01, secret: {SECRET}}}", "expires: must be a date or a time"),
        (f"{{name: a, expires: 1969-01-01, secret: {SECRET}}}", "expires: must be a date or a time"),
        ("{name: a, secret: sk-upstream-of-the-tests}", "has the secret that is providers.openai.api_key"),
        ("{name: a, secret: admin-token-of-the-file}", "has the secret that is server.admin_token"),
    ],
)
def test_a_key_that_cannot_be_is_refused(key: str, message: str) -> None:
    text = f"{OPENAI}server: {{admin_token: admin-token-of-the-file}}\nkeys:\n  - {key}\n"
    (told,) = problems(text)
    assert told.startswith("f:4: keys[0]")
    assert told.removeprefix("f:4: keys[0]").removeprefix(": ").removeprefix(".").startswith(message)
    assert SECRET not in told


def test_two_keys_alike_are_told_with_both_lines_and_without_the_secret() -> None:
    text = f"""\
keys:
  - {{name: a, secret: {SECRET}}}
  - {{name: a, account: default, secret: {OTHER}}}
  - {{name: b, sha256: {hashlib.sha256(SECRET.encode()).hexdigest()}}}
"""
    assert problems(text) == [
        "f:3: keys[1]: has the account and name of the key on line 2; keep one",
        "f:4: keys[2]: has the same secret as the key on line 2; keep one",
    ]


def test_what_is_mentioned_are_the_accounts_of_keys_and_limits() -> None:
    text = f"""\
accounts: [a]
keys: [{{name: k, account: b, secret: {SECRET}}}]
limits:
  - {{account: c, usd: 1, per: day}}
  - {{key: k, account: d, usd: 1, per: day}}
  - {{key: k, usd: 1, per: day}}
  - {{session: each, usd: 1, per: day}}
"""
    assert owned(text).mentioned == {"b", "c", "d"}


def test_commands_that_look_into_the_ledger_need_no_variable_of_a_key() -> None:
    text = 'keys: [{name: a, secret: "${NOT_SET}"}]\nlimits: [{}]\nserver: {port: 1}\n'
    assert parse(text, "f", {}, frozenset({"server", "ledger"})).server.port == 1


def test_no_cap_passes_through_a_float() -> None:
    for digits in ("0.1", "0.7", "1.005", "123456.789012345"):
        assert limit(f"{{account: a, usd: {digits}, per: total}}").cap == int(Decimal(digits) * 10**9)


def test_the_limits_that_init_writes_as_comments_can_be_used() -> None:
    head, begins, rest = text_of(Found()).partition("# limits:\n")
    assert begins
    one, two, three, four = owned(head + "limits:\n" + rest.replace("#   -", "  -")).limits
    assert [limit.unit for limit in (one, two, three, four)] == [Unit.USD, Unit.USD, Unit.USD, Unit.CONCURRENCY]
