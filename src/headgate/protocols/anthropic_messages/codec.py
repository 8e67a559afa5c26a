"""Anthropic's messages endpoint, and messages/count_tokens."""

from typing import Any, Final

import msgspec
from msgspec import Raw

from headgate.model.dialect import Dialect, Endpoint
from headgate.model.errors import ErrorKind, HeadgateError
from headgate.model.request import RequestHead
from headgate.model.usage import Reported, Usage
from headgate.protocols import counts, head_fields
from headgate.protocols.anthropic_messages import capped
from headgate.protocols.base import QUICK_LIMIT, Codec, Piece, PieceKind, StreamScanner
from headgate.protocols.json_object import read_object, splice
from headgate.protocols.sse import encode_frame, frames_of

_encode: Final = msgspec.json.Encoder().encode
_INVALID: Final = "invalid_request_error"

ERROR_TYPES: Final[dict[ErrorKind, str]] = {
    ErrorKind.INVALID_REQUEST: _INVALID,
    ErrorKind.CONTEXT_LENGTH_EXCEEDED: _INVALID,
    ErrorKind.MODEL_UNPRICED: _INVALID,
    ErrorKind.DIALECT_UNAVAILABLE: _INVALID,
    ErrorKind.UNTRANSLATABLE: _INVALID,
    ErrorKind.INVALID_API_KEY: "authentication_error",
    ErrorKind.MODEL_NOT_ALLOWED: "permission_error",
    ErrorKind.MODEL_NOT_FOUND: "not_found_error",
    ErrorKind.PATH_NOT_FOUND: "not_found_error",
    ErrorKind.THREAD_NOT_FOUND: "not_found_error",
    ErrorKind.METHOD_NOT_ALLOWED: _INVALID,
    ErrorKind.REQUEST_TIMEOUT: "timeout_error",
    ErrorKind.REQUEST_TOO_LARGE: "request_too_large",
    ErrorKind.UNSUPPORTED_ENCODING: _INVALID,
    ErrorKind.RATE_LIMIT_EXCEEDED: "rate_limit_error",
    ErrorKind.INSUFFICIENT_QUOTA: "rate_limit_error",
    ErrorKind.UPSTREAM_ERROR: "api_error",
    ErrorKind.UPSTREAM_TIMEOUT: "timeout_error",
    ErrorKind.SERVICE_UNAVAILABLE: "overloaded_error",
    ErrorKind.INTERNAL_ERROR: "api_error",
}
"""Types as in docs.claude.com/en/api/errors and the SDK's ErrorType; a spent quota, a 429, is a rate limit."""

DETAILS: Final[dict[ErrorKind, dict[str, str]]] = {ErrorKind.THREAD_NOT_FOUND: {"error_code": "thread_not_found"}}
"""What clients act on beside the type: this one makes them send the whole conversation (the SDK's lib/threads)."""


class AnthropicMessages(Codec):
    """Codec of messages and messages/count_tokens."""

    request_id = "request-id"

    def read_head(self, endpoint: Endpoint, body: bytes) -> RequestHead:
        fields = read_object(body)
        model = head_fields.model_of(fields)
        counting = endpoint is Endpoint.COUNT_TOKENS
        return RequestHead(
            endpoint,
            Dialect.ANTHROPIC_MESSAGES,
            model,
            not counting and head_fields.flag(fields, "stream"),
            body,
            fields,
            max_output=None if counting else head_fields.whole(fields, "max_tokens", 0),
            has_tools=head_fields.given(fields, "tools"),
            reasoning=head_fields.switched_on(fields, "thinking"),
        )

    def outgoing(
        self,
        head: RequestHead,
        upstream_name: str,
        max_output: int | None,
        maximum_name: str | None = None,  # noqa: ARG002 - it has one name here
    ) -> bytes:
        edits = head_fields.replace_model(head.model, upstream_name)
        if max_output is not None and head.endpoint is Endpoint.MESSAGES:
            edits["max_tokens"] = b"%d" % max_output
        return splice(head.body, head.fields, edits)

    def usage_in(self, members: dict[str, Raw]) -> Reported | None:
        usage = members.get("usage")
        return None if usage is None else read_usage(counts.decode_exact(usage))

    def encode_error(self, error: HeadgateError, call_id: str | None) -> bytes:
        body: dict[str, Any] = {
            "type": "error",
            "error": {"type": ERROR_TYPES[error.kind], "message": error.message},
        }
        if error.kind in DETAILS:
            body["error"]["details"] = DETAILS[error.kind]
        if call_id is not None:
            body["request_id"] = call_id
        return _encode(body)

    def encode_error_event(
        self,
        error: HeadgateError,
        call_id: str | None,
        sequence: int = 0,  # noqa: ARG002 - events have no numbers here
    ) -> bytes:
        return encode_frame(self.encode_error(error, call_id), b"error")

    def scanner(self, head: RequestHead) -> "MessagesScanner":  # noqa: ARG002 - nothing depends on it
        return MessagesScanner()


