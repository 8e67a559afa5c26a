"""A stream that is stopped at its hold: the official SDKs take its end for that of an answer at its maximum."""

import json
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.protocols.judging import CAPPED, judged
from tests.protocols.scanning import scanner_for
from tests.protocols.sim_streams import KINDS, Recorded, data_of, recorded, said_in
from tests.protocols.transcripts import MESSAGES, chat, frame, named, numbered

from headgate.model.dialect import Endpoint
from headgate.protocols.codec import StreamScanner
from headgate.sim.frames import UsageMode

ASKS_FOR_USAGE = (Endpoint.CHAT, Endpoint.COMPLETIONS)


def fed(scanner: StreamScanner, chunks: Iterable[bytes]) -> bytes:
    """Feed chunks and return what goes to the client."""
    out = b""
    for chunk in chunks:
        got = scanner.feed(chunk)
        out += got if isinstance(got, bytes) else b"".join(piece.data for piece in got)
    return out


def in_chunks(data: bytes, cuts: Iterable[int]) -> Iterator[bytes]:
    places = [0, *sorted(cuts), len(data)]
    return (data[start:end] for start, end in pairwise(places) if end > start)


def check(stream: Recorded, chunks: Iterable[bytes]) -> None:
    """Stop a stream after these chunks; its client must have exactly what was forwarded, and be told why it ended."""
    scanner = scanner_for(stream.endpoint, stream.body)
    forwarded = fed(scanner, chunks)
    assert b"".join(stream.frames).startswith(forwarded)
    unfinished = scanner.unfinished()
    end = scanner.capped(5, 11)
    found = judged(stream.endpoint, forwarded + end)
    assert len(found) == (2 if b'"n": 2' in stream.body else 1)
    for choice, (said, why) in enumerate(found):
        assert said == said_in(stream.endpoint, [forwarded], choice)
        assert (why == CAPPED[stream.endpoint]) == (choice in unfinished)
    check_usage(stream, scanner, forwarded, end)


def check_usage(stream: Recorded, scanner: StreamScanner, forwarded: bytes, end: bytes) -> None:
    """The end of what was not ended tells the usage, once."""
    told = [each.get("usage") or each.get("response", {}).get("usage") for each in data_of([forwarded, end])]
    if stream.endpoint is Endpoint.MESSAGES:
        told.pop()  # message_stop has none
    if scanner.terminal_seen:
        assert end == b""
    elif not scanner.complete:
        assert told[-1]["output_tokens" if "output_tokens" in told[-1] else "completion_tokens"] == 5
        assert told[-1].get("prompt_tokens", told[-1].get("input_tokens")) == 11
    elif stream.endpoint in ASKS_FOR_USAGE:
        assert sum(each is not None for each in told) == 1


@pytest.mark.parametrize(("endpoint", "kind"), KINDS)
def test_a_stream_that_is_stopped_after_any_frame_ends_validly(endpoint: Endpoint, kind: str) -> None:
    stream = recorded(endpoint, kind)
    for count in range(1, len(stream.frames) + 1):
        check(stream, stream.frames[:count])


@pytest.mark.parametrize(("endpoint", "kind"), KINDS)
def test_a_frame_half_received_is_none_to_the_client(endpoint: Endpoint, kind: str) -> None:
    stream = recorded(endpoint, kind)
    for count in range(1, len(stream.frames)):
        check(stream, [*stream.frames[:count], stream.frames[count][:-1]])
        check(stream, [b"".join(stream.frames[:count]) + stream.frames[count][:20]])


@pytest.mark.parametrize(("endpoint", "kind"), KINDS)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_stream_that_is_stopped_anywhere_ends_validly(endpoint: Endpoint, kind: str, data: st.DataObject) -> None:
    stream = recorded(endpoint, kind)
    whole = b"".join(stream.frames)
    stop = data.draw(st.integers(len(stream.frames[0]), len(whole)), "stop")
    cuts = data.draw(st.lists(st.integers(0, stop), max_size=12), "cuts")
    check(stream, in_chunks(whole[:stop], cuts))


@pytest.mark.parametrize("endpoint", [Endpoint.CHAT, Endpoint.COMPLETIONS, Endpoint.RESPONSES])
def test_usage_of_an_unknown_input_is_not_told(endpoint: Endpoint) -> None:
    stream = recorded(endpoint, "text")
    scanner = scanner_for(endpoint, stream.body)
    fed(scanner, stream.frames[:6])
    assert all(
        not each.get("usage") and not each.get("response", {}).get("usage") for each in data_of([scanner.capped(5)])
    )


def test_usage_without_a_known_input_counts_the_output_in_messages() -> None:
    scanner = scanner_for(Endpoint.MESSAGES)
    start = {"type": "message_start", "message": {"id": "msg_1", "content": []}}
    fed(scanner, [named(start), MESSAGES[1], MESSAGES[3]])
    assert data_of([scanner.capped(5)])[1]["usage"] == {"output_tokens": 5}


