"""Callers who spend a cap to its end whatever breaks meanwhile, and the judge: what the upstream has billed."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from tests.e2e import wire
from tests.e2e.gateway import PATIENCE, PRICE, Gateway
from tests.e2e.limited import Books, books, costs, limit, of_account
from tests.e2e.load import BROKEN, CHAT, MESSAGES, RESPONSES
from tests.e2e.processes import apoll, ready_pids
from tests.e2e.raw import Line

from headgate.model.limit import Limit, Scope, Unit
from headgate.sim import SimThread

CALLERS: Final = 200
PATHS: Final = (CHAT, RESPONSES, MESSAGES)
ROUTES: Final = ("openai/gpt-sim", "responses/gpt-sim", "anthropic/claude-sim", "drains/gpt-sim")
CHAINS: Final = ("careful", "foreign")
MODELS: Final = ("gpt-sim", "claude-sim", "first-sim")
MAX_OUTPUT: Final = 60
"""Of every model: what a caller that names no maximum gets."""
BEFORE: Final = (
    "500",
    "529",
    "502",
    "refuse",
    "hang-first",
    "hang-headers",
    "error-first",
    "error-only",
    "html",
    "empty",
)
"""Faults of the first route of a chain: another one follows."""
AFTER: Final = ("cut", "cut-rst", "cut-mid", "error-mid", "failed", "malformed", "no-usage", "no-done", "hang")
"""Faults of an upstream that has billed something by then."""


def burning(sim: SimThread) -> str:
    """Return providers of all kinds, one that is slow to answer, and chains over them.

    The operator is a careful one: nobody is believed to stop billing a stream that is cut.
    """

    def provider(kind: str, model: str, more: str = "") -> str:
        models = f"models: {{{model}: {{max_output: {MAX_OUTPUT}}}}}"
        return f'{{kind: {kind}, base_url: "{sim.url}", price: {PRICE}, cut_stops_billing: false, {models}{more}}}'

    hasty = ", timeouts: {answer: 1s, first_token: 1s, idle: 500ms}"
    return f"""
providers:
  openai: {provider("openai", "gpt-sim")}
  responses: {provider("openai_responses", "gpt-sim")}
  anthropic: {provider("anthropic", "claude-sim")}
  drains: {provider("openai", "gpt-sim", ", on_disconnect: drain")}
  first: {provider("openai", "first-sim", hasty)}
models:
  careful: {{routes: [first/first-sim, openai/gpt-sim, anthropic/claude-sim]}}
  foreign: {{routes: [first/first-sim, anthropic/claude-sim, responses/gpt-sim]}}
"""


_MARK: Final = re.compile(rb"mark[0-9a-f]{16}")


class Wanted(msgspec.Struct, frozen=True):
    """One request, and when its caller leaves: after so many chunks of a stream, or ms of an answer; 0: it stays.

    `mark` stands in its text, and in no other's.
    """

    mark: str
    path: str
    body: dict[str, Any]
    leaves: int


def wanted(chance: random.Random) -> Wanted:
    """Return a request of any dialect, whole or broken in one of many ways."""
    path, stream = chance.choice(PATHS), chance.random() < 0.6
    model = chance.choice((*ROUTES, *CHAINS, *CHAINS))
    mark = f"mark{chance.getrandbits(64):016x}"
    options = f"tokens={chance.randint(4, 80)} frame=4 gap={chance.randint(0, 8)}ms"
    luck = chance.random()
    if model in CHAINS and luck < 0.5:
        options += f" fault={chance.choice((*BEFORE, *AFTER))} after={chance.randint(0, 3)} on=first"
    elif luck < 0.15:  # an upstream that hangs for good is left to the hasty one
        options += f" fault={chance.choice(AFTER[:-1])} after={chance.randint(1, 3)}"
    text = f"{chance.choice(('hello', 'π and 水 ' * 9, '0123456789' * 12))} {mark} [[sim {options}]]"
    leaves = chance.randint(1, 6) if chance.random() < 0.12 else 0
    return Wanted(mark, path, asked(chance, path, model, text, stream=stream), leaves)


def asked(chance: random.Random, path: str, model: str, text: str, *, stream: bool) -> dict[str, Any]:
    """Return a request's body: with and without an output maximum, now and then for two answers."""
    body: dict[str, Any] = {"model": model, "stream": stream}
    most = chance.choice((None, 8, 25, MAX_OUTPUT))
    if path == RESPONSES:
        return body | {"input": text} | ({} if most is None else {"max_output_tokens": max(most, 16)})
    body["messages"] = [{"role": "user", "content": text}]
    if path == MESSAGES:
        return body | {"max_tokens": most or MAX_OUTPUT}
    if most is not None:
        body["max_completion_tokens" if chance.random() < 0.5 else "max_tokens"] = most
    return body | ({"n": 2} if model.startswith(("openai", "drains")) and chance.random() < 0.1 else {})


