"""Turns of other dialects as items for a responses upstream."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec
from msgspec import Raw

from headgate.model.content import (
    NO_EXTRA,
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
from headgate.protocols.openai_losses import Losses
from headgate.protocols.openai_responses import tables
from headgate.protocols.openai_responses.own_writer import call_item, fits, reasoning_item, write_own
from headgate.protocols.openai_responses.parts import file_part, image_part, marked, merge
from headgate.protocols.signatures import goes_to

MAX_ID: Final = 64
"""OpenAI refuses longer ids of calls ("Expected a string with maximum length 64")."""

BETWEEN: Final = "\n\n"
"""Between the texts of a system prompt, which is one string here."""

_FILE_NAME: Final = "document.pdf"
_MISPLACED: Final[dict[type[Block], Lost]] = {
    Thinking: Lost.THINKING,
    RedactedThinking: Lost.REDACTED_THINKING,
    ToolUse: Lost.TOOL,
    ToolResult: Lost.TOOL_RESULT_CONTENT,
}
"""Blocks where no client's dialect has them: thinking in a user's turn, results in an assistant's."""

_encode: Final = msgspec.json.Encoder().encode
Members = dict[str, object]


def write_turns(request: Request, provider: str, losses: Losses) -> Members:
    """Return `instructions` and `input`; what they cannot carry is added to `losses`."""
    return _Writer(request, provider, losses).members(request.turns)


