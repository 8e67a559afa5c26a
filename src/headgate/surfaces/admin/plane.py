"""What the handlers work with, and the threads in which they ask the ledger."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, Protocol, TypeVar

import msgspec
from sqlalchemy import Connection

from headgate.config.settings import Compiled, Settings
from headgate.ledger.engine import Ledger
from headgate.runtime.clock import Clock
from headgate.runtime.supervisor import Supervisor
from headgate.surfaces.admin.totals import TotalsCache, read_totals

THREADS = 4
"""Questions to the ledger at once. A pool of their own: they must not keep the supervisor from its threads."""

P = ParamSpec("P")
T = TypeVar("T")


class Configuration(Protocol):
    """The configuration in force, and the way to read it again."""

    @property
    def compiled(self) -> Compiled: ...

    async def reload(self) -> Compiled:
        """Read it again and adopt it. Raises ConfigError, LedgerError or OSError; then nothing has changed."""


class Plane:
    """`settings` are those that the process started with. Close it at the end."""

    def __init__(
        self, settings: Settings, ledger: Ledger, supervisor: Supervisor, configuration: Configuration, clock: Clock
    ) -> None:
        self.settings = settings
        self.ledger = ledger
        self.supervisor = supervisor
        self.configuration = configuration
        self.clock = clock
        self.born = clock.mono()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="headgate-admin")
        self.totals = TotalsCache(lambda: self.in_thread(read_totals, ledger), clock)

    async def in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what blocks in a thread of this plane."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: work(*args, **kwargs))

    async def change(self, work: Callable[[Connection], T]) -> T:
        """Change the ledger in one transaction, in a thread."""

        def changed() -> T:
            with self.ledger.write() as connection:
                return work(connection)

        return await self.in_thread(changed)

    def close(self) -> None:
        """Take no more questions; one that runs ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Asked(msgspec.Struct, frozen=True):
    """One request, read and checked. `now` is the wall time in ns."""

    query: dict[str, Any]
    path: dict[str, str]
    body: Any
    now: int


class Reply(msgspec.Struct, frozen=True):
    """An answer. `content_type` is that of `body`."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"


_encode = msgspec.json.Encoder().encode


def reply(value: Any, status: int = 200) -> Reply:
    """Return an answer in JSON."""
    return Reply(_encode(value), status)
