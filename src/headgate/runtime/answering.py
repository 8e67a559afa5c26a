"""What a call answers its client with: its end, its error, and the headers that tell of its route and cost."""

from headgate.model.dialect import DIALECT_OF, Endpoint
from headgate.model.errors import HeadgateError
from headgate.model.limit import Standing
from headgate.model.money import format_usd
from headgate.model.request import RequestHead
from headgate.policy.estimate import likely_tokens
from headgate.policy.refusals import should_retry_header
from headgate.protocols.codec import codec_for
from headgate.protocols.ratelimits import rate_limit_headers
from headgate.runtime.attempt import Attempt
from headgate.runtime.clock import Clock
from headgate.runtime.reply import JSON, STORE_LOST, Reply
from headgate.runtime.rows import NO_SUMS, OK
from headgate.runtime.transport import Headers, Transport

SSE = ("content-type", "text/event-stream; charset=utf-8")


class Answering(Reply):
    """Base of a call: knows what of the call's state its client is told. `id` is the call's."""

    __slots__ = ("_attempt", "_codec", "_error", "_head", "_standings", "_sums", "endpoint", "id")

    def __init__(self, transport: Transport, clock: Clock, endpoint: Endpoint, call: str) -> None:
        super().__init__(transport, clock)
        self.id = call
        self.endpoint = endpoint
        self._codec = codec_for(endpoint)
        self._head: RequestHead | None = None
        self._attempt: Attempt | None = None
        self._sums = NO_SUMS
        self._error: HeadgateError | None = None
        self._standings: tuple[Standing, ...] = ()

    async def _end(self, data: bytes, status: int) -> None:
        """Send the last bytes, once the call is in the ledger."""
        if not await self._is_committed():
            await self._answer_error(STORE_LOST)
            return
        head = self._head
        if self._sender is not None or (status == OK and head is not None and head.stream):
            await self._send_last(self._sender or self._start_stream(self._headers()), data)
        else:
            self.transport.answer(status, self._headers(), data)

    async def _fail(self) -> None:
        error = self._error
        assert error is not None
        await self._answer_error(error if await self._is_committed() else STORE_LOST)

    async def _answer_error(self, error: HeadgateError) -> None:
        if self._sender is not None:
            sequence = self._attempt.scanner.next_sequence() if self._attempt else 0
            await self._send_last(self._sender, self._codec.encode_error_event(error, self.id, sequence))
            return
        headers = [*JSON, (self._codec.request_id, self.id), *self._own_headers()]
        if error.retry_after is not None:
            headers.append(("retry-after", str(error.retry_after)))
        if (retry := should_retry_header(error)) is not None:
            headers.append(("x-should-retry", retry))
        self.transport.answer(error.status, headers, self._codec.encode_error(error, self.id))

    def _headers(self) -> Headers:
        attempt, head = self._attempt, self._head
        assert attempt is not None
        assert head is not None
        headers = [*self._kept(attempt), *self._own_headers()]
        if not head.stream:
            headers.append(("x-headgate-cost-basis", self._sums.basis))
            if self._sums.cost_nano is not None:
                headers.append(("x-headgate-cost-usd", format_usd(self._sums.cost_nano)))
        return headers

    def _kept(self, attempt: Attempt) -> Headers:
        """Return the upstream's headers that are the client's, with an id of the request where the SDK looks for it."""
        kept = attempt.kept_headers
        if attempt.out.writer is not None and attempt.status == OK:
            # What was written anew is not of the upstream's type.
            kept = [header for header in kept if header[0] != "content-type"]
            kept.append(SSE if attempt.out.head.stream else JSON[0])
        named = self._codec.request_id
        return kept if any(name == named for name, _ in kept) else [*kept, (named, self.id)]

    def _own_headers(self) -> Headers:
        headers = [("x-headgate-call", self.id)]
        if self._attempt is not None:
            headers.append(("x-headgate-route", self._attempt.route.name))
            headers.append(("x-headgate-attempts", str(self._attempt.no)))
            if (lost := self._attempt.out.lost) is not None:
                headers.append(("x-headgate-dropped", lost))
        if self._standings:
            headers += rate_limit_headers(DIALECT_OF[self.endpoint], self._standings, self._clock.wall())
        return headers

    async def _answer_estimate(self, head: RequestHead) -> None:
        """Answer a token count that no upstream of the model can be asked for."""
        if not await self._is_committed():
            await self._answer_error(STORE_LOST)
            return
        counted = b'{"input_tokens":%d}' % likely_tokens(len(head.body))
        self.transport.answer(OK, [*JSON, *self._own_headers(), ("x-headgate-estimated", "true")], counted)
