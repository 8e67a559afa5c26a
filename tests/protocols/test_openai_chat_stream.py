"""Chat completions and completions, streamed."""

import pytest
from tests.protocols.scanning import ASKING, scan, scanner_for
from tests.protocols.transcripts import CHAT_EACH, CHAT_TEXT, CHAT_TOOLS, DONE, USAGE_FRAME, chat, frame

from headgate.model.dialect import Endpoint
from headgate.model.usage import Reported, Usage
from headgate.protocols.codec import FrameTooLarge, MalformedStream, PieceKind, codec_for

CHAT = codec_for(Endpoint.CHAT)
USAGE = Usage(input=40, cache_read=60, output=20, reasoning=5)


def test_a_stream_whose_client_did_not_ask_for_usage() -> None:
    scanner = scanner_for(Endpoint.CHAT)
    assert scan(scanner, CHAT_TEXT) == [
        (PieceKind.PREAMBLE, CHAT_TEXT[0]),
        (PieceKind.CONTENT, b"".join(CHAT_TEXT[1:5])),
        (PieceKind.TERMINAL, DONE),
    ]
    assert scanner.reported() == Reported(USAGE)
    assert (scanner.finish_reason, scanner.complete, scanner.terminal_seen) == ("stop", True, True)
    assert (scanner.response_id, scanner.error_message) == ("chatcmpl-1", None)
    assert scanner.streamed_output_bytes == sum(map(len, CHAT_TEXT[1:5]))


def test_a_client_that_asked_for_usage_gets_every_byte() -> None:
    scanner = scanner_for(Endpoint.CHAT, ASKING)
    assert b"".join(data for _, data in scan(scanner, CHAT_TEXT)) == b"".join(CHAT_TEXT)
    assert scanner.reported() == Reported(USAGE)


def test_plain_content_is_handed_on_without_a_copy() -> None:
    scanner = scanner_for(Endpoint.CHAT)
    scanner.feed(chat({"content": "a"}))
    plain = chat({"content": "b"}) + b": ping\n\n" + chat({"content": 'say "usage":{ \\'})
    assert scanner.feed(plain) is plain


def test_tools_reasoning_comments_usage_with_choices_and_no_done() -> None:
    scanner = scanner_for(Endpoint.CHAT)
    assert scan(scanner, CHAT_TOOLS) == [
        (PieceKind.PREAMBLE, b"".join(CHAT_TOOLS[:2])),
        (PieceKind.CONTENT, b"".join(CHAT_TOOLS[2:])),
    ]
    assert scanner.reported() == Reported(USAGE)
    assert (scanner.complete, scanner.terminal_seen, scanner.finish_reason) == (True, False, "tool_calls")


def test_usage_on_every_frame_counts_once_and_the_last_one_wins() -> None:
    scanner = scanner_for(Endpoint.CHAT)
    assert b"".join(data for _, data in scan(scanner, CHAT_EACH)) == b"".join(CHAT_EACH)
    assert scanner.reported() == Reported(USAGE)


def test_a_cut_stream_reports_nothing_but_tells_what_was_said() -> None:
    scanner = scanner_for(Endpoint.CHAT)
    scan(scanner, [*CHAT_EACH[:5], CHAT_EACH[5][:-20]])
    assert (scanner.complete, scanner.terminal_seen, scanner.reported()) == (False, False, None)
    assert scanner.partial() == Usage(input=100, output=4)


def test_a_cut_frame_is_not_forwarded() -> None:
    pieces = scan(scanner_for(Endpoint.CHAT), [CHAT_TEXT[1], CHAT_TEXT[2][:-10]])
    assert pieces == [(PieceKind.CONTENT, CHAT_TEXT[1])]


def test_a_last_frame_without_its_blank_line_gets_one() -> None:
    scanner = scanner_for(Endpoint.CHAT)
    assert scan(scanner, [CHAT_TEXT[1], b"data: [DONE]"])[-1] == (PieceKind.TERMINAL, DONE)
    assert scanner.terminal_seen


