"""An upstream's responses answer, streamed or whole, as events."""

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Raw

from headgate.model.conversation import ServerTool, Tool
from headgate.model.events import Event, Failed, Finish, Finished, Started, UnknownSeen, UsageSeen
from headgate.protocols import counts
from headgate.protocols.canonical import AnswerReader
from headgate.protocols.failure_text import failure_text
from headgate.protocols.openai_responses import tables
from headgate.protocols.openai_responses.codec import read_usage
from headgate.protocols.openai_responses.frames import Error, Frame, Response, read_as, read_frame, said
from headgate.protocols.openai_responses.namespaces import Namespaces
from headgate.protocols.openai_responses.output_reader import OutputReader

_TEXT: Final = "response.output_text.delta"
_DONE: Final = b"[DONE]"
_ENDS: Final = frozenset({"response.completed", "response.incomplete"})
_SILENT: Final = (
    "response.in_progress",
    "response.queued",
    "response.web_search_call.",
    "response.file_search_call.",
    "response.code_interpreter_call",
    "response.image_generation_call.",
    "response.mcp_",
    "response.shell_call_",
    "response.compaction.",
    "keepalive",
)
"""How events begin that tell of items which come whole at their end, and of waiting."""


class ResponsesAnswerReader(AnswerReader):
    """Reads response.* streams and response bodies. Items may interleave; each is told apart by its output_index."""

    __slots__ = ("_ended", "_output", "_started")

    def __init__(self, tools: Iterable[Tool | ServerTool] = ()) -> None:
        """`tools` are those of the request: calls of tools in namespaces get the names that they have there."""
        self._output = OutputReader(Namespaces(tools))
        self._started = False
        self._ended = False

    def frame(self, event: bytes | None, data: bytes) -> Sequence[Event]:
        if not data or self._ended:
            return ()
        frame = read_frame(data)
        if frame is None:
            return self.end() if data.startswith(_DONE) else (UnknownSeen(_name(event), data),)
        kind = frame.type or _name(event)
        if kind == _TEXT and (text := self._output.plain(frame)) is not None:
            return (text,)
        return self._read(kind, frame, data)

    def body(self, body: bytes) -> Sequence[Event]:
        response = read_as(Response, body)
        if response is None or (response.output is None and not said(response.error)):
            return (UnknownSeen("", body),)
        if response.status == "failed" or response.output is None:
            return self._failed(response.error, body)
        events: list[Event] = []
        self._begin(response, events)
        self._finish(response, events)
        return events

    def end(self) -> Sequence[Event]:
        if self._ended:
            return ()
        self._ended = True
        events: list[Event] = []
        self._output.close(events)
        return events

    def _read(self, kind: str, frame: Frame, data: bytes) -> Sequence[Event]:
        events: list[Event] = []
        useful = self._output.read(kind, frame, events)
        if useful is not None:
            if not useful:
                events.append(UnknownSeen(kind, data))
        elif kind == "response.created":
            self._begin(read_as(Response, frame.response) or Response(), events)
        elif kind in _ENDS:
            response = read_as(Response, frame.response) or Response()
            self._begin(response, events)
            self._finish(response, events)
        elif kind == "response.failed":
            response = read_as(Response, frame.response) or Response()
            return self._failed(response.error, bytes(response.error))
        elif kind == "error" or (frame.type is None and said(frame.error)):
            return self._failed(frame.error if said(frame.error) else Raw(data), data)
        elif not kind.startswith(_SILENT):
            events.append(UnknownSeen(kind, data))
        return events

    # -- the response ----------------------------------------------------------------------------

    def _begin(self, response: Response, events: list[Event]) -> None:
        if not self._started:
            self._started = True
            created = int(response.created_at or 0) if abs(response.created_at or 0) < counts.MAX_COUNT else 0
            events.append(Started(response.id or "", response.model or "", created, response.service_tier))

    def _finish(self, response: Response, events: list[Event]) -> None:
        """Say what the last frame, or a whole body, has beyond what was said."""
        self._output.complete(response.output or (), events)
        self._ended = True
        if said(response.usage):
            reported = read_usage({"usage": counts.decode_exact(response.usage)})
            if reported is not None:
                events.append(UsageSeen(reported))
        reason = response.incomplete_details.reason if response.incomplete_details is not None else None
        events.append(Finished(self._reason(response.status, reason), word=reason or response.status or ""))

    def _reason(self, status: str | None, reason: str | None) -> Finish:
        if reason is not None:
            return tables.INCOMPLETE_READ.get(reason, Finish.UNKNOWN)
        if status not in ("completed", None):
            return Finish.UNKNOWN
        if self._output.called:
            return Finish.TOOL_USE
        return Finish.REFUSAL if self._output.refused else Finish.STOP

    def _failed(self, error: Raw, data: bytes) -> Sequence[Event]:
        self._ended = True
        details = read_as(Error, error)
        kind = (details.code or details.type) if details is not None else None
        return (Failed(failure_text(data), (kind or "")[:100]),)


def _name(event: bytes | None) -> str:
    return (event or b"").decode("utf-8", "replace")[:100]
