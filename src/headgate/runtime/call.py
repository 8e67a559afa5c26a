"""The driver of one call: does what the exchange decides, and tells it what happened."""

import asyncio
from collections.abc import Coroutine
from typing import Any, assert_never

import structlog

from headgate.exchange.commands import (
    CloseAttempt,
    Command,
    EndWith,
    FailWith,
    Forward,
    Hold,
    OpenAttempt,
    Record,
    Settle,
)
from headgate.exchange.events import (
    Admitted,
    AttemptEnded,
    AttemptFailed,
    CapReached,
    ClientGone,
    Event,
    FrameSeen,
)
from headgate.exchange.machine import Exchange, State
from headgate.model.dialect import Endpoint
from headgate.model.errors import ErrorKind, HeadgateError
from headgate.model.failure import Failure, FailureKind
from headgate.model.identity import Principal
from headgate.model.records import CallRow, Outcome
from headgate.model.route import Plan
from headgate.policy.failures import answer_for
from headgate.policy.patience import RETRY_SOON
from headgate.protocols.codec import FrameTooLarge, MalformedStream, Piece, PieceKind, translator_for
from headgate.runtime.admission import STATEFUL, is_response_id, plan_of
from headgate.runtime.gate import Gate
from headgate.runtime.holding import Holding
from headgate.runtime.outgoing import Canonical
from headgate.runtime.rows import ended, facts_of, totals
from headgate.runtime.transport import ClientLeft, Transport
from headgate.runtime.waiting import Waiting
from headgate.upstream.answers import hidden, hide
from headgate.upstream.client import UpstreamFailed

log = structlog.get_logger("headgate.call")

SECOND_NS = 1_000_000_000

PROMPT_IN = {Endpoint.CHAT: "messages", Endpoint.MESSAGES: "messages", Endpoint.RESPONSES: "input"}
"""The member of a request that is at fault where the prompt is too long."""
GLANCE = 0.005
"""Seconds before another attempt in which a unary call, which nobody watches until then, learns of its client."""

BROKE = Failure(FailureKind.INTERNAL, "the gateway broke on this call; see its log")
SHUT_DOWN = HeadgateError(ErrorKind.SERVICE_UNAVAILABLE, "The gateway shut down; retry.", retry_after=RETRY_SOON)
BODY_LATE = HeadgateError(ErrorKind.REQUEST_TIMEOUT, "The body did not arrive within server.body_timeout.")


