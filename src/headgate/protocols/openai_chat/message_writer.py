"""Turns as messages for a chat upstream.

Of another dialect's turns, texts without pictures become one string: not every server takes an array of parts
(DeepSeek: "invalid type: sequence, expected a string"). Tool messages hold text only, so what else a result has follows
in a user's message (openai.types.chat.chat_completion_tool_message_param).
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Raw

from headgate.model.content import (
    Audio,
    Block,
    Cache,
    Document,
    Foreign,
    Image,
    RedactedThinking,
    Refusal,
    Role,
    SourceKind,
    Text,
    Thinking,
    ToolKind,
    ToolResult,
    ToolUse,
    Turn,
)
from headgate.model.conversation import Request
from headgate.model.dialect import Dialect
from headgate.model.losses import Lost
from headgate.protocols.openai_breakpoints import BREAKPOINT
from headgate.protocols.openai_chat import tables
from headgate.protocols.openai_chat.parts import CACHE, audio_part, cache_member, file_part, image_part, merge
from headgate.protocols.openai_chat.thinking import BETWEEN, ThinkingWriter
from headgate.protocols.openai_losses import Losses

MAX_ID: Final = 40
"""OpenAI refuses longer ids of tool calls ("Expected a string with maximum length 40")."""

_NEXT_MESSAGE: Final = "The result follows in the next message."
_FILE_NAME: Final = "document.pdf"

_MISPLACED: Final[dict[type[Block], Lost]] = {
    Thinking: Lost.THINKING,
    RedactedThinking: Lost.REDACTED_THINKING,
    ToolUse: Lost.TOOL,
    ToolResult: Lost.TOOL_RESULT_CONTENT,
}
"""Blocks where no client's dialect has them: thinking in a user's turn, results in an assistant's."""

Message = dict[str, object]


def write_messages(request: Request, provider: str, losses: Losses) -> list[Message]:
    """Return the messages; what they cannot carry is added to `losses`."""
    return _Writer(request, provider, losses).messages(request.turns)


