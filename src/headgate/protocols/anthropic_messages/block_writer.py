"""Canonical blocks as content blocks for an upstream of this dialect."""

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

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
    Source,
    SourceKind,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from headgate.model.losses import Lost
from headgate.protocols.anthropic_messages.block_reader import SEARCH_RESULT, SOURCE
from headgate.protocols.anthropic_messages.tables import IMAGE_SIGNS
from headgate.protocols.anthropic_messages.tool_input import object_of
from headgate.protocols.anthropic_messages.writing import OWN, Writing
from headgate.protocols.signatures import PREFIX

Written = dict[str, Any] | Raw

_PDF: Final = "application/pdf"
_PDF_SIGN: Final = "JVBERi"
_NO_LOSS: Final = frozenset({None, "auto"})


def write_blocks(blocks: Iterable[Block], writing: Writing, *, shown: bool = True) -> list[Written]:
    """Return the blocks of one message; `shown`: images and documents may stand there (not in the assistant's)."""
    written = (_block(block, writing, shown=shown or writing.own) for block in blocks)
    return [block for block in written if block is not None]


def cache_mark(written: dict[str, Any], cache: Cache | None) -> None:
    """Put a breakpoint on a block, tool or request that has one."""
    if cache is not None:
        written["cache_control"] = {"type": "ephemeral", "ttl": cache.ttl} if cache.ttl else {"type": "ephemeral"}


def _block(block: Block, writing: Writing, *, shown: bool) -> Written | None:
    if not shown and isinstance(block, Image | Document):
        writing.lost.add(Lost.IMAGE if isinstance(block, Image) else Lost.DOCUMENT)
        return None
    return WRITERS[type(block)](block, writing)


def _refusal(block: Refusal, writing: Writing) -> dict[str, Any] | None:
    writing.lost.add(Lost.REFUSAL)
    return _text(Text(block.text, extra=block.extra), writing)


def _audio(block: Audio, writing: Writing) -> dict[str, Any] | None:
    writing.lost.add(Lost.AUDIO)
    return _text(Text(block.transcript), writing) if block.transcript else None


def _foreign(block: Foreign, writing: Writing) -> Raw | None:
    if block.dialect is OWN:
        return block.raw
    writing.lost.add(Lost.FOREIGN)
    return None


def _text(block: Text, writing: Writing) -> dict[str, Any] | None:
    if not writing.own and not block.text.strip():  # the API refuses texts of nothing but white space
        if block.cache is not None:
            writing.lost.add(Lost.CACHE)
        return None
    written: dict[str, Any] = {"type": "text", "text": block.text}
    citations = [raw for raw in block.citations if writing.own and not _made_here(raw)]
    if citations:
        written["citations"] = citations
    if len(citations) < len(block.citations):
        writing.lost.add(Lost.CITATIONS)
    return _ended(written, block.cache, block.extra, writing)


def _made_here(citation: Raw) -> bool:
    """Tell a citation that Headgate made out of another dialect's: the API would not know its index."""
    return f'"encrypted_index":"{PREFIX}'.encode() in bytes(citation).replace(b": ", b":")


def _ended(written: dict[str, Any], cache: Cache | None, extra: dict[str, Raw], writing: Writing) -> dict[str, Any]:
    cache_mark(written, cache)
    writing.extras(written, extra, f"{writing.root}.content")
    return written


def _tool_use(block: ToolUse, writing: Writing) -> dict[str, Any]:
    arguments, whole = object_of(block.arguments, block.kind)
    if not whole:
        writing.lost.add(Lost.TOOL_ARGUMENTS)
    written: dict[str, Any] = {
        "type": "tool_use",
        "id": writing.use_id(block.id),
        "name": writing.tool_name(block.name, writing.root),
        "input": arguments,
    }
    return _ended(written, block.cache, block.extra, writing)


def _tool_result(block: ToolResult, writing: Writing) -> dict[str, Any]:
    written: dict[str, Any] = {"type": "tool_result", "tool_use_id": writing.result_id(block.id)}
    if block.plain and len(block.content) == 1 and isinstance(text := block.content[0], Text):
        if writing.own or text.text:
            written["content"] = text.text
    elif block.content or not block.plain:
        content = write_blocks(block.content, writing)
        if writing.own or content:
            written["content"] = content
    if block.is_error:
        written["is_error"] = True
    return _ended(written, block.cache, block.extra, writing)


