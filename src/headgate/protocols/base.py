"""What every codec offers: a request's head, the body for an upstream, usage, errors, a stream's scan."""

from abc import ABC, abstractmethod
from enum import StrEnum
from typing import Any, Final

import msgspec
from msgspec import Raw

from headgate.model.dialect import Endpoint
from headgate.model.errors import HeadgateError
from headgate.model.request import RequestHead
from headgate.model.usage import Reported, Usage
from headgate.protocols.failure_cause import Cause, failure_cause
from headgate.protocols.failure_text import failure_text
from headgate.protocols.json_object import decode_object, is_object, members_of
from headgate.protocols.provable import BYTES_A_TOKEN, usage_at_cap
from headgate.protocols.sse import FrameSplitter, is_frame, parse_frame
from headgate.protocols.text_meter import Says, TextMeter, TextsIn

QUICK_LIMIT: Final = 1024 * 1024
"""Larger chunks are always split, so that the limit on a frame holds for them too."""

NO_CAUSE: Final = Cause()


class MalformedStream(ValueError):
    """What came before any content is no event stream of the dialect. The message is safe to show."""


class PieceKind(StrEnum):
    PREAMBLE = "preamble"  # before content: role frame, message_start, ping, comment
    CONTENT = "content"
    TERMINAL = "terminal"  # the dialect's last frame and whatever comes after it
    ERROR = "error"  # an error frame inside a 200


class Piece(msgspec.Struct, frozen=True, gc=False):
    """One or more whole frames of one kind, as they came."""

    kind: PieceKind
    data: bytes


