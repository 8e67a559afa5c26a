"""One upstream request of a call: opened, read, settled into its row."""

from math import ceil

import msgspec
import structlog

from headgate.exchange.events import AttemptFailed, AttemptOpened, Event
from headgate.model.errors import ErrorKind
from headgate.model.failure import Failure, FailureKind
from headgate.model.limit import MAX_AMOUNT, Grant
from headgate.model.records import AttemptRow, AttemptState
from headgate.model.route import Route
from headgate.model.usage import Usage
from headgate.policy.estimate import TOKENS_PER_BYTE, Hold
from headgate.policy.failures import kind_of_status
from headgate.policy.truth import Ending, settle
from headgate.protocols.base import MalformedStream
from headgate.protocols.failure_cause import failure_cause
from headgate.protocols.provable import BYTES_A_TOKEN, WATCH_BYTES
from headgate.protocols.whole import ANSWER_LIMIT, WholeBody
from headgate.runtime.clock import Clock
from headgate.runtime.outgoing import Outgoing
from headgate.runtime.transport import Headers, Transport
from headgate.upstream.answers import ERROR_BODY_LIMIT, failure_of, hidden, kept_headers
from headgate.upstream.client import Answer, Client, UpstreamFailed
from headgate.upstream.kinds import client_headers

log = structlog.get_logger("headgate.attempt")

TAIL_LIMIT = 64 * 1024
"""Bytes of what an upstream sends after its last frame that are worth a connection."""
UNSENT = frozenset({FailureKind.CONNECT_FAILED, FailureKind.CONNECT_TIMEOUT})


