"""An upstream's chat answer, streamed or whole, as events."""

from collections.abc import Sequence
from typing import Final

import msgspec

from headgate.model.events import Event, Failed, Started, UnknownSeen, UsageSeen
from headgate.model.usage import Reported
from headgate.protocols import counts
from headgate.protocols.canonical import AnswerReader
from headgate.protocols.failure_text import failure_text
from headgate.protocols.openai_chat.choice_reader import ChoiceReader
from headgate.protocols.openai_chat.chunk import Chunk, read_chunk, said
from headgate.protocols.openai_chat.codec import read_usage

MAX_CHOICES: Final = 128
"""OpenAI's own limit of `n`."""

_DONE: Final = b"[DONE]"
_NO_ERROR: Final = frozenset({b"{}", b'""', b"false"})


class _Error(msgspec.Struct):
    type: str | None = None
    code: str | int | None = None


_error: Final = msgspec.json.Decoder(_Error)


class ChatAnswerReader(AnswerReader):
    """Reads chat.completion.chunk streams and chat.completion bodies, of OpenAI and of servers that speak as it does.

    A choice is finished when the stream is: some servers repeat their finish reason, or send text after it.
    """

    __slots__ = ("_choices", "_ended", "_started", "_usage", "_whole")

    def __init__(self) -> None:
        self._choices: dict[int, ChoiceReader] = {}
        self._started = False
        self._ended = False
        self._usage: Chunk | None = None
        self._whole = False

    def frame(self, event: bytes | None, data: bytes) -> Sequence[Event]:
        if not data or self._ended:
            return ()
        if data.startswith(_DONE):
            return self.end()
        chunk = read_chunk(data)
        if chunk is None:
            return (UnknownSeen((event or b"").decode("utf-8", "replace"), data),)
        if _is_error(chunk) or event == b"error":
            return self._failed(chunk, data)
        events: list[Event] = []
        self._read(chunk, events)
        return events or (UnknownSeen(chunk.object or "", data),) if chunk.choices is None else events

    def body(self, body: bytes) -> Sequence[Event]:
        self._whole = True
        chunk = read_chunk(body)
        if chunk is None:
            return (UnknownSeen("", body),)
        if chunk.choices is None and _is_error(chunk):
            return self._failed(chunk, body)
        events: list[Event] = []
        self._read(chunk, events)
        return [*events, *self.end()]

    def end(self) -> Sequence[Event]:
        if self._ended:
            return ()
        self._ended = True
        events: list[Event] = []
        for choice in self._choices.values():
            choice.end(events)
        self._say_usage(events)
        return events

    def _read(self, chunk: Chunk, events: list[Event]) -> None:
        choices = chunk.choices
        if not self._started and (choices or chunk.id):
            self._started = True
            events.append(Started(chunk.id or "", chunk.model or "", chunk.created or 0, chunk.service_tier))
        for choice in choices or ():
            reader = self._choices.get(choice.index or 0)
            if reader is None:
                reader = self._new_choice(choice.index or 0)
                if reader is None:
                    events.append(UnknownSeen("choices", b""))
                    continue
            reader.read(choice, events)
        if said(chunk.usage) or chunk.x_groq is not None:
            self._usage = chunk
            if not choices:
                self._say_usage(events)

    def _new_choice(self, index: int) -> ChoiceReader | None:
        if not 0 <= index < MAX_CHOICES:
            return None
        reader = self._choices[index] = ChoiceReader(index, whole=self._whole)
        return reader

    def _say_usage(self, events: list[Event]) -> None:
        """Say the last usage that came; where it rides on every frame, only the last one is read."""
        chunk, self._usage = self._usage, None
        if chunk is not None and (reported := _reported(chunk)) is not None:
            events.append(UsageSeen(reported))

    def _failed(self, chunk: Chunk, data: bytes) -> Sequence[Event]:
        self._ended = True
        kind: str | int | None = None
        try:
            error = _error.decode(chunk.error if said(chunk.error) else data)
            kind = error.type or error.code
        except (ValueError, RecursionError):
            pass
        return (Failed(failure_text(data), "" if kind is None else str(kind)[:100]),)


def _is_error(chunk: Chunk) -> bool:
    return chunk.object == "error" or (said(chunk.error) and bytes(chunk.error) not in _NO_ERROR)


def _reported(chunk: Chunk) -> Reported | None:
    if said(chunk.usage):
        plain = counts.plain_usage(chunk.usage)
        return Reported(plain) if plain is not None else read_usage({"usage": counts.decode_exact(chunk.usage)})
    if chunk.x_groq is not None and said(chunk.x_groq.usage):
        return read_usage({"usage": counts.decode_exact(chunk.x_groq.usage)})
    return None
