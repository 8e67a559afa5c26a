"""The client's side of a call: what it is sent, and what its end waits for."""

import asyncio

from headgate.ledger.errors import LedgerError
from headgate.model.errors import ErrorKind, HeadgateError
from headgate.model.limit import Answer
from headgate.policy.patience import RETRY_STORE
from headgate.runtime.clock import Clock
from headgate.runtime.transport import ClientLeft, Headers, Sender, Transport
from headgate.runtime.waiting import Interruptible, Waiting

JSON: Headers = [("content-type", "application/json")]
STORE_LOST = HeadgateError(
    ErrorKind.SERVICE_UNAVAILABLE,
    "The gateway could not write this call to its ledger; it may have been served and billed.",
    retry_after=RETRY_STORE,
)


class Reply(Interruptible):
    """Base of a call. The end of an answer waits for `_committed`, the commit of the call's rows."""

    __slots__ = ("_committed", "_sender", "transport")

    def __init__(self, transport: Transport, clock: Clock) -> None:
        super().__init__(clock)
        self.transport = transport
        self._sender: Sender | None = None
        self._committed: asyncio.Future[Answer | None] | None = None

    def _let_go(self) -> None:
        """End the answer and untie the call.

        The server closes a stream when its sender is gone, and the collector, which would find the cycles, runs seldom.
        """
        self._sender = None
        self._committed = None
        self._task = None

    def _start_stream(self, headers: Headers) -> Sender:
        self._sender = self.transport.stream(200, headers)
        return self._sender

    async def _send(self, sender: Sender, data: bytes) -> bool:
        """Send bytes of a stream; False when the client has left."""
        self._waiting, self._waiting_since = Waiting.CLIENT, self._clock.mono()
        try:
            await sender.send(data)
        except ClientLeft:
            return False
        finally:
            self._waiting = Waiting.NOTHING
        return True

    async def _send_last(self, sender: Sender, data: bytes) -> None:
        """Send the end of a stream. The call is over and recorded: nothing that happens here changes it."""
        if not data:
            return
        self._wait(Waiting.CLIENT)
        try:
            await sender.send(data)
        except ClientLeft:
            return
        except asyncio.CancelledError:
            self._wake()
        finally:
            self._waiting = Waiting.NOTHING

    async def _is_committed(self) -> bool:
        """Wait for the commit of the call's rows; False when the store does not take them in time."""
        committed = self._committed
        if committed is None:
            return True
        self._wait(Waiting.COMMIT)
        try:
            await committed
        except asyncio.CancelledError:
            self._wake()
            return committed.done() and not committed.cancelled()
        except LedgerError:
            return False
        finally:
            self._waiting = Waiting.NOTHING
        return True