def _thinking(block: Thinking, writing: Writing) -> dict[str, Any] | None:
    own_unsigned = writing.own and block.signer is None
    if not writing.may_see(block.signer) or (block.signature is None and not own_unsigned):
        writing.lost.add(Lost.THINKING)
        return None
    text = block.parts[0] if len(block.parts) == 1 else "\n\n".join(block.parts)
    written: dict[str, Any] = {"type": "thinking", "thinking": text, "signature": block.signature or ""}
    return _ended(written, None, block.extra, writing)


def _redacted(block: RedactedThinking, writing: Writing) -> dict[str, Any] | None:
    if not writing.may_see(block.signer):
        writing.lost.add(Lost.REDACTED_THINKING)
        return None
    return _ended({"type": "redacted_thinking", "data": block.data}, None, block.extra, writing)


def _image(block: Image, writing: Writing) -> dict[str, Any] | None:
    source = block.source
    if source.kind is SourceKind.BASE64 and not source.media_type:
        source = Source(source.kind, source.value, _sniffed(source.value))
    if not writing.own and (source.kind in (SourceKind.FILE, SourceKind.TEXT) or _untold(source)):
        writing.lost.add(Lost.IMAGE)
        return None
    if block.detail not in _NO_LOSS:
        writing.lost.add(Lost.IMAGE_DETAIL)
    return _ended({"type": "image", "source": _source(source)}, block.cache, block.extra, writing)


def _untold(source: Source) -> bool:
    return source.kind is SourceKind.BASE64 and not source.media_type


def _sniffed(data: str) -> str:
    return next((media_type for sign, media_type in IMAGE_SIGNS if data.startswith(sign)), "")


def _document(block: Document, writing: Writing) -> Written | None:
    if writing.own and SEARCH_RESULT in block.extra:
        return block.extra[SEARCH_RESULT]
    source = block.source if writing.own else _readable(block.source)
    if source is None:
        writing.lost.add(Lost.DOCUMENT)
        return None
    written: dict[str, Any] = {"type": "document", "source": _source(source)}
    if block.title is not None:
        written["title"] = block.title
    if block.context is not None:
        written["context"] = block.context
    if block.citations:
        written["citations"] = {"enabled": True}
    extra = {name: raw for name, raw in block.extra.items() if name != SOURCE} if writing.own else block.extra
    if writing.own and SOURCE in block.extra:
        written["source"] = block.extra[SOURCE]
    return _ended(written, block.cache, extra, writing)


def _readable(source: Source) -> Source | None:
    """Return a foreign document's source as one that the API takes: PDF, text, a URL; None for all else."""
    match source.kind:
        case SourceKind.URL | SourceKind.TEXT:
            return source
        case SourceKind.FILE:
            return None
        case SourceKind.BASE64:
            if source.media_type == _PDF or (not source.media_type and source.value.startswith(_PDF_SIGN)):
                return Source(SourceKind.BASE64, source.value, _PDF)
            if source.media_type.startswith("text/") or source.media_type == "application/json":
                return _decoded(source.value)
            return None


def _decoded(data: str) -> Source | None:
    try:
        return Source(SourceKind.TEXT, base64.b64decode(data, validate=True).decode(), "text/plain")
    except (binascii.Error, ValueError):
        return None


def _source(source: Source) -> dict[str, str]:
    match source.kind:
        case SourceKind.BASE64:
            return {"type": "base64", "media_type": source.media_type, "data": source.value}
        case SourceKind.URL:
            return {"type": "url", "url": source.value}
        case SourceKind.FILE:
            return {"type": "file", "file_id": source.value}
        case SourceKind.TEXT:
            # The API takes no other type of text here.
            return {"type": "text", "media_type": source.media_type or "text/plain", "data": source.value}


WRITERS: Final[Mapping[type[Block], Callable[[Any, Writing], Written | None]]] = {
    Text: _text,
    Image: _image,
    Document: _document,
    Audio: _audio,
    ToolUse: _tool_use,
    ToolResult: _tool_result,
    Thinking: _thinking,
    RedactedThinking: _redacted,
    Refusal: _refusal,
    Foreign: _foreign,
}
"""How each kind of block is written."""
