"""An answer for a client of this dialect.

Events in the order that the anthropic SDK's accumulate_event demands: message_start, blocks strictly one after the
other, message_delta with the stop reason and the whole usage, message_stop. Pings are not needed.
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from headgate.model.errors import ErrorKind
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
    UnknownSeen,
    UsageSeen,
    Whole,
)
from headgate.model.losses import Lost
from headgate.protocols.anthropic_messages.answer_blocks import (
    OpenBlock,
    TextBlock,
    ThinkingBlock,
    ToolBlock,
    started,
    stopped,
    whole_block,
)
from headgate.protocols.anthropic_messages.codec import ERROR_TYPES
from headgate.protocols.anthropic_messages.tables import STOP_REASON, TIER_SAID
from headgate.protocols.anthropic_messages.usage_writer import NOTHING, usage_of
from headgate.protocols.anthropic_messages.whole_answer import content_of
from headgate.protocols.canonical import AnswerWriter, Reply
from headgate.protocols.sse import encode_frame

_BlockEvent = (
    TextDelta | CitationSeen | RefusalDelta | ThinkingDelta | SignatureSeen | ToolStarted | ToolArguments | Whole
)
_ERRORS: Final = frozenset(ERROR_TYPES.values())
_encode: Final = msgspec.json.Encoder().encode


class MessagesWriter(AnswerWriter):
    """Writer of messages streams and whole messages.

    Where an upstream's blocks overlap, text and thinking end as soon as another block begins; a tool use goes on to its
    end while the others wait. A block that gets more text after its end goes on as another block.
    """

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply)
        self._current: OpenBlock | None = None
        self._waiting: OrderedDict[int, list[_BlockEvent | BlockEnded]] = OrderedDict()
        self._index = 0
        self._opening: Started | None = None
        self._begun = False
        self._usage = NOTHING
        self._finished: Finished | None = None
        self._failed = False
        self._used_tool = False
        self._refused = False

    def frames(self, events: Iterable[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            current = self._current
            if (
                type(event) is TextDelta
                and type(current) is TextBlock
                and current.number == event.block
                and event.text
                and event.choice == 0
                and event.logprobs is None
            ):
                out.append(current.lead + _encode(event.text) + current.TAIL)
            else:
                self._take(event, out)
        return b"".join(out)

    def end(self) -> bytes:
        if self._failed:
            return b""
        out: list[bytes] = []
        self._begin_message(out)
        self._close(out)
        while self._waiting:
            self._next_waiting(out)
            self._close(out)
        finish = {"stop_reason": self._stop_reason(), "stop_sequence": self._stop_sequence()}
        last = {"type": "message_delta", "delta": finish, "usage": usage_of(self._usage)}
        out += (
            encode_frame(_encode(last), b"message_delta"),
            encode_frame(b'{"type":"message_stop"}', b"message_stop"),
        )
        return b"".join(out)

    def body(self, events: Iterable[Event]) -> bytes:
        blocks: list[Event] = []
        for event in events:
            match event:
                case Started():
                    self._opening = event
                case UsageSeen() | Finished() | Failed() | UnknownSeen():
                    self._note(event)
                case _ if self._ours(event):
                    self._mark(event)
                    blocks.append(event)
                case _:
                    pass
        content = content_of(blocks, self.reply, self.lost)
        return _encode(self._message(content, self._stop_reason(), self._stop_sequence()))

    # -- events ------------------------------------------------------------------------------------

    def _take(self, event: Event, out: list[bytes]) -> None:
        if self._failed:
            return
        match event:
            case Started():
                self._opening = self._opening or event
                self._begin_message(out)
            case Failed():
                self._fail(event, out)
            case UsageSeen() | Finished() | UnknownSeen():
                self._note(event)
            case _ if self._ours(event):
                self._begin_message(out)
                self._mark(event)
                self._place(event, out)
            case _:
                pass

    def _note(self, event: UsageSeen | Finished | Failed | UnknownSeen) -> None:
        if isinstance(event, UsageSeen):
            self._usage = event.reported.usage
        elif isinstance(event, Finished) and event.choice == 0:
            self._finished = event

    def _ours(self, event: _BlockEvent | BlockEnded) -> bool:
        """Tell whether a block's event is of the only choice that the dialect has."""
        if event.choice:
            self.lost.add(Lost.N)
        return not event.choice

    def _mark(self, event: _BlockEvent | BlockEnded) -> None:
        if isinstance(event, ToolStarted):
            self._used_tool = True
        elif isinstance(event, RefusalDelta):
            self._refused = True
        elif isinstance(event, TextDelta) and event.logprobs is not None:
            self.lost.add(Lost.LOGPROBS)

    def _place(self, event: _BlockEvent | BlockEnded, out: list[bytes]) -> None:
        """Write an event of a block, or let it wait for its block's turn."""
        current = self._current
        if current is not None and current.number == event.block:
            self._go_on(current, event, out)
        elif event.block in self._waiting:
            self._waiting[event.block].append(event)
        elif isinstance(current, ToolBlock):
            if not isinstance(event, BlockEnded | ToolArguments):
                self._waiting[event.block] = [event]
        else:
            self._begin(event, out)

    def _go_on(self, current: OpenBlock, event: _BlockEvent | BlockEnded, out: list[bytes]) -> None:
        if not isinstance(event, BlockEnded):
            self._add(current, event, out)
            return
        self._close(out)
        while self._waiting and not isinstance(self._current, ToolBlock):
            self._close(out)
            self._next_waiting(out)

    def _next_waiting(self, out: list[bytes]) -> None:
        for event in self._waiting.popitem(last=False)[1]:
            if self._current is None:
                self._begin(event, out)
            elif isinstance(event, BlockEnded):
                self._close(out)
            else:
                self._add(self._current, event, out)

    def _add(self, current: OpenBlock, event: _BlockEvent, out: list[bytes]) -> None:
        """Add an event to its block; one of another kind begins a block of its own."""
        if isinstance(event, current.TAKES):
            out.append(current.add(event, self.lost))
        else:
            self._begin(event, out)

    def _begin(self, event: _BlockEvent | BlockEnded, out: list[bytes]) -> None:
        """Begin a block with its first event, after the end of the one before it."""
        signer = self.reply.signer
        block: OpenBlock
        match event:
            case TextDelta() | RefusalDelta() | CitationSeen():
                if not isinstance(event, CitationSeen) and not event.text:
                    return
                block = TextBlock(event.block, self._index, signer)
            case ThinkingDelta() | SignatureSeen():
                if isinstance(event, ThinkingDelta) and not event.text:
                    return
                block = ThinkingBlock(event.block, self._index, signer)
            case ToolStarted():
                tool_id = event.id or f"toolu_{self.reply.id}_{self._index}"
                block = ToolBlock(event, self._index, tool_id)
            case Whole():
                self._whole(event, out)
                return
            case _:  # the end of a block that has ended, arguments of a tool that never started
                return
        self._close(out)
        self._index += 1
        self._current = block
        out += (block.begin(), block.add(event, self.lost))

    def _whole(self, event: Whole, out: list[bytes]) -> None:
        written = whole_block(event, self.reply.signer)
        if written is None:
            self.lost.add(Lost.FOREIGN)
            return
        self._close(out)
        out += (started(self._index, written), stopped(self._index))
        self._index += 1

    def _close(self, out: list[bytes]) -> None:
        if self._current is not None:
            out.append(self._current.end(self.lost))
            self._current = None

    def _fail(self, event: Failed, out: list[bytes]) -> None:
        self._failed = True
        self._current = None
        kind = event.kind if event.kind in _ERRORS else ERROR_TYPES[ErrorKind.UPSTREAM_ERROR]
        error = {"type": "error", "error": {"type": kind, "message": event.message}}
        out.append(encode_frame(_encode(error), b"error"))

    # -- the message --------------------------------------------------------------------------------

    def _begin_message(self, out: list[bytes]) -> None:
        if self._begun:
            return
        self._begun = True
        message = self._message([], None, None)
        out.append(encode_frame(_encode({"type": "message_start", "message": message}), b"message_start"))

    def _message(self, content: Any, reason: str | None, sequence: str | None) -> dict[str, Any]:
        opening = self._opening or Started()
        return {
            "id": opening.id if opening.id.startswith("msg_") else f"msg_{self.reply.id}",
            "type": "message",
            "role": "assistant",
            "model": opening.model or self.reply.head.model,
            "content": content,
            "stop_reason": reason,
            "stop_sequence": sequence,
            "usage": usage_of(self._usage, TIER_SAID.get(opening.service_tier or "")),
        }

    def _stop_reason(self) -> str:
        finish = Finish.UNKNOWN if self._finished is None else self._finished.finish
        if finish in (Finish.STOP, Finish.UNKNOWN):
            if self._used_tool:  # some servers say stop for it, and clients' tool loops go by this word
                finish = Finish.TOOL_USE
            elif self._refused:
                finish = Finish.REFUSAL
        return STOP_REASON[finish]

    def _stop_sequence(self) -> str | None:
        return None if self._finished is None else self._finished.sequence
