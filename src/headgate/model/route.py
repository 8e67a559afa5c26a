"""Providers and routes as the data path sees them, and the plan of one call."""

import msgspec
from msgspec import Raw

from headgate.model.dialect import Endpoint, Kind
from headgate.model.price import Billing, Prices


class Timeouts(msgspec.Struct, frozen=True, gc=False):
    """All in ns.

    `answer`: to the head of an answer that is no stream; `first_token`: to a stream's first content; `idle`:
    between two reads of a body.
    """

    connect: int = 5_000_000_000
    answer: int = 600_000_000_000
    first_token: int = 60_000_000_000
    idle: int = 60_000_000_000


class Shaping(msgspec.Struct, frozen=True):
    """How requests and answers of a route are changed on their way, by configuration.

    `extra_body`: members that a request gets unless it has them. `system`: text appended to the system prompt.
    `repair_tools`: tool calls that the model wrote as text become calls. `cache_auto`: prompt-cache breakpoints are
    added for an Anthropic upstream where the client set none. `strict`: what a translation would lose is refused.
    """

    extra_body: dict[str, Raw] = {}
    system: str = ""
    repair_tools: bool = False
    strip_thinking: bool = False
    strip_stop_markers: bool = False
    cache_auto: bool = False
    strict: bool = False

    @property
    def touches_requests(self) -> bool:
        """Whether requests are changed."""
        return bool(self.extra_body or self.system or self.cache_auto)

    @property
    def filters(self) -> bool:
        """Whether answers are changed, and not only requests."""
        return self.repair_tools or self.strip_thinking or self.strip_stop_markers


UNSHAPED = Shaping()


class Provider(msgspec.Struct, frozen=True, gc=False):
    """One upstream endpoint with its credential.

    `base_url` ends without a slash and includes the version segment. `api_key` is never shown:
    this struct is not to be logged. `drain_on_disconnect`: read a stream to its end after the client left.
    `cut_stops_billing`: the vendor is known to stop billing a stream that is closed.
    """

    name: str
    kind: Kind
    base_url: str
    api_key: str | None
    serves: frozenset[Endpoint]
    headers: tuple[tuple[str, str], ...] = ()
    billing: Billing = Billing.METERED
    drain_on_disconnect: bool = False
    cut_stops_billing: bool = False
    timeouts: Timeouts = Timeouts()

    def __repr__(self) -> str:
        return f"Provider({self.name!r}, {self.kind.value!r}, {self.base_url!r})"


class Route(msgspec.Struct, frozen=True, gc=False):
    """provider × model × backend. `context` and `max_output` in tokens, None where nobody knows."""

    provider: Provider
    upstream_name: str
    model: str
    prices: Prices
    backend: str = ""
    context: int | None = None
    max_output: int | None = None
    shaping: Shaping = UNSHAPED
    name: str = ""
    """Made of the others: `provider/upstream-name`, `@backend` after it where there is one."""

    def __post_init__(self) -> None:
        """Make the name once: it is asked for several times a call."""
        base = f"{self.provider.name}/{self.upstream_name}"
        msgspec.structs.force_setattr(self, "name", f"{base}@{self.backend}" if self.backend else base)


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """A route that was not taken into the plan, and why (one of policy/select.py's reasons)."""

    route: str
    reason: str


class Plan(msgspec.Struct, frozen=True, gc=False):
    """The ordered routes for one call, with every rejected route and why.

    `home`: the first provider of the model, in or out of the plan, that speaks the client's dialect and that its key
    may use; None where there is none.
    """

    routes: tuple[Route, ...]
    rejected: tuple[Rejected, ...] = ()
    home: Provider | None = None
