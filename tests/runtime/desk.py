"""A call without sockets: memory transport, scripted upstreams, rows kept in a list."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

import msgspec

from headgate.config.settings import Settings
from headgate.ledger.batch import Work
from headgate.model.catalog import Catalog, CatalogProvider, VirtualModel
from headgate.model.dialect import SERVED_BY, Endpoint, Kind
from headgate.model.identity import Principal
from headgate.model.price import Prices, Rate
from headgate.model.records import AttemptRow, CallRow
from headgate.model.route import Provider, Route, Timeouts
from headgate.runtime.call import Call
from headgate.runtime.clock import Clock
from headgate.runtime.gate import Gate, Terms
from headgate.surfaces.data.memory import MemoryTransport
from headgate.upstream.fake import FakeClient, Scripted

_IN, _OUT = Rate(1_000_000_000), Rate(2_000_000_000)
PRICES = Prices(_IN, _OUT, _IN, _IN, _IN, _IN, _IN, _OUT)
"""1 and 2 USD per million tokens: 1,000 and 2,000 nano-USD a token."""

SETTINGS = Settings(
    host="127.0.0.1",
    port=0,
    admin_host="127.0.0.1",
    admin_port=0,
    admin_token=None,
    workers=1,
    auth_required=True,
    max_body=1 << 20,
    body_timeout=1_000_000_000,
    drain_timeout=1_000_000_000,
    deadline=600_000_000_000,
    log_level="info",
    ledger_url="sqlite:///unused.db",
    durability="call",
    state_dir="unused",
    dead_after=60_000_000_000,
    config_path=None,
)


class Rows:
    """A ledger of two lists. With `held_back`, nothing commits before `commit`."""

    available = True

    def __init__(self) -> None:
        self.calls: list[CallRow] = []
        self.attempts: list[AttemptRow] = []
        self.held_back = False
        self._waiters: list[asyncio.Future[Any]] = []

    def submit(self, work: Work) -> None:
        if work.call is not None:
            self.calls.append(work.call)
        self.attempts.extend(work.attempts)
        if work.waiter is not None:
            self._waiters.append(work.waiter)
        if not self.held_back:
            self.commit()

    def commit(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()


class Ticking:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 1_000_000_000_000

    def clock(self) -> Clock:
        return Clock(lambda: 1_750_000_000_000_000_000 + self.now, lambda: self.now)


class Desk:
    """A gate whose providers are scripts. `chain` is a virtual model over all providers, in order."""

    def __init__(self, *scripts: Sequence[Scripted], kind: Kind = Kind.OPENAI, **provider: object) -> None:
        self.time = Ticking()
        self.rows = Rows()
        self.clients = {f"p{number}": FakeClient(*script) for number, script in enumerate(scripts, 1)}
        routes = tuple(self._route(name, kind, provider) for name in self.clients)
        catalog = Catalog(
            {"chain": VirtualModel("chain", routes)},
            {},
            {},
            {route.provider.name: CatalogProvider(route.provider, {"m": (route,)}) for route in routes},
        )
        terms = Terms(SETTINGS, catalog, "f" * 64, self.clients)
        self.gate = Gate(terms, self.rows, self.time.clock(), "0badcafe", lambda _: FakeClient())
        self.endpoint = {Kind.OPENAI: Endpoint.CHAT, Kind.ANTHROPIC: Endpoint.MESSAGES}.get(kind, Endpoint.RESPONSES)

    @staticmethod
    def _route(name: str, kind: Kind, provider: Mapping[str, object]) -> Route:
        whole = Provider(
            name, kind, f"http://{name}.test/v1", f"secret-of-{name}", SERVED_BY[kind], timeouts=Timeouts()
        )
        return Route(msgspec.structs.replace(whole, **provider), "m", "model-m", PRICES)

    def call(self, body: bytes, headers: Mapping[str, str] | None = None) -> tuple[Call, MemoryTransport]:
        transport = MemoryTransport("POST", f"/v1/{self.endpoint.value}", body, headers)
        return Call(self.gate, transport, self.endpoint, Principal("acme", "key_1")), transport

    async def answer(self, body: bytes, headers: Mapping[str, str] | None = None) -> MemoryTransport:
        call, transport = self.call(body, headers)
        await call.serve(transport.body())
        return transport

    async def until(self, true: Callable[[], bool]) -> None:
        """Let other tasks run until something is so; fails after many turns of the loop."""
        for turn in count():
            if true():
                return
            if turn > 10_000:
                raise AssertionError("it never came true")
            await asyncio.sleep(0)
