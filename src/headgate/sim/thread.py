"""The simulated upstream in a thread of its own, for programs without an event loop."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Self, TypeVar

from headgate.sim.bill import Bill
from headgate.sim.record import SimRequest
from headgate.sim.server import SimServer

_PATIENCE_S = 30.0

T = TypeVar("T")


class SimThread:
    """`with SimThread(seed=1) as sim:`; the same as SimServer, callable from any thread."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int = 1,
        api_key: str | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._sim = SimServer(host=host, port=port, seed=seed, api_key=api_key, clock=clock)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="headgate-sim", daemon=True)

    @property
    def url(self) -> str:
        return self._sim.url

    @property
    def port(self) -> int:
        return self._sim.port

    @property
    def requests(self) -> list[SimRequest]:
        return self._sim.requests

    @property
    def bill(self) -> Bill:
        """The live account; call settled() first for a stable one."""
        return self._sim.bill

    def fault(
        self, fault: str = "", *, times: int = 1, model: str = "", endpoint: str = "", **options: str | int
    ) -> None:
        """As SimServer.fault."""
        self._call(lambda: self._sim.fault(fault, times=times, model=model, endpoint=endpoint, **options))

    def release(self) -> None:
        self._call(self._sim.release)

    def until(self, predicate: Callable[[], bool], timeout: float = _PATIENCE_S) -> None:
        """Wait until the predicate holds; it runs in the sim's thread. Raises TimeoutError."""
        self._wait(self._sim.until(predicate), timeout)

    def settled(self, timeout: float = _PATIENCE_S) -> None:
        """Wait until no request is being answered. Raises TimeoutError."""
        self._wait(self._sim.settled(), timeout)

    def start(self) -> None:
        self._thread.start()
        try:
            self._wait(self._sim.start())
        except OSError:
            self._end()
            raise

    def stop(self) -> None:
        self._wait(self._sim.stop())
        self._end()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _wait(self, work: Coroutine[None, None, None], timeout: float = _PATIENCE_S) -> None:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            future.result(timeout)
        except TimeoutError:
            future.cancel()
            raise

    def _call(self, function: Callable[[], T]) -> T:
        async def there() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(there(), self._loop).result(_PATIENCE_S)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