class MessagesScanner(StreamScanner):
    """Scanner of message streams. Usage is folded over message_start and the last message_delta."""

    __slots__ = ("_delta", "_last", "_start")

    def __init__(self) -> None:
        super().__init__(capped.texts_in, capped.says)
        self._start: bytes | None = None
        self._delta: bytes | None = None
        self._last = b""
        """The last frames with one of a block in them, or its data: which block is open."""

    def feed(self, chunk: bytes) -> bytes | list[Piece]:
        if self._open:
            if (said := self._measure(chunk)) >= 0:
                self.streamed_output_bytes += len(chunk)
                self.streamed_text_bytes += said
                self._last = chunk
                return chunk
            if chunk.endswith(b"\n\n") and len(chunk) < QUICK_LIMIT and _is_plain(chunk):
                self._take(*frames_of(chunk))
                if chunk.rfind(b"content_block_") >= 0:
                    self._last = chunk
                return chunk
        return self._scan(chunk)

    def capped(self, output_tokens: int, input_tokens: int | None = None) -> bytes:
        if self.terminal_seen:
            return b""
        if self.complete:
            return capped.MESSAGE_STOP
        usage = self.capped_usage(output_tokens, input_tokens)
        return capped.end_of_stream(self._last, usage, output_tokens)

    def _is_plain(self, frames: bytes) -> bool:
        if not _is_plain(frames):
            return False
        if frames.rfind(b"content_block_") >= 0:
            self._last = frames
        return True

    def _classify(self, event: bytes | None, data: bytes) -> PieceKind | None:
        message = self._message(data)
        if message is None:
            return PieceKind.CONTENT
        kind = message.get("type")
        error = message.get("error")
        if kind == "error" or event == b"error" or (error and kind is None):
            return self._failed(error or message, data)
        if kind == "message_stop":
            self.terminal_seen = True
            return PieceKind.TERMINAL
        if kind == "message_start":
            self._see_start(message.get("message"), data)
        elif kind == "message_delta":
            self._see_delta(message, data)
        else:
            if isinstance(kind, str) and kind.startswith("content_block_"):
                self._last = data
            if not _says_nothing(kind, message):
                self.content_seen = True
        return self._passing()

    def _see_start(self, message: object, data: bytes) -> None:
        self._start = data
        self._unread = True
        if isinstance(message, dict) and isinstance(message.get("id"), str):
            self.response_id = message["id"]

    def _see_delta(self, message: dict[str, Any], data: bytes) -> None:
        if isinstance(message.get("usage"), dict):
            self._delta = data
            self._unread = True
        delta = message.get("delta")
        reason = delta.get("stop_reason") if isinstance(delta, dict) else None
        if isinstance(reason, str):
            self.finish_reason = reason
            self.complete = self.content_seen = True

    def reported(self) -> Reported | None:
        # message_start alone counts the first output token only.
        return super().reported() if self._delta is not None else None

    def _usage(self) -> Reported | None:
        usage: dict[str, Any] = {}
        if self._start is not None:
            message = counts.decode_exact(self._start).get("message")
            if isinstance(message, dict) and isinstance(message.get("usage"), dict):
                usage.update(message["usage"])
        if self._delta is not None:
            final = counts.decode_exact(self._delta).get("usage")
            if isinstance(final, dict):
                # Counts are cumulative, so a zero after a number is one that the upstream did not repeat.
                usage.update({name: value for name, value in final.items() if value})
        return read_usage(usage)


def read_usage(usage: dict[str, Any]) -> Reported | None:
    """Return the classes of Anthropic's usage, where `input_tokens` has neither cache reads nor writes.

    Writes are split by `cache_creation`; what it does not name lives 5 minutes, the default.
    None where input or output is not known, or where nothing at all was counted.
    """
    fresh = counts.count(usage.get("input_tokens"))
    output = counts.count(usage.get("output_tokens"))
    if fresh is None or output is None:
        return None
    read = counts.count(usage.get("cache_read_input_tokens")) or 0
    written = counts.count(usage.get("cache_creation_input_tokens")) or 0
    split = counts.counts(usage.get("cache_creation"))
    long = split.get("ephemeral_1h_input_tokens", 0)
    short = max(split.get("ephemeral_5m_input_tokens", 0), written - long)
    if fresh + read + short + long + output == 0:
        return None
    thinking = counts.counts(usage.get("output_tokens_details")).get("thinking_tokens", 0)
    return Reported(
        Usage(
            input=fresh,
            cache_read=read,
            cache_write_5m=short,
            cache_write_1h=long,
            output=output,
            reasoning=min(thinking, output),
        ),
        counts.reported_cost(usage),
    )


def _is_plain(frames: bytes) -> bool:
    """Tell that no frame ends the message or fails."""
    rfind = frames.rfind
    return rfind(b"message_") < 0 and rfind(b'"error"') < 0 and rfind(b"event: error") < 0


def _says_nothing(kind: object, message: dict[str, Any]) -> bool:
    """Tell that an event holds nothing of the answer: a ping, the start of an empty block, an empty delta."""
    if kind in ("ping", "content_block_stop"):
        return True
    if kind == "content_block_start":
        block = message.get("content_block")
        return (
            isinstance(block, dict)
            and block.get("type") in ("text", "thinking")
            and not (block.get("text") or block.get("thinking"))
        )
    if kind == "content_block_delta":
        delta = message.get("delta")
        return isinstance(delta, dict) and not any(value for name, value in delta.items() if name != "type")
    return False
