"""What of a request is text, and what its attachments count at most."""

from base64 import b64encode
from math import ceil
from struct import pack
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.model.dialect import Endpoint
from headgate.model.request import RequestHead, Visible
from headgate.protocols.attachments import MAX_IMAGE_TOKENS, visible
from headgate.protocols.codec import codec_for

CHAT, RESPONSES, MESSAGES = Endpoint.CHAT, Endpoint.RESPONSES, Endpoint.MESSAGES


def head(endpoint: Endpoint, **members: Any) -> RequestHead:
    return codec_for(endpoint).read_head(endpoint, msgspec.json.encode({"model": "m"} | members))


def asked(endpoint: Endpoint, *content: Any, **more: Any) -> RequestHead:
    """Return a request of one user's turn."""
    turns = [{"role": "user", "content": "before"}, {"role": "user", "content": list(content)}]
    if endpoint is MESSAGES:
        more["max_tokens"] = 5
    return head(endpoint, **{"input" if endpoint is RESPONSES else "messages": turns}, **more)


def png(width: int, height: int, size: int = 30_000) -> str:
    data = b"\x89PNG\r\n\x1a\n" + pack(">I", 13) + b"IHDR" + pack(">II", width, height)
    return b64encode(data.ljust(size, b"\x00")).decode()


def image(endpoint: Endpoint, data: str, kind: str = "image/png") -> dict[str, Any]:
    url = f"data:{kind};base64,{data}"
    if endpoint is MESSAGES:
        return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}}
    if endpoint is RESPONSES:
        return {"type": "input_image", "image_url": url, "detail": "auto"}
    return {"type": "image_url", "image_url": {"url": url}}


def wav(seconds: int, *, rate: int = 24_000, form: int = 1) -> str:
    size = seconds * rate * 2
    chunk = b"fmt " + pack("<IHHIIHH", 16, form, 1, rate, rate * 2, 2, 16)
    return b64encode(
        b"RIFF" + pack("<I", size + 36) + b"WAVE" + chunk + b"data" + pack("<I", size) + bytes(size)
    ).decode()


def sound(data: object, form: str = "wav") -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": {"data": data, "format": form}}


DIALECTS = pytest.mark.parametrize("endpoint", [CHAT, RESPONSES, MESSAGES])


@pytest.mark.parametrize("endpoint", Endpoint)
def test_a_request_of_text_is_all_text(endpoint: Endpoint) -> None:
    turns = [{"role": "user", "content": "hi"}, {"role": "user", "content": [{"type": "text", "text": "ho"}]}]
    given: Any = ["hi", {"text": "ho"}] if endpoint is Endpoint.EMBEDDINGS else turns
    request = head(endpoint, messages=turns, input=given, prompt="hi", max_tokens=5)
    assert visible(request) == Visible(len(request.body))


@DIALECTS
@pytest.mark.parametrize("size", [(1, 1), (512, 512), (1024, 1024), (1920, 1080), (4000, 3000), (60_000, 60_000)])
def test_an_image_counts_by_its_pixels_and_not_by_its_length(endpoint: Endpoint, size: tuple[int, int]) -> None:
    width, height = size
    seen = visible(asked(endpoint, image(endpoint, png(*size))))
    assert seen.bytes < 400
    assert (seen.images, seen.unseen, seen.audio) == (1, False, False)
    anthropic = min(ceil(width / 28) * ceil(height / 28), 4784)
    patches = ceil(width / 32) * ceil(height / 32)
    openai = max(min(patches, 1536) * 2.46, min(patches, 6144) * 1.72, min(patches, 30_000) * 1.2)
    assert max(anthropic, openai, 85 + 8 * 170) <= seen.attached_tokens <= MAX_IMAGE_TOKENS
    assert visible(asked(endpoint, image(endpoint, png(*size, size=90_000)))).attached_tokens == seen.attached_tokens


