"""One upstream request of a call: opened, read, settled into its row."""

from headgate.exchange.events import AttemptFailed, AttemptOpened, Event
from headgate.model.failure import Failure, FailureKind
from headgate.model.records import AttemptRow
from headgate.model.request import RequestHead
from headgate.model.route import Route
from headgate.policy.estimate import Hold
from headgate.policy.failures import kind_of_status
from headgate.policy.truth import Ending, settle
from headgate.protocols.base import Codec, StreamScanner
from headgate.protocols.whole import WholeBody
from headgate.runtime.clock import Clock
from headgate.runtime.rows import attempt_row
from headgate.runtime.transport import Headers, Transport
from headgate.upstream.answers import ERROR_BODY_LIMIT, failure_of, hide, kept_headers
from headgate.upstream.client import Answer, Client, UpstreamFailed
from headgate.upstream.kinds import client_headers, url_of

UNSENT = frozenset({FailureKind.CONNECT_FAILED, FailureKind.CONNECT_TIMEOUT})


class Attempt:
    """`no` counts from 1 within the call. Times in ns: `began` monotonic."""

    __slots__ = (
        "_began_at",
        "_clock",
        "_codec",
        "_head",
        "_held",
        "answer",
        "began",
        "exhausted",
        "first_content",
        "kept_headers",
        "no",
        "route",
        "scanner",
        "status",
    )

    def __init__(self, no: int, route: Route, held: Hold, head: RequestHead, codec: Codec, clock: Clock) -> None:
        self.no = no
        self.route = route
        self.status = 0
        self.answer: Answer | None = None
        self.first_content: int | None = None
        self.exhausted = False
        self.kept_headers: Headers = []
        self.scanner: StreamScanner | WholeBody = codec.scanner(head) if head.stream else WholeBody(codec)
        self._held = held
        self._head = head
        self._codec = codec
        self._clock = clock
        self._began_at = clock.wall()
        self.began = clock.mono()

    async def open(self, client: Client, transport: Transport) -> Event:
        """Send the request; return once the upstream's head, or its whole error, is there."""
        provider = self.route.provider
        body = self._codec.outgoing(self._head, self.route.upstream_name, None)
        headers = client_headers(provider.kind, transport.header)
        try:
            answer = self.answer = await client.post(url_of(provider, self._head.endpoint), headers, body)
            self.status = answer.status
            self.kept_headers = kept_headers(answer)
            kind = kind_of_status(answer.status)
            if kind is None:
                return AttemptOpened()
            said = await _error_body(answer)
        except UpstreamFailed as error:
            return AttemptFailed(error.failure)
        key = provider.api_key
        message = self._codec.failure_message(said)
        if key and key.encode() in said:
            said = hide(said.decode("utf-8", "replace"), key).encode()
        return AttemptFailed(failure_of(answer, kind, message, key, self._clock.wall()), said)

    async def close(self) -> None:
        answer, self.answer = self.answer, None
        if answer is not None:
            await answer.close()

    def row(self, call: str, incarnation: int, failure: Failure | None) -> AttemptRow:
        """Settle the attempt and return its row. `failure` None: the answer came whole."""
        scanner = self.scanner
        ending = Ending(
            sent=failure is None or failure.kind not in UNSENT,
            stream=self._head.stream,
            failure=failure,
            usage=scanner.reported() if self.status else None,
            seen=scanner.partial(),
            content=scanner.content_seen,
            streamed_bytes=scanner.streamed_output_bytes,
            reasoning=self._head.reasoning,
        )
        ttft = None if self.first_content is None else self.first_content - self.began
        return attempt_row(
            call,
            self.no,
            incarnation,
            self.route,
            self._began_at,
            self._clock.mono() - self.began,
            ttft,
            self.status,
            failure,
            self._held,
            settle(self._held, self.route, ending),
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