class _Writer:
    def __init__(self, request: Request, provider: str, losses: Losses) -> None:
        self._dialect = request.dialect
        self._provider = provider
        self._losses = losses
        self._lost = losses.lost
        self._own = losses.own
        self._items = losses.turns if request.dialect is Dialect.OPENAI_RESPONSES else f"{losses.turns}.content"
        self._parts = f"{losses.turns}.content"

    def messages(self, turns: Iterable[Turn]) -> list[Message]:
        written: list[Message] = []
        for turn in turns:
            if turn.role is Role.ASSISTANT:
                written += self._assistant(turn)
            elif turn.role is Role.USER:
                written += self._user(turn)
            else:
                content = self._content(turn.blocks, BETWEEN, plain=turn.plain)
                written.append(self._message(turn, {"content": "" if content is None else content}))
        return written if self._own else self._results_first(written)

    def _results_first(self, messages: list[Message]) -> list[Message]:
        """Return messages where results follow their calls at once, as servers demand; others may stand between."""
        ordered: list[Message] = []
        called: set[object] = set()
        behind = 0
        for message in messages:
            if message["role"] == "tool" and message["tool_call_id"] in called:
                if any(passed["role"] == "system" for passed in ordered[behind:]):
                    self._lost.add(Lost.SYSTEM_POSITION)
                ordered.insert(behind, message)
                behind += 1
                continue
            ordered.append(message)
            calls = message.get("tool_calls")
            if isinstance(calls, list):
                called, behind = {call["id"] for call in calls}, len(ordered)
        return ordered

    def _message(self, turn: Turn, members: Message) -> Message:
        role = (tables.ROLE_WRITTEN if self._own else tables.FOREIGN_ROLE_WRITTEN)[turn.role]
        message: Message = {"role": role, **members}
        if turn.name is not None:
            message["name"] = turn.name
        return merge(message, self._losses.extras(turn.extra, self._losses.turns))

    def _user(self, turn: Turn) -> list[Message]:
        results = [block for block in turn.blocks if isinstance(block, ToolResult)]
        rest: list[Block] = [block for block in turn.blocks if not isinstance(block, ToolResult)]
        followers: list[Block] = []
        messages = [self._result(result, followers) for result in results]
        rest = [*followers, *rest]
        if not rest and results:
            self._losses.extras(turn.extra, self._losses.turns)
            return messages
        content = self._content(rest, BETWEEN, plain=turn.plain)
        if content is not None or not results:
            messages.append(self._message(turn, {"content": "" if content is None else content}))
        return messages

    def _result(self, result: ToolResult, followers: list[Block]) -> Message:
        """Return a tool message; what it has no place for in foreign requests is added to `followers`."""
        content: list[Block] = list(result.content)
        if not self._own:
            others = [block for block in content if not _is_text(block) and self._part(block) is not None]
            content = [block for block in content if _is_text(block)]
            if others:
                followers += [Text(f"Result of {_call_id(result.id)}:"), *others]
                content = content or [Text(_NEXT_MESSAGE)]
        said = self._content(content, BETWEEN, plain=result.plain)
        if result.is_error:
            self._lost.add(Lost.TOOL_RESULT_ERROR)
        call_id = result.id if self._own else _call_id(result.id)
        message: Message = {"role": "tool", "tool_call_id": call_id, "content": "" if said is None else said}
        self._mark(message, result.cache)
        return merge(message, self._losses.extras(result.extra, self._items))

    def _assistant(self, turn: Turn) -> list[Message]:
        thinking = ThinkingWriter(self._dialect, self._provider, self._lost)
        content: list[Block] = []
        calls: list[ToolUse] = []
        members: Message = {}
        refusals: list[str] = []
        for block in turn.blocks:
            match block:
                case Thinking() | RedactedThinking():
                    thinking.add(block)
                case ToolUse():
                    calls.append(block)
                case Audio(source=None) if self._own:
                    members["audio"] = self._spoken(block)
                case Refusal() if turn.plain or not self._own:
                    refusals.append(block.text)
                    self._losses.extras(block.extra, self._parts)
                case _:
                    content.append(block)
        said = self._content(content, "", plain=turn.plain)
        if refusals:
            members["refusal"] = "".join(refusals)
        members |= thinking.members()
        members |= self._annotations(content)
        if calls:
            members["tool_calls"] = [self._call(call, thinking) for call in calls]
        if said is None and not members and not self._own:
            self._losses.extras(turn.extra, self._losses.turns)
            return []  # an upstream refuses a message without anything
        return [self._message(turn, {"content": said, **members})]

    def _spoken(self, audio: Audio) -> Message:
        members: Message = {"id": audio.id}
        if audio.transcript is not None:
            members["transcript"] = audio.transcript
        return merge(members, audio.extra)

    def _annotations(self, content: Sequence[Block]) -> Message:
        citations = [each for block in content if isinstance(block, Text) for each in block.citations]
        return {"annotations": citations} if citations and self._own else {}

    def _call(self, call: ToolUse, thinking: ThinkingWriter) -> Message:
        word = tables.TOOL_KIND_WRITTEN[call.kind]
        if call.kind is ToolKind.CUSTOM:
            inner: Message = {"name": call.name, "input": call.arguments}
        else:
            inner = {"name": call.name, "arguments": call.arguments or ("" if self._own else "{}")}
        call_id = call.id if self._own else _call_id(call.id)
        message: Message = {"id": call_id, "type": word, word: inner, **thinking.tool_members(call.id)}
        self._mark(message, call.cache)
        return merge(message, self._losses.extras(call.extra, self._items))

    def _content(self, blocks: Sequence[Block], between: str, *, plain: bool) -> object:
        """Return a message's content: a string, an array of parts, or None for nothing."""
        if self._own:
            if plain and all(isinstance(block, Text) for block in blocks):
                return "".join(block.text for block in blocks if isinstance(block, Text)) if blocks else None
            return [part for block in blocks if (part := self._part(block)) is not None]
        parts = [part for block in blocks if (part := self._part(block)) is not None]
        texts = [part["text"] for part in parts if isinstance(part, dict) and part["type"] == "text"]
        if len(texts) < len(parts) or any(isinstance(part, dict) and BREAKPOINT in part for part in parts):
            return [part for part in parts if not isinstance(part, dict) or part.get("text") != ""]
        return between.join(text for text in texts if isinstance(text, str) and text) if any(texts) else None

    def _part(self, block: Block) -> Message | Raw | None:
        """Return a content part, None for what is lost."""
        part: Message | None = None
        match block:
            case Foreign():
                if block.dialect is Dialect.OPENAI_CHAT:
                    return block.raw
                self._lost.add(Lost.FOREIGN)
                return None
            case Text():
                part = {"type": "text", "text": block.text}
                if block.citations and not self._own:
                    self._lost.add(Lost.CITATIONS)
            case Image():
                part = self._image(block)
            case Document():
                part = self._document(block)
            case Audio():
                part = self._audio(block)
            case Refusal():
                part = {"type": "refusal", "refusal": block.text}
            case _:
                self._lost.add(_MISPLACED[type(block)])
        if part is None:
            return None
        if isinstance(block, Text | Image | Document):
            self._mark(part, block.cache)
        return merge(part, self._losses.extras(block.extra, self._parts))

    def _audio(self, audio: Audio) -> Message | None:
        if audio.source is not None and audio.source.kind is SourceKind.BASE64:
            return audio_part(audio.source)
        self._lost.add(Lost.AUDIO)
        return None

    def _image(self, image: Image) -> Message | None:
        if image.source.kind in (SourceKind.BASE64, SourceKind.URL):
            return image_part(image)
        self._lost.add(Lost.IMAGE)
        return None

    def _document(self, document: Document) -> Message | None:
        if document.citations:
            self._lost.add(Lost.DOCUMENT_CITATIONS)
        if document.context is not None:
            self._lost.add(Lost.DOCUMENT_CONTEXT)
        if document.source.kind is SourceKind.TEXT:
            if document.title is not None:
                self._lost.add(Lost.DOCUMENT_TITLE)
            return {"type": "text", "text": document.source.value}
        if not self._own and not self._takes(document.source.kind):
            self._lost.add(Lost.DOCUMENT)
            return None
        return file_part(document, None if self._own else _FILE_NAME)

    def _takes(self, kind: SourceKind) -> bool:
        """Tell whether a foreign document can be written: OpenAI's two dialects share their files, none takes URLs."""
        return kind is SourceKind.BASE64 or (kind is SourceKind.FILE and self._dialect is Dialect.OPENAI_RESPONSES)

    def _mark(self, message: Message, cache: Cache | None) -> None:
        if cache is None:
            return
        if cache.mark is not None and self._dialect is not Dialect.ANTHROPIC_MESSAGES:
            message[BREAKPOINT] = cache.mark
        elif self._own:
            message[CACHE] = cache_member(cache)
        else:
            self._lost.add(Lost.CACHE)


def _is_text(block: Block) -> bool:
    return isinstance(block, Text) or (isinstance(block, Document) and block.source.kind is SourceKind.TEXT)


def _call_id(call_id: str) -> str:
    """Return an id that every upstream takes; the same for the call and its result."""
    if len(call_id) <= MAX_ID:
        return call_id
    return "call_" + hashlib.sha256(call_id.encode()).hexdigest()[:32]
