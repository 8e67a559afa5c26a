"""The accounts, keys and limits that the file owns: what one entry asks of another, and what the ledger is told."""

import hashlib
from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import ValidationError

from headgate.config.owned_fields import CALENDARS, PER_HINT, window_of
from headgate.config.problems import Where, nearest
from headgate.config.schema import Config, KeyConfig, LimitConfig, Section
from headgate.config.tree import Tree
from headgate.model.limit import EACH, Limit, Scope, Unit
from headgate.model.owned import Owned, OwnedKey
from headgate.policy.windows import TOTAL

FILE = "file"
OWN_FORM_LENGTH = 46
"""Of a secret as Headgate makes it: hg_ and 43 digits."""

_SCOPES = (Scope.KEY, Scope.PROVIDER, Scope.SESSION)
_UNITS = tuple(Unit)
_LOWERABLE = (Unit.USD, Unit.TOKENS)

SectionT = TypeVar("SectionT", bound=Section)


def owned_of(config: Config) -> Owned:
    """Return what the file owns. `config` must be one that `check_owned` found no fault with."""
    return Owned(
        accounts=tuple(config.accounts),
        keys=tuple(_key(entry) for entry in config.keys),
        limits=tuple(limit_of(entry) for entry in config.limits),
    )


def limit_of(entry: LimitConfig) -> Limit:
    """Return the limit that an entry without fault means."""
    scope, unit = _scopes(entry)[0], _units(entry)[0]
    return Limit(
        id=0,
        scope=scope,
        name=getattr(entry, scope),
        unit=unit,
        window=TOTAL if entry.per is None else window_of(entry.per, entry.zone),
        cap=getattr(entry, unit),
        account="" if scope is Scope.ACCOUNT else entry.account or "",
        pattern=entry.model or "",
        clamp=entry.clamp,
        source=FILE,
    )


def check_owned(tree: Tree, data: dict[str, Any]) -> None:
    """Report entries that say too little, too much or the same twice. Runs on raw values, to find faults beside others.

    What pydantic finds in an entry is not said again; such an entry is not compared with others.
    """
    providers = data.get("providers")
    known = list(providers) if isinstance(providers, dict) else []
    _check_keys(tree, data)
    first: dict[tuple[object, ...], int | None] = {}
    for where, entry in _entries(tree, data, "limits", LimitConfig):
        faults = [*_scope_faults(entry, known), *_window_faults(entry)]
        for field, message in faults:
            tree.report((*where, field) if field else where, message)
        if faults:
            continue
        limit = limit_of(entry)
        same = (limit.scope, limit.account, limit.name, limit.pattern, limit.unit, limit.window)
        _once(tree, where, first, same, "is the same limit as the one")


def _entries(tree: Tree, data: dict[str, Any], section: str, shape: type[SectionT]) -> Iterator[tuple[Where, SectionT]]:
    """Yield the entries that are right by themselves, with where they stand."""
    listed = data.get(section)
    for index, raw in enumerate(listed if isinstance(listed, list) else []):
        where: Where = (section, index)
        if any(place[:2] == where for place in tree.poisoned):
            continue
        try:
            yield where, shape.model_validate(raw)
        except ValidationError:
            continue


def _once(tree: Tree, where: Where, first: dict[Any, int | None], what: object, message: str) -> None:
    if what in first:
        tree.report(where, f"{message} on line {first[what]}; keep one")
    first.setdefault(what, tree.line(where))


def _scopes(entry: LimitConfig) -> list[Scope]:
    given = [scope for scope in _SCOPES if getattr(entry, scope) is not None]
    return given or ([Scope.ACCOUNT] if entry.account is not None else [])


def _units(entry: LimitConfig) -> list[Unit]:
    return [unit for unit in _UNITS if getattr(entry, unit) is not None]


