"""The simulated upstream as a server on a real socket."""

import asyncio
import signal
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from headgate.sim.bill import Bill
from headgate.sim.brain import Brain
from headgate.sim.connection import Connection
from headgate.sim.control import queue
from headgate.sim.record import SimRequest

_MAX_BODY = 256 * 1024 * 1024
_KEEP = 10_000
_BACKLOG = 1024


class SimServer:
    """`async with SimServer(port=0, seed=1) as sim:` serves until the block is left.

    seed: picks every answer; api_key: if set, requests without it get the vendor's 401; clock: monotonic ns,
    for the prompt caches; keep: how many requests are remembered, the oldest go first; max_body: bytes, more
    gets 413; delays: whether the waits that a directive asks for (ttft, gap) are kept, or left out.
    Raises OSError if the port cannot be bound.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int = 1,
        api_key: str | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
        keep: int = _KEEP,
        max_body: int = _MAX_BODY,
        delays: bool = True,
    ) -> None:
        self.host = host
        self.port = port
        self.brain = Brain(seed=seed, api_key=api_key, clock=clock, keep=keep)
        self.brain.changed = self._changed
        self._max_body = max_body
        self._delays = delays
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    @property
    def url(self) -> str:
        """The base URL without /v1, as the anthropic SDK wants it; paths work with and without /v1."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def requests(self) -> list[SimRequest]:
        """What has come in, oldest first; the control API's own requests are not among them."""
        return list(self.brain.requests)

    @property
    def bill(self) -> Bill:
        return self.brain.bill

    def fault(
        self, fault: str = "", *, times: int = 1, model: str = "", endpoint: str = "", **options: str | int
    ) -> None:
        """Queue a fault, or other options of a directive (ttft="50ms"), for the next matching requests.

        Raises ValueError for what is not known.
        """
        named = {"fault": fault} if fault else {}
        match = {"model": model, "endpoint": endpoint}
        self.brain.faults.add(queue({**named, **options, "times": times, "match": match}))

    def release(self) -> None:
        """Let answers with the fault `hold` go on."""
        self.brain.release()

    async def until(self, predicate: Callable[[], bool]) -> None:
        """Wait until the predicate holds; it is asked after every request, frame and end."""
        if predicate():
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (predicate, future)
        self._waiting.append(entry)
        try:
            await future
        finally:
            self._waiting.remove(entry)

    async def settled(self) -> None:
        """Wait until no request is being answered."""
        await self.until(lambda: all(request.outcome is not None for request in self.brain.requests))

    def _changed(self) -> None:
        for predicate, future in self._waiting:
            if not future.done() and predicate():
                future.set_result(None)

    async def start(self) -> None:
        """Bind and begin to serve; `port` is the real one afterwards."""
        self._server = await asyncio.start_server(self._connected, self.host, self.port, limit=2**18, backlog=_BACKLOG)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the listener and every connection; running answers end as cut."""
        if self._server is None:
            return
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._server = None

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(self.brain, reader, writer, self.until, self._max_body, delays=self._delays)
        task = asyncio.get_running_loop().create_task(connection.run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


def run(
    host: str = "127.0.0.1",
    port: int = 4190,
    seed: int = 1,
    *,
    api_key: str | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; `on_ready` gets the URL. Raises OSError if the port cannot be bound."""
    asyncio.run(_serve(SimServer(host=host, port=port, seed=seed, api_key=api_key), on_ready))


async def _serve(sim: SimServer, on_ready: Callable[[str], None] | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with sim:
        if on_ready is not None:
            on_ready(sim.url)
        await stop.wait()
