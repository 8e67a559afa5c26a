"""What a stream has certainly put out before its upstream reports it: nothing that an honest stream could pass."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.goldens.matrix import reply_to, translation
from tests.protocols.scanning import scanner_for
from tests.protocols.sim_streams import KINDS, recorded
from tests.protocols.transcripts import CHAT_EACH, MESSAGES, RESPONSES, chat, frame, named

from headgate.model.dialect import Endpoint
from headgate.protocols.provable import BYTES_A_TOKEN

FIRST = {
    Endpoint.CHAT: [chat({"content": "a"})],
    Endpoint.COMPLETIONS: [frame({"choices": [{"index": 0, "text": "a"}]})],
    Endpoint.MESSAGES: MESSAGES[:4],
    Endpoint.RESPONSES: RESPONSES[:7],
}


def deltas(endpoint: Endpoint, text: str) -> list[bytes]:
    """Return frames of each kind in which a model says something."""
    if endpoint is Endpoint.CHAT:
        call = {"index": 0, "function": {"arguments": text}}
        return [chat(each) for each in ({"content": text}, {"reasoning_content": text}, {"tool_calls": [call]})]
    if endpoint is Endpoint.COMPLETIONS:
        return [frame({"choices": [{"index": 0, "text": text}]})] * 3
    if endpoint is Endpoint.MESSAGES:
        return [
            named({"type": "content_block_delta", "index": 0, "delta": {"type": "x", name: text}})
            for name in ("text", "thinking", "partial_json")
        ]
    kinds = ("output_text", "reasoning_text", "function_call_arguments")
    return [named({"type": f"response.{kind}.delta", "delta": text}) for kind in kinds]


@pytest.mark.parametrize("endpoint", FIRST)
@given(text=st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=300))
def test_the_text_that_comes_while_a_stream_is_watched_is_counted(endpoint: Endpoint, text: str) -> None:
    scanner = scanner_for(endpoint)
    for each in FIRST[endpoint]:
        scanner.feed(each)
    reported = scanner.provable_output
    scanner.watch()
    for each in deltas(endpoint, text) * 4:
        scanner.feed(each)
    assert scanner.provable_output == max(reported, 12 * len(text.encode()) // BYTES_A_TOKEN)


@pytest.mark.parametrize(("endpoint", "kind"), KINDS)
def test_no_more_is_provable_than_what_was_made(endpoint: Endpoint, kind: str) -> None:
    stream = recorded(endpoint, kind)
    scanner = scanner_for(endpoint, stream.body)
    scanner.watch()
    for each in stream.frames:
        scanner.feed(each)
        assert scanner.provable_output <= stream.answer.output


@pytest.mark.parametrize(("endpoint", "padded"), [
    (Endpoint.CHAT, chat({"content": "a"}, obfuscation="x" * 9_000)),
    (Endpoint.CHAT, chat({"content": "a", "annotations": [{"text": "x" * 9_000}]})),
    (Endpoint.MESSAGES, named({"type": "content_block_start", "index": 1, "content_block": {"content": "x" * 9_000}})),
    (Endpoint.MESSAGES, named({"type": "content_block_delta", "index": 0, "delta": {"signature": "x" * 9_000}})),
    (Endpoint.RESPONSES, named({"type": "response.output_item.done", "item": {"output": "x" * 9_000}})),
    (Endpoint.RESPONSES, named({"type": "response.audio.delta", "delta": "x" * 9_000})),
    (Endpoint.RESPONSES, named({"type": "response.output_text.done", "text": "x" * 9_000})),
])  # fmt: skip
def test_what_the_model_did_not_say_proves_nothing(endpoint: Endpoint, padded: bytes) -> None:
    scanner = scanner_for(endpoint)
    for each in FIRST[endpoint]:
        scanner.feed(each)
    before = scanner.provable_output
    scanner.watch()
    scanner.feed(padded)
    assert scanner.provable_output == before


def test_a_usage_that_rides_on_frames_is_proof_at_once() -> None:
    scanner = scanner_for(Endpoint.CHAT)
    proved = []
    for each in CHAT_EACH[:-2]:
        scanner.feed(each)
        proved.append(scanner.provable_output)
    assert proved == list(range(20))


def test_the_usage_of_a_message_is_proof_as_soon_as_it_comes() -> None:
    scanner = scanner_for(Endpoint.MESSAGES)
    proved = []
    for each in MESSAGES:
        scanner.feed(each)
        proved.append(scanner.provable_output)
    assert proved == [1] * 9 + [40] * 2


@pytest.mark.parametrize("endpoint", FIRST)
def test_a_stream_that_is_not_watched_is_forwarded_unread(endpoint: Endpoint) -> None:
    scanner = scanner_for(endpoint)
    for each in FIRST[endpoint]:
        scanner.feed(each)
    plain = deltas(endpoint, "x" * 320)[0]
    assert scanner.feed(plain) is plain
    unwatched = scanner.provable_output
    scanner.watch()
    pieces = scanner.feed(plain)
    assert not isinstance(pieces, bytes)
    assert [piece.data for piece in pieces] == [plain]
    assert scanner.provable_output == max(unwatched, 10)


def test_a_translated_stream_proves_what_its_upstream_says() -> None:
    translating = translation("messages", "chat", reply_to("messages", "chat", stream=True))
    translating.feed(chat({"content": "a"}))
    translating.watch()
    translating.feed(chat({"content": "x" * 640}))
    assert translating.provable_output == 20
