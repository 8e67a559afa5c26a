"""Content blocks of a client's messages as canonical ones.

Blocks as in the anthropic SDK's ContentBlockParam; a type that the model has no class for is kept whole as Foreign.
"""

from typing import Final

from msgspec import Raw

from headgate.model.content import (
    NO_EXTRA,
    Block,
    Document,
    Foreign,
    Image,
    RedactedThinking,
    Source,
    SourceKind,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from headgate.model.dialect import Dialect
from headgate.protocols.anthropic_messages.members import Members, text_or_list
from headgate.protocols.json_object import members_of
from headgate.protocols.signatures import PREFIX, Signed, unwrap

OWN: Final = Dialect.ANTHROPIC_MESSAGES
SEARCH_RESULT: Final = "search_result"
"""A Document's extra member that holds the search result it was, whole."""
SOURCE: Final = "source"
"""A Document's extra member that holds a source made of blocks, whole."""

_NOT_SHOWN: Final = frozenset({"tool_use", "tool_result", "thinking", "redacted_thinking"})


def read_content(raw: Raw, path: str) -> tuple[tuple[Block, ...], bool]:
    """Return a message's blocks, and whether they came as one string. Raises HeadgateError (400)."""
    content = text_or_list(raw, path)
    if isinstance(content, str):
        return (Text(content),), True
    return tuple(_block(item, f"{path}.{index}") for index, item in enumerate(content)), False


def _block(raw: Raw, path: str) -> Block:
    members = Members(raw, path)
    kind = members.text("type")
    match kind:
        case "tool_use":
            return _tool_use(members)
        case "tool_result":
            return _tool_result(members)
        case "thinking":
            return _thinking(members)
        case "redacted_thinking":
            return _redacted(members)
        case _:
            return _shown(members, kind, raw)


def _shown(members: Members, kind: str, raw: Raw) -> Text | Image | Document | Foreign:
    """Return a block that may stand in a tool's result too."""
    match kind:
        case "text":
            return _text(members)
        case "image":
            return _image(members, raw)
        case "document":
            return _document(members, raw)
        case "search_result":
            return _search_result(members, raw)
        case _:
            return Foreign(OWN, kind, raw)


def _text(members: Members) -> Text:
    text, citations, cache = members.text("text"), members.maybe_list("citations"), members.cache()
    return Text(text, tuple(citations or ()), cache, members.rest())


def _image(members: Members, whole: Raw) -> Image | Foreign:
    source = _source(members)
    if source is None or source.kind is SourceKind.TEXT:
        return Foreign(OWN, "image", whole)
    return Image(source, cache=members.cache(), extra=members.rest())


def _document(members: Members, whole: Raw) -> Document | Foreign:
    if _source_type(members) == "content":
        return _made_of_blocks(members, whole)
    source = _source(members)
    if source is None:
        return Foreign(OWN, "document", whole)
    return _completed(members, source)


def _completed(members: Members, source: Source, held: dict[str, Raw] = NO_EXTRA) -> Document:
    title, context, cache = members.maybe_text("title"), members.maybe_text("context"), members.cache()
    cited = _cited(members)
    return Document(source, title, context, cited, cache, {**members.rest(), **held} if held else members.rest())


def _cited(members: Members) -> bool:
    """Take `citations` where it says no more than whether they are wanted."""
    config = members.peek("citations")
    if config is None:
        return False
    said = members.maybe_object("citations")
    if said is None:
        return False
    wanted = said.maybe_flag("enabled")
    if said.rest():
        members.rest()["citations"] = config
        return False
    return bool(wanted)


def _made_of_blocks(members: Members, whole: Raw) -> Document | Foreign:
    """Return a document whose source is a string or a list of blocks; one with images stays whole."""
    original = members.take("source")
    assert original is not None
    source = Members(original, f"{members.path}.source")
    source.take("type")
    content = source.take("content")
    if content is None:
        source.refuse("content", "is missing")
    text = _joined(content, f"{source.path}.content")
    if text is None or source.rest():
        return Foreign(OWN, "document", whole)
    return _completed(members, Source(SourceKind.TEXT, text), {SOURCE: original})


def _search_result(members: Members, whole: Raw) -> Document | Foreign:
    content = members.take("content")
    if content is None:
        members.refuse("content", "is missing")
    text = _joined(content, f"{members.path}.content")
    if text is None:
        return Foreign(OWN, "search_result", whole)
    where, title = members.text("source"), members.text("title")
    return Document(Source(SourceKind.TEXT, text), title, where, _cited(members), extra={SEARCH_RESULT: whole})


def _joined(content: Raw, path: str) -> str | None:
    """Return the text of content that is nothing but text, None where there is more in it."""
    items = text_or_list(content, path)
    if isinstance(items, str):
        return items
    texts: list[str] = []
    for index, item in enumerate(items):
        members = Members(item, f"{path}.{index}")
        if members.text("type") != "text":
            return None
        texts.append(members.text("text"))
    return "\n\n".join(texts)


def _source_type(members: Members) -> str:
    raw = members.peek("source")
    if raw is None:
        members.refuse("source", "is missing")
    return Members(raw, f"{members.path}.source").text("type")


def _source(members: Members) -> Source | None:
    """Take the source; None for one that has a type or members nobody knows."""
    _source_type(members)
    source = members.maybe_object("source")
    assert source is not None
    match source.text("type"):
        case "base64":
            found = Source(SourceKind.BASE64, source.text("data"), source.text("media_type"))
        case "text":
            found = Source(SourceKind.TEXT, source.text("data"), source.text("media_type"))
        case "url":
            found = Source(SourceKind.URL, source.text("url"))
        case "file":
            found = Source(SourceKind.FILE, source.text("file_id"))
        case _:
            return None
    return None if source.rest() else found


def _tool_use(members: Members) -> ToolUse:
    identity, name, arguments = members.text("id"), members.text("name"), members.object_text("input")
    caller = members.peek("caller")
    if caller is not None and _is_direct(caller):
        members.take("caller")  # answers always say it, so clients always give it back
    return ToolUse(identity, name, arguments, cache=members.cache(), extra=members.rest())


def _is_direct(caller: Raw) -> bool:
    """Tell whether the model itself called the tool; null says so too."""
    said = members_of(bytes(caller))
    return bytes(caller) == b"null" or (
        said is not None and set(said) == {"type"} and bytes(said["type"]) == b'"direct"'
    )


def _tool_result(members: Members) -> ToolResult:
    identity, failed, raw = members.text("tool_use_id"), members.maybe_flag("is_error"), members.take("content")
    content: list[Text | Image | Document | Foreign] = []
    plain = True
    if raw is not None:
        path = f"{members.path}.content"
        items = text_or_list(raw, path)
        plain = isinstance(items, str)
        content = [Text(items)] if isinstance(items, str) else [_inner(item, path, i) for i, item in enumerate(items)]
    return ToolResult(identity, tuple(content), bool(failed), plain=plain, cache=members.cache(), extra=members.rest())


def _inner(raw: Raw, path: str, index: int) -> Text | Image | Document | Foreign:
    members = Members(raw, f"{path}.{index}")
    kind = members.text("type")
    if kind in _NOT_SHOWN:
        members.refuse("type", f"cannot be {kind}: such a block has no place in a tool_result")
    return _shown(members, kind, raw)


def _thinking(members: Members) -> Thinking:
    text, signature = members.text("thinking"), members.maybe_text("signature")
    signed = _unwrapped(signature, members, "signature")
    if signed is None:
        return Thinking((text,), signature or None, extra=members.rest())
    return Thinking((text,) if text else (), signed.signature or None, signed.signer, signed.item, extra=members.rest())


def _redacted(members: Members) -> RedactedThinking:
    data = members.text("data")
    signed = _unwrapped(data, members, "data")
    if signed is None:
        return RedactedThinking(data, extra=members.rest())
    return RedactedThinking(signed.signature, signed.signer, members.rest())


def _unwrapped(text: str | None, members: Members, name: str) -> Signed | None:
    if not text or not text.startswith(PREFIX):
        return None
    signed = unwrap(text)
    if signed is None:
        members.refuse(name, "was changed since Headgate made it: give thinking blocks back as they came")
    return signed
