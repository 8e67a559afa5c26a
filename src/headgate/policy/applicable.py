"""Which limits apply to an attempt: of its account, its key and the models that it names, its session, its provider."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

import msgspec

from headgate.model.identity import ANONYMOUS, Principal
from headgate.model.limit import EACH, SUBJECT_SEPARATOR, Applied, Limit, Scope, Unit
from headgate.model.route import Route

MAX_REMEMBERED = 10_000
"""Principals whose limits are remembered; beyond it all are forgotten, and looked up again."""

_ONCE = frozenset({Unit.REQUESTS, Unit.CONCURRENCY})
"""Taken once by a call, and not by each of its attempts; a provider's are taken by each."""

Applies = tuple[tuple[Applied, ...], tuple[Applied, ...]]
"""The limits of an attempt, and those that its call takes once."""


class Whose(msgspec.Struct, frozen=True):
    """The limits of one principal; `on_models` apply where the resolved model matches, `on_session` per session.

    `found` remembers what applies by provider, where neither model nor session has a say.
    """

    always: tuple[Applied, ...] = ()
    on_models: tuple[Applied, ...] = ()
    on_session: tuple[Limit, ...] = ()
    found: dict[str, Applies | None] = {}


class Limits:
    """All limits in force at one epoch of the ledger."""

    __slots__ = ("_nobodys", "_others", "_providers", "_remembered", "epoch")

    def __init__(self, limits: Iterable[Limit] = (), epoch: int = 0) -> None:
        self.epoch = epoch
        self._providers: dict[str, list[Applied]] = {}
        self._others: list[Limit] = []
        self._remembered: dict[Principal, Whose] = {}
        self._nobodys = Whose()
        for limit in limits:
            if limit.scope is Scope.PROVIDER:
                self._providers.setdefault(limit.name, []).append(Applied(limit, limit.name))
            else:
                self._others.append(limit)

    def apply(self, principal: Principal, session: str | None, route: Route) -> Applies | None:
        """Return the limits of an attempt on `route`, and those that its call takes once; None where there are none."""
        if not self._others and not self._providers:
            return None
        whose = self._whose(principal)
        if whose.on_models or (whose.on_session and session is not None):
            return self._found(whose, principal, session, route)
        provider = route.provider.name
        if provider not in whose.found:
            whose.found[provider] = self._found(whose, principal, None, route)
        return whose.found[provider]

    def _found(self, whose: Whose, principal: Principal, session: str | None, route: Route) -> Applies | None:
        found = list(whose.always)
        if whose.on_models:
            found += [applied for applied in whose.on_models if is_of(applied.limit.pattern, route.model)]
        if whose.on_session and session is not None:
            subject = f"{principal.account}{SUBJECT_SEPARATOR}{session}"
            found += [Applied(limit, subject) for limit in whose.on_session if limit.name in (EACH, session)]
        own = [applied for applied in found if applied.limit.unit not in _ONCE]
        whole = [applied for applied in found if applied.limit.unit in _ONCE]
        own += self._providers.get(route.provider.name, ())
        return (tuple(own), tuple(whole)) if own or whole else None

    def _whose(self, principal: Principal) -> Whose:
        if not self._others or principal is ANONYMOUS:
            return self._nobodys
        known = self._remembered.get(principal)
        if known is None:
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            known = self._remembered[principal] = self._look_up(principal)
        return known

    def _look_up(self, principal: Principal) -> Whose:
        always: list[Applied] = []
        on_models: list[Applied] = []
        on_session: list[Limit] = []
        for limit in self._others:
            if limit.scope is Scope.ACCOUNT and limit.name == principal.account:
                always.append(Applied(limit, principal.account))
            elif limit.account not in ("", principal.account):
                continue
            elif limit.scope is Scope.KEY and limit.name in (principal.key, principal.key_name):
                (on_models if limit.pattern else always).append(Applied(limit, principal.key))
            elif limit.scope is Scope.SESSION:
                on_session.append(limit)
        return Whose(tuple(always), tuple(on_models), tuple(on_session))


def is_of(pattern: str, model: str) -> bool:
    """Tell whether a limit on the models of a pattern counts this one, whatever spelling its client has found for it.

    Some upstreams take a model's name in any case, and with something before it: `models/gemini-2.5-pro`.
    """
    pattern, model = pattern.lower(), model.lower()
    return fnmatchcase(model, pattern) or fnmatchcase(model.rpartition("/")[2], pattern)
