"""The demo's clients: real HTTP against the gateway, each conversation in its dialect."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import msgspec
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError
from pyreqwest.response import Response

from headgate.ledger.views import Reader
from headgate.model.dialect import Endpoint
from headgate.surfaces.demo.board import Board, DemoFailed, Line
from headgate.surfaces.demo.scenario import Lane, Turn
from headgate.surfaces.demo.talk import Hearing, Said, Talk, filler, whole

ROW_PATIENCE = 30.0
"""Seconds within which the call of a client that has left must be in the ledger."""
_LOOK = 0.02


class Traffic:
    """All clients of one gateway. `delays`: they think between their calls, as people and tools do."""

    def __init__(self, url: str, key: str, reader: Reader, board: Board, *, delays: bool) -> None:
        self._url = url
        self._key = key
        self._reader = reader
        self._board = board
        self._delays = delays

    async def run(self, groups: tuple[tuple[Lane, ...], ...]) -> None:
        """Make all calls. Raises DemoFailed."""
        builder = ClientBuilder().no_proxy().follow_redirects(False).tcp_nodelay(True)
        async with builder.build() as client:
            await together(*(self._group(client, group) for group in groups))

    async def _group(self, client: Client, lanes: tuple[Lane, ...]) -> None:
        for lane in lanes:
            await self._think(lane.after)
            await self._lane(client, lane)

    async def _lane(self, client: Client, lane: Lane) -> None:
        system = filler(lane.system_tokens, f"What {lane.who} must know") if lane.system_tokens else ""
        talk = Talk(lane.endpoint, lane.model, system, lane.effort)
        results: list[tuple[str, str]] = []
        for turn in lane.turns:
            if turn is not lane.turns[0]:
                await self._think(turn.after)
            talk.say(f"{turn.text}\n{turn.steer}", results)
            said = await self._call(client, lane, turn, talk)
            if bool(said.tools) != bool(turn.tool):
                called = ", ".join(tool.name for tool in said.tools) or "no tool"
                raise DemoFailed(f"{lane.who} expected {turn.tool or 'no tool'} to be called, and got {called}.")
            talk.hear(said)
            results = [(tool.id, filler(turn.result_tokens, f"{tool.name}: {turn.text}")) for tool in said.tools]

    async def _think(self, seconds: float) -> None:
        if self._delays:
            await asyncio.sleep(seconds)

    async def _call(self, client: Client, lane: Lane, turn: Turn, talk: Talk) -> Said:
        """Make one call, and wait until the ledger has it."""
        line = self._board.begin(lane, turn)
        request = (
            client.post(f"{self._url}/v1/{lane.endpoint}")
            .headers(_headers(lane.endpoint, self._key))
            .body_bytes(talk.body(stream=turn.stream))
            .streamed_read_buffer_limit(0)
            .build_streamed()
        )
        try:
            async with request as response:
                said = await self._hear(response, lane, turn, line)
                call_id = response.get_header("x-headgate-call") or ""
        except PyreqwestError as error:
            raise DemoFailed(f"The gateway broke off a call of {lane.who} ({type(error).__name__}).") from None
        self._board.end(line, await self._row(call_id), self._reader)
        return said

    async def _hear(self, response: Response, lane: Lane, turn: Turn, line: Line) -> Said:
        """Read an answer to its end, or to where its client leaves."""
        line.route = response.get_header("x-headgate-route") or ""
        hearing = Hearing(lane.endpoint)
        body = b""
        while (chunk := await response.body_reader.read_chunk()) is not None:
            line.heard += len(chunk)
            if not turn.stream or response.status != 200:
                body += bytes(chunk)
                continue
            hearing.feed(bytes(chunk))
            if hearing.content and line.first is None:
                line.first = self._board.clock()
            if turn.leave_after and hearing.content >= turn.leave_after:
                return hearing.said
        if response.status != 200:
            told = body[:300].decode(errors="replace")
            raise DemoFailed(f"A call of {lane.who} to {lane.model} was answered {response.status}: {told}")
        if not turn.stream:
            return whole(lane.endpoint, msgspec.json.decode(body))
        if not hearing.ended:
            raise DemoFailed(f"A stream of {lane.who} ended without its end: {hearing.error or 'it was cut'}.")
        return hearing.said

    async def _row(self, call_id: str) -> dict[str, Any]:
        """Return the ledger's row of a call: there at once for one heard to its end, soon for one that was left."""
        try:
            async with asyncio.timeout(ROW_PATIENCE):
                while (row := self._reader.call(call_id)) is None:  # noqa: ASYNC110  another process writes it
                    await asyncio.sleep(_LOOK)
        except TimeoutError:
            raise DemoFailed(f"The call {call_id} was not in the ledger within {ROW_PATIENCE:.0f} s.") from None
        return row


async def together(*work: Coroutine[Any, Any, None]) -> None:
    """Run all side by side; the first error ends the others and is raised as it is."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _headers(endpoint: Endpoint, key: str) -> dict[str, str]:
    own = {"x-api-key": key, "anthropic-version": "2023-06-01"}
    return {"content-type": "application/json"} | (
        own if endpoint is Endpoint.MESSAGES else {"authorization": f"Bearer {key}"}
    )