def test_a_client_that_did_not_ask_for_usage_gets_none() -> None:
    stream = recorded(Endpoint.CHAT, "text", include_usage=False)
    scanner = scanner_for(Endpoint.CHAT, stream.body)
    fed(scanner, stream.frames[:4])
    (finish,) = data_of([scanner.capped(5, 11)])
    assert "usage" not in finish


def test_the_end_of_a_chat_is_like_its_chunks() -> None:
    stream = recorded(Endpoint.CHAT, "text")
    scanner = scanner_for(Endpoint.CHAT, stream.body)
    fed(scanner, stream.frames[:4])
    before, (finish, usage) = data_of(stream.frames[:1])[0], data_of([scanner.capped(5, 11)])
    for name in ("id", "object", "created", "model", "system_fingerprint", "service_tier"):
        assert finish[name] == usage[name] == before[name]


def test_a_usage_that_rode_on_frames_is_told_at_the_end() -> None:
    stream = recorded(Endpoint.CHAT, "text", mode=UsageMode.EVERY)
    scanner = scanner_for(Endpoint.CHAT, stream.body)
    fed(scanner, stream.frames[:5])
    assert data_of([scanner.capped(9)])[-1]["usage"]["total_tokens"] == 20


@pytest.mark.parametrize("between", [b": waiting\n\n", named({"type": "ping"}), named({"type": "ping"}) * 5])
def test_what_comes_between_deltas_leaves_a_block_open(between: bytes) -> None:
    scanner = scanner_for(Endpoint.MESSAGES)
    out = fed(scanner, [*MESSAGES[:5], between, between])
    stop, _, _ = data_of([scanner.capped(5)])
    assert stop == {"type": "content_block_stop", "index": 0}
    assert out.endswith(between)


def test_the_number_of_an_event_survives_comments() -> None:
    def event(number: int, **members: Any) -> bytes:
        return numbered([{"type": "x"}] * number + [members])[-1]

    scanner = scanner_for(Endpoint.RESPONSES)
    delta = {"type": "response.output_text.delta", "delta": "a", "item_id": "m", "output_index": 0, "content_index": 0}
    fed(scanner, [event(0, type="response.created", response={"id": "r"}), event(1, **delta), event(2, **delta)])
    fed(scanner, [b": waiting\n\n", b": waiting\n\n"])
    assert scanner.next_sequence() == 3
    assert data_of([scanner.capped(5)])[0]["sequence_number"] == 3


def test_a_choice_that_has_not_begun_begins_with_its_end() -> None:
    scanner = scanner_for(Endpoint.CHAT, b'{"model":"m","stream":true,"n":3}')
    fed(scanner, [chat({"role": "assistant", "content": ""}, index=index) for index in (0, 1)])
    fed(scanner, [chat({"content": "a"}), chat(finish="stop", index=0)])
    ends = [each["choices"][0] for each in data_of([scanner.capped(5)])]
    assert [(each["index"], each["delta"], each["finish_reason"]) for each in ends] == [
        (1, {}, "length"),
        (2, {"role": "assistant", "content": ""}, "length"),
    ]


def test_a_choice_that_began_in_the_midst_of_another_gets_no_second_role() -> None:
    scanner = scanner_for(Endpoint.CHAT, b'{"model":"m","stream":true,"n":2}')
    fed(scanner, [chat({"role": "assistant", "content": "a"}), chat({"content": "b"})])
    fed(scanner, [chat({"role": "assistant", "content": "c"}, index=1), chat({"content": "d"}, index=1)])
    ends = [each["choices"][0] for each in data_of([scanner.capped(5)])]
    assert [(each["index"], each["delta"]) for each in ends] == [(0, {}), (1, {})]


@pytest.mark.parametrize("odd", [b"", b"{}", b"[1]", b'{"choices":[7],"id":{}}', b'{"response":7}', b'{"item":7}'])
@pytest.mark.parametrize("endpoint", [Endpoint.CHAT, Endpoint.COMPLETIONS, Endpoint.MESSAGES, Endpoint.RESPONSES])
def test_an_odd_upstream_is_ended_all_the_same(endpoint: Endpoint, odd: bytes) -> None:
    first = {
        Endpoint.CHAT: chat({"content": "a"}),
        Endpoint.COMPLETIONS: frame({"choices": [{"text": "a"}]}),
        Endpoint.MESSAGES: named({"type": "content_block_delta", "index": 0, "delta": {"text": "a"}}),
        Endpoint.RESPONSES: named({"type": "response.output_text.delta", "delta": "a"}),
    }
    scanner = scanner_for(endpoint)
    fed(
        scanner,
        [first[endpoint], b"data: " + odd + b"\n\n", b"event: response.output_item.done\ndata: " + odd + b"\n\n"],
    )
    ends = data_of([scanner.capped(5)])
    assert any(word in json.dumps(ends) for word in CAPPED.values())