def test_every_choice_must_finish() -> None:
    scanner = scanner_for(Endpoint.CHAT, b'{"model":"m","stream":true,"n":2}')
    scan(scanner, [chat({"content": "a"}), chat(finish="stop")])
    assert not scanner.complete
    scan(scanner, [chat(finish="length", index=1)])
    assert scanner.complete


def test_crlf_frames_are_kept() -> None:
    stream = b"".join(CHAT_TEXT).replace(b"\n", b"\r\n")
    scanner = scanner_for(Endpoint.CHAT, ASKING)
    assert b"".join(data for _, data in scan(scanner, [stream])) == stream
    assert scanner.reported() == Reported(USAGE)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (frame({"error": {"message": "boom", "type": "server_error"}}), "server_error"),
        (frame({"error": {"message": "boom", "code": 502}}), "502"),
        (frame({"error": "boom"}), None),
        (frame({"object": "error", "message": "boom", "type": "x"}), "x"),
        (frame({"message": "boom"}, "error"), None),
    ],
)
@pytest.mark.parametrize("before", [[], [CHAT_TEXT[1]]])
def test_an_error_inside_a_200(said: bytes, kind: str | None, before: list[bytes]) -> None:
    scanner = scanner_for(Endpoint.CHAT)
    assert scan(scanner, [*before, said])[-1] == (PieceKind.ERROR, said)
    assert (scanner.error_message, scanner.error_type) == ("boom", kind)
    assert scanner.reported() is None


def test_an_error_of_null_is_no_error() -> None:
    scanner = scanner_for(Endpoint.CHAT)
    assert scan(scanner, [chat({"content": "a"}, error=None)])[0][0] is PieceKind.CONTENT


def test_whatever_follows_the_end_is_terminal() -> None:
    assert scan(scanner_for(Endpoint.CHAT), [CHAT_TEXT[1] + DONE, b": bye\n\n"])[1:] == [
        (PieceKind.TERMINAL, DONE + b": bye\n\n")
    ]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html><title>Bad Gateway</title>\n\n</html>", "Bad Gateway"),
        (b'{"error":{"message":"no credit"}}', "no credit"),
        (b'{\n\n"error":1}', "not an event stream"),
        (b"data: not json\n\n", "not json"),
        (b"data: [1]\n\n", "not an event stream"),
    ],
)
def test_what_is_no_stream_is_malformed_before_content(body: bytes, said: str) -> None:
    with pytest.raises(MalformedStream, match=said):
        scan(scanner_for(Endpoint.CHAT), [body])


def test_odd_frames_pass_after_content() -> None:
    odd = [b"data: not json [DONE]\n\n", b"<html>\n\n", b'data: {"error": nope\n\n', b"data: [1]\n\n"]
    assert scan(scanner_for(Endpoint.CHAT), [CHAT_TEXT[1], *odd]) == [
        (PieceKind.CONTENT, b"".join([CHAT_TEXT[1], *odd]))
    ]


def test_a_frame_of_20_mb_is_refused_also_after_content() -> None:
    scanner = scanner_for(Endpoint.CHAT)
    scanner.feed(CHAT_TEXT[1])
    with pytest.raises(FrameTooLarge):
        scanner.feed(b"data: " + b"x" * 20_000_000 + b"\n\n")


def test_completions_stream_text() -> None:
    first = frame({"id": "c", "choices": [{"text": "", "index": 0, "finish_reason": None}]})
    second = frame({"id": "c", "choices": [{"text": "a", "index": 0, "finish_reason": None}]})
    pieces = scan(scanner_for(Endpoint.COMPLETIONS), [first, second, USAGE_FRAME])
    assert pieces == [(PieceKind.PREAMBLE, first), (PieceKind.CONTENT, second)]


def test_azures_empty_choices_are_preamble_and_groqs_usage_is_found() -> None:
    azure = frame({"choices": [], "prompt_filter_results": []})
    groq = chat(finish="stop", x_groq={"usage": {"prompt_tokens": 3, "completion_tokens": 4}})
    scanner = scanner_for(Endpoint.CHAT)
    assert scan(scanner, [azure, chat({"content": "a"}), groq])[0] == (PieceKind.PREAMBLE, azure)
    assert scanner.reported() == Reported(Usage(input=3, output=4))