class _Writer:
    def __init__(self, request: Request, provider: str, losses: Losses) -> None:
        self._dialect = request.dialect
        self._provider = provider
        self._losses = losses
        self._lost = losses.lost
        self._items = losses.turns if losses.own else f"{losses.turns}.content"
        self._parts = f"{losses.turns}.content"
        self._refusals = 0

    def members(self, turns: Sequence[Turn]) -> Members:
        members: Members = {}
        top = [block for turn in turns if turn.top for block in turn.blocks]
        if any(turn.top for turn in turns):
            said = self._instructions(top)
            if said or self._losses.own:
                members["instructions"] = said
        talk = [turn for turn in turns if not turn.top]
        if self._losses.own and len(talk) == 1 and talk[0].plain and not talk[0].items:
            members["input"] = "".join(block.text for block in talk[0].blocks if isinstance(block, Text))
        elif talk or not self._losses.own:
            members["input"] = [item for turn in talk for item in self._turn(turn)]
        return members

    def _instructions(self, blocks: Iterable[Block]) -> str:
        texts = [part["text"] for block in blocks if (part := self._part(block, "input_text")) and "text" in part]
        return BETWEEN.join(str(text) for text in texts if text)

    def _turn(self, turn: Turn) -> Iterator[object]:
        if self._losses.own and fits(turn):
            return write_own(turn, self._provider, self._losses)
        if turn.name is not None:
            self._lost.add(Lost.NAME)
        self._losses.extras(turn.extra, self._losses.turns)
        return self._assistant(turn.blocks) if turn.role is Role.ASSISTANT else self._others(turn)

    def _others(self, turn: Turn) -> Iterator[object]:
        """Yield the items of a user's turn or a system prompt: results are items, all else is in messages."""
        content: list[Members] = []
        results = False
        for block in turn.blocks:
            if isinstance(block, ToolResult):
                results = True
                yield from self._message(turn.role, content)
                content = []
                yield self._result(block)
            elif isinstance(block, Foreign) and block.dialect is Dialect.OPENAI_RESPONSES:
                yield from self._message(turn.role, content)
                content = []
                yield block.raw
            elif (part := self._part(block, tables.TEXT_TYPE[turn.role])) is not None:
                content.append(part)
        if content or not (results or turn.role is not Role.USER):
            yield from self._message(turn.role, content or [{"type": "input_text", "text": ""}])

    def _message(self, role: Role, content: list[Members]) -> Iterator[Members]:
        if not content:
            return
        word = tables.ROLE_WRITTEN[role]
        if len(content) == 1 and content[0].keys() == {"type", "text"}:
            yield {"type": "message", "role": word, "content": content[0]["text"]}
            return
        parts = [part for part in content if part.get("text") != ""]
        yield {"type": "message", "role": word, "content": parts}

    def _assistant(self, blocks: Iterable[Block]) -> Iterator[object]:
        """Yield the items of an assistant's turn, in their order."""
        texts: list[str] = []
        for block in blocks:
            if isinstance(block, Text):
                part = self._part(block, "output_text")
                texts.append(block.text if part is not None else "")
                continue
            item = self._assistant_item(block)
            if item is None:
                continue
            yield from _said(texts)
            texts = []
            yield item
        yield from _said(texts)

    def _assistant_item(self, block: Block) -> object:
        """Return the item of a block that is no text, None for what is lost."""
        match block:
            case Thinking() | RedactedThinking():
                return self._thinking(block)
            case ToolUse():
                self._mark(block.cache)
                members = self._losses.extras(block.extra, self._items)
                kind = Raw(_encode(tables.CALL_TYPE[block.kind]))
                arguments = block.arguments or ("{}" if block.kind is ToolKind.FUNCTION else "")
                fitting = msgspec.structs.replace(block, id=call_id(block.id), arguments=arguments)
                return call_item(fitting, {"type": kind, **members})
            case Refusal():
                self._losses.extras(block.extra, self._parts)
                self._refusals += 1
                return _refused(block.text, self._refusals)
            case Foreign() if block.dialect is Dialect.OPENAI_RESPONSES:
                return block.raw
            case Foreign():
                self._lost.add(Lost.FOREIGN)
            case Image():
                self._lost.add(Lost.IMAGE)
            case Document():
                self._lost.add(Lost.DOCUMENT)
            case Audio():
                self._lost.add(Lost.AUDIO)
            case _:
                self._lost.add(_MISPLACED[type(block)])
        return None

    def _thinking(self, block: Thinking | RedactedThinking) -> Members | None:
        """Return a reasoning item, None where the upstream must not or could not have it.

        OpenAI takes no item back that is not encrypted, unless it holds it: only the texts of others are sent bare.
        """
        signed = isinstance(block, RedactedThinking) or bool(block.signature) or self._losses.own
        if not (signed and goes_to(block.signer, self._dialect, self._provider, Dialect.OPENAI_RESPONSES)):
            self._lost.add(Lost.REDACTED_THINKING if isinstance(block, RedactedThinking) else Lost.THINKING)
            return None
        if isinstance(block, Thinking) and block.signature == tables.UNSIGNED_TEXT:
            block = msgspec.structs.replace(block, raw_text=True)
        return reasoning_item(block, {"type": Raw(b'"reasoning"'), "summary": Raw(b"[]")})

    def _result(self, result: ToolResult) -> Members:
        content = [part for block in result.content if (part := self._part(block, "input_text")) is not None]
        if result.is_error:
            self._lost.add(Lost.TOOL_RESULT_ERROR)
        self._mark(result.cache)
        texts = [str(part["text"]) for part in content if part.keys() == {"type", "text"}]
        output: object = content
        if len(texts) == len(content) and len(texts) < 2:
            output = "".join(texts)
        members: Members = {
            "type": tables.RESULT_TYPE[result.kind],
            "call_id": call_id(result.id),
            "output": output,
        }
        return merge(members, self._losses.extras(result.extra, self._items))

    def _part(self, block: Block, text_type: str) -> Members | None:
        """Return a content part, None for what is lost."""
        part: Members | None = None
        match block:
            case Text():
                if block.citations:
                    self._lost.add(Lost.CITATIONS)
                part = {"type": text_type, "text": block.text}
            case Image():
                part = self._image(block)
            case Document():
                part = self._document(block)
            case Audio():
                self._lost.add(Lost.AUDIO)  # developers.openai.com, Migrate to Responses: audio is yet to come
            case Foreign():
                self._lost.add(Lost.FOREIGN)
            case Refusal():
                part = {"type": text_type, "text": block.text}
            case _:
                self._lost.add(_MISPLACED[type(block)])
        if part is None:
            return None
        if isinstance(block, Text | Image | Document):
            marked(part, block.cache)
            if BREAKPOINT not in part or text_type == "output_text":
                self._mark(block.cache)
        extra = getattr(block, "extra", NO_EXTRA)
        return merge(part, self._losses.extras(extra, self._parts))

    def _image(self, image: Image) -> Members | None:
        if image.source.kind is SourceKind.TEXT or not self._takes(image.source.kind):
            self._lost.add(Lost.IMAGE)
            return None
        return image_part(image, "auto")

    def _document(self, document: Document) -> Members | None:
        if document.citations:
            self._lost.add(Lost.DOCUMENT_CITATIONS)
        if document.context is not None:
            self._lost.add(Lost.DOCUMENT_CONTEXT)
        if document.source.kind is SourceKind.TEXT:
            if document.title is not None:
                self._lost.add(Lost.DOCUMENT_TITLE)
            return {"type": "input_text", "text": document.source.value}
        if not self._takes(document.source.kind):
            self._lost.add(Lost.DOCUMENT)
            return None
        return file_part(document, _FILE_NAME)

    def _takes(self, kind: SourceKind) -> bool:
        """Tell whether a source means the same here: OpenAI's two dialects share their files."""
        return kind is not SourceKind.FILE or self._dialect is not Dialect.ANTHROPIC_MESSAGES

    def _mark(self, cache: Cache | None) -> None:
        if cache is not None:
            self._lost.add(Lost.CACHE)


def _said(texts: Sequence[str]) -> Iterator[Members]:
    text = "".join(texts)
    if text:
        yield {"type": "message", "role": "assistant", "content": text}


def _refused(text: str, number: int) -> Members:
    """Return a refusal, which only an output message can hold; such a one must have an id."""
    identity = hashlib.sha256(f"{number} {text}".encode()).hexdigest()[:32]
    content = [{"type": "refusal", "refusal": text}]
    return {
        "type": "message",
        "id": f"msg_{identity}",
        "role": "assistant",
        "status": "completed",
        "content": content,
    }


def call_id(identity: str) -> str:
    """Return an id that OpenAI takes; the same for the call and its result."""
    if len(identity) <= MAX_ID:
        return identity
    return "call_" + hashlib.sha256(identity.encode()).hexdigest()[:32]