class StreamScanner(ABC):
    """Reads along in one attempt's stream; one per attempt, not reusable.

    `feed` returns the very chunk where it holds nothing but content to forward, else pieces in order; frames
    that the client did not ask for are left out. Pieces do not depend on how the stream was chunked.

    `complete`: every choice has its finish reason, so the answer is whole even if no terminal frame comes.
    `error_type` is the upstream's own name for the error (`overloaded_error`), `error_cause` what it is about.
    `streamed_output_bytes` counts the bytes of all content frames; `streamed_text_bytes` is an upper bound of the text
    that the model made in them (protocols/text_meter.py).

    A stream that is to stop at its hold: the driver calls `watch` once `streamed_output_bytes` has passed WATCH_BYTES
    for each token held, and compares `provable_output` whenever `feed` has returned pieces. To stop it forwards all of
    them, then `capped` as the end; nothing is fed or finished after that, and a frame half received is dropped.
    """

    __slots__ = (
        "_measure",
        "_meter",
        "_open",
        "_provable",
        "_splitter",
        "_text_bytes",
        "_unread",
        "_watching",
        "complete",
        "content_seen",
        "error_cause",
        "error_message",
        "error_type",
        "finish_reason",
        "response_id",
        "streamed_output_bytes",
        "streamed_text_bytes",
        "terminal_seen",
    )

    def __init__(self, texts_in: TextsIn, says: Says) -> None:
        """`texts_in` yields the texts that the model made in a frame, not those of servers; `says` as in TextMeter."""
        self._splitter = FrameSplitter()
        self._open = False  # content has begun, nothing is buffered, no terminal frame yet; not watched
        self._unread = False  # usage has come since `_provable` was read from it
        self._provable = 0
        self._watching = False
        self._text_bytes = 0
        self.content_seen = False
        self.terminal_seen = False
        self.complete = False
        self.error_message: str | None = None
        self.error_type: str | None = None
        self.error_cause = NO_CAUSE
        self.finish_reason: str | None = None
        self.response_id: str | None = None
        self.streamed_output_bytes = 0
        self.streamed_text_bytes = 0
        self._meter = TextMeter(texts_in, says)
        self._measure = self._meter.measure

    @abstractmethod
    def feed(self, chunk: bytes) -> bytes | list[Piece]:
        """Take the next bytes. Raises FrameTooLarge, and MalformedStream before content."""

    def finish(self) -> list[Piece]:
        """Take the end of the upstream's body. Raises MalformedStream before content.

        A last frame that lacks only its blank line gets it; a cut one is left out: an error event may follow.
        """
        rest = self._splitter.rest()
        self._open = False
        if not rest.strip():
            return self._sort([rest]) if rest else []
        data = parse_frame(rest)[1]
        if data.startswith(b"[DONE]") or is_object(data):
            return self._sort([rest.rstrip(b"\r\n") + b"\n\n"])
        if not (self.content_seen or self.terminal_seen or is_frame(rest, cut=True)):
            raise _not_a_stream(rest)
        return []

    def reported(self) -> Reported | None:
        """Return the usage of a stream that ended properly; None where none came or the stream was cut."""
        return self._usage() if self.terminal_seen or self.complete else None

    def partial(self) -> Usage | None:
        """Return what the upstream has said of its tokens so far, of a cut stream too: a lower bound."""
        reported = self._usage()
        return None if reported is None else reported.usage

    def next_sequence(self) -> int:
        """Return the sequence number for an event to append, in dialects that number them."""
        return 0

    def watch(self) -> None:
        """Count the text that comes from now on, for `provable_output`; every frame costs a parse then."""
        self._watching = True
        self._open = False

    @property
    def provable_output(self) -> int:
        """Output tokens that are certain, of all choices: reported so far, or in the text since `watch`."""
        if self._unread:
            self._unread = False
            reported = self._usage()
            if reported is not None:
                self._provable = max(self._provable, reported.usage.total_output)
        return max(self._provable, self._text_bytes // BYTES_A_TOKEN)

    @abstractmethod
    def capped(self, output_tokens: int, input_tokens: int | None = None) -> bytes:
        """Return the frames that end the stream now, as its vendor ends one that has reached its maximum.

        They follow all that `feed` has returned; b"" after a terminal frame. Their usage is `output_tokens` and what
        the upstream has said of the input, else `input_tokens`; none, but Anthropic's count of output, without either.
        """

    def unfinished(self) -> list[int]:
        """Return the indexes of the choices without a finish reason."""
        return [] if self.complete else [0]

    def capped_usage(self, output_tokens: int, input_tokens: int | None) -> Usage | None:
        """Return the usage that the end of a stopped stream says, None where the input is unknown."""
        return usage_at_cap(self.partial(), output_tokens, input_tokens)

    @abstractmethod
    def _usage(self) -> Reported | None: ...

    @abstractmethod
    def _is_plain(self, frames: bytes) -> bool:
        """Tell cheaply that there is nothing to note in these frames; a false alarm costs only time."""

    @abstractmethod
    def _classify(self, event: bytes | None, data: bytes) -> PieceKind | None:
        """Take note of a frame with data and return its kind, None to leave it out."""

    def _scan(self, chunk: bytes) -> list[Piece]:
        pieces = self._sort(self._splitter.feed(chunk))
        self._open = self.content_seen and not (self.terminal_seen or self._splitter.pending or self._watching)
        return pieces

    def _sort(self, frames: list[bytes]) -> list[Piece]:
        pieces: list[Piece] = []
        run: list[bytes] = []
        last: PieceKind | None = None
        for frame in frames:
            kind = self._kind(frame)
            if kind is None:
                continue
            if kind is PieceKind.CONTENT:
                self._take(frame)
                if self._watching:
                    self._text_bytes += self._meter.certain(frame)
            if kind is not last and last is not None:
                pieces.append(Piece(last, b"".join(run)))
                run = []
            last = kind
            run.append(frame)
        if last is not None:
            pieces.append(Piece(last, b"".join(run)))
        return pieces

    def _take(self, *frames: bytes) -> None:
        for frame in frames:
            self.streamed_output_bytes += len(frame)
            said = self._measure(frame)
            if said < 0:
                said = self._meter.take(frame, self.streamed_text_bytes, self.streamed_output_bytes, self._is_plain)
                self._measure = self._meter.measure
            self.streamed_text_bytes += said

    def _kind(self, frame: bytes) -> PieceKind | None:
        if self.terminal_seen:
            return PieceKind.TERMINAL
        if self.content_seen and self._is_plain(frame):
            return PieceKind.CONTENT
        event, data = parse_frame(frame)
        if data:
            return self._classify(event, data)
        if not self.content_seen and not is_frame(frame):
            raise _not_a_stream(frame)
        return self._passing()

    def _passing(self) -> PieceKind:
        """Return the kind of a frame that decides nothing."""
        return PieceKind.CONTENT if self.content_seen else PieceKind.PREAMBLE

    def _message(self, data: bytes) -> dict[str, Any] | None:
        """Return a frame's JSON object. Where it is none: None after content, MalformedStream before."""
        message = decode_object(data)
        if message is None and not self.content_seen:
            raise _not_a_stream(data)
        return message

    def _failed(self, error: object, data: bytes) -> PieceKind:
        """Take note of an error frame; `error` is its error member."""
        self.error_message = failure_text(data)
        self.error_cause = failure_cause(data)
        kind = error.get("type") or error.get("code") if isinstance(error, dict) else None
        self.error_type = str(kind)[:100] if kind else None
        return PieceKind.ERROR


class Codec(ABC):
    """One dialect, as clients send it and as an upstream of the same dialect takes it.

    `request_id` is the header in which the vendor's SDK looks for the id of a request.
    """

    request_id = "x-request-id"

    @abstractmethod
    def read_head(self, endpoint: Endpoint, body: bytes) -> RequestHead:
        """Return the head of a request. Raises HeadgateError, `param` naming the field at fault."""

    @abstractmethod
    def outgoing(
        self, head: RequestHead, upstream_name: str, max_output: int | None, maximum_name: str | None = None
    ) -> bytes:
        """Return the body for an upstream of this dialect; every value that Headgate does not own is kept.

        `max_output` in tokens replaces the client's maximum, None leaves it; `maximum_name` is what a
        chat calls it whose client gave none. With nothing to change the very `head.body` is returned.
        """

    @abstractmethod
    def usage_in(self, members: dict[str, Raw]) -> Reported | None:
        """Return the usage of an answer that is no stream, given its members; None where there is none to rely on.

        Never raises.
        """

    def usage_of(self, body: bytes) -> Reported | None:
        """Return the usage of an answer that is no stream, as `usage_in`."""
        return self.usage_in(members_of(body) or {})

    def failure_message(self, body: bytes) -> str:
        """Return what an upstream's error body says, at most 300 characters, "" where it says nothing.

        The caller takes the provider's key out of it.
        """
        return failure_text(body)

    @abstractmethod
    def encode_error(self, error: HeadgateError, call_id: str | None) -> bytes:
        """Return the body of an error answer in the vendor's envelope."""

    @abstractmethod
    def encode_error_event(self, error: HeadgateError, call_id: str | None, sequence: int = 0) -> bytes:
        """Return the frames that end a broken stream so that the vendor's own SDK raises."""

    @abstractmethod
    def scanner(self, head: RequestHead) -> StreamScanner:
        """Return the scanner for one attempt of this request."""


def _not_a_stream(body: bytes) -> MalformedStream:
    said = failure_text(body)
    return MalformedStream("the upstream's answer is not an event stream" + (f": {said}" if said else ""))