@DIALECTS
@pytest.mark.parametrize(
    "data", ["A" * 5_000_000, "", "!" * 500, "iVBORw0KGgo", b64encode(b"\xff\xd8" + b"\xff" * 5000).decode()]
)
def test_an_image_that_does_not_say_its_size_counts_as_the_largest(endpoint: Endpoint, data: str) -> None:
    seen = visible(asked(endpoint, image(endpoint, data)))
    assert (seen.attached_tokens, seen.images, seen.unseen) == (MAX_IMAGE_TOKENS, 1, False)
    assert seen.bytes < 400


@pytest.mark.parametrize(
    ("endpoint", "part"),
    [
        (CHAT, {"type": "image_url", "image_url": {"url": "https://x.test/a.png", "detail": "low"}}),
        (CHAT, {"type": "image_url", "image_url": "https://x.test/a.png"}),
        (RESPONSES, {"type": "input_image", "image_url": "https://x.test/a.png"}),
        (RESPONSES, {"type": "input_image", "file_id": "file_1", "image_url": None}),
        (MESSAGES, {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}}),
        (MESSAGES, {"type": "image", "source": {"type": "file", "file_id": "file_1"}}),
    ],
)
def test_an_image_that_lies_elsewhere_counts_as_the_largest(endpoint: Endpoint, part: dict[str, Any]) -> None:
    seen = visible(asked(endpoint, part, part))
    assert (seen.attached_tokens, seen.images, seen.unseen) == (2 * MAX_IMAGE_TOKENS, 2, False)


def test_a_photographs_size_is_found_behind_its_profiles() -> None:
    profile = b"\xff\xe2" + pack(">H", 60_002) + bytes(60_000)
    photo = b"\xff\xd8" + profile * 2 + b"\xff\xc0" + pack(">HBHH", 17, 8, 480, 640) + bytes(500_000)
    seen = visible(asked(CHAT, image(CHAT, b64encode(photo).decode(), "image/jpeg")))
    assert seen.attached_tokens < 2_000


def test_slashes_that_an_encoder_escapes_change_nothing() -> None:
    data = png(640, 480).replace("A", "/", 1)
    assert "/" in data
    plain = asked(CHAT, image(CHAT, data))
    escaped = codec_for(CHAT).read_head(CHAT, plain.body.replace(b"/", b"\\/"))
    assert len(escaped.body) > len(plain.body)
    assert visible(escaped).attached_tokens == visible(plain).attached_tokens


def test_images_in_results_of_tools_count() -> None:
    data = png(640, 480)
    result = {"type": "tool_result", "tool_use_id": "t", "content": [image(MESSAGES, data)]}
    pages = {"type": "document", "source": {"type": "content", "content": [image(MESSAGES, data)]}}
    output = [image(RESPONSES, data)]
    screenshot = {"type": "computer_screenshot", "image_url": f"data:image/png;base64,{data}"}
    items = [
        {"type": "function_call_output", "call_id": "c", "output": output},
        {"type": "custom_tool_call_output", "call_id": "c", "output": output},
        {"type": "computer_call_output", "call_id": "c", "output": screenshot},
        {"type": "image_generation_call", "id": "i", "status": "completed", "result": data},
    ]
    for request, images in ((asked(MESSAGES, result, pages), 2), (head(RESPONSES, input=items), 4)):
        seen = visible(request)
        assert (seen.images, seen.unseen) == (images, False)
        assert seen.bytes < 600
        assert seen.attached_tokens < 2_000 * images


MARKED = "data:image/png;base64," + "A" * 20_000
BLOCK = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "words " * 5_000}}
PART = {"type": "image_url", "image_url": {"url": MARKED}}


