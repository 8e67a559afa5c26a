from typing import Any

import msgspec
import pytest
from tests.protocols.scanning import scan, scanner_for
from tests.protocols.transcripts import RESPONSES, RESPONSES_USAGE, named, numbered

from headgate.model.dialect import Dialect, Endpoint
from headgate.model.errors import HeadgateError
from headgate.model.usage import Reported, Usage
from headgate.protocols.codec import MalformedStream, PieceKind, codec_for

CODEC = codec_for(Endpoint.RESPONSES)
USAGE = Usage(input=20, cache_read=20, cache_write_5m=10, output=30, reasoning=25)


def test_the_head_of_a_response() -> None:
    body = b'{"model":"m","input":"x","stream":true,"max_output_tokens":7,"tools":[1],"reasoning":{"effort":"low"}}'
    head = CODEC.read_head(Endpoint.RESPONSES, body)
    assert (head.dialect, head.model, head.stream) == (Dialect.OPENAI_RESPONSES, "m", True)
    assert (head.max_output, head.has_tools, head.reasoning, head.n) == (7, True, True, 1)


@pytest.mark.parametrize("member", [b'"reasoning":null', b'"reasoning":{}', b'"reasoning":{"effort":"none"}'])
def test_no_reasoning_asked_for(member: bytes) -> None:
    assert not CODEC.read_head(Endpoint.RESPONSES, b'{"model":"m",' + member + b"}").reasoning


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"input":"x"}', "model"),
        (b'{"model":"m","stream":"yes"}', "stream"),
        (b'{"model":"m","max_output_tokens":-5}', "max_output_tokens"),
    ],
)
def test_bad_fields_are_refused_by_name(body: bytes, param: str) -> None:
    with pytest.raises(HeadgateError) as caught:
        CODEC.read_head(Endpoint.RESPONSES, body)
    assert caught.value.param == param


def test_only_owned_fields_change() -> None:
    body = b'{"model":"a","input":[ 1 ],"stream":true}'
    head = CODEC.read_head(Endpoint.RESPONSES, body)
    assert CODEC.outgoing(head, "a", None) is body
    assert CODEC.outgoing(head, "b", 5) == b'{"model":"b","input":[ 1 ],"stream":true,"max_output_tokens":5}'


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (RESPONSES_USAGE, USAGE),
        ({"input_tokens": 5, "output_tokens": 2}, Usage(input=5, output=2)),
        (
            {
                "input_tokens": 100,
                "output_tokens": 2,
                "input_tokens_details": {
                    "cached_tokens": 0,
                    "cache_write_tokens": 90,
                    "cache_write_tokens_details": {"ttl_30m_tokens": 30, "ttl_12h_tokens": 60},
                },
            },
            Usage(input=10, cache_write_5m=30, cache_write_1h=60, output=2),
        ),
        ({"input_tokens": 5}, None),
        ({"input_tokens": None, "output_tokens": 2}, None),
        ("many", None),
    ],
)
def test_usage_of_an_answer(usage: Any, expected: Usage | None) -> None:
    reported = CODEC.usage_of(msgspec.json.encode({"usage": usage}))
    assert reported == (None if expected is None else Reported(expected))


def test_a_whole_stream() -> None:
    scanner = scanner_for(Endpoint.RESPONSES)
    assert scan(scanner, RESPONSES) == [
        (PieceKind.PREAMBLE, b"".join(RESPONSES[:3])),
        (PieceKind.CONTENT, b"".join(RESPONSES[3:9])),
        (PieceKind.TERMINAL, RESPONSES[9]),
    ]
    assert scanner.reported() == Reported(USAGE)
    assert (scanner.finish_reason, scanner.response_id, scanner.complete) == ("completed", "resp_1", True)


def test_plain_content_is_handed_on_without_a_copy() -> None:
    scanner = scanner_for(Endpoint.RESPONSES)
    scanner.feed(RESPONSES[6])
    plain = named({"type": "response.output_text.delta", "sequence_number": 9, "delta": "x"})
    assert scanner.feed(plain) is plain
    assert scanner.next_sequence() == 10


def test_the_next_sequence_number_follows_the_last_frame() -> None:
    scanner = scanner_for(Endpoint.RESPONSES)
    assert scanner.next_sequence() == 0
    for number, frame in enumerate(RESPONSES):
        scanner.feed(frame)
        assert scanner.next_sequence() == number + 1


def test_incomplete_ends_too_with_its_usage() -> None:
    end = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}, "usage": RESPONSES_USAGE}
    frame = named({"type": "response.incomplete", "response": end})
    scanner = scanner_for(Endpoint.RESPONSES)
    assert scan(scanner, [RESPONSES[6], frame])[-1] == (PieceKind.TERMINAL, frame)
    assert (scanner.finish_reason, scanner.reported()) == ("max_output_tokens", Reported(USAGE))


FAILED = named(
    {
        "type": "response.failed",
        "response": {"id": "r", "error": {"code": "server_error", "message": "boom"}, "usage": RESPONSES_USAGE},
    }
)


def test_a_failed_response_is_an_error_before_content_and_the_end_after_it() -> None:
    scanner = scanner_for(Endpoint.RESPONSES)
    assert scan(scanner, [RESPONSES[0], FAILED])[-1] == (PieceKind.ERROR, FAILED)
    assert (scanner.error_message, scanner.error_type, scanner.terminal_seen) == ("boom", "server_error", False)
    scanner = scanner_for(Endpoint.RESPONSES)
    assert scan(scanner, [RESPONSES[6], FAILED])[-1] == (PieceKind.TERMINAL, FAILED)
    assert (scanner.error_message, scanner.finish_reason) == ("boom", "failed")
    assert scanner.reported() == Reported(USAGE)


@pytest.mark.parametrize("before", [[], [RESPONSES[6]]])
@pytest.mark.parametrize(
    "error",
    [
        {"type": "error", "code": "rate_limit_exceeded", "message": "slow", "param": None, "sequence_number": 3},
        {"type": "error", "error": {"type": "rate_limit_exceeded", "message": "slow"}},
    ],
)
def test_an_error_event(before: list[bytes], error: dict[str, Any]) -> None:
    scanner = scanner_for(Endpoint.RESPONSES)
    assert scan(scanner, [*before, named(error)])[-1] == (PieceKind.ERROR, named(error))
    assert (scanner.error_message, scanner.error_type) == ("slow", "rate_limit_exceeded")


def test_a_function_call_is_content_from_its_name_on() -> None:
    item = {"type": "function_call", "name": "f", "arguments": ""}
    stream = numbered([{"type": "response.output_item.added", "item": item}])
    assert scan(scanner_for(Endpoint.RESPONSES), stream)[0][0] is PieceKind.CONTENT


def test_a_cut_stream_reports_nothing() -> None:
    scanner = scanner_for(Endpoint.RESPONSES)
    scan(scanner, RESPONSES[:9])
    assert (scanner.complete, scanner.terminal_seen, scanner.reported(), scanner.partial()) == (
        False,
        False,
        None,
        None,
    )


def test_a_page_is_malformed() -> None:
    with pytest.raises(MalformedStream):
        scan(scanner_for(Endpoint.RESPONSES), [b"<html>\n\n"])
