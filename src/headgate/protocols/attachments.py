"""What of a request the model reads as text, and what its attachments count at most.

Only members where an attachment can stand are taken for one: the same words inside a text, a tool's schema or a tool's
input are text, which the model reads. Base64 is never counted by its length.
"""

from binascii import Error, a2b_base64
from typing import Final

import msgspec
from msgspec import Raw

from headgate.model.dialect import Endpoint
from headgate.model.errors import HeadgateError
from headgate.model.request import RequestHead, Visible
from headgate.protocols.image_size import size_of
from headgate.protocols.offered_tools import Offered, added, fields_of, first_of, listed, refuse_nodes

MAX_IMAGE_TOKENS: Final = 36_000
"""The most that one image counts at a vendor, gpt-4o-mini apart: OpenAI takes 30,000 patches × 1.2."""
_LEAST_IMAGE: Final = 1_601
"""What small images count where the price is by the tile (Together's; OpenAI's tiles come to at most 85 + 8 × 170)."""
_SIDE_LIMIT: Final = 65_535

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

_MEMBERS: Final[dict[Endpoint, str]] = {
    Endpoint.CHAT: "messages",
    Endpoint.RESPONSES: "input",
    Endpoint.MESSAGES: "messages",
}
_FETCHING: Final = ("web_fetch_", "tool_search_tool")
"""Anthropic's own tools that bring input to the model and cost its tokens alone."""
_IMAGES: Final = frozenset({"image_url", "input_image", "computer_screenshot"})
_TEXTS: Final = frozenset({"text", "input_text", "output_text", "refusal"})
_RESULTS: Final = frozenset({"tool_result", "web_fetch_tool_result", "web_fetch_result"})
_NOTHING: Final = (b"null", b'""', b"false", b"{}", b"[]")
_OBJECT, _STRING, _LIST = b'{"['
_NULL: Final = Raw(b"null")


class _Part(msgspec.Struct, gc=False):
    """A piece of content in any dialect."""

    type: str | None = None
    image_url: Raw = _NULL
    input_audio: Raw = _NULL
    file: Raw = _NULL
    file_data: Raw = _NULL
    file_id: Raw = _NULL
    file_url: Raw = _NULL
    video_url: Raw = _NULL
    audio_url: Raw = _NULL
    source: Raw = _NULL
    tool: Raw = _NULL
    content: "_Content" = None


_Content = list[_Part] | _Part | str | None


class _Turn(msgspec.Struct, gc=False):
    """A message, or an item of a response's input."""

    type: str | None = None
    content: _Content = None
    output: _Content = None
    result: Raw = _NULL
    audio: Raw = _NULL
    id: Raw = _NULL


class _Inner(msgspec.Struct, gc=False):
    """What a part holds its data in: `image_url`, `input_audio`, `file` or `source`."""

    type: str | None = None
    url: Raw = _NULL
    data: Raw = _NULL
    file_data: Raw = _NULL
    content: _Content = None


_turns: Final = msgspec.json.Decoder(list[_Turn] | str | None)
_things: Final = msgspec.json.Decoder(list[Raw])
_named: Final = msgspec.json.Decoder(dict[str, Raw])
_inner: Final = msgspec.json.Decoder(_Inner)


def visible(head: RequestHead) -> Visible:
    """Return how much input a request shows; never less than the vendors' published rules make of it."""
    body = head.body
    member = _MEMBERS.get(head.endpoint)
    if member is None:
        return Visible(len(body), unseen=head.endpoint is Endpoint.EMBEDDINGS and _embeds_more_than_text(head))
    fields = fields_of(head)
    looker = _Looker()
    try:
        refuse_nodes(body)
        turns = _turns.decode(fields[member]) if member in fields else None
        if isinstance(turns, list):
            looker.look(turns, head.endpoint)
        if head.endpoint is Endpoint.MESSAGES:
            looker.unseen |= any(_fetches(tool) for tool in listed(fields))
    except (HeadgateError, ValueError, RecursionError):
        # What cannot be looked through may hold anything.
        return Visible(len(body), audio=body.find(b"audio") >= 0, unseen=True)
    return Visible(len(body) - looker.hidden, looker.tokens, looker.images, looker.audio, looker.unseen)


def _embeds_more_than_text(head: RequestHead) -> bool:
    """Some vendors embed pictures and sounds, as objects among the texts; each has rules of its own for them."""
    given = fields_of(head).get("input", _NULL)
    try:
        things = _things.decode(given) if first_of(given) == _LIST else (given,)
        return any(first_of(thing) == _OBJECT and not _is_text(thing) for thing in things)
    except (ValueError, RecursionError):
        return True


def _is_text(thing: Raw) -> bool:
    return _named.decode(thing).keys() <= {"text"}


