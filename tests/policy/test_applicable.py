"""Which limits an attempt is held by, and on whose balance."""

from __future__ import annotations

from typing import Any

import pytest

from headgate.model.dialect import SERVED_BY, Kind
from headgate.model.identity import ANONYMOUS, Principal
from headgate.model.limit import Limit, Scope, Unit
from headgate.model.price import FREE
from headgate.model.route import Provider, Route
from headgate.policy import applicable
from headgate.policy.applicable import Limits, is_of
from headgate.policy.windows import TOTAL

CI = Principal("acme", "key_1", None, "ci")


def limit(scope: Scope, name: str, unit: Unit = Unit.USD, **more: Any) -> Limit:
    more.setdefault("id", 1)
    return Limit(scope=scope, name=name, unit=unit, window=TOTAL, cap=1, **more)


def route(provider: str = "openai", model: str = "gpt-5") -> Route:
    made = Provider(provider, Kind.OPENAI, "http://x/v1", None, SERVED_BY[Kind.OPENAI])
    return Route(made, "upstream-name", model, FREE)


def subjects(
    one: Limit, who: Principal = CI, session: str | None = None, to: Route | None = None
) -> tuple[list[str], list[str]]:
    """Whose balances of a limit an attempt is on: its own, and those of its call."""
    own, whole = Limits([one]).apply(who, session, to or route()) or ((), ())
    return [applied.subject for applied in own], [applied.subject for applied in whole]


NONE: tuple[list[str], list[str]] = ([], [])


def test_no_limits_apply_where_there_are_none() -> None:
    assert Limits().apply(CI, "s", route()) is None
    assert Limits([limit(Scope.ACCOUNT, "other")]).apply(CI, "s", route()) is None


def test_an_accounts_limit_counts_for_all_its_keys() -> None:
    account = limit(Scope.ACCOUNT, "acme")
    assert subjects(account) == subjects(account, Principal("acme", "key_2")) == (["acme"], [])
    assert subjects(account, Principal("other", "acme", None, "acme")) == NONE


@pytest.mark.parametrize("name", ["key_1", "ci"])
def test_a_keys_limit_names_it_by_id_or_name_and_counts_by_id(name: str) -> None:
    assert subjects(limit(Scope.KEY, name)) == (["key_1"], [])
    assert subjects(limit(Scope.KEY, name, account="acme")) == (["key_1"], [])
    assert subjects(limit(Scope.KEY, name, account="other")) == NONE
    assert subjects(limit(Scope.KEY, name), Principal("acme", "key_2", None, "dev")) == NONE


def test_keys_of_one_name_have_a_balance_each() -> None:
    both = limit(Scope.KEY, "ci")
    assert subjects(both, Principal("other", "key_9", None, "ci")) == (["key_9"], [])


@pytest.mark.parametrize(
    ("pattern", "model", "counts"),
    [
        ("", "gpt-5", True),
        ("gpt-*", "gpt-5", True),
        ("gpt-*", "claude-4", False),
        ("gpt-?", "gpt-5-mini", False),
        ("GPT-5", "gpt-5", True),
        ("gpt-*", "openai/gpt-5", True),
        ("openai/gpt-*", "openai/gpt-5", True),
        ("gpt-*", "openai/my-gpt-5", False),
        ("gpt-[5", "gpt-5", False),
    ],
)
def test_a_limit_on_models_counts_the_resolved_model(pattern: str, model: str, counts: bool) -> None:
    found = subjects(limit(Scope.KEY, "ci", pattern=pattern), to=route(model=model))
    assert found == ((["key_1"], []) if counts else NONE)
    assert not pattern or is_of(pattern, model) is counts


def test_a_session_belongs_to_its_account() -> None:
    each, named = limit(Scope.SESSION, "each"), limit(Scope.SESSION, "s1", account="acme")
    assert subjects(each, session="s1") == subjects(named, session="s1") == (["acme\x1fs1"], [])
    assert subjects(each, session="s2") == (["acme\x1fs2"], [])
    assert subjects(named, session="s2") == NONE
    assert subjects(each) == subjects(named) == NONE
    thief = Principal("other", "key_9")
    assert subjects(each, thief, "s1") == (["other\x1fs1"], [])
    assert subjects(named, thief, "s1") == NONE


def test_sessions_are_not_mixed_up_after_one_was_looked_up() -> None:
    limits = Limits([limit(Scope.SESSION, "each"), limit(Scope.ACCOUNT, "acme", id=2)])
    found = [limits.apply(CI, session, route()) for session in ("s1", None, "s2", "s1")]
    assert [len(part[0]) for part in found if part] == [2, 1, 2, 2]
    assert [part[0][-1].subject for part in found if part] == ["acme\x1fs1", "acme", "acme\x1fs2", "acme\x1fs1"]


def test_a_providers_limit_counts_for_everybody_at_that_provider() -> None:
    provider = limit(Scope.PROVIDER, "openai")
    assert subjects(provider) == subjects(provider, ANONYMOUS) == (["openai"], [])
    assert subjects(provider, to=route("anthropic")) == NONE


def test_providers_are_not_mixed_up_after_one_was_looked_up() -> None:
    limits = Limits([limit(Scope.PROVIDER, "openai"), limit(Scope.ACCOUNT, "acme", id=2)])
    found = [limits.apply(CI, None, route(name)) for name in ("openai", "anthropic", "openai")]
    assert [len(part[0]) for part in found if part] == [2, 1, 2]


def test_calls_without_a_key_have_no_limits_of_their_own() -> None:
    for scope, name in ((Scope.ACCOUNT, "anonymous"), (Scope.KEY, "anonymous"), (Scope.SESSION, "each")):
        assert subjects(limit(scope, name), ANONYMOUS, "s") == NONE


@pytest.mark.parametrize("unit", Unit)
@pytest.mark.parametrize("scope", Scope)
def test_requests_and_concurrency_are_the_calls_but_a_providers_the_attempts(unit: Unit, scope: Scope) -> None:
    name = {Scope.ACCOUNT: "acme", Scope.KEY: "ci", Scope.PROVIDER: "openai", Scope.SESSION: "each"}[scope]
    own, whole = subjects(limit(scope, name, unit), session="s")
    once = unit in (Unit.REQUESTS, Unit.CONCURRENCY) and scope is not Scope.PROVIDER
    assert (len(own), len(whole)) == ((0, 1) if once else (1, 0))


def test_principals_are_forgotten_before_they_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(applicable, "MAX_REMEMBERED", 3)
    limits = Limits([limit(Scope.KEY, "ci")])
    for number in range(10):
        found = limits.apply(Principal("acme", f"key_{number}", None, "ci"), None, route())
        assert found is not None
        assert found[0][0].subject == f"key_{number}"
        assert len(limits._remembered) <= 3
