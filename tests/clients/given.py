"""What the clients' tests ask with, and how they compare their account with the ledger and the upstream's bill."""

import base64
import json
import struct
import zlib
from typing import Any, Literal

from pydantic import BaseModel
from tests.e2e.gateway import PRICE, SECRETS, Gateway
from tests.e2e.wire import asked, billed

from headgate.ledger.views import Filter
from headgate.sim import SimThread
from headgate.sim.record import SimRequest

PROVIDERS = ("openai", "responses", "anthropic")
"""A provider of each kind, by its name in `configuration`."""
FOREIGN_TO = {
    "chat": ("responses", "anthropic"),
    "responses": ("openai", "anthropic"),
    "messages": ("openai", "responses"),
}
CACHED = ("openai", "responses", "cached")
"""Providers whose prompts are cached though the client sets no breakpoint."""

CITY: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
LOOP = "[[sim tool=weather calls=2 turns=2]]"
"""Two rounds of two calls, then text: three turns of the model."""
LONG = "a story of many words, told again and again. " * 150
PICTURE = "https://example.com/cat.png"


class Stop(BaseModel):
    city: str
    days: int


class Trip(BaseModel):
    """What the structured outputs are."""

    kind: Literal["long", "short"]
    stops: list[Stop]
    note: str | None


def configuration(sim: SimThread) -> str:
    """Return providers of all three kinds, and an Anthropic one where Headgate sets the cache's breakpoints."""
    providers = {
        "openai": ("openai", ""),
        "responses": ("openai_responses", ""),
        "anthropic": ("anthropic", ""),
        "cached": ("anthropic", ", cache: auto"),
    }
    lines = ["providers:"]
    for name, (kind, more) in providers.items():
        key = SECRETS["anthropic" if kind == "anthropic" else "openai"]
        lines.append(f'  {name}: {{kind: {kind}, base_url: "{sim.url}", api_key: {key}, price: {PRICE}{more}}}')
    return "\n".join(lines) + "\n"


def png() -> str:
    """Return a picture of one pixel, in base64."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0\xff\0\0")) + chunk(b"IEND", b"")
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + body).decode()


def agree(gateway: Gateway, sim: SimThread, model: str, calls: int) -> list[SimRequest]:
    """Assert that the ledger has what the sim has charged, call by call; return what the sim was asked, oldest first.

    `model` is the name without its provider; no other test may use it.
    """
    requests = asked(sim, model)
    rows = gateway.read(lambda reader: reader.calls(Filter(model=model)))
    rows.sort(key=lambda row: row["id"])
    assert len(rows) == len(requests) == calls
    for row, request in zip(rows, requests, strict=True):
        assert (row["outcome"], row["basis"]) == ("ok", "computed")
        assert row["cost_nano"] == billed(request) > 0
        assert (row["input"], row["cache_read"], row["output"]) == (
            request.usage.input,
            request.usage.cache_read,
            request.usage.output,
        )
    return requests


def body(request: SimRequest) -> dict[str, Any]:
    """Return what the upstream was sent."""
    found: dict[str, Any] = json.loads(request.body)
    return found


def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"sunny in {city}"
