"""The listener of the admin plane, embedded in the supervisor's process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from headgate.config.settings import Settings
from headgate.ledger.engine import Ledger
from headgate.runtime.clock import SYSTEM, Clock
from headgate.runtime.ports import accepting, reserve
from headgate.runtime.supervisor import Supervisor
from headgate.surfaces.admin.app import AdminApp
from headgate.surfaces.admin.plane import Configuration, Plane
from headgate.surfaces.admin.table import TABLE

log = structlog.get_logger("headgate.admin")

HEADER_TIMEOUT_MS = 5_000
CONNECTIONS = 256
STOP_GRACE = 1.0
"""Seconds that requests have to end in, before they are ended."""


class AdminServer:
    """The admin plane of one supervisor. `port` is known while it runs."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        supervisor: Supervisor,
        configuration: Configuration,
        clock: Clock = SYSTEM,
    ) -> None:
        self._host = settings.admin_host
        self._wanted = settings.admin_port
        self._plane = Plane(settings, ledger, supervisor, configuration, clock)
        self._app = AdminApp(self._plane, TABLE)
        self.port = 0
        self._stopping = False

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve within the block, which begins when connections are accepted.

        Raises PortTaken, or OSError for an address that is not this machine's.
        """
        with contextlib.closing(self._plane), reserve(self._host, self._wanted) as kept:
            address, self.port = kept.getsockname()[:2]
            server = self._server(address)
            serving = asyncio.create_task(server.serve())
            serving.add_done_callback(self._ended)
            try:
                await accepting(address, self.port, serving)
                yield
            finally:
                await self._stop(server, serving)

    def _server(self, address: str) -> Server:
        return Server(
            self._app,
            address=address,
            port=self.port,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(header_read_timeout=HEADER_TIMEOUT_MS),
            websockets=False,
            backpressure=CONNECTIONS,
            log_enabled=False,
        )

    def _ended(self, _serving: asyncio.Task[None]) -> None:
        if not self._stopping:
            log.error("the admin plane ended by itself; calls are served on, start headgate again to have it back")

    async def _stop(self, server: Server, serving: asyncio.Task[None]) -> None:
        """Close the port, let requests end, then end them.

        A connection whose client neither sends nor reads is left to the end of the process: to wait for it
        would let anybody hold the supervisor up.
        """
        self._stopping = True
        server.stop()  # type: ignore[no-untyped-call]
        await asyncio.wait({serving}, timeout=STOP_GRACE)
        if not serving.done():
            self._app.cancel()
            await asyncio.wait({serving}, timeout=STOP_GRACE)
        if serving.done():
            serving.result()
