"""One client's connection: h11 frames, the script is played, and the client is watched meanwhile."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import h11

from headgate.sim.bill import Outcome
from headgate.sim.brain import Brain, Charge
from headgate.sim.record import SimRequest
from headgate.sim.script import Drop, Gate, Hang, Head, Pause, Reply, Send, Step, json_reply

_READ = 65_536
_NS = 1_000_000_000
_LINGER_OFF = struct.pack("ii", 1, 0)  # close() then sends RST
_PIPELINED = 1_000_000  # bytes of further requests that are kept while one is answered

Until = Callable[[Callable[[], bool]], Awaitable[None]]


class Connection:
    """Serves one connection to its end. `until` waits for a condition on the brain; `delays`: pauses are kept."""

    def __init__(
        self,
        brain: Brain,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        until: Until,
        max_body: int,
        *,
        delays: bool = True,
    ) -> None:
        self._brain = brain
        self._reader = reader
        self._writer = writer
        self._until = until
        self._max_body = max_body
        self._delays = delays
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_READ)
        self._dropped = False
        self._spent = 0
        self._charge: Charge | None = None
        # Drain then means: handed to the kernel, so that a reset cannot overtake what was sent before it.
        writer.transport.set_write_buffer_limits(high=0)

    async def run(self) -> None:
        """Serve requests until either side closes."""
        try:
            while await self._exchange():
                self._http.start_next_cycle()
            self._writer.close()
            await self._writer.wait_closed()
        except OSError:
            pass  # the client's reset; its request's outcome is recorded already
        finally:
            self._writer.transport.abort()

    async def _exchange(self) -> bool:
        """Serve one request. Return whether the connection can serve another."""
        try:
            request = await self._event()
        except h11.RemoteProtocolError as error:
            await self._reject(error)
            return False
        if not isinstance(request, h11.Request):
            return False
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers]
        record = self._brain.received_head(request.method.decode(), request.target.decode("latin-1"), headers)
        ended = Outcome.CANCELLED
        self._spent, self._charge = 0, None
        try:
            reply, self._charge = await self._read_and_decide(record)
            self._spent = reply.spent
            ended = await self._answer(reply, record)
        except asyncio.CancelledError:
            ended = Outcome.CUT
            raise
        finally:
            self._settle(record, ended)
        return not self._dropped and self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    def _settle(self, record: SimRequest, ended: Outcome) -> None:
        """Record how a request ended; only the first call counts."""
        if record.outcome is None:
            self._brain.settle(record, self._charge, self._spent, ended)
            self._brain.changed()

    async def _reject(self, error: h11.RemoteProtocolError) -> None:
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            refusal = json_reply(error.error_status_hint, {"error": {"message": str(error)}})
            await self._play(refusal, SimRequest(0, "GET", "", []))

    async def _event(self) -> h11.Event | type[h11.PAUSED]:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event  # type: ignore[return-value]  # h11 types NEED_DATA as a class of its own
            if self._http.they_are_waiting_for_100_continue:
                go_on = h11.InformationalResponse(status_code=100, headers=[])
                self._writer.write(self._http.send(go_on) or b"")
            self._http.receive_data(await self._reader.read(_READ))

    async def _read_and_decide(self, record: SimRequest) -> tuple[Reply, Charge | None]:
        """Read the body, ask the brain. Raises ConnectionResetError if the client leaves before its end."""
        parts, size = [], 0
        while True:
            try:
                event = await self._event()
            except h11.RemoteProtocolError as error:
                raise ConnectionResetError(str(error)) from error
            if isinstance(event, h11.EndOfMessage):
                break
            if not isinstance(event, h11.Data):
                raise ConnectionResetError("the client left in the middle of its request")
            size += len(event.data)
            if size <= self._max_body:
                parts.append(bytes(event.data))
        if size > self._max_body:
            return json_reply(413, {"error": {"message": f"the body is over {self._max_body} bytes"}}), None
        record.body = b"".join(parts)
        decided = self._brain.reply(record)
        self._brain.changed()
        return decided

    async def _answer(self, reply: Reply, record: SimRequest) -> Outcome:
        """Play the script, and stop it when the client leaves."""
        work = asyncio.create_task(self._play(reply, record))
        watch = asyncio.create_task(self._client_gone())
        try:
            await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (work, watch):
                task.cancel()
            await asyncio.wait({work, watch})
        if work.cancelled() or isinstance(work.exception(), ConnectionError):
            self._dropped = True
            return Outcome.CANCELLED
        work.result()
        return Outcome.CUT if self._dropped else Outcome.COMPLETED

    async def _client_gone(self) -> None:
        """Return when the client has closed; what it sends before is kept for the next request."""
        kept = 0
        with contextlib.suppress(ConnectionError):
            while kept < _PIPELINED:
                data = await self._reader.read(_READ)
                if not data:
                    return
                self._http.receive_data(data)
                kept += len(data)

    async def _play(self, reply: Reply, record: SimRequest) -> None:
        """Take the steps of a script in turn, and end the body unless a step has dropped the connection.

        The outcome is recorded before the last bytes go out: who has seen the end finds it in the bill.
        """
        last = _last(reply.steps)
        for at, step in enumerate(reply.steps):
            if isinstance(step, Send):
                self._spent += step.tokens
                record.frames += step.content
            if at == last:
                self._settle(record, Outcome.CUT if isinstance(step, Drop) else Outcome.COMPLETED)
            await self._step(step, reply, record)
            if self._dropped:
                return
        await self._write(h11.EndOfMessage())

    async def _step(self, step: Step, reply: Reply, record: SimRequest) -> None:
        match step:
            case Head():
                record.status = reply.status
                await self._write(_response(reply))
                self._brain.changed()
            case Send():
                if record.method != "HEAD":
                    record.chunks.append(step.data)
                    await self._write(h11.Data(data=step.data))
                self._brain.changed()
            case Pause():
                await asyncio.sleep(step.ns / _NS if self._delays else 0)
            case Hang():
                await self._until(lambda: False)
            case Gate():
                before = self._brain.releases
                await self._until(lambda: self._brain.releases > before)
            case Drop():
                self._drop(reset=step.rst)

    async def _write(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if data:
            self._writer.write(data)
            await self._writer.drain()

    def _drop(self, *, reset: bool) -> None:
        self._dropped = True
        if reset:
            sock = self._writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_OFF)
            self._writer.transport.abort()
        else:
            self._writer.close()


def _last(steps: list[Step]) -> int:
    """Return the index of the step that shows the client the end; an empty body ends with its head."""
    ends = [at for at, step in enumerate(steps) if not (isinstance(step, Send) and not step.data)]
    return -1 if isinstance(steps[-1], Hang) else ends[-1]


def _response(reply: Reply) -> h11.Response:
    headers = [("server", "headgate-sim"), *reply.headers]
    if reply.length is not None:
        headers.append(("content-length", str(reply.length)))
    try:
        reason = HTTPStatus(reply.status).phrase
    except ValueError:
        reason = "Simulated"  # 520 and 529 have no registered phrase
    return h11.Response(status_code=reply.status, headers=headers, reason=reason)
