import pytest

from headgate.protocols.failure_text import failure_text


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error":{"message":"no such model","type":"x"}}', "no such model"),
        (b'{"error":"plain"}', "plain"),
        (b'{"message":"top"}', "top"),
        (b'{"detail":"Not Found"}', "Not Found"),
        (b'{"detail":[{"loc":["body"],"msg":"field required"}]}', "field required"),
        (b'[{"error":{"code":400,"message":"bad key"}}]', "bad key"),
        (b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', "Overloaded"),
        (b'{"error":{"code":5},"message":"top"}', "top"),
        (b"upstream connect error\nreset", "upstream connect error reset"),
        (b"<html><head><title>502 Bad Gateway</title></head><body><h1>x</h1></body></html>", "502 Bad Gateway"),
        (b"<p>gone <b>away</b></p>", "gone away"),
        (b'{"error":{"message":"a\\u0000b\\u202ec\\nd"}}', "a b c d"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"{}", ""),
        (b"[]", ""),
        (b"", ""),
        (b'{"error":{"error":{"error":{"error":"deep"}}}}', ""),
    ],
)
def test_the_message_is_found(body: bytes, said: str) -> None:
    assert failure_text(body) == said


def test_long_messages_are_shortened() -> None:
    text = failure_text(b'{"error":"' + b"x" * 5000 + b'"}')
    assert len(text) == 300
    assert text.endswith("…")


def test_deep_json_is_taken_as_text() -> None:
    assert failure_text(b"[" * 100_000).startswith("[[[")
