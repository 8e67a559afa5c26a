"""Events as a chat answer for a client: chunks of a stream, or one body.

Forms: openai.types.chat.chat_completion_chunk and chat_completion. Thinking goes out as `reasoning_content` and, so
that it can come back, in OpenRouter's `reasoning_details` with its signature wrapped (thinking.py names the sources).
"""

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Raw

from headgate.model.events import Event, Started, TextDelta, UsageSeen
from headgate.model.usage import Usage
from headgate.protocols.canonical import AnswerWriter, Reply
from headgate.protocols.openai_chat import tables
from headgate.protocols.openai_chat.choice_writer import ChoiceWriter
from headgate.protocols.openai_chat.usage_writer import usage_object

_encode: Final = msgspec.json.Encoder().encode
_DONE: Final = b"data: [DONE]\n\n"
_ROLE_WITH_TEXT: Final = b'"role":"assistant","content":"","refusal":null'
_ROLE: Final = b'"role":"assistant","content":null,"refusal":null'
_GOES_ON: Final = b',"logprobs":null,"finish_reason":null}]'


class ChatAnswerWriter(AnswerWriter):
    """Writes for one client. An event of an error writes nothing: how a call ends in one is decided elsewhere."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply)
        self._choices: dict[int, ChoiceWriter] = {}
        self._model = reply.head.model
        self._tier: str | None = None
        self._usage: Usage | None = None
        self._keep = False
        self._legacy = "functions" in reply.head.fields and "tools" not in reply.head.fields
        self._heads: dict[int, bytes] = {}
        self._tail = b',"usage":null}\n\n' if reply.head.include_usage else b"}\n\n"

    def frames(self, events: Iterable[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            if type(event) is TextDelta:
                self._write_text(event, out)
            else:
                self._write(event, out)
        return b"".join(out)

    def end(self) -> bytes:
        out: list[bytes] = []
        for choice in self._choices.values() or [self._choice(0)]:
            head = self._begin(choice, _ROLE_WITH_TEXT, out)
            out += [head + delta + b"}" + _GOES_ON + self._tail for delta in choice.last_deltas()]
            word = choice.finish_reason().encode()
            out.append(head + b'},"logprobs":null,"finish_reason":"' + word + b'"}]' + self._tail)
        if self._usage is not None and self.reply.head.include_usage:
            head = _encode(self._envelope("chat.completion.chunk"))[:-1]
            out.append(b'data: %b,"choices":[],"usage":%b}\n\n' % (head, _encode(usage_object(self._usage))))
        out.append(_DONE)
        return b"".join(out)

    def body(self, events: Iterable[Event]) -> bytes:
        self._keep = True
        self.frames(events)
        choices = []
        for choice in sorted(self._choices.values(), key=lambda choice: choice.index) or [self._choice(0)]:
            list(choice.last_deltas())
            logprobs = {"content": _joined(choice.logprobs), "refusal": None} if choice.logprobs else None
            message, word = choice.message(), choice.finish_reason()
            choices.append({"index": choice.index, "message": message, "logprobs": logprobs, "finish_reason": word})
        body = {**self._envelope("chat.completion"), "choices": choices}
        if self._usage is not None:
            body["usage"] = usage_object(self._usage)
        return _encode(body)

    def _write_text(self, event: TextDelta, out: list[bytes]) -> None:
        choice = self._choices.get(event.choice) or self._choice(event.choice)
        delta = choice.text(event)
        if not choice.started:
            self._begin(choice, _ROLE_WITH_TEXT, out)
        head = self._heads[event.choice]
        if event.logprobs is None:
            out.append(head + delta + b"}" + _GOES_ON + self._tail)
        else:
            logprobs = b'},"logprobs":{"content":%b,"refusal":null},"finish_reason":null}]' % bytes(event.logprobs)
            out.append(head + delta + logprobs + self._tail)

    def _write(self, event: Event, out: list[bytes]) -> None:
        match event:
            case Started():
                self._model = event.model or self._model
                self._tier = event.service_tier
            case UsageSeen():
                self._usage = event.reported.usage
            case _ if (index := getattr(event, "choice", None)) is not None:
                choice = self._choices.get(index) or self._choice(index)
                for delta in choice.deltas(event):
                    head = self._begin(choice, _ROLE, out)
                    out.append(head + delta + b"}" + _GOES_ON + self._tail)
            case _:
                pass

    def _choice(self, index: int) -> ChoiceWriter:
        choice = ChoiceWriter(index, self.reply, self.lost, legacy=self._legacy, keep=self._keep)
        self._choices[index] = choice
        return choice

    def _begin(self, choice: ChoiceWriter, role: bytes, out: list[bytes]) -> bytes:
        """Write the role frame before a choice's first delta; return how its frames begin."""
        if not choice.started:
            choice.started = True
            envelope = _encode(self._envelope("chat.completion.chunk"))[:-1]
            self._heads[choice.index] = b'data: %b,"choices":[{"index":%d,"delta":{' % (envelope, choice.index)
            out.append(self._heads[choice.index] + role + b"}" + _GOES_ON + self._tail)
        return self._heads[choice.index]

    def _envelope(self, form: str) -> dict[str, object]:
        envelope: dict[str, object] = {
            "id": f"chatcmpl-{self.reply.id}",
            "object": form,
            "created": self.reply.created,
            "model": self._model,
        }
        if self._tier is not None:
            tier = tables.TIER_WRITTEN.get(self._tier, self._tier)
            if tier in tables.TIERS:
                envelope["service_tier"] = tier
        return envelope


def _joined(arrays: list[Raw]) -> Raw:
    """Return arrays as one."""
    inner = [bytes(array).strip()[1:-1].strip() for array in arrays]
    return Raw(b"[" + b",".join(each for each in inner if each) + b"]")
