from typing import Any

import msgspec
import pytest
from tests.protocols.scanning import scan, scanner_for
from tests.protocols.transcripts import MESSAGES, named

from headgate.model.dialect import Dialect, Endpoint
from headgate.model.errors import HeadgateError
from headgate.model.usage import Reported, Usage
from headgate.protocols.codec import MalformedStream, PieceKind, codec_for

CODEC = codec_for(Endpoint.MESSAGES)
USAGE = Usage(input=12, cache_read=1000, cache_write_5m=100, cache_write_1h=200, output=40)


def test_the_head_of_a_message() -> None:
    body = b'{"model":"c","max_tokens":7,"stream":true,"tools":[{}],"thinking":{"type":"enabled","budget_tokens":5}}'
    head = CODEC.read_head(Endpoint.MESSAGES, body)
    assert (head.dialect, head.model, head.stream) == (Dialect.ANTHROPIC_MESSAGES, "c", True)
    assert (head.max_output, head.has_tools, head.reasoning) == (7, True, True)


def test_counting_tokens_has_no_maximum_and_no_stream() -> None:
    body = b'{"model":"c","stream":true,"max_tokens":"x"}'
    head = CODEC.read_head(Endpoint.COUNT_TOKENS, body)
    assert (head.stream, head.max_output) == (False, None)
    assert CODEC.outgoing(head, "c", 5) is body


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"max_tokens":1}', "model"),
        (b'{"model":"c","max_tokens":"1"}', "max_tokens"),
        (b'{"model":"c","stream":0}', "stream"),
    ],
)
def test_bad_fields_are_refused_by_name(body: bytes, param: str) -> None:
    with pytest.raises(HeadgateError) as caught:
        CODEC.read_head(Endpoint.MESSAGES, body)
    assert caught.value.param == param


def test_only_owned_fields_change() -> None:
    body = b'{"model":"a","max_tokens":50,"system":[ {"cache_control": null} ]}'
    head = CODEC.read_head(Endpoint.MESSAGES, body)
    assert CODEC.outgoing(head, "a", None) is body
    assert CODEC.outgoing(head, "b", 5) == b'{"model":"b","max_tokens":5,"system":[ {"cache_control": null} ]}'


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"input_tokens": 3, "output_tokens": 4}, Usage(input=3, output=4)),
        (
            {"input_tokens": 3, "output_tokens": 4, "cache_read_input_tokens": 9, "cache_creation_input_tokens": 8},
            Usage(input=3, cache_read=9, cache_write_5m=8, output=4),
        ),
        (
            {
                "input_tokens": 3,
                "output_tokens": 4,
                "cache_creation_input_tokens": 8,
                "cache_creation": {"ephemeral_1h_input_tokens": 5, "ephemeral_5m_input_tokens": 1},
                "output_tokens_details": {"thinking_tokens": 9},
            },
            Usage(input=3, cache_write_5m=3, cache_write_1h=5, output=4, reasoning=4),
        ),
        ({"input_tokens": 0, "output_tokens": 0}, None),
        ({"input_tokens": 3}, None),
        ({"input_tokens": -3, "output_tokens": 4}, None),
        ({"input_tokens": 3, "output_tokens": 4.5}, None),
        (7, None),
    ],
)
def test_usage_of_an_answer(usage: Any, expected: Usage | None) -> None:
    reported = CODEC.usage_of(msgspec.json.encode({"usage": usage}))
    assert reported == (None if expected is None else Reported(expected))


def test_a_token_count_is_no_usage() -> None:
    assert CODEC.usage_of(b'{"input_tokens":5}') is None


def test_a_whole_stream() -> None:
    scanner = scanner_for(Endpoint.MESSAGES)
    assert scan(scanner, MESSAGES) == [
        (PieceKind.PREAMBLE, b"".join(MESSAGES[:3])),
        (PieceKind.CONTENT, b"".join(MESSAGES[3:10])),
        (PieceKind.TERMINAL, MESSAGES[10]),
    ]
    assert scanner.reported() == Reported(USAGE)
    assert (scanner.finish_reason, scanner.response_id, scanner.complete) == ("tool_use", "msg_1", True)


def test_plain_content_is_handed_on_without_a_copy() -> None:
    scanner = scanner_for(Endpoint.MESSAGES)
    scanner.feed(MESSAGES[3])
    plain = MESSAGES[2] + MESSAGES[7] + MESSAGES[8]
    assert scanner.feed(plain) is plain


def test_message_delta_wins_where_it_counts() -> None:
    usage = {"input_tokens": 15, "cache_read_input_tokens": 0, "output_tokens": 41}
    last = named({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage})
    scanner = scanner_for(Endpoint.MESSAGES)
    scan(scanner, [MESSAGES[0], MESSAGES[3], last, MESSAGES[10]])
    assert scanner.reported() == Reported(
        Usage(input=15, cache_read=1000, cache_write_5m=100, cache_write_1h=200, output=41)
    )


def test_a_cut_stream_reports_nothing_but_tells_its_input() -> None:
    scanner = scanner_for(Endpoint.MESSAGES)
    scan(scanner, MESSAGES[:6])
    assert (scanner.complete, scanner.reported()) == (False, None)
    partial = scanner.partial()
    assert partial is not None
    assert (partial.total_input, partial.output) == (1312, 1)


def test_an_end_without_message_delta_reports_nothing() -> None:
    scanner = scanner_for(Endpoint.MESSAGES)
    scan(scanner, [*MESSAGES[:4], MESSAGES[10]])
    assert scanner.terminal_seen
    assert scanner.reported() is None


@pytest.mark.parametrize("before", [MESSAGES[:1], MESSAGES[:4]])
def test_an_error_event(before: list[bytes]) -> None:
    error = named({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
    scanner = scanner_for(Endpoint.MESSAGES)
    assert scan(scanner, [*before, error])[-1] == (PieceKind.ERROR, error)
    assert (scanner.error_message, scanner.error_type) == ("Overloaded", "overloaded_error")


def test_a_tool_call_is_content_from_its_name_on() -> None:
    assert scan(scanner_for(Endpoint.MESSAGES), [MESSAGES[6]])[0][0] is PieceKind.CONTENT


def test_crlf_frames_are_kept() -> None:
    stream = b"".join(MESSAGES).replace(b"\n", b"\r\n")
    scanner = scanner_for(Endpoint.MESSAGES)
    assert b"".join(data for _, data in scan(scanner, [stream])) == stream
    assert scanner.reported() == Reported(USAGE)


def test_a_json_error_body_is_malformed() -> None:
    with pytest.raises(MalformedStream, match="busy"):
        scan(scanner_for(Endpoint.MESSAGES), [b'{"type":"error","error":{"message":"busy"}}'])