class _Looker:
    """Goes through the places where attachments stand. `hidden`: bytes of the body that no model reads as text."""

    __slots__ = ("audio", "hidden", "images", "tokens", "unseen")

    def __init__(self) -> None:
        self.hidden = self.tokens = self.images = 0
        self.audio = self.unseen = False

    def look(self, turns: list[_Turn], endpoint: Endpoint) -> None:
        for turn in turns:
            content = turn.content
            if endpoint is Endpoint.MESSAGES:
                if type(content) is not str:
                    self._blocks(content, 0)
                continue
            if type(content) is not str:
                self._parts(content)
            if endpoint is Endpoint.RESPONSES:
                self._item(turn)
            elif turn.audio is not _NULL and _is_given(turn.audio):
                # An answer in sound that the vendor keeps.
                self.audio = self.unseen = True

    def _item(self, item: _Turn) -> None:
        self._parts(item.output)
        if item.type == "image_generation_call":
            if _is_given(item.result):
                self._image(item.result)
        # The type of a reference may be left out.
        elif item.type == "item_reference" or (item.type is None and item.content is None and _is_given(item.id)):
            self.unseen = True

    def _parts(self, content: _Content) -> None:
        """Look at content of OpenAI's dialects."""
        for part in _listed(content):
            if part.type in _IMAGES:
                url = part.image_url
                self._image(_inner.decode(url).url if first_of(url) == _OBJECT else url)
            elif part.type == "input_audio":
                self._audio(_inner.decode(part.input_audio).data)
            elif part.type in _TEXTS:
                continue
            elif _is_given(part.file):
                self._file(_inner.decode(part.file).file_data)
            elif _is_given(part.video_url) or _is_given(part.audio_url):
                self.audio = self.unseen = True
            elif _is_given(part.file_data) or _is_given(part.file_id) or _is_given(part.file_url):
                self._file(part.file_data)

    def _blocks(self, blocks: _Content, depth: int) -> None:
        """Look at content of Anthropic's dialect."""
        for block in _listed(blocks):
            if depth > _DEEPEST:
                self.unseen = True
            elif block.type in _RESULTS:
                self._blocks(block.content, depth + 1)
            elif block.type in ("image", "document"):
                source = _inner.decode(block.source)
                if source.type == "content":
                    self._blocks(source.content, depth + 1)
                elif block.type == "image":
                    self._image(source.data)
                elif source.type != "text":
                    self._file(source.data)
            elif block.type == "tool_addition":
                self.unseen |= _fetches(added(block.tool))

    def _image(self, raw: Raw) -> None:
        """Count an image in base64, bare or in a URL; one that is not in the request at its largest."""
        self.images += 1
        if first_of(raw) != _STRING:
            self.tokens += MAX_IMAGE_TOKENS
            return
        self.hidden += len(memoryview(raw)) - 2
        beginning = _beginning(raw, 0, _HEADER)
        start = beginning.find(b",", 0, 200) + 1 if beginning.startswith(b"data:") else 0
        self.tokens += _image_tokens(_pixels(raw, start))

    def _audio(self, raw: Raw) -> None:
        self.audio = True
        length = len(memoryview(raw)) - 2
        rate = _bytes_a_second(_decoded(_beginning(raw, 0, _HEADER)))
        if first_of(raw) != _STRING or rate is None:
            self.unseen = True
        else:
            self.hidden += length
            self.tokens += _AUDIO_TOKENS * (length * 3 // 4 // rate + 1)

    def _file(self, raw: Raw) -> None:
        """A file's text is bounded by nothing that can be read without unpacking it: one page may hold a book."""
        self.hidden += len(memoryview(raw)) - 2 if first_of(raw) == _STRING else 0
        self.unseen = True


def _listed(content: _Content) -> list[_Part]:
    if isinstance(content, list):
        return content
    return [content] if isinstance(content, _Part) else []


def _fetches(tool: Offered | None) -> bool:
    return tool is not None and tool.type is not None and tool.type.startswith(_FETCHING)


def _is_given(raw: Raw) -> bool:
    view = memoryview(raw)
    return len(view) > 5 or bytes(view) not in _NOTHING


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


def _pixels(raw: Raw, start: int) -> tuple[int, int] | None:
    beginning = _decoded(_beginning(raw, start, _HEADER))
    size = size_of(beginning)
    if size is None and beginning.startswith((b"\xff\xd8", b"GIF8")):
        size = size_of(_decoded(_beginning(raw, start, _LONG_HEADER)))
    return size


def _beginning(raw: Raw, start: int, most: int) -> bytes:
    """Return the first characters of a JSON string from `start`; some encoders escape the slashes of base64."""
    return bytes(memoryview(raw)[1:-1][: start + most]).replace(b"\\/", b"/")[start:]


def _decoded(text: bytes) -> bytes:
    """Return what the beginning of some base64 says; nothing where it is no strict base64."""
    try:
        return a2b_base64(text[: len(text) // 4 * 4], strict_mode=True)
    except Error:
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
