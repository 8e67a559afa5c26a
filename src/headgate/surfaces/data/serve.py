"""The worker process: `python -m headgate.surfaces.data.serve FD`, started by the supervisor."""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any

import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from headgate.ledger.engine import Ledger
from headgate.runtime.gate import Gate
from headgate.runtime.worker import main
from headgate.surfaces.data.answers import usage_query
from headgate.surfaces.data.app import DataPlane
from headgate.surfaces.data.limits import limits_query
from headgate.surfaces.data.rsgi import RsgiTransport

HEADER_TIMEOUT_MS = 30_000
"""The most that a client may take for a request's head; `server.body_timeout` where that is shorter."""
MILLISECOND_NS = 1_000_000
BACKLOG = 4096
CONCURRENT = 65_536
"""Requests at once; what holds calls back is limits and memory, not the listener."""


class Listener:
    """Granian, embedded, on the port that all workers share."""

    def __init__(self, gate: Gate, ledger: Ledger, host: str, port: int) -> None:
        plane = DataPlane(gate, usage_query(ledger), limits_query(ledger))
        head_timeout = max(1, min(HEADER_TIMEOUT_MS, gate.terms.settings.body_timeout // MILLISECOND_NS))

        def app(scope: Any, proto: Any) -> Coroutine[Any, Any, None]:
            return plane.handle(RsgiTransport(scope, proto))

        self._server = Server(
            app,
            address=host,
            port=port,
            interface=Interfaces.RSGI,
            # Telling HTTP/2 from HTTP/1 by a connection's first bytes, Granian waits for them without any limit.
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(header_read_timeout=head_timeout),
            websockets=False,
            backlog=BACKLOG,
            backpressure=CONCURRENT,
            log_enabled=False,
        )

    async def serve(self) -> None:
        """Serve until `stop`."""
        await self._server.serve()

    def stop(self) -> None:
        """Close the port and end `serve`."""
        self._server.stop()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        status = main(Listener, runner.run)
    sys.exit(status)
