"""OpenAI's chat/completions, and completions and embeddings, which share its form of usage and errors.

Others that speak it (vLLM, llama.cpp, Ollama, OpenRouter, DeepSeek, xAI, Gemini's endpoint) are read too.
"""

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
from headgate.protocols.openai_chat import capped
from headgate.protocols.openai_errors import error_object
from headgate.protocols.sse import encode_frame, frames_of

_encode: Final = msgspec.json.Encoder().encode
_STREAM_OPTIONS: Final = "stream_options"
_INCLUDE_USAGE: Final = "include_usage"
_MAXIMA: Final = ("max_completion_tokens", "max_tokens")
_COUNTED: Final = ("usage", "x_groq")
_READ: Final = frozenset(
    {"n", *_MAXIMA, "tools", "functions", "reasoning_effort", "reasoning", "enable_thinking", "thinking"}
    | {"prompt", "best_of"}
)
"""The members of a request that say more than what to ask whom."""
_OFF: Final = frozenset({"none", "disabled"})


class OpenAIChat(Codec):
    """Codec of chat/completions, completions and embeddings."""

    def read_head(self, endpoint: Endpoint, body: bytes) -> RequestHead:
        fields = read_object(body)
        model = head_fields.model_of(fields)
        if endpoint is Endpoint.EMBEDDINGS:
            return RequestHead(endpoint, Dialect.OPENAI_CHAT, model, stream=False, body=body, fields=fields)
        stream = "stream" in fields and head_fields.flag(fields, "stream")
        include_usage = False
        if stream and _STREAM_OPTIONS in fields:
            include_usage = head_fields.flag(
                _stream_options(fields), _INCLUDE_USAGE, f"{_STREAM_OPTIONS}.{_INCLUDE_USAGE}"
            )
        if fields.keys().isdisjoint(_READ):
            return RequestHead(endpoint, Dialect.OPENAI_CHAT, model, stream, body, fields, include_usage)
        n = head_fields.whole(fields, "n", 1) or 1
        if endpoint is Endpoint.COMPLETIONS:
            n = _completions(fields, n)
        return RequestHead(
            endpoint,
            Dialect.OPENAI_CHAT,
            model,
            stream,
            body,
            fields,
            include_usage,
            _max_output(fields),
            n,
            has_tools=head_fields.given(fields, "tools") or head_fields.given(fields, "functions"),
            reasoning=_reasoning(fields),
        )

    def outgoing(
        self, head: RequestHead, upstream_name: str, max_output: int | None, maximum_name: str | None = None
    ) -> bytes:
        edits = head_fields.replace_model(head.model, upstream_name)
        if head.stream and not head.include_usage:
            edits[_STREAM_OPTIONS] = _asking_for_usage(head.fields)
        if max_output is not None and head.endpoint is not Endpoint.EMBEDDINGS:
            used = [name for name in _MAXIMA if head_fields.given(head.fields, name)] if maximum_name is None else []
            own = _MAXIMA[1] if head.endpoint is Endpoint.COMPLETIONS else _MAXIMA[0]
            edits.update(dict.fromkeys(used or [maximum_name or own], b"%d" % max_output))
        return splice(head.body, head.fields, edits)

    def usage_in(self, members: dict[str, Raw]) -> Reported | None:
        usage = members.get("usage")
        if usage is not None and (plain := counts.plain_usage(usage)) is not None:
            return Reported(plain)
        return read_usage({name: counts.decode_exact(members[name]) for name in _COUNTED if name in members})

    def encode_error(self, error: HeadgateError, call_id: str | None) -> bytes:  # noqa: ARG002 - no place for it
        return _encode({"error": error_object(error)})

    def encode_error_event(
        self,
        error: HeadgateError,
        call_id: str | None,
        sequence: int = 0,  # noqa: ARG002 - events have no numbers here
    ) -> bytes:
        """Return the error frame alone: `[DONE]` would tell clients that skip the error that all was well."""
        return encode_frame(self.encode_error(error, call_id))

    def scanner(self, head: RequestHead) -> "ChatScanner":
        return ChatScanner(head)