class Attempt:
    """`no` counts from 1 within the call; `sized`: what it holds is bounded. Times in ns: `began` monotonic."""

    __slots__ = (
        "_began_at",
        "_clock",
        "_held",
        "_most",
        "answer",
        "began",
        "ceiling",
        "exhausted",
        "first_content",
        "grant",
        "kept_headers",
        "no",
        "out",
        "route",
        "scanner",
        "status",
    )

    def __init__(
        self, no: int, route: Route, held: Hold, out: Outgoing, clock: Clock, grant: Grant | None, *, sized: bool
    ) -> None:
        self.no = no
        self.grant = grant
        self.out = out
        self.route = route
        self.status = 0
        self.answer: Answer | None = None
        self.first_content: int | None = None
        self.exhausted = False
        self.kept_headers: Headers = []
        self.scanner = out.scanner
        self._held = held
        # Where nothing limits the output, only the size of an answer does.
        self._most = held.output if sized else None
        self.ceiling = ANSWER_LIMIT if self._most is None else min(ANSWER_LIMIT, self._most * WATCH_BYTES)
        self._clock = clock
        self._began_at = clock.wall()
        self.began = clock.mono()

    async def open(self, client: Client, transport: Transport) -> Event:
        """Send the request; return once the upstream's head, or its whole error, is there."""
        provider = self.route.provider
        head = self.out.head
        headers = client_headers(provider.kind, transport.every)
        try:
            answer = self.answer = await client.post(head.endpoint, headers, self.out.body, whole=not head.stream)
            self.status = answer.status
            self.kept_headers = kept_headers(answer)
            kind = kind_of_status(answer.status)
            if kind is None:
                return AttemptOpened()
            said = await _error_body(answer)
        except UpstreamFailed as error:
            return AttemptFailed(error.failure)
        failure = self._refused(answer, kind, said)
        passes = not self.out.foreign and failure.kind is FailureKind.REQUEST_REJECTED
        return AttemptFailed(failure, hidden(said, provider.api_key) if passes else None)

    def _refused(self, answer: Answer, kind: FailureKind, said: bytes) -> Failure:
        """Return the failure that an error status and its body stand for."""
        out, cause = self.out, failure_cause(said)
        if cause.unpaid and kind is FailureKind.REQUEST_REJECTED:
            kind = FailureKind.UPSTREAM_BILLING
        if cause.forgotten and kind is FailureKind.MODEL_UNAVAILABLE:
            kind = FailureKind.REQUEST_REJECTED  # the model is there: the client must send what it goes on from
        message = out.codec.failure_message(said)
        failure = failure_of(answer, kind, message, self.route.provider.api_key, self._clock.wall())
        told = cause.told if cause.told is ErrorKind.CONTEXT_LENGTH_EXCEEDED else None
        # An upstream of another dialect names its own members: one that the client sent as well is the client's too.
        known = out.writer is not None and cause.param in out.writer.reply.head.fields
        return msgspec.structs.replace(failure, told=told, param=cause.param if known else None)

    def look_closely(self) -> None:
        """A stream has become long for what is held for it. Raises MalformedStream if it is longer than any may be."""
        if self.scanner.streamed_output_bytes > ANSWER_LIMIT:
            raise MalformedStream(f"the stream is longer than {ANSWER_LIMIT >> 20} MiB")
        self.ceiling = ANSWER_LIMIT
        if not isinstance(self.scanner, WholeBody):
            self.scanner.watch()

    def capped(self) -> bytes | None:
        """Return what validly ends a stream that has provably passed what is held for it; None: it has not."""
        most, scanner = self._most, self.scanner
        if most is None or isinstance(scanner, WholeBody) or scanner.provable_output <= most:
            return None
        return scanner.capped(self._held.output, self._held.input)

    def _seen(self, failure: Failure) -> Usage | None:
        """Return the usage known of an attempt that has failed: what was reported on the way, or the text has taken.

        An upstream that passed its maximum has billed more than the hold: its text counts as it would in a request,
        and what came before it was looked at as the maximum.
        """
        seen, scanner, held = self.scanner.partial(), self.scanner, self._held
        if failure.kind is not FailureKind.CAPPED or isinstance(scanner, WholeBody):
            return seen
        provable = scanner.provable_output
        if seen is not None and seen.total_output >= provable:
            return seen
        output = held.output + ceil(provable * BYTES_A_TOKEN * TOKENS_PER_BYTE)
        if seen is None or seen.total_input == 0:
            return Usage(input=held.input, output=output)
        return msgspec.structs.replace(seen, output=output)

    async def read_tail(self) -> None:
        """Read what is left of a whole answer, so that its connection can be used again."""
        answer, size = self.answer, 0
        if answer is None or self.exhausted:
            return
        try:
            while size < TAIL_LIMIT and (chunk := await answer.read()) is not None:
                size += len(chunk)
        except UpstreamFailed:
            return

    async def close(self) -> None:
        """Let go of the upstream. Never raises: what was sent is still to be settled and recorded."""
        answer, self.answer = self.answer, None
        if answer is None:
            return
        try:
            await answer.close()
        except Exception:  # whatever it is, it costs a connection at most
            log.exception("an upstream's answer could not be closed", route=self.route.name)

    def row(self, call: str, failure: Failure | None) -> AttemptRow:
        """Settle the attempt and return its row; the writer names its incarnation. `failure` None: it came whole."""
        route, scanner = self.route, self.scanner
        ending = Ending(
            failure is None or failure.kind not in UNSENT,
            self.out.head.stream,
            failure,
            scanner.reported() if self.status else None,
            None if failure is None else self._seen(failure),
            scanner.content_seen,
            scanner.streamed_text_bytes,
            self.out.head.reasoning,
        )
        settled = settle(self._held, route, ending)
        usage, cost, held = settled.usage, settled.cost, self._held.nano
        if cost.nano is not None and cost.nano > MAX_AMOUNT:
            cost = msgspec.structs.replace(cost, nano=MAX_AMOUNT)  # the ledger takes no more
        over = 0 if self._most is None or held is None or cost.nano is None else max(0, cost.nano - held)
        return AttemptRow(
            call,
            self.no,
            0,
            route.provider.name,
            route.upstream_name,
            route.backend,
            route.model,
            AttemptState.SETTLED,
            self.status,
            failure.kind if failure else None,
            failure.message if failure else None,
            self._began_at,
            self._clock.mono() - self.began,
            None if self.first_content is None else self.first_content - self.began,
            usage.input,
            usage.cache_read,
            usage.cache_write_5m,
            usage.cache_write_1h,
            usage.output,
            usage.reasoning,
            usage.input_audio,
            usage.cache_read_audio,
            usage.output_audio,
            held,
            cost.nano,
            cost.basis,
            cost.savings_nano,
            self._held.input + self._held.output,
            cost.nano if ending.usage is not None else None,
            over,
        )


async def _error_body(answer: Answer) -> bytes:
    """Return the beginning of an error body; what breaks while it is read is not worse than the error itself."""
    parts: list[bytes] = []
    size = 0
    try:
        while size < ERROR_BODY_LIMIT and (chunk := await answer.read()) is not None:
            parts.append(chunk)
            size += len(chunk)
    except UpstreamFailed:
        return b"".join(parts)
    return b"".join(parts)
