"""What an upstream's error is about, in the words of every vendor."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.model.errors import ErrorKind
from headgate.protocols.failure_cause import Cause, failure_cause

CONTEXT = ErrorKind.CONTEXT_LENGTH_EXCEEDED


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":{"message":"long","type":"invalid_request_error","param":"x","code":"context_length_exceeded"}}',
        b'{"type":"error","code":"context_length_exceeded","message":"no","param":"input","sequence_number":3}',
        b'{"response":{"status":"failed","error":{"code":"context_length_exceeded","message":"no"}}}',
        b'{"error":{"code":400,"message":"no","type":"exceed_context_size_error","n_ctx":4096}}',
        b'{"error":{"code":500,"message":"Context size has been exceeded.","type":"server_error"}}',
        b'{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 21 tokens > 20"}}',
        b'{"error":{"message":"input length and `max_tokens` exceed context limit: 178959 + 64000 > 200000"}}',
        b'{"error":{"message":"Your input exceeds the context window of this model."}}',
        b'{"object":"error","message":"This model\'s maximum context length is 262144 tokens.","code":400}',
        b'{"error":"This model\'s maximum prompt length is 131072 but the request contains 537812 tokens."}',
        b'[{"error":{"message":"The input token count (9) exceeds the maximum number of tokens allowed (8)."}}]',
        b'{"message":"Input is too long for requested model."}',
        b"the request exceeds the available context size, try increasing it",
    ],
)
def test_a_prompt_that_is_too_long(body: bytes) -> None:
    assert failure_cause(body).told is CONTEXT


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', ErrorKind.SERVICE_UNAVAILABLE),
        (b'{"error":{"type":"requests","code":"rate_limit_exceeded"}}', ErrorKind.RATE_LIMIT_EXCEEDED),
        (b'{"error":{"code":429,"message":"Provider says: slow"}}', ErrorKind.RATE_LIMIT_EXCEEDED),
        (b'{"code":"rate_limit_exceeded","message":"slow"}', ErrorKind.RATE_LIMIT_EXCEEDED),
        (b'{"error":{"type":"timeout_error","message":"late"}}', ErrorKind.UPSTREAM_TIMEOUT),
        (b'{"error":{"type":"server_error","code":null}}', None),
        (b'{"error":{"type":"invalid_request_error","code":"invalid_api_key"}}', None),
        (b'{"error":{"code":true}}', None),
        (b'{"error":{"code":10000000000000000000000}}', None),
        (b'{"error":{"code":["429"],"type":{"a":1}}}', None),
        (b'{"error":"boom"}', None),
        (b"<html>", None),
        (b"", None),
    ],
)
def test_what_is_told_of_other_errors(body: bytes, told: ErrorKind | None) -> None:
    assert failure_cause(body).told is told


def test_the_member_at_fault_as_the_upstream_knows_it() -> None:
    assert failure_cause(b'{"error":{"message":"no","param":"temperature"}}').param == "temperature"
    assert failure_cause(b'{"error":{"message":"no","param":["temperature"]}}').param is None
    assert failure_cause(b'{"error":{"param":"%s"}}' % (b"x" * 201)).param is None


def test_an_empty_account_behind_the_providers_key() -> None:
    body = b'{"error":{"type":"invalid_request_error","message":"Your credit balance is too low to go on."}}'
    assert failure_cause(body) == Cause(unpaid=True)


@given(
    st.binary(max_size=200)
    | st.from_regex(rb'\{"(error|response|type)": ?[\[{"]?"(code|type|error)?"?:?[0-9a-z"{}\]]{0,20}', fullmatch=True)
)
def test_no_body_breaks_it(body: bytes) -> None:
    assert isinstance(failure_cause(body), Cause)
