"""OpenAI's responses endpoint."""

import re
from typing import Any, Final

import msgspec
from msgspec import Raw

from headgate.model.dialect import Dialect, Endpoint
from headgate.model.errors import HeadgateError
from headgate.model.request import RequestHead
from headgate.model.usage import Reported
from headgate.protocols import counts, head_fields
from headgate.protocols.base import QUICK_LIMIT, Codec, Piece, PieceKind, StreamScanner
from headgate.protocols.json_object import read_object, splice
from headgate.protocols.openai_errors import error_object
from headgate.protocols.openai_responses import capped
from headgate.protocols.sse import encode_frame, frames_of

_encode: Final = msgspec.json.Encoder().encode
_SEQUENCE: Final = re.compile(rb'"sequence_number"\s*:\s*(\d{1,15})\b')
_MAX_OUTPUT: Final = "max_output_tokens"
_STARTS: Final = frozenset({"response.created", "response.in_progress", "response.queued", "keepalive"})
_ENDS: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})
_ITEM_DONE: Final = "response.output_item.done"
KEPT: Final = 1024 * 1024
"""Bytes of ended items that are kept for the end of a stream that is stopped."""
_PARTS: Final = frozenset({"response.content_part.added", "response.reasoning_summary_part.added"})


class _Reasoning(msgspec.Struct):
    effort: str | None = None


_reasoning_decoder: Final = msgspec.json.Decoder(_Reasoning)


class OpenAIResponses(Codec):
    """Codec of the responses endpoint."""

    def read_head(self, endpoint: Endpoint, body: bytes) -> RequestHead:
        fields = read_object(body)
        return RequestHead(
            endpoint,
            Dialect.OPENAI_RESPONSES,
            head_fields.model_of(fields),
            head_fields.flag(fields, "stream"),
            body,
            fields,
            max_output=head_fields.whole(fields, _MAX_OUTPUT, 0),
            has_tools=head_fields.given(fields, "tools"),
            reasoning=_reasoning(fields),
        )

    def outgoing(
        self,
        head: RequestHead,
        upstream_name: str,
        max_output: int | None,
        maximum_name: str | None = None,  # noqa: ARG002 - it has one name here
    ) -> bytes:
        edits = head_fields.replace_model(head.model, upstream_name)
        if max_output is not None:
            edits[_MAX_OUTPUT] = b"%d" % max_output
        return splice(head.body, head.fields, edits)

    def usage_in(self, members: dict[str, Raw]) -> Reported | None:
        return read_usage({"usage": counts.decode_exact(members["usage"])}) if "usage" in members else None

    def encode_error(self, error: HeadgateError, call_id: str | None) -> bytes:  # noqa: ARG002 - no place for it
        return _encode({"error": error_object(error)})

    def encode_error_event(
        self,
        error: HeadgateError,
        call_id: str | None,  # noqa: ARG002 - no place for it
        sequence: int = 0,
    ) -> bytes:
        """Return the documented error event; the SDK raises only on an `error` member, so it has that too."""
        said = error_object(error)
        event = {
            "type": "error",
            "code": said["code"],
            "message": said["message"],
            "param": said["param"],
            "sequence_number": sequence,
            "error": said,
        }
        return encode_frame(_encode(event), b"error")

    def scanner(self, head: RequestHead) -> "ResponsesScanner":  # noqa: ARG002 - nothing depends on it
        return ResponsesScanner()


