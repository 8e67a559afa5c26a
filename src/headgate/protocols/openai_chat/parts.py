"""Content parts of chat messages, both ways: text, image_url, input_audio, file, refusal.

Forms: openai.types.chat.chat_completion_content_part_*_param. A part of another type is Foreign, whole.
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
from headgate.protocols.members import Members, is_string, string_of
from headgate.protocols.openai_breakpoints import take_breakpoint
from headgate.protocols.openai_chat import tables

CACHE: Final = "cache_control"
"""OpenRouter's and LiteLLM's way to a breakpoint of Anthropic's cache (openrouter.ai/docs, Prompt Caching)."""

_TTLS: Final = frozenset({"", "5m", "1h"})
_DATA: Final = "data:"
_BASE64: Final = ";base64"


class _Ephemeral(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    ttl: str = ""


_ephemeral: Final = msgspec.json.Decoder(_Ephemeral)


def take_cache(members: Members) -> Cache | None:
    """Take a cache mark in Anthropic's form; one of another form stays."""
    raw = members.raw(CACHE)
    if raw is None:
        return None
    try:
        mark = _ephemeral.decode(raw)
    except ValueError:
        mark = None
    if mark is None or mark.type != "ephemeral" or mark.ttl not in _TTLS:
        members.put_back(CACHE, raw)
        return None
    return Cache(mark.ttl)


def cache_member(cache: Cache) -> dict[str, str]:
    """Return the value of `cache_control`."""
    return {"type": "ephemeral", "ttl": cache.ttl} if cache.ttl else {"type": "ephemeral"}


def read_part(raw: Raw, part: Members) -> Block:
    """Return a content part. Raises HeadgateError (400)."""
    kind = part.needed("type")
    match kind:
        case "text":
            return Text(part.needed("text"), cache=_mark(part), extra=part.rest())
        case "image_url":
            return _read_image(part)
        case "input_audio":
            return _read_audio(part)
        case "file":
            return _read_file(part)
        case "refusal":
            return Refusal(part.needed("refusal"), part.rest())
        case _:
            return Foreign(Dialect.OPENAI_CHAT, kind, raw)


def _mark(part: Members) -> Cache | None:
    return take_cache(part) or take_breakpoint(part)


def _read_image(part: Members) -> Image:
    raw = part.raw("image_url")
    if raw is None:
        raise invalid(part.at("image_url"), f"{part.at('image_url')} is missing")
    if is_string(raw):  # Mistral's short form
        return Image(_from_url(string_of(raw, part.at("image_url"))), cache=_mark(part), extra=part.rest())
    part.put_back("image_url", raw)
    image = part.needed_members("image_url")
    source, detail = _from_url(image.needed("url")), image.text("detail")
    return Image(source, detail, _mark(part), {**part.rest(), **image.rest("image_url.")})


def _read_audio(part: Members) -> Audio:
    audio = part.needed_members("input_audio")
    form = audio.needed("format")
    media_type = tables.AUDIO_MEDIA_TYPE.get(form, f"audio/{form}")
    source = Source(SourceKind.BASE64, audio.needed("data"), media_type)
    return Audio(source, extra={**part.rest(), **audio.rest("input_audio.")})


def _read_file(part: Members) -> Document:
    file = part.needed_members("file")
    file_id, title = file.text("file_id"), file.text("filename")
    if file_id is not None:
        source = Source(SourceKind.FILE, file_id)
    else:
        data = file.text("file_data")
        if data is None:
            raise invalid(file.path, f"{file.path} must have file_id or file_data")
        source = _from_url(data)
        if source.kind is SourceKind.URL and "://" not in data[:16]:
            source = Source(SourceKind.BASE64, data)  # bare base64
    return Document(source, title, cache=_mark(part), extra={**part.rest(), **file.rest("file.")})


def _from_url(url: str) -> Source:
    """Return the source of a URL; a data URL with more than a media type in it stays one."""
    if url.startswith(_DATA):
        head, comma, data = url.partition(",")
        media_type = head[len(_DATA) : -len(_BASE64)]
        if comma and head.endswith(_BASE64) and media_type and ";" not in media_type:
            return Source(SourceKind.BASE64, data, media_type)
    return Source(SourceKind.URL, url)


def url_of(source: Source) -> str:
    """Return a URL of bytes or of a URL."""
    if source.kind is SourceKind.BASE64 and source.media_type:
        return f"{_DATA}{source.media_type}{_BASE64},{source.value}"
    return source.value


def image_part(image: Image) -> dict[str, object]:
    """Return the part of an image whose source is bytes or a URL."""
    url: dict[str, object] = {"url": url_of(image.source)}
    if image.detail is not None:
        url["detail"] = image.detail
    return {"type": "image_url", "image_url": url}


def audio_part(source: Source) -> dict[str, object]:
    """Return the part of a sound whose source is bytes."""
    form = tables.AUDIO_FORMAT.get(source.media_type) or source.media_type.removeprefix("audio/")
    return {"type": "input_audio", "input_audio": {"data": source.value, "format": form}}


def file_part(document: Document, default_title: str | None) -> dict[str, object]:
    """Return the part of a document whose source is bytes, a file or a URL."""
    file: dict[str, object] = {}
    if document.source.kind is SourceKind.FILE:
        file["file_id"] = document.source.value
    else:
        file["file_data"] = url_of(document.source)
    title = document.title or (default_title if document.source.kind is not SourceKind.FILE else None)
    if title is not None:
        file["filename"] = title
    return {"type": "file", "file": file}


def merge(into: dict[str, object], extra: dict[str, Raw] = NO_EXTRA) -> dict[str, object]:
    """Put extras back where they were: `file.x` into the object `file`, if there is one."""
    for name, value in extra.items():
        head, dot, tail = name.partition(".")
        inner = into.get(head)
        if dot and isinstance(inner, dict):
            merge(inner, {tail: value})
        else:
            into[name] = value
    return into
