"""A small catalog with every kind of name, and questions to it."""

import pytest

from headgate.model.catalog import Catalog, CatalogProvider, Model, VirtualModel
from headgate.model.dialect import SERVED_BY, Endpoint, Kind
from headgate.model.errors import HeadgateError
from headgate.model.failure import Failure, FailureKind
from headgate.model.identity import Principal
from headgate.model.price import FREE, UNKNOWN
from headgate.model.route import Provider, Route
from headgate.policy.health import HEALTHY, RouteHealth, observe
from headgate.policy.select import plan

SECOND = 1_000_000_000
CHAT = Endpoint.CHAT


def provider(name: str, kind: Kind = Kind.OPENAI) -> Provider:
    return Provider(name, kind, f"http://{name}/v1", "secret-key", SERVED_BY[kind])


OPENAI = provider("openai")
ANTHROPIC = provider("anthropic", Kind.ANTHROPIC)
BOX = provider("box")

MINI = Route(OPENAI, "gpt-5-mini", "gpt-5-mini", UNKNOWN)
HAIKU = Route(ANTHROPIC, "claude-haiku-4-5", "claude-haiku-4-5", UNKNOWN)
QWEN = Route(BOX, "qwen3:8b", "qwen3", FREE)
BOXED_MINI = Route(BOX, "local-mini", "gpt-5-mini", FREE)
NEAR = Route(BOX, "near", "two-backends", FREE, backend="a")
FAR = Route(BOX, "near", "two-backends", FREE, backend="b")

CATALOG = Catalog(
    virtual={
        "fast": VirtualModel("fast", (MINI, HAIKU, QWEN)),
        "shadow": VirtualModel("shadow", (QWEN,)),
        "box/near": VirtualModel("box/near", (MINI,)),
        "nothing": VirtualModel("nothing", ()),
    },
    models={
        "gpt-5-mini": Model("gpt-5-mini", (MINI, BOXED_MINI)),
        "claude-haiku-4-5": Model("claude-haiku-4-5", (HAIKU,)),
        "qwen3": Model("qwen3", (QWEN,)),
        "shadow": Model("shadow", (MINI,)),
    },
    aliases={"qwen3:8b": "qwen3", "claude-4-5-haiku": "claude-haiku-4-5", "dangling": "gone"},
    providers={
        "openai": CatalogProvider(OPENAI, {"gpt-5-mini": (MINI,)}),
        "anthropic": CatalogProvider(ANTHROPIC, {"claude-haiku-4-5": (HAIKU,)}, open=False),
        "box": CatalogProvider(
            BOX, {"qwen3:8b": (QWEN,), "local-mini": (BOXED_MINI,), "near": (NEAR, FAR)}, prices=FREE
        ),
    },
)


def names(
    asked: str,
    *,
    endpoint: Endpoint = CHAT,
    allowed: tuple[str, ...] | None = None,
    health: dict[str, RouteHealth] | None = None,
    now: int = 0,
    state: str | None = None,
    pin: str | None = None,
) -> tuple[list[str], dict[str, str], str]:
    who = Principal("a", "k", allowed)
    made, model = plan(CATALOG, endpoint, asked, who, health or {}, now, state=state, pin=pin)
    return [route.name for route in made.routes], {item.route: item.reason for item in made.rejected}, model


def refused(asked: str, **facts: object) -> HeadgateError:
    with pytest.raises(HeadgateError) as caught:
        names(asked, **facts)  # type: ignore[arg-type]
    return caught.value


def failed(kind: FailureKind, retry_after_ns: int | None = None) -> RouteHealth:
    return observe(HEALTHY, Failure(kind, "", retry_after_ns=retry_after_ns), 0)