@pytest.mark.parametrize(
    "request_",
    [
        asked(CHAT, {"type": "text", "text": MARKED}),
        asked(CHAT, {"type": "text", "text": "hi", "image_url": {"url": MARKED}}),
        asked(CHAT, {"type": "text", "text": "hi", "file": {"file_data": MARKED}}),
        asked(CHAT, {"type": "text", "text": msgspec.json.encode(PART).decode()}),
        asked(CHAT, {"type": "text", "text": "hi"}, tools=[{"type": "function", "function": {"parameters": PART}}]),
        head(CHAT, messages=[{"role": "assistant", "content": None, "tool_calls": [PART]}]),
        head(CHAT, messages=[{"role": "user", "content": "hi"}], metadata=PART, content=[PART]),
        asked(RESPONSES, {"type": "input_text", "text": MARKED}),
        head(RESPONSES, input=MARKED, instructions=MARKED),
        head(RESPONSES, input=[{"role": "assistant", "id": "msg_1", "content": "hi"}]),
        head(RESPONSES, input=[{"type": "function_call", "arguments": msgspec.json.encode(PART).decode()}]),
        head(RESPONSES, input=[{"type": "reasoning", "id": "rs_1", "encrypted_content": "A" * 20_000}]),
        asked(MESSAGES, {"type": "text", "text": MARKED, "source": BLOCK["source"]}),
        asked(MESSAGES, {"type": "tool_use", "id": "t", "name": "f", "input": BLOCK}),
        asked(MESSAGES, {"type": "tool_use", "id": "t", "name": "f", "input": {"content": [BLOCK]}}),
        asked(MESSAGES, {"type": "tool_result", "content": msgspec.json.encode(BLOCK).decode()}),
        asked(MESSAGES, {"type": "document", "source": {"type": "text", "data": "words " * 5_000}}),
        asked(MESSAGES, {"type": "text", "text": "hi"}, tools=[{"name": "f", "input_schema": {"content": [BLOCK]}}]),
        asked(MESSAGES, {"type": "text", "text": "hi"}, system=[BLOCK]),
        asked(
            MESSAGES, {"type": "search_result", "source": "https://x.test", "content": [{"type": "text", "text": "a"}]}
        ),
    ],
)
def test_what_only_looks_like_an_attachment_is_text(request_: RequestHead) -> None:
    assert visible(request_) == Visible(len(request_.body))


@given(st.text(), st.sampled_from([CHAT, RESPONSES, MESSAGES]))
def test_no_text_hides_anything(text: str, endpoint: Endpoint) -> None:
    kind = "input_text" if endpoint is RESPONSES else "text"
    request = asked(endpoint, {"type": kind, "text": text}, image(endpoint, text))
    seen = visible(request)
    hidden = len(msgspec.json.encode(text)) - 2 + len("data:image/png;base64,") * (endpoint is not MESSAGES)
    assert seen.bytes == len(request.body) - hidden
    assert seen.attached_tokens >= 1_601


PDF = b64encode(b"%PDF-1.7\n" + bytes(100_000)).decode()


@pytest.mark.parametrize(
    "request_",
    [
        asked(CHAT, {"type": "file", "file": {"file_data": PDF, "filename": "a.pdf"}}),
        asked(CHAT, {"type": "file", "file": {"file_id": "file_1"}}),
        asked(CHAT, {"type": "video_url", "video_url": {"url": "https://x.test/a.mp4"}}),
        head(CHAT, messages=[{"role": "assistant", "audio": {"id": "audio_1"}}]),
        asked(RESPONSES, {"type": "input_file", "file_data": PDF}),
        asked(RESPONSES, {"type": "input_file", "file_id": "file_1", "file_data": None}),
        asked(RESPONSES, {"type": "input_file", "file_url": "https://x.test/a.pdf"}),
        head(RESPONSES, input=[{"type": "item_reference", "id": "msg_1"}]),
        head(RESPONSES, input=[{"role": "user", "content": "hi"}, {"id": "msg_1"}]),
        head(RESPONSES, input=[{"id": "msg_1", "type": None}]),
        asked(MESSAGES, {"type": "document", "source": {"type": "base64", "data": PDF}}),
        asked(MESSAGES, {"type": "document", "source": {"type": "url", "url": "https://x.test/a.pdf"}}),
        asked(MESSAGES, {"type": "document", "source": {"type": "file", "file_id": "file_1"}}),
        asked(MESSAGES, {"type": "document", "source": {}}),
        asked(MESSAGES, {"type": "text", "text": "hi"}, tools=[{"type": "web_fetch_20260318", "name": "web_fetch"}]),
        asked(
            MESSAGES,
            {
                "type": "web_fetch_tool_result",
                "content": {
                    "type": "web_fetch_result",
                    "content": {"type": "document", "source": {"type": "base64", "data": PDF}},
                },
            },
        ),
        asked(
            MESSAGES,
            {
                "type": "tool_addition",
                "tool": {"type": "tool_definition", "definition": {"type": "tool_search_tool_bm25", "name": "x"}},
            },
        ),
    ],
)
def test_what_cannot_be_sized_is_said_to_be_unseen(request_: RequestHead) -> None:
    seen = visible(request_)
    assert seen.unseen
    assert seen.bytes < 600