class Burn:
    """`await Burn(urls, key).run()`: callers, spread over gateways, who ask until each is told that its quota is gone.

    `statuses` counts the answers, `odd` holds those that no caller should ever see; `broken` counts connections that
    broke, `left` callers who left in mid-answer, `said` the last refusals; `calls` has ids by the marks of requests.
    """

    def __init__(self, urls: Sequence[str], key: str, *, seed: int, callers: int = CALLERS) -> None:
        self.statuses: Counter[int] = Counter()
        self.odd: list[tuple[int, bytes]] = []
        self.said: list[bytes] = []
        self.broken = 0
        self.left = 0
        self.calls: dict[str, str] = {}
        self._urls = urls
        self._key = key
        self._seed = seed
        self._callers = callers
        self._changed = asyncio.Event()

    @property
    def ended(self) -> bool:
        """Whether every caller was told that the quota is gone."""
        return len(self.said) == self._callers

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(self._callers):
                chance = random.Random(f"{self._seed}.{number}")
                group.create_task(self._caller(self._urls[number % len(self._urls)], chance))

    async def answers(self, count: int) -> None:
        """Wait until so many answers were whole, or the burn has ended."""
        async with asyncio.timeout(PATIENCE):
            while not self.ended and self.statuses[200] < count:
                self._changed.clear()
                await self._changed.wait()

    async def _caller(self, url: str, chance: random.Random) -> None:
        line = Line(url, self._key)
        over = False
        while not over:
            try:
                over = await self._one(line, wanted(chance), chance)
            except BROKEN:
                self.broken += 1
                line.close()
                await asyncio.sleep(chance.uniform(0.01, 0.1))
            self._changed.set()
        line.close()

    async def _one(self, line: Line, what: Wanted, chance: random.Random) -> bool:
        """Ask once; return whether the answer was that the quota is gone."""
        line.headers = {}
        try:
            said = await (self._streamed(line, what) if what.body["stream"] else self._whole(line, what))
        finally:
            if "x-headgate-call" in line.headers:
                self.calls[what.mark] = line.headers["x-headgate-call"]
        if said is None:
            self.left += 1
            line.close()
            return False
        status, headers = line.status, line.headers
        self.statuses[status] += 1
        if status == 429 and "retry-after" not in headers and headers.get("x-should-retry") == "false":
            self.said.append(said)
            return True
        if status == 500 or status not in (200, 429, 502, 503, 504):
            self.odd.append((status, said))
        if status != 200:
            await asyncio.sleep(chance.uniform(0.1, 0.5))  # less than it was told: callers are impatient
        return False

    async def _streamed(self, line: Line, what: Wanted) -> bytes | None:
        said = []
        async with asyncio.timeout(PATIENCE):
            async for chunk in await line.stream(what.path, what.body):
                said.append(chunk)
                if len(said) == what.leaves and line.status == 200:
                    return None
        return b"".join(said)

    async def _whole(self, line: Line, what: Wanted) -> bytes | None:
        if not what.leaves:
            return (await line.post(what.path, what.body)).body
        try:
            async with asyncio.timeout(what.leaves / 100):
                return (await line.post(what.path, what.body)).body
        except TimeoutError:
            return None


async def kill_one(gateway: Gateway, chance: random.Random) -> None:
    """Kill one of the workers that serve, while another one does."""
    serving = await apoll(lambda: len(pids := ready_pids(gateway)) > 1 and sorted(pids))
    assert serving
    victim = chance.choice(serving)
    os.kill(victim, signal.SIGKILL)
    await apoll(lambda: victim not in ready_pids(gateway))


async def at_rest(url: str) -> Books:
    """Wait until nothing is held any more, and return the ledger's books."""

    def found() -> Books | None:
        read = books(url)
        return read if read.at_rest else None

    read = await apoll(found)
    assert read is not None
    return read


def billed(sim: SimThread) -> int:
    """Return what the upstream has billed, in nano-USD. Nothing may be under way."""
    sim.settled()
    return sim.bill.cost_nano(dict.fromkeys(MODELS, wire.PRICES))


def limits(cap: int) -> tuple[Limit, ...]:
    """Return the cap, on an account and on its key (""), and limits of other units that never end the burn."""
    return (
        of_account(cap),
        limit(Scope.KEY, "", Unit.USD, cap),
        of_account(10**12, Unit.TOKENS),
        of_account(CALLERS * 3 // 4, Unit.CONCURRENCY),
    )


def judge(bill: int, cap: int, ids: Sequence[int], read: Books) -> None:
    """Say whether the cap has held, and all of it could be spent. `ids` are of `limits(cap)`."""
    spent, of_key, tokens, at_once = (read.limits[one][0] for one in ids)
    assert (of_key, tokens, at_once) == (spent, read.tokens, 0)
    assert bill <= spent <= cap
    assert read.over == 0
    assert spent >= cap * 97 // 100
    assert spent == read.costs == read.usage
    assert read.largest <= cap // 100


def judge_calls(sim: SimThread, url: str, burn: Burn) -> None:
    """Say whether each call that its caller knows has been charged what the upstream has billed for it, or more."""
    bills: dict[str, int] = {}
    for request in list(sim.requests):
        for mark in _MARK.findall(request.body)[:1]:
            bills[mark.decode()] = bills.get(mark.decode(), 0) + wire.billed(request)
    charged = costs(url)
    assert len(burn.calls) > CALLERS
    known = {call: (bills.get(mark, 0), charged.get(call, 0)) for mark, call in burn.calls.items()}
    assert {call: sums for call, sums in known.items() if sums[0] > sums[1]} == {}