class ChatScanner(StreamScanner):
    """Scanner of chat.completion.chunk and text_completion streams."""

    __slots__ = ("_begun", "_finished", "_head", "_include_usage", "_like", "_n", "_usage_frame")

    def __init__(self, head: RequestHead) -> None:
        super().__init__(capped.texts_in, capped.says)
        self._head = head
        self._include_usage = head.include_usage
        self._like = b""
        """The last frame with choices that was read: what an end must be like."""
        self._begun: set[object] = set()
        self._n = head.n
        self._finished: set[object] = set()
        self._usage_frame: bytes | None = None

    def feed(self, chunk: bytes) -> bytes | list[Piece]:
        if self._open:
            if (said := self._measure(chunk)) >= 0:
                self.streamed_output_bytes += len(chunk)
                self.streamed_text_bytes += said
                return chunk
            if chunk.endswith(b"\n\n") and len(chunk) < QUICK_LIMIT and _is_plain(chunk):
                self._take(*frames_of(chunk))
                return chunk
        return self._scan(chunk)

    def capped(self, output_tokens: int, input_tokens: int | None = None) -> bytes:
        if self.terminal_seen:
            return b""
        begun = range(1) if self._n == 1 and self._begun else self._begun
        choices = [(index, index in begun) for index in self.unfinished()]
        told = self._usage_frame is not None and self.complete and not capped.has_choices(self._usage_frame)
        usage = self.capped_usage(output_tokens, input_tokens) if self._include_usage and not told else None
        return capped.end_of_stream(self._head, self._like, choices, usage)

    def unfinished(self) -> list[int]:
        return [] if self.complete else [index for index in range(self._n) if index not in self._finished]

    def _scan(self, chunk: bytes) -> list[Piece]:
        pieces = super()._scan(chunk)
        self._open = self._open and self._all_begun
        return pieces

    @property
    def _all_begun(self) -> bool:
        """Every choice is known to have begun: the end of one that has not must begin it. Most streams have one."""
        return self._n == 1 or self._head.endpoint is Endpoint.COMPLETIONS or len(self._begun) >= self._n

    def _is_plain(self, frames: bytes) -> bool:
        return self._all_begun and _is_plain(frames)

    def _classify(self, event: bytes | None, data: bytes) -> PieceKind | None:
        if data.startswith(b"[DONE]"):
            self.terminal_seen = True
            return PieceKind.TERMINAL
        if self.content_seen and event is None and _only_counts_on(data):
            self._usage_frame = data
            self._unread = True
            return PieceKind.CONTENT
        message = self._message(data)
        if message is None:
            return PieceKind.CONTENT
        error = message.get("error")
        if error or event == b"error" or message.get("object") == "error":
            return self._failed(error or message, data)
        choices = message.get("choices")
        if isinstance(usage := _usage_object(message), dict) and usage:
            self._usage_frame = data
            self._unread = True
            if not choices and not self._include_usage and "usage" in message:
                return None
        if self.response_id is None and isinstance(message.get("id"), str):
            self.response_id = message["id"]
        if isinstance(choices, list) and choices:
            self._like = data
            for choice in choices:
                self._see_choice(choice)
        return self._passing()

    def _see_choice(self, choice: Any) -> None:
        if not isinstance(choice, dict):
            return
        reason = choice.get("finish_reason")
        index = choice.get("index")
        index = index if isinstance(index, int) else None
        if len(self._begun) < self._n:
            self._begun.add(index)
        if isinstance(reason, str) and reason:
            self.finish_reason = reason
            self._finished.add(index)
            self.complete = len(self._finished) >= self._n
            self.content_seen = True
        delta = choice.get("delta")
        if choice.get("text") or (isinstance(delta, dict) and _says_something(delta)):
            self.content_seen = True

    def _usage(self) -> Reported | None:
        return None if self._usage_frame is None else read_usage(counts.decode_exact(self._usage_frame))