class ResponsesScanner(StreamScanner):
    """Scanner of response.* events.

    `response.failed` is an error before content, so that another route can answer, and terminal after it.
    """

    __slots__ = ("_begun", "_ended", "_ended_size", "_last", "_terminal")

    def __init__(self) -> None:
        super().__init__(capped.texts_in, capped.says)
        self._last: bytes = b""
        self._terminal: bytes | None = None
        self._begun = b""
        """The data of an event with the response as it began."""
        self._ended: list[bytes] = []
        """The data of the events that ended an item, as far as they are no larger than KEPT together."""
        self._ended_size = 0

    def feed(self, chunk: bytes) -> bytes | list[Piece]:
        if self._open:
            if (said := self._measure(chunk)) >= 0:
                self.streamed_output_bytes += len(chunk)
                self.streamed_text_bytes += said
                self._last = chunk
                return chunk
            if chunk.endswith(b"}\n\n") and len(chunk) < QUICK_LIMIT and _is_plain(chunk):
                self._take(*frames_of(chunk))
                self._last = chunk
                return chunk
        return self._scan(chunk)

    def capped(self, output_tokens: int, input_tokens: int | None = None) -> bytes:
        if self.terminal_seen:
            return b""
        usage = self.capped_usage(output_tokens, input_tokens)
        return capped.end_of_stream(self._begun, self.response_id, self._ended, usage, self.next_sequence())

    def next_sequence(self) -> int:
        numbers = _SEQUENCE.findall(self._last)
        return int(numbers[-1]) + 1 if numbers else 0

    def _is_plain(self, frames: bytes) -> bool:
        if not _is_plain(frames):
            return False
        if not frames.startswith(b":"):  # a comment has no number
            self._last = frames
        return True

    def _classify(self, event: bytes | None, data: bytes) -> PieceKind | None:
        if data.startswith(b"[DONE]"):
            # It ends nothing that said no end itself, and clients would read no further.
            self.terminal_seen = self._terminal is not None
            return PieceKind.TERMINAL if self.terminal_seen else None
        message = self._message(data)
        if message is None:
            return PieceKind.CONTENT
        self._last = data
        said = message.get("type")
        kind = said if said is None or isinstance(said, str) else str(said)
        if kind in _ENDS:
            return self._see_end(message, data)
        error = message.get("error")
        if kind == "error" or event == b"error" or (error and kind is None):
            return self._failed(error if isinstance(error, dict) else {"type": message.get("code")}, data)
        if kind in _STARTS:
            self._see_id(message.get("response"))
            if not self._begun and isinstance(message.get("response"), dict):
                self._begun = data
        elif not (kind is None or _is_empty_start(kind, message)):
            self.content_seen = True
        if kind == _ITEM_DONE and self._ended_size + len(data) <= KEPT:
            self._ended.append(data)
            self._ended_size += len(data)
        return self._passing()

    def _see_end(self, message: dict[str, Any], data: bytes) -> PieceKind:
        response = message.get("response")
        self._see_id(response)
        self._terminal = data
        details: dict[str, Any] = response if isinstance(response, dict) else {}
        self.finish_reason = str(message["type"]).removeprefix("response.")
        if self.finish_reason == "failed":
            error = details.get("error")
            self._failed(error, _encode(error))
            if not self.content_seen:
                return PieceKind.ERROR
        elif isinstance(why := details.get("incomplete_details"), dict) and isinstance(why.get("reason"), str):
            self.finish_reason = why["reason"]
        self.terminal_seen = self.complete = True
        return PieceKind.TERMINAL

    def _see_id(self, response: object) -> None:
        if self.response_id is None and isinstance(response, dict) and isinstance(response.get("id"), str):
            self.response_id = response["id"]

    def _usage(self) -> Reported | None:
        if self._terminal is None:
            return None
        response = counts.decode_exact(self._terminal).get("response")
        return read_usage(response) if isinstance(response, dict) else None


def read_usage(response: dict[str, Any]) -> Reported | None:
    """Return the usage of a response object; cached and written tokens are part of `input_tokens`.

    Cache writes kept for 12 hours count as the longer-lived class, those kept for 30 minutes as the other.
    """
    usage = response.get("usage")
    if not isinstance(usage, dict):
        return None
    details = usage.get("input_tokens_details")
    lifetimes = details.get("cache_write_tokens_details") if isinstance(details, dict) else None
    normalised = counts.openai_usage(
        counts.count(usage.get("input_tokens")),
        counts.count(usage.get("output_tokens")),
        counts.count(usage.get("total_tokens")),
        counts.counts(details),
        counts.counts(usage.get("output_tokens_details")),
        counts.counts(lifetimes).get("ttl_12h_tokens", 0),
    )
    return None if normalised is None else Reported(normalised, counts.reported_cost(usage))


def _is_plain(frames: bytes) -> bool:
    """Tell that no frame ends an item or the response or fails: those alone carry a response or an error."""
    rfind = frames.rfind
    return (
        rfind(b'"response"') < 0
        and rfind(b'"error"') < 0
        and rfind(b"event: error") < 0
        and rfind(b"[DONE]") < 0
        and rfind(b"output_item.done") < 0
    )


def _is_empty_start(kind: str, message: dict[str, Any]) -> bool:
    """Tell that an event only opens an item or part and holds nothing of the answer yet."""
    if kind == "response.output_item.added":
        item = message.get("item")
        return (
            isinstance(item, dict)
            and item.get("type") in ("message", "reasoning")
            and not (item.get("content") or item.get("summary") or item.get("encrypted_content"))
        )
    if kind in _PARTS:
        part = message.get("part")
        return isinstance(part, dict) and not (part.get("text") or part.get("refusal"))
    return kind.endswith(".delta") and message.get("delta") == ""


def _reasoning(fields: dict[str, Raw]) -> bool:
    if not head_fields.given(fields, "reasoning"):
        return False
    try:
        return _reasoning_decoder.decode(fields["reasoning"]).effort != "none"
    except ValueError:
        return False
