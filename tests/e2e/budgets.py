"""Keys with limits of their own on a gateway that tests share, and what is said of them by ledger and upstream."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from tests.e2e.gateway import PRICE, Gateway
from tests.e2e.limited import books, limit, put
from tests.e2e.wire import (
    CHAT,
    MESSAGES,
    RESPONSES,
    Heard,
    ask,
    asked,
    billed,
    body_of,
    connected,
    headers_of,
    until_status,
)

from headgate.ledger.views import Filter, Reader
from headgate.model.limit import Scope, Unit, Window
from headgate.policy.windows import TOTAL
from headgate.sim import SimThread
from headgate.sim.record import SimRequest

ENDPOINTS = (CHAT, RESPONSES, MESSAGES)
KINDS = {CHAT: "openai", RESPONSES: "responses", MESSAGES: "anthropic"}
MAXIMUM = {CHAT: "max_completion_tokens", RESPONSES: "max_output_tokens", MESSAGES: "max_tokens"}
OUTPUT = 20
"""The output maximum of every request here."""
CONTENT = {CHAT: b'"content":"', RESPONSES: b"response.output_text.delta", MESSAGES: b"content_block_delta"}


def providers(sim: SimThread) -> str:
    """Return YAML: providers of all kinds as `openai/…`, of which `stops-openai` stops billing a stream that is cut,
    `drains-openai` is read to its end, `hasty-openai` is impatient and `unpriced-openai` has no price."""
    lines = ["providers:"]
    for name in KINDS.values():
        kind = "openai_responses" if name == "responses" else name
        for prefix, extra in (
            ("", f"price: {PRICE}"),
            ("stops-", f"price: {PRICE}, cut_stops_billing: true"),
            ("drains-", f"price: {PRICE}, on_disconnect: drain"),
            ("hasty-", f"price: {PRICE}, timeouts: {{answer: 300ms, first_token: 300ms}}"),
            ("unpriced-", "models: []"),
        ):
            lines.append(f'  {prefix}{name}: {{kind: {kind}, base_url: "{sim.url}", {extra}}}')
    return "\n".join(lines) + "\n"


@dataclass
class Purse:
    """A key and its limits. Upstreams' models are called by its name, so that what they bill is its own."""

    gateway: Gateway
    sim: SimThread
    name: str
    secret: str
    ids: dict[Unit, int]

    def ask(self, endpoint: str, text: str = "hello", *, place: str = "", model: str = "", **more: Any) -> Heard:
        """Ask a provider of the endpoint's kind; `model` is added to the upstream's name for it."""
        return ask(self.gateway, endpoint, self.body(endpoint, text, place=place, model=model, **more), key=self.secret)

    def body(self, endpoint: str, text: str, *, place: str = "", model: str = "", **more: Any) -> dict[str, Any]:
        route = f"{place}{KINDS[endpoint]}/{self.name}{model}"
        return body_of(endpoint, route, text, **{MAXIMUM[endpoint]: OUTPUT} | more)

    def honest(self, endpoint: str = CHAT) -> None:
        """An honest call is let through."""
        heard = self.ask(endpoint, "[[sim tokens=5]]", model="-honest")
        assert heard.status == 200, heard.body

    def stands(self, unit: Unit = Unit.USD) -> tuple[int, int]:
        """What is spent and held of a limit."""
        return books(self.gateway.ledger_url).limits.get(self.ids[unit], (0, 0))

    def rows(self) -> list[dict[str, Any]]:
        """The calls of this key with their attempts, oldest first."""
        found = self.gateway.read(
            lambda reader: [
                reader.call(call["id"])
                for call in reader.calls(Filter(account="tests"), limit=10_000)
                if call["key_name"] == self.name
            ]
        )
        return list(reversed(found))

    def row(self, outcome: str | tuple[str, ...], count: int = 1) -> dict[str, Any]:
        """Wait until so many calls have ended in this way, or in one of these, and return the last of them."""
        outcomes = (outcome,) if isinstance(outcome, str) else outcome

        def found(_: Reader) -> dict[str, Any] | None:
            rows = [row for row in self.rows() if row["outcome"] in outcomes]
            return rows[-1] if len(rows) >= count else None

        return dict(self.gateway.until(found))

    def requests(self) -> list[SimRequest]:
        """What the upstream was asked for this key, once all of it has ended."""
        self.sim.until(lambda: all(one.outcome is not None for one in self._asked()))
        return self._asked()

    def _asked(self) -> list[SimRequest]:
        names = {request.model for request in list(self.sim.requests) if request.model.startswith(self.name)}
        return [request for name in sorted(names) for request in asked(self.sim, name)]

    @property
    def bill(self) -> int:
        """What the upstream bills for this key, in nano-USD."""
        return billed(*self.requests())

    def at_rest(self) -> int:
        """Nothing is held, and what is spent is the sum of the rows, to the nano-dollar and the token; return it."""
        self.gateway.until(lambda _: all(self.stands(unit)[1] == 0 for unit in self.ids))
        rows = self.rows()
        for unit in self.ids:
            spent, _ = self.stands(unit)
            assert (
                spent
                == {
                    Unit.USD: sum(
                        row["cost_nano"] + sum(fix["delta_nano"] for fix in row["adjustments"]) for row in rows
                    ),
                    Unit.TOKENS: sum(tokens_of(row) for row in rows),
                    Unit.REQUESTS: sum(bool(row["attempts"]) for row in rows),
                    Unit.CONCURRENCY: 0,
                }[unit]
            ), (unit, rows)
        return self.stands()[0] if Unit.USD in self.ids else 0