def test_words_written_with_escapes_are_read_like_others() -> None:
    body = b'{"model":"m","input":[{"role":"user","content":[{"type":"input\\u005ffile","file\\u005furl":"https://x.test"}]}]}'
    assert visible(codec_for(RESPONSES).read_head(RESPONSES, body)).unseen


@pytest.mark.parametrize("request_", [head(CHAT, messages=[5]), head(CHAT, messages=[{"content": [5]}])])
def test_a_form_that_no_dialect_has_may_hold_anything(request_: RequestHead) -> None:
    assert visible(request_) == Visible(len(request_.body), unseen=True)


def test_a_crowd_is_not_looked_through() -> None:
    assert visible(head(CHAT, messages=[{}] * 60_000)).unseen


def test_documents_in_documents_end_somewhere() -> None:
    block: dict[str, Any] = {"type": "text", "text": "hi"}
    for _ in range(100):
        block = {"type": "document", "source": {"type": "content", "content": [block]}}
    assert visible(asked(MESSAGES, block)).unseen


def test_sound_counts_by_its_seconds() -> None:
    seen = visible(asked(CHAT, sound(wav(60))))
    assert seen.audio
    assert not seen.unseen
    assert seen.bytes < 400
    assert 60 * 32 <= seen.attached_tokens <= 62 * 32


def test_sound_of_an_unknown_rate_is_as_long_as_the_sparsest() -> None:
    data = b64encode(bytes(60_000)).decode()
    assert 60 * 32 <= visible(asked(CHAT, sound(data, "mp3"))).attached_tokens <= 62 * 32
    assert visible(asked(CHAT, sound(wav(1, form=85)))).attached_tokens >= 48 * 32


@pytest.mark.parametrize(
    "data", [wav(60, rate=1), wav(1, rate=0), None, b64encode(b"RIFF0000WAVE" + bytes(99)).decode()]
)
def test_sound_whose_header_says_nothing_is_unseen(data: object) -> None:
    seen = visible(asked(CHAT, sound(data)))
    assert (seen.unseen, seen.audio) == (True, True)


def test_a_translated_request_is_looked_through_in_its_body() -> None:
    request = msgspec.structs.replace(asked(MESSAGES, image(MESSAGES, png(640, 480))), fields={})
    assert visible(request).images == 1


@pytest.mark.parametrize(
    ("given", "unseen"),
    [
        ("a text", False),
        (["{", "texts"], False),
        ([1, 2, 3], False),
        ([[1, 2], [3]], False),
        ({"text": "a"}, False),
        ([{"text": "a"}, {"image": "https://pictures.test/a.png"}], True),
        (["a", {"text": "a", "image": "x"}], True),
        ({"image": "x"}, True),
    ],
)
def test_what_is_embedded_beside_texts_cannot_be_sized(given: object, *, unseen: bool) -> None:
    assert visible(head(Endpoint.EMBEDDINGS, input=given)).unseen is unseen
