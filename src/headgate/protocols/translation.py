"""An answer on its way from one dialect into another, read as the upstream's and written as the client's.

It has the surface of a scanner, so that a call reads it like one of its own dialect. What the upstream's own scanner
says of kinds, ends, errors and usage holds: a translated call costs what the same call costs that is passed on.
"""

from collections.abc import Sequence
from typing import Final

from headgate.model.dialect import Dialect
from headgate.model.events import Event, Failed, Finish, Finished, Started, UnknownSeen, UsageSeen
from headgate.model.usage import Reported, Usage
from headgate.protocols.base import Codec, MalformedStream, Piece, PieceKind, StreamScanner
from headgate.protocols.canonical import AnswerReader, AnswerWriter
from headgate.protocols.failure_cause import Cause, failure_cause
from headgate.protocols.filters import Filter
from headgate.protocols.sse import FrameSplitter, one_line, parse_frame
from headgate.protocols.whole import ANSWER_LIMIT, WholeBody

_NO_LIMIT: Final = 2**62
"""Frames have passed the scanner's splitter, which has the limit."""
_SAYS_NOTHING: Final = frozenset({Started, UsageSeen, UnknownSeen})
NO_ANSWER: Final = "the upstream's answer is none in its dialect"
"""An upstream that speaks another dialect than its `kind` must not become an empty answer."""


class Translation:
    """One attempt's answer; `scanner` is the upstream's own, `writer` knows what was lost."""

    __slots__ = ("_filters", "_reader", "_said", "_scanner", "_splitter", "_written", "writer")

    def __init__(
        self, scanner: StreamScanner, reader: AnswerReader, writer: AnswerWriter, filters: Filter | None = None
    ) -> None:
        self._filters = filters
        self._scanner = scanner
        self._reader = reader
        self._splitter = FrameSplitter(_NO_LIMIT)
        self._said = False
        self._written = 0
        self.writer = writer

    def feed(self, chunk: bytes) -> list[Piece]:
        """Take the upstream's next bytes; return pieces for the client.

        Raises as StreamScanner.feed, and MalformedStream for an answer that is none.
        """
        pieces = self._scanner.feed(chunk)
        if isinstance(pieces, bytes):
            written = self._content(pieces)
            return [Piece(PieceKind.CONTENT, written)] if written else []
        return self._translated(pieces)

    def finish(self) -> list[Piece]:
        """Take the end of the upstream's body; an answer that is whole without a terminal frame gets its end here."""
        pieces = self._translated(self._scanner.finish())
        if any(piece.kind in (PieceKind.TERMINAL, PieceKind.ERROR) for piece in pieces):
            return pieces
        if self._scanner.complete:
            return [*pieces, Piece(PieceKind.TERMINAL, self._end())]
        return pieces

    def _translated(self, pieces: Sequence[Piece]) -> list[Piece]:
        """Return the client's pieces; what follows an end or an error is nobody's."""
        translated: list[Piece] = []
        for piece in pieces:
            if piece.kind is PieceKind.ERROR or (
                piece.kind is PieceKind.TERMINAL and self._scanner.error_message is not None
            ):
                return [*translated, Piece(PieceKind.ERROR, b"")]
            written = self._content(piece.data)
            if piece.kind is PieceKind.TERMINAL:
                return [*translated, Piece(PieceKind.TERMINAL, written + self._end())]
            if written:
                translated.append(Piece(piece.kind, written))
        return translated

    def _content(self, frames: bytes) -> bytes:
        """Return what these frames are to the client. Raises MalformedStream beyond the limit on an answer."""
        written = self.writer.frames(self._events(frames))
        self._written += len(written)
        if self._written > ANSWER_LIMIT:  # a client that reads nothing has all of it kept for it
            raise MalformedStream(f"the stream is longer than {ANSWER_LIMIT >> 20} MiB for its client")
        return written

    def _events(self, frames: bytes) -> list[Event]:
        events: list[Event] = []
        whole = self._splitter.feed(frames)
        if self._splitter.pending:  # all of them are whole, but a final CR looks like half of a CRLF
            whole.append(self._splitter.rest())
        for frame in whole:
            event, data = parse_frame(frame)
            if data:
                events += self._reader.frame(event, one_line(data))
        self._said = self._said or _says_something(events)
        return events if self._filters is None else self._filters.feed(events)

    def _end(self, *finished: Finished, usage: Usage | None = None) -> bytes:
        """Return the end of the client's stream; `finished` are choices that the upstream has not, `usage` ours."""
        last: list[Event] = [*self._reader.end(), *finished]
        if not (self._said or _says_something(last)):
            raise MalformedStream(NO_ANSWER)
        if self._filters is not None:
            last = [*self._filters.feed(last), *self._filters.end()]
        reported = self._scanner.reported() if usage is None else Reported(usage)
        if reported is not None:
            last.append(UsageSeen(reported))
        return self.writer.frames(last) + self.writer.end()

    def capped(self, output_tokens: int, input_tokens: int | None = None) -> bytes:
        """Return the end of the client's stream as StreamScanner.capped; what filters held back comes before it."""
        if self._scanner.terminal_seen:
            return b""
        usage = self._scanner.capped_usage(output_tokens, input_tokens)
        if usage is None and self.writer.reply.head.dialect is Dialect.ANTHROPIC_MESSAGES:
            usage = Usage(output=output_tokens)  # its end must have a usage, and its start has counted no input
        finished = (Finished(Finish.LENGTH, choice) for choice in self._scanner.unfinished())
        return self._end(*finished, usage=usage)

    # -- what the upstream's scanner says --------------------------------------------------------

    @property
    def content_seen(self) -> bool:
        return self._scanner.content_seen

    response_id: None = None
    """An id that this answer has is no upstream's."""

    @property
    def complete(self) -> bool:
        return self._scanner.complete

    @property
    def error_message(self) -> str | None:
        return self._scanner.error_message

    @property
    def error_type(self) -> str | None:
        return self._scanner.error_type

    @property
    def error_cause(self) -> Cause:
        return self._scanner.error_cause

    @property
    def streamed_output_bytes(self) -> int:
        return self._scanner.streamed_output_bytes

    @property
    def streamed_text_bytes(self) -> int:
        return self._scanner.streamed_text_bytes

    def reported(self) -> Reported | None:
        return self._scanner.reported()

    def partial(self) -> Usage | None:
        return self._scanner.partial()

    def watch(self) -> None:
        self._scanner.watch()

    @property
    def provable_output(self) -> int:
        return self._scanner.provable_output

    def next_sequence(self) -> int:
        """Return the number of the next event of the client's stream."""
        return self.writer.next_sequence()


