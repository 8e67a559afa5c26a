"""What of a request the model reads as text, and what its attachments count at most.

Only members where an attachment can stand are taken for one: the same words inside a text, a tool's schema or a tool's
input are text, which the model reads. Base64 is never counted by its length.
"""

from binascii import Error, a2b_base64
from typing import Any, Final

import msgspec

from headgate.model.dialect import Endpoint
from headgate.model.errors import HeadgateError
from headgate.model.request import RequestHead, Visible
from headgate.protocols.image_size import size_of
from headgate.protocols.json_object import refuse_crowd
from headgate.protocols.offered_tools import fields_of, has_sign, offered

MAX_IMAGE_TOKENS: Final = 36_000
"""The most that one image counts at a vendor, gpt-4o-mini apart: OpenAI takes 30,000 patches × 1.2."""
_LEAST_IMAGE: Final = 1_601
"""What small images count where the price is by the tile (Together's; OpenAI's tiles come to at most 85 + 8 × 170)."""
_SIDE_LIMIT: Final = 65_535

MAX_LOOKED_THROUGH: Final = 64 * 1024 * 1024
_HEADER: Final = 2_048
_LONG_HEADER: Final = 256 * 1024
"""Characters of base64 that are decoded for an image's size: photographs begin with profiles and thumbnails."""
_DEEPEST: Final = 8

_AUDIO_TOKENS: Final = 32
"""Tokens a second: Gemini's (ai.google.dev/gemini-api/docs/tokens); OpenAI counts 10."""
_SLOWEST: Final = 1_000
"""Bytes a second of the sparsest MP3, 8 kbit/s."""
_PCM: Final = frozenset({1, 3, 0xFFFE})
_LEAST_SAMPLES: Final = 4_000

_SIGNS: Final[dict[Endpoint, tuple[bytes, ...]]] = {
    Endpoint.CHAT: (b'_url"', b'audio"', b'"file'),
    Endpoint.RESPONSES: (b'_url"', b'"file_', b'audio"', b'"result"', b'"id"'),
    Endpoint.MESSAGES: (b'"source"', b'"web_fetch_', b'"tool_search_tool'),
}
_FETCHING: Final = ("web_fetch_", "tool_search_tool")
"""Anthropic's own tools that bring input to the model and cost its tokens alone."""
_MEMBERS: Final[dict[Endpoint, str]] = {
    Endpoint.CHAT: "messages",
    Endpoint.RESPONSES: "input",
    Endpoint.MESSAGES: "messages",
}
_IMAGES: Final = frozenset({"image_url", "input_image", "computer_screenshot"})
_FILES: Final = ("file", "file_data", "file_id", "file_url", "video_url", "audio_url")


def visible(head: RequestHead) -> Visible:
    """Return how much input a request shows; never less than the vendors' published rules make of it."""
    body = head.body
    signs = _SIGNS.get(head.endpoint)
    if signs is None or not has_sign(body, signs):
        return Visible(len(body))
    if len(body) > MAX_LOOKED_THROUGH:
        return _unread(body)
    fields = fields_of(head)
    looker = _Looker()
    try:
        refuse_crowd(body)
        raw = fields.get(_MEMBERS[head.endpoint])
        turns = None if raw is None else msgspec.json.decode(raw)
        if isinstance(turns, list):
            for turn in turns:
                if isinstance(turn, dict):
                    looker.turn(turn, head.endpoint)
        if head.endpoint is Endpoint.MESSAGES:
            for tool in offered(head, fields):
                looker.unseen |= isinstance(tool.type, str) and tool.type.startswith(_FETCHING)
    except (HeadgateError, ValueError, RecursionError):
        # What cannot be looked through may hold anything.
        return _unread(body)
    return Visible(len(body) - looker.hidden, looker.tokens, looker.images, looker.audio, looker.unseen)


def _unread(body: bytes) -> Visible:
    return Visible(len(body), audio=body.find(b"audio") >= 0, unseen=True)


