"""Content parts of messages and tool outputs, both ways: texts, input_image, input_file, input_audio, refusal.

Forms: openai.types.responses.response_input_*_param, response_output_text_param, response_output_refusal_param. A part
of another type is Foreign, whole.
"""

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
    Refusal,
    Source,
    SourceKind,
    Text,
)
from headgate.model.dialect import Dialect
from headgate.protocols.head_fields import invalid
from headgate.protocols.members import Members, items_of
from headgate.protocols.openai_breakpoints import BREAKPOINT, take_breakpoint
from headgate.protocols.openai_responses import tables

_DATA: Final = "data:"
_BASE64: Final = ";base64"
_PDF: Final = "application/pdf"
_UNHEARD: Final = ("logprobs",)
"""What an answer's text holds beside its words; it is nothing that a model reads."""

_encode: Final = msgspec.json.Encoder().encode


def read_part(raw: Raw, part: Members) -> tuple[Block, dict[str, Raw]]:
    """Return a content part, and what of it says nothing to another dialect. Raises HeadgateError (400)."""
    kind = part.needed("type")
    if kind in tables.TEXT_TYPES:
        return _read_text(kind, part)
    match kind:
        case "input_image":
            return _read_image(part), NO_EXTRA
        case "input_file":
            document = _read_file(part)
            return document or Foreign(Dialect.OPENAI_RESPONSES, kind, raw), NO_EXTRA
        case "input_audio":
            audio = part.needed_members("input_audio")
            form = audio.needed("format")
            source = Source(SourceKind.BASE64, audio.needed("data"), tables.AUDIO_MEDIA_TYPE.get(form, f"audio/{form}"))
            return Audio(source, extra={**part.rest(), **audio.rest("input_audio.")}), NO_EXTRA
        case "refusal":
            return Refusal(part.needed("refusal"), part.rest()), NO_EXTRA
        case _:
            return Foreign(Dialect.OPENAI_RESPONSES, kind, raw), NO_EXTRA


def _read_text(kind: str, part: Members) -> tuple[Text, dict[str, Raw]]:
    own = {"type": Raw(_encode(kind))}
    text = part.needed("text")
    citations: tuple[Raw, ...] = ()
    annotations = part.raw("annotations")
    if annotations is not None:
        citations = tuple(items_of(annotations, part.at("annotations")))
        if not citations:
            own["annotations"] = annotations
    for name in _UNHEARD:
        value = part.raw(name)
        if value is not None:
            own[name] = value
    return Text(text, citations, take_breakpoint(part), part.rest()), own


def _read_image(part: Members) -> Image:
    url = part.text("image_url")
    if url is not None:
        return Image(_from_url(url), part.text("detail"), take_breakpoint(part), extra=part.rest())
    file_id = part.text("file_id")
    if file_id is None:
        raise invalid(part.path, f"{part.path} must have image_url or file_id")
    return Image(Source(SourceKind.FILE, file_id), part.text("detail"), take_breakpoint(part), extra=part.rest())


def _read_file(part: Members) -> Document | None:
    """Return a document; None for a URL that holds the file itself, which no other dialect takes there."""
    title = part.text("filename")
    data = part.text("file_data")
    if data is not None:
        source = _from_url(data)
        if source.kind is SourceKind.URL and not data.startswith(_DATA):
            source = Source(SourceKind.BASE64, data)  # bare base64
        return Document(source, title, cache=take_breakpoint(part), extra=part.rest())
    url = part.text("file_url")
    if url is not None:
        if url.startswith(_DATA):
            return None
        return Document(Source(SourceKind.URL, url), title, cache=take_breakpoint(part), extra=part.rest())
    file_id = part.text("file_id")
    if file_id is None:
        raise invalid(part.path, f"{part.path} must have file_id, file_url or file_data")
    return Document(Source(SourceKind.FILE, file_id), title, cache=take_breakpoint(part), extra=part.rest())


def _from_url(url: str) -> Source:
    """Return the source of a URL; a data URL with more than a media type in it stays one."""
    if url.startswith(_DATA):
        head, comma, data = url.partition(",")
        media_type = head[len(_DATA) : -len(_BASE64)]
        if comma and head.endswith(_BASE64) and media_type and ";" not in media_type:
            return Source(SourceKind.BASE64, data, media_type)
    return Source(SourceKind.URL, url)


def _url_of(source: Source, default_type: str = "") -> str:
    media_type = source.media_type or default_type
    if source.kind is SourceKind.BASE64 and media_type:
        return f"{_DATA}{media_type}{_BASE64},{source.value}"
    return source.value


def image_part(image: Image, default_detail: str | None = None) -> dict[str, object]:
    """Return the part of an image."""
    part: dict[str, object] = {"type": "input_image"}
    if image.source.kind is SourceKind.FILE:
        part["file_id"] = image.source.value
    else:
        part["image_url"] = _url_of(image.source)
    detail = default_detail if image.detail is None else image.detail
    if detail is not None:
        part["detail"] = detail
    return part


def file_part(document: Document, default_title: str | None = None) -> dict[str, object]:
    """Return the part of a document whose source is bytes, a URL or a file; with a default title, bytes get a type."""
    source = document.source
    part: dict[str, object] = {"type": "input_file"}
    title = document.title
    if source.kind is SourceKind.FILE:
        part["file_id"] = source.value
    elif source.kind is SourceKind.URL and not source.value.startswith(_DATA):
        part["file_url"] = source.value
    else:
        part["file_data"] = _url_of(source, "" if default_title is None else _PDF)
        title = default_title if title is None else title
    if title is not None:
        part["filename"] = title
    return part


def audio_part(source: Source) -> dict[str, object]:
    """Return the part of a sound whose source is bytes."""
    form = tables.AUDIO_FORMAT.get(source.media_type) or source.media_type.removeprefix("audio/")
    return {"type": "input_audio", "input_audio": {"data": source.value, "format": form}}


def marked(part: dict[str, object], cache: Cache | None) -> dict[str, object]:
    """Return the part with its prompt-cache breakpoint, where that came in a dialect of OpenAI."""
    if cache is not None and cache.mark is not None:
        part[BREAKPOINT] = cache.mark
    return part


def own_part(block: Block, own: dict[str, Raw]) -> object:
    """Return a part as its client had it; `own` is what `read_part` returned beside the block."""
    match block:
        case Foreign():
            return block.raw
        case Text():
            part: dict[str, object] = {**own, "text": block.text}
            if block.citations:
                part["annotations"] = block.citations
            return merge(marked(part, block.cache), block.extra)
        case Image():
            return merge(marked(image_part(block), block.cache), block.extra)
        case Document():
            return merge(marked(file_part(block), block.cache), block.extra)
        case Audio(source=Source() as source):
            return merge(audio_part(source), block.extra)
        case Refusal():
            return merge({"type": "refusal", "refusal": block.text}, block.extra)
        case _:
            raise TypeError(f"no content part is a {type(block).__name__}")


def merge(into: dict[str, object], extra: dict[str, Raw] = NO_EXTRA) -> dict[str, object]:
    """Put extras back where they were: `text.x` into the object `text`, if there is one."""
    for name, value in extra.items():
        head, dot, tail = name.partition(".")
        inner = into.get(head)
        if dot and isinstance(inner, dict):
            merge(inner, {tail: value})
        else:
            into[name] = value
    return into
