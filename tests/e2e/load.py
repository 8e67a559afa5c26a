"""Load of all three dialects, unary and streamed, that remembers every call whose end a client saw."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from types import TracebackType
from typing import Any, Self

import msgspec
from tests.e2e.raw import Line

CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
MODELS = {CHAT: "openai/gpt-sim", RESPONSES: "responses/gpt-sim", MESSAGES: "anthropic/claude-sim"}
ENDS = {CHAT: b"data: [DONE]", RESPONSES: b"event: response.completed", MESSAGES: b"event: message_stop"}
"""What the last frame of a whole stream holds."""
BROKEN = (ConnectionError, EOFError, OSError)
"""What a client sees of a server that was killed."""
RETRY = 0.01
"""Seconds after which a broken call is asked again, so that a server that is gone is not asked without pause."""


def body(path: str, text: str = "hello", *, stream: bool = False, model: str = "") -> dict[str, Any]:
    """Return a request of the dialect that `path` speaks."""
    asked: dict[str, Any] = {"model": model or MODELS[path], "stream": stream}
    match path:
        case "/v1/responses":
            return {**asked, "input": text}
        case "/v1/messages":
            return {**asked, "max_tokens": 100, "messages": [{"role": "user", "content": text}]}
        case _:
            return {**asked, "messages": [{"role": "user", "content": text}]}


class Broken(msgspec.Struct):
    """A call that a connection broke on. `call` is the last call seen on that connection, empty for none."""

    call: str
    error: str


class Load(AbstractAsyncContextManager["Load"]):
    """`count` clients that ask on and on until the block ends.

    `seen` holds the ids of calls whose whole end arrived; `refused` answers that were none; `broken` the calls
    that a connection broke on, each of which is asked again until it is answered.
    """

    def __init__(
        self, url: str, key: str, *, count: int = 16, seed: int = 1, paths: Sequence[str] = tuple(ENDS)
    ) -> None:
        self.seen: set[str] = set()
        self.refused: list[tuple[int, bytes]] = []
        self.broken: list[Broken] = []
        self._place = (url, key)
        self._random = random.Random(seed)
        self._paths = paths
        self._stop = False
        self._changed = asyncio.Event()
        self._count = count
        self._clients: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._clients = [asyncio.create_task(self._client()) for _ in range(self._count)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Let every client finish its call."""
        self._stop = True
        for client in self._clients:
            with suppress(asyncio.CancelledError):
                await client

    def leave(self) -> None:
        """Ask nothing more."""
        self._stop = True

    async def until(self, condition: Callable[[Load], bool], patience: float = 60.0) -> None:
        """Wait until a condition holds; it is looked at after every call."""
        async with asyncio.timeout(patience):
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()

    async def more(self, calls: int) -> None:
        """Wait until so many more calls have been seen to their end."""
        wanted = len(self.seen) + calls
        await self.until(lambda load: len(load.seen) >= wanted)

    async def _client(self) -> None:
        last = ""
        line = Line(*self._place)
        while not self._stop:
            path, streamed = self._random.choice(self._paths), self._random.random() < 0.5
            try:
                last = await self._one(line, path, streamed=streamed)
            except BROKEN as error:
                self.broken.append(Broken(last, repr(error)))
                last = ""
                line.close()
                line = Line(*self._place)
                await asyncio.sleep(RETRY)
            self._changed.set()
        line.close()

    async def _one(self, line: Line, path: str, *, streamed: bool) -> str:
        request = body(path, f"[[sim tokens={self._random.randint(1, 20)}]]", stream=streamed)
        if not streamed:
            answer = await line.post(path, request)
            call, whole = answer.call, answer.body
            ended = answer.status == 200 and whole.endswith(b"}")
        else:
            whole = b"".join([chunk async for chunk in await line.stream(path, request)])
            call, ended = line.headers.get("x-headgate-call", ""), ENDS[path] in whole
        if ended:
            self.seen.add(call)
        else:
            self.refused.append((line.status, whole[-500:]))
        return call