class _Looker:
    """Goes through the places where attachments stand. `hidden`: bytes of the body that no model reads as text."""

    __slots__ = ("audio", "hidden", "images", "tokens", "unseen")

    def __init__(self) -> None:
        self.hidden = self.tokens = self.images = 0
        self.audio = self.unseen = False

    def turn(self, turn: dict[str, Any], endpoint: Endpoint) -> None:
        """Look at a message, or at an item of a response's input."""
        content = turn.get("content")
        if endpoint is Endpoint.MESSAGES:
            self._blocks(content, 0)
            return
        self._parts(content)
        if endpoint is Endpoint.CHAT:
            # An answer in sound that the vendor keeps.
            if turn.get("audio"):
                self.audio = self.unseen = True
            return
        kind, output, result = turn.get("type"), turn.get("output"), turn.get("result")
        self._parts([output] if isinstance(output, dict) else output)
        if kind == "image_generation_call" and isinstance(result, str):
            self._image(result, 0)
        # The type of a reference may be left out.
        self.unseen |= kind == "item_reference" or (kind is None and "id" in turn and content is None)

    def _parts(self, parts: object) -> None:
        """Look at content of OpenAI's dialects."""
        for part in parts if isinstance(parts, list) else ():
            if not isinstance(part, dict):
                continue
            if part.get("type") in _IMAGES:
                url = part.get("image_url")
                self._url(url.get("url") if isinstance(url, dict) else url)
            elif part.get("type") == "input_audio":
                sound = part.get("input_audio")
                self._audio(sound.get("data") if isinstance(sound, dict) else None)
            elif any(part.get(name) for name in _FILES):
                self.audio |= bool(part.get("video_url") or part.get("audio_url"))
                file = part.get("file")
                self._file((file if isinstance(file, dict) else part).get("file_data"))

    def _blocks(self, blocks: object, depth: int) -> None:
        """Look at content of Anthropic's dialect."""
        if depth > _DEEPEST:
            self.unseen = True
            return
        for block in blocks if isinstance(blocks, list) else (blocks,):
            if not isinstance(block, dict):
                continue
            kind = block.get("type")
            if kind in ("image", "document"):
                self._source(block.get("source"), depth, is_image=kind == "image")
            elif kind in ("tool_result", "web_fetch_tool_result", "web_fetch_result"):
                self._blocks(block.get("content"), depth + 1)

    def _source(self, source: object, depth: int, *, is_image: bool) -> None:
        source = source if isinstance(source, dict) else {}
        kind, data = source.get("type"), source.get("data")
        if kind == "text":
            return
        if kind == "content":
            self._blocks(source.get("content"), depth + 1)
        elif is_image:
            self._image(data if kind == "base64" and isinstance(data, str) else "", 0)
        else:
            self._file(data)

    def _url(self, url: object) -> None:
        text = url if isinstance(url, str) else ""
        start = text.find(",", 0, 200) + 1 if text.startswith("data:image/") else 0
        self._image(text if start else "", start)

    def _image(self, text: str, start: int) -> None:
        """Count an image whose base64 begins at `start`; "" where it is not in the request."""
        self.hidden += len(text)
        self.images += 1
        self.tokens += _image_tokens(_pixels(text, start))

    def _audio(self, data: object) -> None:
        text = data if isinstance(data, str) else ""
        self.hidden += len(text)
        self.audio = True
        rate = _bytes_a_second(_decoded(text, 0, _HEADER))
        if rate is None or not text:
            self.unseen = True
        else:
            self.tokens += _AUDIO_TOKENS * (len(text) * 3 // 4 // rate + 1)

    def _file(self, data: object) -> None:
        """A file's text is bounded by nothing that can be read without unpacking it: a page may hold a book."""
        self.hidden += len(data) if isinstance(data, str) else 0
        self.unseen = True


def _image_tokens(size: tuple[int, int] | None) -> int:
    """Return the most that an image of this size, in pixels, counts at a vendor.

    Anthropic: a token per 28 × 28 pixels, at most 4,784 (platform.claude.com/docs/en/build-with-claude/vision).
    OpenAI: patches of 32 × 32 pixels, × 2.46 on models that scale down to at most 6,144 of them, × 1.2 on those that
    take 30,000; or 85 + 170 for each of at most 8 tiles (developers.openai.com/api/docs/guides/images-vision). `detail`
    is not looked at: models that count patches do not heed "low".
    """
    if size is None:
        return MAX_IMAGE_TOKENS
    width, height = (min(side, _SIDE_LIMIT) for side in size)
    anthropic = min(-(-width // 28) * -(-height // 28), 4_784)
    patches = -(-width // 32) * -(-height // 32)
    openai = max(-(-min(patches, 6_144) * 246 // 100), -(-min(patches, 30_000) * 12 // 10))
    return max(anthropic, openai, _LEAST_IMAGE)


def _pixels(text: str, start: int) -> tuple[int, int] | None:
    beginning = _decoded(text, start, _HEADER)
    size = size_of(beginning)
    if size is None and len(text) - start > _HEADER and beginning.startswith((b"\xff\xd8", b"GIF8")):
        size = size_of(_decoded(text, start, _LONG_HEADER))
    return size


def _decoded(text: str, start: int, most: int) -> bytes:
    """Return what the first characters of base64 say; nothing where they are no strict base64."""
    piece = text[start : start + most]
    try:
        return a2b_base64(piece[: len(piece) // 4 * 4], strict_mode=True)
    except (Error, ValueError):
        return b""


def _bytes_a_second(sound: bytes) -> int | None:
    """Return how many bytes a second of this sound has at least; None for a WAV whose rate says nothing."""
    if not (sound.startswith(b"RIFF") and sound[8:12] == b"WAVE"):
        return _SLOWEST
    position = 12
    while position + 24 <= len(sound):
        length = int.from_bytes(sound[position + 4 : position + 8], "little")
        if sound[position : position + 4] == b"fmt ":
            form, channels = _word(sound, position + 8), _word(sound, position + 10)
            samples, bits = int.from_bytes(sound[position + 12 : position + 16], "little"), _word(sound, position + 22)
            if form not in _PCM:
                return _SLOWEST
            return samples * channels * bits // 8 if samples >= _LEAST_SAMPLES and channels and bits >= 8 else None
        position += 8 + length + length % 2
    return None


def _word(data: bytes, position: int) -> int:
    return int.from_bytes(data[position : position + 2], "little")