class WholeTranslation(WholeBody):
    """An answer that is no stream: gathered, then written anew as one terminal piece."""

    __slots__ = ("_filters", "_reader", "writer")

    def __init__(self, codec: Codec, reader: AnswerReader, writer: AnswerWriter, filters: Filter | None = None) -> None:
        """`codec` is the upstream's."""
        super().__init__(codec)
        self._filters = filters
        self._reader = reader
        self.writer = writer

    def finish(self) -> list[Piece]:
        pieces = super().finish()
        if pieces[0].kind is PieceKind.ERROR:
            return [Piece(PieceKind.ERROR, b"")]
        events = list(self._reader.body(pieces[0].data))
        said = _says_something(events)
        if self._filters is not None:
            events = [*self._filters.feed(events), *self._filters.end()]
        failed = next((event for event in events if isinstance(event, Failed)), None)
        if failed is not None:
            self.error_message = failed.message
            self.error_cause = failure_cause(pieces[0].data)
            return [Piece(PieceKind.ERROR, b"")]
        if not said:
            raise MalformedStream(NO_ANSWER)
        reported = self.reported()
        if reported is not None:
            events.append(UsageSeen(reported))
        return [Piece(PieceKind.TERMINAL, self.writer.body(events))]


def _says_something(events: Sequence[Event]) -> bool:
    """Tell that events hold content or an end."""
    return any(type(event) not in _SAYS_NOTHING for event in events)