def tokens_of(row: dict[str, Any]) -> int:
    """All tokens of a call; reasoning is part of output."""
    return sum(row[name] for name in ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output"))


def purse(gateway: Gateway, sim: SimThread, name: str, caps: dict[Unit, int], *, window: Window = TOTAL) -> Purse:
    """Make a key with these limits; where the gateway runs (with one worker), wait until it knows it."""
    gateway.key = gateway.key or gateway.new_key("tests")
    found = [
        limit(Scope.KEY, name, unit, cap, window=TOTAL if unit is Unit.CONCURRENCY else window)
        for unit, cap in caps.items()
    ]
    ids = put(gateway.ledger_url, *found)
    secret = gateway.new_key(name)
    if gateway.url:
        until_status(gateway, secret, 200)
    return Purse(gateway, sim, name, secret, dict(zip(caps, ids, strict=True)))


@contextlib.contextmanager
def under_way(
    mine: Purse, endpoint: str, *, stream: bool, place: str = "", after: int = 2, most: int = OUTPUT, to: str = ""
) -> Iterator[str]:
    """A call that stands still at its upstream until `sim.release`; its client leaves at the end of the block.

    `to` is the endpoint that its provider speaks, where that is another. Yields the call's id, of a stream whose first
    `after` frames of content have arrived ("" of any other).
    """
    body = mine.body(endpoint, f"[[sim tokens={after + 4} fault=hold after={after}]]", place=place, stream=stream)
    body |= {MAXIMUM[endpoint]: most, "model": f"{place}{KINDS[to or endpoint]}/{mine.name}"}
    before = len(mine._asked())
    with connected(mine.gateway) as connection:
        connection.request("POST", f"/v1/{endpoint}", msgspec.json.encode(body), headers_of(endpoint, mine.secret))
        mine.sim.until(lambda: len(mine._asked()) > before)
        if not stream:
            yield ""
            return
        answer = connection.getresponse()
        assert answer.status == 200
        seen = 0
        while seen < after:
            line = answer.readline()
            assert line, "the stream has ended"
            seen += line.startswith(b"data:") and CONTENT[endpoint] in line and b'"content":""' not in line
        call = answer.getheader("x-headgate-call")
        assert call is not None
        yield call