def _scope_faults(entry: LimitConfig, providers: list[str]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with whom a limit is for: the key at fault, and what to write."""
    scopes = _scopes(entry)
    if not scopes:
        yield "", "says not whom it limits; write account, key, provider or session"
    elif len(scopes) > 1:
        yield scopes[1], f"stands beside '{scopes[0]}'; a limit has one of key, provider and session: write two limits"
    elif entry.provider is not None:
        if entry.account is not None:
            yield "account", "a provider's limit counts everybody's calls; leave 'account' out"
        if entry.provider not in providers:
            near = nearest(entry.provider, providers)
            hint = f"; did you mean '{near}'?" if near else "; name one of 'providers:'"
            yield "provider", f"there is no provider '{entry.provider}'{hint}"
    elif entry.session not in (None, EACH) and entry.account is None:
        yield "session", f"a session belongs to an account; write 'account' too, or session: {EACH}"
    if entry.model is not None and entry.key is None:
        yield "model", "goes with 'key' alone; leave it out, or name a key"


def _window_faults(entry: LimitConfig) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with what a limit caps, and over which time."""
    units = _units(entry)
    if not units:
        yield "", "has no cap; write usd, tokens, requests or concurrency"
        return
    if len(units) > 1:
        yield units[1], f"stands beside '{units[0]}'; a limit caps one of them: write two limits"
        return
    if entry.clamp and units[0] not in _LOWERABLE:
        yield "clamp", "lowers an output maximum, which saves usd and tokens alone; leave it out"
    if units[0] is Unit.CONCURRENCY:
        if entry.per is not None:
            yield "per", "concurrency counts what runs now and has no window; leave 'per' out"
    elif entry.per is None:
        yield "", f"'per' is missing; {PER_HINT}"
    if entry.zone is None:
        return
    if entry.per in CALENDARS:
        try:
            window_of(entry.per, entry.zone)
        except ValueError as error:
            yield "zone", str(error)
    else:
        yield "zone", "goes with per: day, week or month alone; leave it out"


def _check_keys(tree: Tree, data: dict[str, Any]) -> None:
    names: dict[tuple[str, str], int | None] = {}
    secrets: dict[bytes, int | None] = {}
    taken = _other_secrets(data)
    for where, entry in _entries(tree, data, "keys", KeyConfig):
        _once(tree, where, names, (entry.account, entry.name), "has the account and name of the key")
        if entry.secret is None and entry.sha256 is None:
            tree.report(where, 'has no secret; write secret: "${VARIABLE}", or sha256: with its hash')
            continue
        if entry.secret is not None and entry.sha256 is not None:
            tree.report(where, "has both 'secret' and 'sha256'; keep one")
            continue
        digest = _digest(entry)
        _once(tree, where, secrets, digest, "has the same secret as the key")
        if digest in taken:
            tree.report(where, f"has the secret that is {taken[digest]}, which no client may know; make another")


def _other_secrets(data: dict[str, Any]) -> dict[bytes, str]:
    """Return the hashes of the secrets that are no client's, and where they stand."""
    found: dict[bytes, str] = {}
    sections = data.get("providers")
    for name, provider in sections.items() if isinstance(sections, dict) else ():
        if isinstance(provider, dict) and isinstance(provider.get("api_key"), str):
            found[_hash(provider["api_key"].strip())] = f"providers.{name}.api_key"
    server = data.get("server")
    if isinstance(server, dict) and isinstance(server.get("admin_token"), str):
        found[_hash(server["admin_token"].strip())] = "server.admin_token"
    return found


def _key(entry: KeyConfig) -> OwnedKey:
    return OwnedKey(
        account=entry.account,
        name=entry.name,
        sha256=_digest(entry),
        prefix=_prefix(entry),
        allowed_models=None if entry.models is None else tuple(entry.models),
        expires_at=entry.expires,
    )


def _digest(entry: KeyConfig) -> bytes:
    if entry.sha256 is not None:
        return bytes.fromhex(entry.sha256.get_secret_value())
    return _hash(entry.secret.get_secret_value() if entry.secret is not None else "")


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _prefix(entry: KeyConfig) -> str:
    """Return what may be shown of the secret: little of one that may be short, nothing of one that is not known."""
    if entry.secret is None:
        return "sha256:"
    secret = entry.secret.get_secret_value()
    return secret[: 9 if secret.startswith("hg_") and len(secret) >= OWN_FORM_LENGTH else 3]
