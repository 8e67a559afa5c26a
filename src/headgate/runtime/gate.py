"""What all calls of one worker share: configuration, identities, connections, health, the ledger's writer."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

import msgspec

from headgate.ledger.batch import Work
from headgate.model.catalog import Catalog
from headgate.model.errors import ErrorKind, HeadgateError
from headgate.model.failure import Failure
from headgate.model.identity import ANONYMOUS, Principal
from headgate.model.route import Provider, Route
from headgate.policy.applicable import Limits
from headgate.policy.density import Density
from headgate.policy.health import HEALTHY, RouteHealth, observe
from headgate.policy.patience import RETRY_SOON, RETRY_STORE
from headgate.runtime.clock import Clock
from headgate.runtime.metrics import Metrics
from headgate.runtime.waiting import Interruptible
from headgate.upstream.client import Client

if TYPE_CHECKING:
    from headgate.config.settings import Settings

MAX_HEALTH = 1_000
"""Routes whose trouble is remembered: clients invent names on providers that take any."""
MAX_SECRET = 200


class Identity(Protocol):
    """Whom a secret stands for; `not_after_ns` since the epoch, None: no end."""

    @property
    def principal(self) -> Principal: ...

    @property
    def not_after_ns(self) -> int | None: ...


class Ledger(Protocol):
    """The writer as calls see it."""

    @property
    def available(self) -> bool:
        """False while the store has taken nothing for 2 s."""

    def submit(self, work: Work) -> None:
        """Queue what a call hands over; its waiter is resolved when it is committed."""


class Terms(msgspec.Struct, frozen=True):
    """One configuration in force: replaced whole by a reload, kept by the calls that began under it."""

    settings: "Settings"
    catalog: Catalog
    fingerprint: str
    clients: Mapping[str, Client]


FindRoute = Callable[[str, str], Awaitable[str | None]]
"""(account, id of a response) → the name of the route that made it, None where nobody knows. May raise LedgerError."""


async def _nowhere(account: str, response_id: str) -> str | None:  # noqa: ARG001 - the shape of FindRoute
    return None


class Gate:
    """Shared by all calls of a worker; touched by the event loop's thread only."""

    identities: Mapping[bytes, Identity]
    limits: Limits

    def __init__(
        self,
        terms: Terms,
        ledger: Ledger,
        clock: Clock,
        nonce: str,
        connect: Callable[[Provider], Client],
        find_route: FindRoute = _nowhere,
    ) -> None:
        """`nonce`: 8 hex digits, unlike any other worker's; part of every call's id."""
        self.find_route = find_route
        self.terms = terms
        self.ledger = ledger
        self.clock = clock
        self.density = Density()
        self._renewal = asyncio.Event()
        self.renew({}, Limits())
        self.health: dict[str, RouteHealth] = {}
        self.metrics = Metrics()
        self.active: set[Interruptible] = set()
        self._idle: asyncio.Event | None = None
        self._nonce = nonce
        self._connect = connect
        self._count = 0
        self.loop = asyncio.get_running_loop()

    def adopt(self, settings: "Settings", catalog: Catalog, fingerprint: str) -> None:
        """Put another configuration in force for calls to come. Connections of unchanged providers are kept."""
        before = {entry.provider.name: entry.provider for entry in self.terms.catalog.providers.values()}
        clients = {
            name: self.terms.clients[name] if before.get(name) == entry.provider else self._connect(entry.provider)
            for name, entry in catalog.providers.items()
        }
        self.terms = Terms(settings, catalog, fingerprint, clients)
        self.health.clear()  # what an operator has just mended must not stay disabled

    def renew(self, identities: Mapping[bytes, Identity], limits: Limits) -> None:
        """Put the keys and limits of one epoch of the ledger in force."""
        self.identities, self.limits = identities, limits
        self._ends: dict[str, int | None] | None = None
        self._renewal.set()
        self._renewal = asyncio.Event()

    async def renewed(self, epoch: int) -> None:
        """Wait until the keys and limits of an epoch, or of a later one, are in force."""
        while self.limits.epoch < epoch:
            await self._renewal.wait()

    def still_valid(self, principal: Principal) -> bool:
        """Tell whether a key is in force; for the few calls that its limits or keys changed under."""
        if principal is ANONYMOUS:
            return True
        if self._ends is None:
            self._ends = _ends_of(self.identities.values())
        end = self._ends.get(principal.key, 0)
        return end is None or self.clock.wall() < end

    def drain(self) -> asyncio.Event:
        """Let no new call begin; the event is set when the last one has ended."""
        self._idle = asyncio.Event()
        if not self.active:
            self._idle.set()
        return self._idle

    def leave(self, call: Interruptible) -> None:
        """A call is over."""
        self.active.discard(call)
        if self._idle is not None and not self.active:
            self._idle.set()

    def new_id(self, wall_ns: int) -> str:
        """Return an id for a call that began at `wall_ns`; ids sort by time."""
        self._count = (self._count + 1) & 0xFFFF
        return f"call_{wall_ns // 1_000_000:011x}{self._count:04x}{self._nonce}"

    def identify(self, secret: str | None) -> Principal:
        """Return whom a key stands for. Raises HeadgateError(INVALID_API_KEY)."""
        if secret is None:
            if not self.terms.settings.auth_required:
                return ANONYMOUS
            raise _no_key(
                "No API key: send it as 'Authorization: Bearer hg_…' or 'x-api-key: hg_…'. "
                "'headgate keys create' makes one."
            )
        identity = None
        if len(secret) <= MAX_SECRET:
            identity = self.identities.get(sha256(secret.encode("utf-8", "surrogatepass")).digest())
        if identity is not None and (identity.not_after_ns is None or self.clock.wall() < identity.not_after_ns):
            return identity.principal
        if not self.terms.settings.auth_required:
            return ANONYMOUS
        raise _no_key("This API key is not valid here: it is unknown, expired or revoked.")

    def admit(self) -> None:
        """Raise HeadgateError(SERVICE_UNAVAILABLE) while no new call may begin."""
        if self._idle is not None:
            raise HeadgateError(
                ErrorKind.SERVICE_UNAVAILABLE, "The gateway is shutting down; retry.", retry_after=RETRY_SOON
            )
        if not self.ledger.available:
            raise HeadgateError(
                ErrorKind.SERVICE_UNAVAILABLE,
                "The gateway cannot reach its ledger, and lets nothing through unrecorded; retry.",
                retry_after=RETRY_STORE,
            )

    def observe(self, route: Route, failure: Failure | None) -> None:
        """Fold how an attempt ended into its route's health."""
        name = route.name
        before = self.health.get(name, HEALTHY)
        if failure is None and before is HEALTHY:
            return
        after = observe(before, failure, self.clock.mono())
        if after == HEALTHY:
            self.health.pop(name, None)
        else:
            self.health.pop(name, None)  # the latest to fail stands last
            self.health[name] = after
            if len(self.health) > MAX_HEALTH:
                del self.health[next(iter(self.health))]


def _ends_of(identities: Iterable[Identity]) -> dict[str, int | None]:
    """Return until when each key is in force, by the last of its secrets; None: for good."""
    ends: dict[str, int | None] = {}
    for identity in identities:
        key, end = identity.principal.key, identity.not_after_ns
        known = ends.get(key, 0)
        ends[key] = None if end is None or known is None else max(known, end)
    return ends


def _no_key(message: str) -> HeadgateError:
    return HeadgateError(ErrorKind.INVALID_API_KEY, message)
