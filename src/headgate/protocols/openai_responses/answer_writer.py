"""Events as a responses answer for a client: the whole sequence of a stream's events, or one body.

Order of events: developers.openai.com, Streaming events, and what the SDK's ResponseStreamState demands. Reasoning goes
out with its signature wrapped as `encrypted_content`, always: the API does so by default, too (the SDK's
ResponseReasoningItem), and clients that give items back give it back as they got it.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from headgate.model.content import RedactedThinking
from headgate.model.dialect import Dialect
from headgate.model.events import (
    BlockEnded,
    CitationSeen,
    Event,
    Failed,
    Finish,
    Finished,
    RefusalDelta,
    SignatureSeen,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolArguments,
    ToolStarted,
    UsageSeen,
    Whole,
)
from headgate.model.losses import Lost
from headgate.model.usage import Usage
from headgate.protocols.canonical import AnswerWriter, Reply
from headgate.protocols.openai_responses import tables
from headgate.protocols.openai_responses.namespaces import Namespaces
from headgate.protocols.openai_responses.output_items import (
    COMPLETED,
    CallOut,
    MessageOut,
    ReasoningOut,
    Said,
    TextPart,
    added,
    done,
)
from headgate.protocols.openai_responses.response_object import ResponseObject
from headgate.protocols.signatures import Signed, wrap

_FAILED: Final = {"rate_limit_exceeded": "rate_limit_exceeded", "rate_limit_error": "rate_limit_exceeded"}
"""Kinds of errors that the API has a code for; every other one is `server_error`."""

_TEXT: Final = (
    b"event: response.output_text.delta\n"
    b'data: {"type":"response.output_text.delta","sequence_number":%d,%b%b,"logprobs":[]}\n\n'
)
_encode: Final = msgspec.json.Encoder().encode
_Open = TextPart | ReasoningOut | CallOut


class ResponsesAnswerWriter(AnswerWriter):
    """Writes for one client. Texts that follow each other are parts of one message; blocks may overlap."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply)
        self._response = ResponseObject(reply)
        self._namespaces = Namespaces(reply.request.tools)
        self._sequence = 0
        self._begun = False
        self._output: list[object] = []
        """Each item as it is in the end; None while it grows."""
        self._messages: dict[int, MessageOut] = {}
        """Messages that have not ended, by their index."""
        self._message: MessageOut | None = None
        """The last item, where it is a message: it may get more parts."""
        self._open: dict[int, _Open] = {}
        self._call_ids: set[str] = set()
        """No two calls have one id: the SDK takes that for an error."""
        self._usage: Usage | None = None
        self._finished: Finished | None = None
        self._failed: Failed | None = None
        self._refused = False

    def next_sequence(self) -> int:
        return self._sequence

    def frames(self, events: Iterable[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            if type(event) is TextDelta and event.logprobs is None and event.choice == 0 and event.text:
                part = self._open.get(event.block)
                if type(part) is TextPart and not part.refusal:
                    part.texts.append(event.text)
                    out.append(_TEXT % (self._sequence, part.head, _encode(event.text)))
                    self._sequence += 1
                    continue
            self._write(event, out)
        return b"".join(out)

    def end(self) -> bytes:
        out: list[bytes] = []
        self._begin(out)
        status = self._close(out)
        self._say((b"response." + status.encode(), b'"response":' + self._whole(status)), out)
        return b"".join(out)

    def body(self, events: Iterable[Event]) -> bytes:
        self.frames(events)
        return self._whole(self._close([]))

    # -- the response -----------------------------------------------------------------------------

    def _say(self, said: Said, out: list[bytes]) -> None:
        name, members = said
        out.append(
            b'event: %b\ndata: {"type":"%b","sequence_number":%d,%b}\n\n' % (name, name, self._sequence, members)
        )
        self._sequence += 1

    def _begin(self, out: list[bytes]) -> None:
        if self._begun:
            return
        self._begun = True
        members = b'"response":' + self._response.written("in_progress", [])
        self._say((b"response.created", members), out)
        self._say((b"response.in_progress", members), out)

    def _reason(self) -> str | None:
        """Return why the answer is not whole, None where it is."""
        finish = Finish.UNKNOWN if self._finished is None else self._finished.finish
        return None if finish is Finish.REFUSAL and self._refused else tables.INCOMPLETE_WRITTEN[finish]

    def _close(self, out: list[bytes]) -> str:
        """End what is open and return the response's status."""
        status = COMPLETED if self._reason() is None else "incomplete"
        if self._failed is not None:
            status = "failed"
        last = COMPLETED if status == COMPLETED else "incomplete"
        for block in list(self._open):
            self._end_block(block, out, last)
        self._end_message(out, last)
        return status

    def _whole(self, status: str) -> bytes:
        error = None
        if self._failed is not None:
            error = {"code": _FAILED.get(self._failed.kind, "server_error"), "message": self._failed.message}
        reason = self._reason() if error is None else None
        return self._response.written(status, self._output, self._usage, reason, error)

    # -- events -----------------------------------------------------------------------------------

    def _write(self, event: Event, out: list[bytes]) -> None:
        match event:
            case Started():
                self._response.model = event.model or self._response.model
                self._response.tier = event.service_tier
                self._begin(out)
            case UsageSeen():
                self._usage = event.reported.usage
            case Finished() if event.choice == 0:
                self._finished = event
            case Failed():
                self._failed = event
            case BlockEnded() if event.choice == 0:
                self._end_block(event.block, out, COMPLETED)
            case _ if getattr(event, "choice", 1) == 0:
                self._begin(out)
                self._write_block(event, out)
            case _ if getattr(event, "choice", 0):
                self.lost.add(Lost.N)  # an answer of this dialect has no choices
            case _:
                pass

    def _write_block(self, event: Event, out: list[bytes]) -> None:
        match event:
            case TextDelta():
                if event.text or event.logprobs is not None:
                    part = self._part(event.block, out, refusal=False)
                    self._say(part.say(event.text) if event.logprobs is None else part.say_with_logprobs(event), out)
            case RefusalDelta():
                self._refused = True
                if event.text:
                    self._say(self._part(event.block, out, refusal=True).say(event.text), out)
            case CitationSeen():
                self._part(event.block, out, refusal=False).cite(event)
            case ThinkingDelta():
                self._say_all(self._reasoning(event.block, out).think(event), out)
            case SignatureSeen():
                reasoning = self._reasoning(event.block, out)
                reasoning.sealed = wrap(Signed(self.reply.signer, event.item, event.signature))
            case ToolStarted():
                self._call(event, out)
            case ToolArguments():
                call = self._open.get(event.block)
                if isinstance(call, CallOut) and event.text:
                    self._say(call.argue(event.text), out)
            case Whole():
                self._write_whole(event, out)
            case _:
                pass

    def _say_all(self, said: Iterable[Said], out: list[bytes]) -> None:
        for each in said:
            self._say(each, out)

    def _identity(self, prefix: str, index: int) -> str:
        return f"{prefix}_{self.reply.id}_{index}"

    def _new_item(self, out: list[bytes]) -> int:
        """Return the index of a new item; a message before it gets no more parts."""
        message, self._message = self._message, None
        if message is not None and not any(part.open for part in message.parts):
            self._end_item(message, out, COMPLETED)
        self._output.append(None)
        return len(self._output) - 1

    def _part(self, block: int, out: list[bytes], *, refusal: bool) -> TextPart:
        part = self._open.get(block)
        if isinstance(part, TextPart) and part.refusal is refusal:
            return part
        if part is not None:
            self._end_block(block, out, COMPLETED)
        message = self._message
        if message is None:
            index = self._new_item(out)
            message = self._message = self._messages[index] = MessageOut(index, self._identity("msg", index))
            self._say(message.begin(), out)
        part = message.new_part(refusal=refusal)
        self._open[block] = part
        self._say(part.begin(), out)
        return part

    def _reasoning(self, block: int, out: list[bytes]) -> ReasoningOut:
        reasoning = self._open.get(block)
        if isinstance(reasoning, ReasoningOut):
            return reasoning
        if reasoning is not None:
            self._end_block(block, out, COMPLETED)
        index = self._new_item(out)
        reasoning = ReasoningOut(index, self._identity("rs", index))
        self._open[block] = reasoning
        self._say(reasoning.begin(), out)
        return reasoning

    def _call(self, event: ToolStarted, out: list[bytes]) -> None:
        if event.block in self._open:
            self._end_block(event.block, out, COMPLETED)
        index = self._new_item(out)
        identity = self._identity("fc" if tables.CALL_TYPE[event.kind] == "function_call" else "ctc", index)
        call_id = event.id if event.id and event.id not in self._call_ids else f"{event.id or self.reply.id}_{index}"
        self._call_ids.add(call_id)
        call = CallOut(index, identity, call_id, event, self._namespaces.origin(event.name))
        self._open[event.block] = call
        self._say(call.begin(), out)

    def _write_whole(self, event: Whole, out: list[bytes]) -> None:
        content = event.content
        if isinstance(content, RedactedThinking):
            index = self._new_item(out)
            reasoning = ReasoningOut(index, self._identity("rs", index))
            reasoning.sealed = wrap(Signed(self.reply.signer, tables.REDACTED, content.data))
            self._say(reasoning.begin(), out)
            self._say_all(reasoning.end(), out)
            self._output[index] = reasoning.item()
        elif content.dialect is Dialect.OPENAI_RESPONSES:
            index = self._new_item(out)
            self._say(added(index, content.raw), out)
            self._say(done(index, content.raw), out)
            self._output[index] = content.raw
        else:
            self.lost.add(Lost.FOREIGN)

    # -- ends -------------------------------------------------------------------------------------

    def _end_block(self, block: int, out: list[bytes], status: str) -> None:
        opened = self._open.pop(block, None)
        match opened:
            case TextPart():
                self._say_all(opened.end(self.lost), out)
                message = self._messages[opened.message]
                if message is not self._message and not any(part.open for part in message.parts):
                    self._end_item(message, out, status)
            case ReasoningOut():
                if opened.sealed is None:  # an unsigned one finds its way back too
                    opened.sealed = wrap(Signed(self.reply.signer, None, ""))
                self._say_all(opened.end(), out)
                self._output[opened.index] = opened.item()
            case CallOut():
                self._say_all(opened.end(status), out)
                self._output[opened.index] = opened.item(status)
            case None:
                pass

    def _end_item(self, message: MessageOut, out: list[bytes], status: str) -> None:
        item = message.item(status)
        del self._messages[message.index]
        self._output[message.index] = item
        self._say(done(message.index, item), out)

    def _end_message(self, out: list[bytes], status: str) -> None:
        message, self._message = self._message, None
        if message is not None:
            self._end_item(message, out, status)
