"""How much text a stream has said: never less than there was, and not its frames."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.goldens.matrix import reply_to, translation
from tests.protocols.scanning import ASKING, scan, scanner_for
from tests.protocols.sim_streams import KINDS, recorded
from tests.protocols.transcripts import CHAT_EACH, MESSAGES, chat, frame, named, numbered
from tests.protocols.wires import WIRES, Wire, anthropic, ascii_only, openai, responses, together

from headgate.model.dialect import Endpoint
from headgate.policy.estimate import TOKENS_PER_BYTE
from headgate.protocols.base import StreamScanner
from headgate.protocols.text_meter import CALL_BYTES, LEAST, UNPAID
from headgate.sim.frames import UsageMode

each_wire = pytest.mark.parametrize(("endpoint", "wire"), WIRES, ids=lambda one: getattr(one, "__name__", None))


def fed(endpoint: Endpoint, frames: list[bytes]) -> StreamScanner:
    scanner = scanner_for(endpoint, ASKING if endpoint is Endpoint.CHAT else None)
    for each in frames:
        scanner.feed(each)
    return scanner


def written(text: str, wire: Wire) -> int:
    """Return the bytes of a text as it stands in JSON."""
    return max(LEAST, len(json.dumps(text, ensure_ascii=wire is ascii_only).encode()) - 2)


@each_wire
@given(texts=st.lists(st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=20), max_size=60))
@example(
    texts=[
        'say "',
        '\\"',
        "\\",
        '"},"logprobs":null',
        '","',
        "}]}\n\n",
        "\n",
        "\r",
        "水",
        "🌊",
        '\\\\"}}',
        "index",
        "id",
    ]
)
def test_the_text_of_frames_is_what_counts(endpoint: Endpoint, wire: Wire, texts: list[str]) -> None:
    frames = [wire(text, number) for number, text in enumerate(["begin", *texts])]
    scanner = fed(endpoint, frames)
    said = sum(max(LEAST, len(text.encode())) for text in ["begin", *texts])
    assert said <= scanner.streamed_text_bytes <= sum(written(text, wire) for text in ["begin", *texts])
    assert scanner.streamed_output_bytes == sum(map(len, frames))


@each_wire
def test_a_long_stream_is_charged_for_its_text(endpoint: Endpoint, wire: Wire) -> None:
    texts = [f" word{number % 7}" for number in range(3_000)]
    scanner = fed(endpoint, [wire(text, number) for number, text in enumerate(texts)])
    assert scanner.streamed_text_bytes == sum(len(text) for text in texts)


@each_wire
@given(sizes=st.lists(st.integers(1, 9), max_size=40), cut=st.integers(0, 80))
def test_the_text_does_not_depend_on_the_chunks(endpoint: Endpoint, wire: Wire, sizes: list[int], cut: int) -> None:
    frames = [wire(text * 3, number) for number, text in enumerate('aé"\\水\n' * 20)]
    joined: list[bytes] = []
    left = list(frames)
    for size in sizes:
        joined.append(b"".join(left[:size]))
        del left[:size]
    whole = b"".join(left)
    chunks = [*joined, whole[:cut], whole[cut:]]
    one, other = fed(endpoint, frames), fed(endpoint, [chunk for chunk in chunks if chunk])
    assert one.streamed_text_bytes == other.streamed_text_bytes


@pytest.mark.parametrize("mode", [UsageMode.USUAL, UsageMode.NONE, UsageMode.EVERY])
@pytest.mark.parametrize(("endpoint", "kind"), KINDS)
def test_no_less_counts_than_the_simulator_has_billed(endpoint: Endpoint, kind: str, mode: UsageMode) -> None:
    stream = recorded(endpoint, kind, mode=mode)
    scanner = scanner_for(endpoint, stream.body)
    for each in stream.frames:
        scanner.feed(each)
        if scanner.complete:
            break
    calls = sum(len(choice.calls) for choice in stream.answer.choices)
    output = stream.answer.output
    charged = scanner.streamed_text_bytes * TOKENS_PER_BYTE
    assert output <= charged <= 2.5 * output + calls * CALL_BYTES + 40, "a signature of thoughts counts too"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_what_ends_or_fails_is_found_behind_frames_of_a_pattern(end: str) -> None:
    plain = [chat({"content": f"word {number}"}) for number in range(4)]
    first = len(plain[0].replace(b"\n", end.encode()))
    finish = chat({"content": "x"}, finish="stop")
    done, both = frame("[DONE]"), [{"index": 0, "delta": {"content": "a"}, "logprobs": None, "finish_reason": None}]
    two = frame({"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": both * 2, "usage": None})
    for last in (finish + done, two + finish + done, chat({"content": "x"}, error={"message": "no"}) + plain[0]):
        stream = (b"".join(plain) + last + plain[1]).replace(b"\n", end.encode())
        whole = scan(scanner_for(Endpoint.CHAT), [stream])
        for cut in (first, 2 * first, len(stream) // 3):
            assert scan(scanner_for(Endpoint.CHAT), [stream[:cut], stream[cut:]]) == whole


@pytest.mark.parametrize("more", [{}, {"obfuscation": "aB3"}])
def test_an_end_that_hides_behind_another_text_is_no_text_of_it(more: dict[str, str]) -> None:
    scanner = scanner_for(Endpoint.CHAT, b'{"model":"m","stream":true,"n":2}')
    for index in (1, 0, 0):
        scanner.feed(chat({"content": "begin"}, index=index, **more))
    ends = {"index": 0, "delta": {"content": "last"}, "logprobs": None, "finish_reason": "stop"}
    goes_on = {"index": 0, "delta": {"content": "more"}, "logprobs": None, "finish_reason": None}
    envelope = {"id": "chatcmpl-1", "object": "chat.completion.chunk"}
    scanner.feed(frame({**envelope, "choices": [goes_on, ends, goes_on], "usage": None, **more}))
    assert scanner.unfinished() == [1]


def test_comments_pings_and_the_frames_around_blocks_say_nothing() -> None:
    scanner = fed(Endpoint.MESSAGES, MESSAGES[:4])
    before = scanner.streamed_text_bytes
    for silent in (b": keepalive\n\n", named({"type": "ping"}), MESSAGES[5], MESSAGES[1]):
        scanner.feed(silent)
    assert scanner.streamed_text_bytes == before == len("message_stop")


BEGINS: dict[Endpoint, tuple[Wire, bytes]] = {
    Endpoint.CHAT: (
        openai,
        chat({"tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "find", "arguments": ""}}]}),
    ),
    Endpoint.MESSAGES: (
        anthropic,
        named({"type": "content_block_start", "index": 1, "content_block": {"id": "t", "name": "find", "input": {}}}),
    ),
    Endpoint.RESPONSES: (
        responses,
        named({"type": "response.output_item.added", "item": {"id": "fc_1", "name": "find", "arguments": ""}}),
    ),
}


@pytest.mark.parametrize("endpoint", BEGINS)
def test_a_call_costs_its_name_and_what_is_written_around_it(endpoint: Endpoint) -> None:
    wire, call = BEGINS[endpoint]
    scanner = fed(endpoint, [wire("begin", 0), call])
    assert scanner.streamed_text_bytes == len("begin") + len("find") + CALL_BYTES


def ended_item(text: str, *, deltas: bool) -> list[dict[str, Any]]:
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": text}
    said = [{"type": "response.output_text.delta", "item_id": "m", "delta": piece, "logprobs": []} for piece in text]
    item = {"id": "m", "type": "message", "status": "completed", "role": "assistant", "content": [part]}
    return [
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        {"type": "response.content_part.added", "item_id": "m", "part": {**part, "text": ""}},
        *(said if deltas else []),
        {"type": "response.output_text.done", "item_id": "m", "text": text, "logprobs": []},
        {"type": "response.content_part.done", "item_id": "m", "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
    ]


@pytest.mark.parametrize("deltas", [False, True])
def test_what_the_end_of_an_item_repeats_counts_once(*, deltas: bool) -> None:
    text = "all that was said"
    scanner = fed(Endpoint.RESPONSES, numbered(ended_item(text, deltas=deltas) * 3))
    assert scanner.streamed_text_bytes == 3 * len(text) * (LEAST if deltas else 1)


SHALLOW, DEEP = ('{"content":[' * depth + "]}" * depth for depth in (400, 3_000))


@pytest.mark.parametrize(("endpoint", "begun", "strange"), [
    (Endpoint.CHAT, openai, frame({"object": "new", "said": "word"})),
    (Endpoint.CHAT, openai, frame("no JSON at all")),
    (Endpoint.CHAT, openai, frame({"choices": ["word"]})),
    (Endpoint.MESSAGES, anthropic, named({"type": "content_block_more", "words": ["word"]})),
    (Endpoint.MESSAGES, anthropic, named({"type": ["content_block_delta"], "delta": 1})),
    (Endpoint.RESPONSES, responses, named({"type": "response.image.partial_image", "image": "word"})),
    (Endpoint.RESPONSES, responses, frame("[1]")),
    (Endpoint.RESPONSES, responses, frame('{"type":"response.x.delta","delta":' + SHALLOW + "}")),
    (Endpoint.RESPONSES, responses, frame('{"type":"response.x.delta","delta":' + DEEP + "}")),
])  # fmt: skip
def test_a_frame_that_is_not_understood_counts_from_end_to_end(endpoint: Endpoint, begun: Wire, strange: bytes) -> None:
    scanner = fed(endpoint, [begun("begin", 0)])
    scanner.feed(strange)
    assert scanner.streamed_text_bytes == len("begin") + len(strange)


def test_a_text_that_stands_in_two_members_counts_once_only_while_it_is_one_text() -> None:
    scanner = fed(Endpoint.CHAT, [together("begin", number) for number in range(3)])
    scanner.feed(together("word", 3).replace(b'"text":"word"', b'"text":"something else"'))
    assert scanner.streamed_text_bytes == 3 * len("begin") + len("word") + len("something else")


def test_a_member_that_looks_like_the_text_is_not_taken_for_it() -> None:
    one, other = (
        f'data: {{"model":"{"é" * size}","choices":[{{"index":0,"delta":{{"content":"\\u00e9"}}}}]}}\n\n'.encode()
        for size in (1, 50)
    )
    assert fed(Endpoint.CHAT, [one, one, other]).streamed_text_bytes == 3 * len("é".encode())


def test_members_that_nobody_knows_count_as_they_are_written() -> None:
    scanner = fed(Endpoint.CHAT, [openai("begin", 0)])
    scanner.feed(chat({"content": "word", "poem": {"lines": ["one", "two"]}}))
    assert scanner.streamed_text_bytes == len("begin") + len("word") + len('{"lines":["one","two"]}')


def test_frames_that_are_never_alike_are_parsed_for_a_while_and_then_count_as_they_come() -> None:
    frames = [chat({"content": "word"}, strange=f"{number:01000}") for number in range(400)]
    scanner = fed(Endpoint.CHAT, frames)
    whole = sum(map(len, frames))
    assert whole - UNPAID - whole // 8 <= scanner.streamed_text_bytes < whole - UNPAID + 400


def test_a_usage_that_comes_before_the_choices_hides_none_of_their_text() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 0, "total_tokens": 1}
    texts = ["begin", "a longer text", "x"]
    choice = {"index": 0, "finish_reason": None}
    frames = [frame({"id": "c", "usage": usage, "choices": [{**choice, "delta": {"content": text}}]}) for text in texts]
    assert fed(Endpoint.CHAT, frames).streamed_text_bytes == sum(max(LEAST, len(text)) for text in texts)


def test_usage_on_every_frame_is_no_text() -> None:
    assert fed(Endpoint.CHAT, CHAT_EACH[:15]).streamed_text_bytes == 14 * LEAST


def test_a_translated_stream_counts_what_its_upstream_says() -> None:
    translating = translation("messages", "chat", reply_to("messages", "chat", stream=True))
    for number in range(20):
        translating.feed(openai("word", number))
    assert translating.streamed_text_bytes == 80