def read_usage(answer: dict[str, Any]) -> Reported | None:
    """Return the usage of an answer or of a frame, None where there is none to rely on.

    Cached tokens stand in `prompt_tokens_details.cached_tokens`, with DeepSeek in `prompt_cache_hit_tokens`,
    with Moonshot in `cached_tokens`; cache writes (OpenRouter) in `prompt_tokens_details.cache_write_tokens`.
    """
    usage = _usage_object(answer)
    if not isinstance(usage, dict):
        return None
    prompt_details = counts.counts(usage.get("prompt_tokens_details"))
    for name in ("prompt_cache_hit_tokens", "cached_tokens"):
        cached = counts.count(usage.get(name))
        if cached and "cached_tokens" not in prompt_details:
            prompt_details["cached_tokens"] = cached
    normalised = counts.openai_usage(
        counts.count(usage.get("prompt_tokens")),
        counts.count(usage.get("completion_tokens")),
        counts.count(usage.get("total_tokens")),
        prompt_details,
        counts.counts(usage.get("completion_tokens_details")),
    )
    return None if normalised is None else Reported(normalised, counts.reported_cost(usage))


def _usage_object(message: dict[str, Any]) -> object:
    """Return the usage member; Groq's own `x_groq.usage` where there is no other."""
    usage = message.get("usage")
    if usage is None and isinstance(groq := message.get("x_groq"), dict):
        return groq.get("usage")
    return usage


def _is_plain(frames: bytes) -> bool:
    """Tell that no frame ends anything, fails or counts. Text cannot hide these: its quotes are escaped.

    `rfind` takes a third of the time of `in`, which tries its operand as a number first.
    """
    rfind = frames.rfind
    return (
        rfind(b'"finish_reason":"') < 0
        and rfind(b'"usage":{') < 0
        and rfind(b'"error"') < 0
        and rfind(b"[DONE]") < 0
        and rfind(b'"finish_reason": "') < 0
        and rfind(b'"usage": {') < 0
        and rfind(b"event:") < 0
    )


def _only_counts_on(data: bytes) -> bool:
    """Tell that a frame differs from plain content by its usage alone, as where usage rides on each frame."""
    return (
        data.startswith(b"{")
        and data.rstrip().endswith(b"}")
        and b'"choices":[{' in data
        and b'"usage":{' in data
        and b'"finish_reason":"' not in data
        and b'"finish_reason": "' not in data
        and b'"error"' not in data
    )


def _says_something(delta: dict[str, Any]) -> bool:
    return any(value for name, value in delta.items() if name != "role")


def _stream_options(fields: dict[str, Raw]) -> dict[str, Raw]:
    raw = fields.get(_STREAM_OPTIONS)
    if raw is None or (text := bytes(raw)) == b"null":
        return {}
    return read_object(text, _STREAM_OPTIONS, _STREAM_OPTIONS)


def _asking_for_usage(fields: dict[str, Raw]) -> bytes:
    options = _stream_options(fields)
    if not options:
        return b'{"include_usage":true}'
    return splice(bytes(fields[_STREAM_OPTIONS]), options, {_INCLUDE_USAGE: b"true"})


def _max_output(fields: dict[str, Raw]) -> int | None:
    """Return the larger maximum where both are given, since upstreams differ in which one they heed."""
    asked = [most for name in _MAXIMA if (most := head_fields.whole(fields, name, 0)) is not None]
    return max(asked, default=None)


def _completions(fields: dict[str, Raw], n: int) -> int:
    """Return how many texts are generated: candidates (`best_of` where larger) of every prompt."""
    return max(n, head_fields.whole(fields, "best_of", 1) or 1) * head_fields.item_count(fields, "prompt")


def _reasoning(fields: dict[str, Raw]) -> bool:
    """Tell whether reasoning was asked for, in OpenAI's, OpenRouter's or DeepSeek's way."""
    if head_fields.given(fields, "reasoning_effort"):
        return head_fields.text_of(fields, "reasoning_effort") not in _OFF
    if head_fields.given(fields, "reasoning") or head_fields.given(fields, "enable_thinking"):
        return True
    return head_fields.given(fields, "thinking") and head_fields.switched_on(fields, "thinking")
