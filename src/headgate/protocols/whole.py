"""An answer that is no stream, read like one: a single terminal piece, so that unary calls go the streams' way."""

import msgspec
from msgspec import Raw

from headgate.model.usage import Reported, Usage
from headgate.protocols.base import NO_CAUSE, Codec, MalformedStream, Piece, PieceKind
from headgate.protocols.failure_cause import failure_cause
from headgate.protocols.failure_text import failure_text
from headgate.protocols.json_object import members_of

_text = msgspec.json.Decoder(str)

ANSWER_LIMIT = 64 * 1024 * 1024
"""Bytes of an answer or stream; more is the upstream's fault. The server holds what its client is slow to read."""


_ANSWERS = frozenset({"choices", "output", "content", "data", "input_tokens"})
"""Where the answers of the dialects stand; an answer may have an error beside them."""
_NO_CHOICES = (b"[]", b"null")
"""OpenRouter's errors may have choices beside them, but none that says anything."""


class WholeBody:
    """Gathers a body; valid once `finish` has been called. The same surface as StreamScanner."""

    __slots__ = ("_codec", "_members", "_parts", "_size", "error_cause", "error_message")

    complete = False
    content_seen = False
    error_type: str | None = None
    streamed_output_bytes = 0
    streamed_text_bytes = 0

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._parts: list[bytes] = []
        self._size = 0
        self._members: dict[str, Raw] = {}
        self.error_message: str | None = None
        self.error_cause = NO_CAUSE

    def feed(self, chunk: bytes) -> list[Piece]:
        """Take the next bytes; nothing can be forwarded before the end. Raises MalformedStream beyond the limit."""
        self._size += len(chunk)
        if self._size > ANSWER_LIMIT:
            raise MalformedStream(f"the answer is larger than {ANSWER_LIMIT >> 20} MiB")
        self._parts.append(chunk)
        return []

    def finish(self) -> list[Piece]:
        """Return the whole body, as an error where it holds one alone. Raises MalformedStream where it is no answer."""
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        members = members_of(body)
        if members is None:
            what = "not a JSON object" if body else "empty"
            raise MalformedStream(f"the answer is {what}")
        self._members = members
        if _is_error(members):
            self.error_message = failure_text(body)
            self.error_cause = failure_cause(body)
            return [Piece(PieceKind.ERROR, body)]
        return [Piece(PieceKind.TERMINAL, body)]

    @property
    def response_id(self) -> str | None:
        """The upstream's own id of the answer."""
        raw = self._members.get("id")
        try:
            return None if raw is None else _text.decode(raw)
        except ValueError:
            return None

    def reported(self) -> Reported | None:
        return self._codec.usage_in(self._members)

    def partial(self) -> Usage | None:
        return None

    def next_sequence(self) -> int:
        return 0


def _is_error(members: dict[str, Raw]) -> bool:
    """Tell that a body with a good status is the vendor's error, as OpenRouter and some proxies send it."""
    error = members.get("error")
    if error is None or bytes(error) == b"null":
        return False
    choices = members.get("choices")
    return _ANSWERS.isdisjoint(members) or (choices is not None and bytes(choices) in _NO_CHOICES)
