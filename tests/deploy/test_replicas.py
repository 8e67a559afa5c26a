"""What docs/guides/replicas.md says of several replicas on one PostgreSQL, before a real nginx too."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.deploy.front import Front
from tests.e2e.gateway import PATIENCE, Gateway
from tests.e2e.held import PATHS, Held, held
from tests.e2e.load import BROKEN, CHAT, ENDS, body
from tests.e2e.processes import kill_all, living
from tests.e2e.raw import Line
from tests.e2e.wire import until_status

from headgate.sim import SimThread

CLIENTS = 4
CALLS = 40
"""Answered between two steps of a rolling restart."""


class Clients:
    """Clients that ask on and on, each call on a connection of its own; they count what they are answered."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.calls: set[str] = set()
        self._changed = asyncio.Event()

    async def run(self, url: str, key: str) -> None:
        while True:
            status = 0
            with suppress(*BROKEN):
                async with Line(url, key) as line:
                    answer = await line.post(CHAT, body(CHAT))
                    status = answer.status
                    if status == 200:
                        self.calls.add(answer.call)
            self.statuses[status] += 1
            self._changed.set()

    async def more(self, calls: int) -> None:
        """Wait for so many more calls that were answered well."""
        wanted = self.statuses[200] + calls
        async with asyncio.timeout(PATIENCE):
            while self.statuses[200] < wanted:
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def clients(url: str, key: str) -> AsyncIterator[Clients]:
    asking = Clients()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(asking.run(url, key)) for _ in range(CLIENTS)]
        yield asking
        for task in tasks:
            task.cancel()


async def asked(gateway: Gateway, key: str) -> str:
    async with Line(gateway.url, key) as line:
        answer = await line.post(CHAT, body(CHAT))
    assert answer.status == 200
    return answer.call


def calls_of(gateway: Gateway, calls: set[str]) -> set[str]:
    """Return those of these calls that the ledger has."""
    return calls & {call["id"] for call in gateway.read(lambda reader: reader.calls(limit=10**6))}


async def test_one_key_works_on_all_and_each_shows_the_calls_of_all(replicas: list[Gateway], key: str) -> None:
    calls = {await asked(one, key) for one in replicas for _ in range(3)}
    [name] = {gateway["key_name"] for gateway in map(replicas[0].call, calls)}
    for one in replicas:
        shown = [json.loads(line) for line in one.cli("calls", "--key", name, "--json").splitlines()]
        assert {call["id"] for call in shown} == calls
        [used] = [json.loads(line) for line in one.cli("usage", "--key", name, "--json").splitlines()]
        assert used["requests"] == len(calls) == 6


async def test_a_key_revoked_at_one_is_void_at_all(replicas: list[Gateway], key: str) -> None:
    name = replicas[0].call(await asked(replicas[0], key))["key_name"]
    replicas[0].cli("keys", "revoke", name)
    for one in replicas:
        await asyncio.to_thread(until_status, one, key, 401)


async def test_a_killed_replica_takes_only_its_calls_in_flight_with_it(
    replicas: list[Gateway], key: str, sim: SimThread
) -> None:
    victim, other = replicas
    [of_victim], [of_other] = living_of(victim), living_of(other)
    before = await asked(victim, key)
    async with held(victim, sim) as streams:
        await asyncio.to_thread(kill_all, victim)
    after = await asked(other, key)
    assert calls_of(other, {before, after} | {stream.call for stream in streams}) == {before, after}
    assert living(other) == sorted((of_victim, of_other)), "another replica's lock directory judges nobody"
    sim.release()
    await asyncio.to_thread(victim.start)
    [again] = living_of(victim)
    assert living(other) == sorted((of_other, again))


def living_of(gateway: Gateway) -> list[int]:
    """Return the lives whose lock files lie in this replica's own directory."""
    return [int(path.stem.rpartition("-")[2]) for path in gateway.folder.glob("state/*/incarnation-*.lock")]


async def test_streams_pass_the_front_frame_by_frame(
    replicas: list[Gateway], key: str, sim: SimThread, tmp_path: Path
) -> None:
    with Front(tmp_path, [one.url for one in replicas]) as front:
        for path in PATHS:
            async with Line(front.url, key) as line:
                stream = Held(line, path)
                await stream.begin(sim)
                sim.release()
                assert ENDS[path] in await stream.finish()


async def test_a_front_that_is_told_loses_no_call_over_a_rolling_restart(
    replicas: list[Gateway], key: str, tmp_path: Path
) -> None:
    with Front(tmp_path, [one.url for one in replicas]) as front:
        async with clients(front.url, key) as asking:
            for one in replicas:
                await asking.more(CALLS)
                await asyncio.to_thread(restart, one, front)
            await asking.more(CALLS)
    assert set(asking.statuses) == {200}, asking.statuses
    assert calls_of(replicas[0], asking.calls) == asking.calls


def restart(gateway: Gateway, front: Front) -> None:
    """Out of the front, down, up, and in again; it may listen elsewhere now."""
    old = gateway.url
    front.write(down=[old])
    front.reload()
    assert gateway.stop() == 0
    gateway.start()
    place = front.replicas.index(old.removeprefix("http://"))
    front.replicas[place] = gateway.url.removeprefix("http://")
    until_status(gateway, gateway.key, 200)
    front.write()
    front.reload()


async def test_a_front_passes_over_a_dead_replica_and_sends_no_call_twice(
    replicas: list[Gateway], key: str, sim: SimThread, tmp_path: Path
) -> None:
    seen = len(sim.requests)
    sim.fault("hang-headers")
    with Front(tmp_path, [one.url for one in replicas]) as front:
        async with Line(front.url, key) as line:
            call = asyncio.create_task(line.post(CHAT, body(CHAT)))
            await asyncio.to_thread(sim.until, lambda: len(sim.requests) > seen)
            credential = dict(sim.requests[-1].headers)["authorization"]
            [victim] = [one for one in replicas if credential.endswith(one.folder.name)]
            await asyncio.to_thread(kill_all, victim)
            assert (await call).status == 502
        assert len(sim.requests) == seen + 1
        async with clients(front.url, key) as asking:
            await asking.more(CALLS)
        assert set(asking.statuses) == {200}, asking.statuses
    await asyncio.to_thread(victim.start)