class Call(Holding):
    """One client request from its admission to its last byte. All of it runs on one task of the event loop."""

    __slots__ = ("_plan", "_ttft")

    def __init__(self, gate: Gate, transport: Transport, endpoint: Endpoint, principal: Principal) -> None:
        super().__init__(gate, transport, endpoint, principal)
        self._plan: Plan | None = None
        self._ttft: int | None = None

    async def serve(self, body: Coroutine[Any, Any, bytes]) -> None:
        """Answer the request whose body this reads."""
        self._task = asyncio.current_task()
        self.gate.active.add(self)
        try:
            try:
                plan = await self._admitted(await self._received(body))
            except HeadgateError as error:
                self._error = error
                self._record(Outcome.REJECTED, ())
                await self._fail()
            except ClientLeft:
                self._record(Outcome.CLIENT_GONE, ())
            else:
                await self._run(plan)
        finally:
            self.gate.leave(self)
            if self._watcher is not None:
                self._watcher.cancel()
                self._watcher = None
            if self._attempt is not None and self._attempt.answer is not None:
                await self._attempt.close()
            self._let_go()

    async def _received(self, body: Coroutine[Any, Any, bytes]) -> bytes:
        self._wait(Waiting.BODY)
        try:
            return await body
        except asyncio.CancelledError:
            self._wake()
            raise BODY_LATE if self._take_interruption() is None else SHUT_DOWN from None
        finally:
            self._waiting = Waiting.NOTHING

    async def _admitted(self, body: bytes) -> Plan:
        """Read the head and choose the routes. Raises HeadgateError."""
        head = self._head = self._codec.read_head(self.endpoint, body)
        canonical = self._canonical = Canonical(head, self.id, self._started_at // SECOND_NS)
        self._plan, self._model = await plan_of(self.gate, self.terms, self.principal, head, self._started)
        canonical.home = self._plan.home
        return self._plan

    async def _run(self, plan: Plan) -> None:
        head = self._head
        assert head is not None
        if not plan.routes:
            self._record(Outcome.OK, ())
            await self._answer_estimate(head)
            return
        exchange = self._exchange = Exchange(drains=not head.stream or head.reasoning)
        try:
            if head.stream:
                self._watch()
            await self._obey(exchange.handle(Admitted(plan.routes)))
            while exchange.state != State.DONE:
                await self._relay()
        except Exception:  # whatever broke in us: an attempt that was sent is charged, and the call recorded
            log.exception("a call broke", call=self.id)
            commands = exchange.handle(AttemptFailed(BROKE))
            if not commands:
                raise
            await self._obey(commands)

    # -- reading the upstream --------------------------------------------------------------------

    async def _relay(self) -> None:
        """Read the current attempt until it ends, fails or is interrupted."""
        event: Event
        try:
            if self._interruption is None:
                await self._frames()
                return
            event = self._interruption
            self._interruption = None
        except asyncio.CancelledError:
            event = self._woken()
        except UpstreamFailed as error:
            event = AttemptFailed(error.failure)
        except (MalformedStream, FrameTooLarge) as error:
            event = AttemptFailed(Failure(FailureKind.BAD_RESPONSE, hide(str(error), self._key)))
        finally:
            self._waiting = Waiting.NOTHING
        await self._obey(self._exchange.handle(event))

    async def _frames(self) -> None:
        attempt = self._attempt
        assert attempt is not None
        assert attempt.answer is not None
        read, scanner, exchange = attempt.answer.read, attempt.scanner, self._exchange
        mono = self._clock.mono
        while True:
            self._waiting, self._waiting_since = Waiting.UPSTREAM, mono()
            chunk = await read()
            self._waiting = Waiting.NOTHING
            if chunk is None:
                attempt.exhausted = True
                break
            pieces = scanner.feed(chunk)
            if isinstance(pieces, bytes):
                # Plain content changes nothing the exchange decides by, so it does not pass through it.
                await self._forward(pieces)
            else:
                await self._pieces(pieces)
                if exchange.state == State.READING and self._attempt is attempt:
                    capped = attempt.capped()
                    if capped is not None:
                        await self._obey(exchange.handle(CapReached(capped)))
            if scanner.streamed_output_bytes > attempt.ceiling:
                attempt.look_closely()
            if self._attempt is not attempt or exchange.state != State.READING or self._interruption is not None:
                return
        await self._pieces(scanner.finish())
        if self._attempt is attempt and exchange.state == State.READING:
            await self._obey(exchange.handle(AttemptEnded(scanner.complete)))

    async def _pieces(self, pieces: list[Piece]) -> None:
        attempt = self._attempt
        assert attempt is not None
        for piece in pieces:
            ends = piece.kind is PieceKind.TERMINAL
            if piece.kind is PieceKind.ERROR or (ends and attempt.scanner.error_message is not None):
                event: Event = self._error_frame(piece.data)
            else:
                if piece.kind is PieceKind.CONTENT:
                    self._note_content()
                event = FrameSeen(piece.kind, piece.data)
            await self._obey(self._exchange.handle(event))
            if self._attempt is not attempt:  # what followed in this stream is nobody's any more
                return

    def _note_content(self) -> None:
        attempt = self._attempt
        assert attempt is not None
        if attempt.first_content is None:
            attempt.first_content = self._clock.mono()
            if self._ttft is None:
                self._ttft = attempt.first_content - self._started

    @property
    def _key(self) -> str | None:
        attempt = self._attempt
        assert attempt is not None
        return attempt.route.provider.api_key

    def _error_frame(self, frame: bytes) -> AttemptFailed:
        attempt = self._attempt
        assert attempt is not None
        message = attempt.scanner.error_message or "the upstream sent an error in its stream"
        told = attempt.scanner.error_cause.told
        failure = Failure(FailureKind.ERROR_EVENT, hide(message, self._key), attempt.status, told=told)
        return AttemptFailed(failure, None if attempt.out.writer is not None else hidden(frame, self._key))

    # -- doing what the exchange says ------------------------------------------------------------

    async def _obey(self, commands: tuple[Command, ...]) -> None:
        """Do what the exchange says, and tell it what came of it, until it has nothing more to say."""
        while commands:
            event: Event | None = None
            for command in commands:
                match command:
                    case Forward():
                        await self._forward(command.data)
                    case Settle():
                        self._settle(command.failure)
                    case Record():
                        self._record(command.outcome, command.failures, passed_on=command.passed_on)
                    case EndWith():
                        await self._end(command.data, command.status)
                    case CloseAttempt():
                        await self._close()
                    case Hold():
                        if self._rows:
                            await self._glance()
                        event = await self._begin_attempt(command)
                    case OpenAttempt():
                        event = await self._open()
                    case FailWith():
                        await self._fail()
                    case _:
                        assert_never(command)
            commands = () if event is None else self._exchange.handle(event)

    async def _glance(self) -> None:
        """Give the word that the client has left time to arrive, if there is one: it needs no other attempt."""
        self._watch()
        if self._watcher is not None:
            await asyncio.wait({self._watcher}, timeout=GLANCE)

    async def _open(self) -> Event:
        attempt = self._attempt
        assert attempt is not None
        self._wait(Waiting.UPSTREAM)
        try:
            return await attempt.open(self.terms.clients[attempt.route.provider.name], self.transport)
        except asyncio.CancelledError:
            return self._woken()
        finally:
            self._waiting = Waiting.NOTHING

    def _settle(self, failure: Failure | None) -> None:
        attempt = self._attempt
        assert attempt is not None
        row = attempt.row(self.id, failure)
        self._keep(row, attempt)
        self.gate.observe(attempt.route, failure)
        self.gate.metrics.attempt(attempt.route.name, row)

    def _record(self, outcome: Outcome, failures: tuple[tuple[str, Failure], ...], *, passed_on: bool = False) -> None:
        """Hand the rows to the writer; what ends the answer waits on `_committed`."""
        if outcome in (Outcome.FAILED, Outcome.BROKEN) or (outcome is Outcome.REJECTED and failures and not passed_on):
            prompt = PROMPT_IN.get(self.endpoint)
            self._error = answer_for(list(failures), prompt=prompt, begun=outcome is Outcome.BROKEN)
        head, gate, sums = self._head, self.gate, totals(self._rows)
        self._sums = sums
        row = CallRow(
            self.id,
            0,
            self.principal.account,
            self.principal.key,
            self._session,
            self.endpoint,
            head.model if head else "",
            self._model,
            self._attempt.route.name if self._attempt else "",
            head.stream if head else False,
            *ended(outcome, failures, self._error, streaming=self._sender is not None),
            len(self._rows),
            self._started_at,
            self._clock.mono() - self._started,
            self._ttft,
            sums.input,
            sums.cache_read,
            sums.cache_write_5m,
            sums.cache_write_1h,
            sums.output,
            sums.reasoning,
            sums.input_audio,
            sums.cache_read_audio,
            sums.output_audio,
            sums.cost_nano,
            sums.basis,
            sums.savings_nano,
            self._attempt.out.lost if self._attempt else None,
            facts_of(head, self._plan, self.terms.fingerprint, failures),
            self._response_id(outcome),
        )
        if self.terms.settings.durability != "batch":
            self._committed = gate.loop.create_future()
        self._hand_over(row)
        gate.metrics.call(row)

    def _response_id(self, outcome: Outcome) -> str | None:
        """Return the id by which a later call may go on from this answer; endpoints without state have none."""
        attempt, head = self._attempt, self._head
        if self.endpoint not in STATEFUL or attempt is None or head is None or outcome is not Outcome.OK:
            return None
        if attempt.out.foreign or not translator_for(self.endpoint).keeps_state(head):
            return None
        made = attempt.scanner.response_id
        return made if made is not None and is_response_id(made) else None

    async def _close(self) -> None:
        """Give the upstream's connection back: read what little is left of a whole answer, else drop it."""
        attempt = self._attempt
        assert attempt is not None
        if len(self._rows) == attempt.no:  # it came whole: what failed is closed before it is settled
            self._wait(Waiting.TAIL)
            try:
                await attempt.read_tail()
            except asyncio.CancelledError:
                self._wake()
            finally:
                self._waiting = Waiting.NOTHING
        await attempt.close()

    async def _forward(self, data: bytes) -> None:
        """Send bytes of a stream; a client that has left is told to the exchange."""
        if self._exchange.client_gone:
            return
        sender = self._sender or self._start_stream(self._headers())
        if not await self._send(sender, data):
            await self._obey(self._exchange.handle(ClientGone()))
