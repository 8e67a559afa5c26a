"""Streams that stand still at their upstream for as long as a test needs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.e2e.gateway import PATIENCE, Gateway
from tests.e2e.load import CHAT, MESSAGES, RESPONSES, body
from tests.e2e.raw import Line

from headgate.sim import SimThread

PATHS = (CHAT, RESPONSES, MESSAGES)
ERRORS = {CHAT: b'"error"', RESPONSES: b"event: error", MESSAGES: b"event: error"}
"""What the last frame of a stream that broke holds."""


class Held:
    """A stream that stands still at its upstream after some frames of content."""

    def __init__(self, line: Line, path: str) -> None:
        self.line = line
        self.path = path
        self.data = b""

    async def begin(self, sim: SimThread, after: int = 2) -> None:
        """Ask, and read until that much content is here."""
        sim.fault("hold", after=after, endpoint=self.path.removeprefix("/v1/"))
        self._chunks = await self.line.stream(self.path, body(self.path, "[[sim tokens=20]]", stream=True))
        assert self.line.status == 200, self.line.headers
        while contents(self.path, self.data) < after:
            async with asyncio.timeout(PATIENCE):
                self.data += await anext(self._chunks)

    async def finish(self) -> bytes:
        """Read to the end of the body, which must be whole as HTTP wants it."""
        async with asyncio.timeout(PATIENCE):
            async for chunk in self._chunks:
                self.data += chunk
        return self.data

    @property
    def call(self) -> str:
        return self.line.headers["x-headgate-call"]


def contents(path: str, data: bytes) -> int:
    """Count the frames of content that are whole."""
    frames = data.split(b"\n\n")[:-1]
    marks = {
        CHAT: b'"content":',
        RESPONSES: b"event: response.output_text.delta",
        MESSAGES: b"event: content_block_delta",
    }
    return sum(marks[path] in frame and b'"role":"assistant"' not in frame for frame in frames)


@contextlib.asynccontextmanager
async def held(gateway: Gateway, sim: SimThread, paths: tuple[str, ...] = PATHS) -> AsyncIterator[list[Held]]:
    async with contextlib.AsyncExitStack() as stack:
        streams = [Held(await stack.enter_async_context(Line(gateway.url, gateway.key)), path) for path in paths]
        for stream in streams:
            await stream.begin(sim)
        yield streams
