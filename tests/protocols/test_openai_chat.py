"""Chat completions and completions: requests, and answers in one piece."""

from typing import Any

import msgspec
import pytest
from tests.protocols.scanning import ASKING

from headgate.model.dialect import Dialect, Endpoint
from headgate.model.errors import HeadgateError
from headgate.model.usage import Reported, Usage
from headgate.protocols.codec import codec_for
from headgate.protocols.json_object import is_object

CHAT = codec_for(Endpoint.CHAT)
USAGE = Usage(input=40, cache_read=60, output=20, reasoning=5)


def outgoing(body: bytes, name: str = "m", most: int | None = None, endpoint: Endpoint = Endpoint.CHAT) -> bytes:
    return CHAT.outgoing(CHAT.read_head(endpoint, body), name, most)


def test_the_head_of_a_chat() -> None:
    body = (
        b'{"model":"gpt-5","messages":[],"stream":true,"stream_options":{"include_usage":true},"n":2,'
        b'"max_tokens":10,"max_completion_tokens":20,"tools":[{}],"reasoning_effort":"low"}'
    )
    head = CHAT.read_head(Endpoint.CHAT, body)
    assert (head.endpoint, head.dialect, head.model, head.stream) == (
        Endpoint.CHAT, Dialect.OPENAI_CHAT, "gpt-5", True
    )  # fmt: skip
    assert (head.include_usage, head.max_output, head.n, head.has_tools, head.reasoning) == (True, 20, 2, True, True)
    assert head.body is body


def test_null_is_absent() -> None:
    body = (
        b'{"model":"m","stream":null,"stream_options":null,"max_tokens":null,"n":null,"tools":null,'
        b'"functions":[ ],"reasoning_effort":null}'
    )
    head = CHAT.read_head(Endpoint.CHAT, body)
    assert (head.stream, head.include_usage, head.max_output, head.n) == (False, False, None, 1)
    assert (head.has_tools, head.reasoning) == (False, False)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{}", "model"),
        (b'{"model":""}', "model"),
        (b'{"model":"  "}', "model"),
        (b'{"model":5}', "model"),
        (b'{"model":null}', "model"),
        (b'{"model":"\xff"}', "model"),
        (b'{"model":"a\\nb"}', "model"),
        (b'{"model":"' + b"x" * 257 + b'"}', "model"),
        (b'{"model":"m","stream":"true"}', "stream"),
        (b'{"model":"m","stream":1}', "stream"),
        (b'{"model":"m","max_tokens":"5"}', "max_tokens"),
        (b'{"model":"m","max_tokens":-1}', "max_tokens"),
        (b'{"model":"m","max_tokens":1.0}', "max_tokens"),
        (b'{"model":"m","max_tokens":1e3}', "max_tokens"),
        (b'{"model":"m","max_completion_tokens":true}', "max_completion_tokens"),
        (b'{"model":"m","max_completion_tokens":1' + b"0" * 5000 + b"}", "max_completion_tokens"),
        (b'{"model":"m","n":0}', "n"),
        (b'{"model":"m","n":[]}', "n"),
        (b'{"model":"m","stream":true,"stream_options":[]}', "stream_options"),
        (b'{"model":"m","stream":true,"stream_options":{"include_usage":1}}', "stream_options.include_usage"),
        (
            b'{"model":"m","stream":true,"stream_options":{"include_usage":false,"include_usage":true}}',
            "stream_options",
        ),
    ],
)
def test_bad_fields_are_refused_by_name(body: bytes, param: str) -> None:
    with pytest.raises(HeadgateError) as caught:
        CHAT.read_head(Endpoint.CHAT, body)
    assert (caught.value.status, caught.value.param) == (400, param)


def test_a_huge_maximum_is_legal() -> None:
    assert CHAT.read_head(Endpoint.CHAT, b'{"model":"m","max_tokens":1000000000000}').max_output == 10**12


@pytest.mark.parametrize(
    ("body", "n"),
    [
        (b'{"model":"m","prompt":"a","n":2}', 2),
        (b'{"model":"m","prompt":"a","n":2,"best_of":5}', 5),
        (b'{"model":"m","prompt":["a","b","c"],"n":2}', 6),
        (b'{"model":"m","prompt":[[1],[2]]}', 2),
        (b'{"model":"m","prompt":[1,2,3]}', 1),
        (b'{"model":"m","prompt":[ "a" , "b" ]}', 2),
        (b'{"model":"m","prompt":[]}', 1),
    ],
)
def test_completions_generate_for_every_prompt_and_candidate(body: bytes, n: int) -> None:
    assert CHAT.read_head(Endpoint.COMPLETIONS, body).n == n


@pytest.mark.parametrize(
    ("member", "asked"),
    [
        (b'"reasoning_effort":"none"', False),
        (b'"reasoning_effort":"high"', True),
        (b'"reasoning":{"effort":"low"}', True),
        (b'"thinking":{"type":"enabled"}', True),
        (b'"thinking":{"type":"disabled"}', False),
        (b'"enable_thinking":false', False),
    ],
)
def test_reasoning_is_seen_when_asked_for(member: bytes, asked: bool) -> None:
    assert CHAT.read_head(Endpoint.CHAT, b'{"model":"m",' + member + b"}").reasoning is asked


def test_nothing_to_change_leaves_the_very_body() -> None:
    for body in (b'{ "model": "m" }', ASKING):
        head = CHAT.read_head(Endpoint.CHAT, body)
        assert CHAT.outgoing(head, "m", None) is body


def test_only_owned_fields_change() -> None:
    body = b'{"temperature":0.70,"model":"a","messages":[ {"x": "\\u00e9"} ],"max_tokens":5}'
    assert outgoing(body, 'b"c', 4) == (
        b'{"temperature":0.70,"model":"b\\"c","messages":[ {"x": "\\u00e9"} ],"max_tokens":4}'
    )


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        (b"", b'{"include_usage":true}'),
        (b',"stream_options":null', b'{"include_usage":true}'),
        (b',"stream_options":{}', b'{"include_usage":true}'),
        (b',"stream_options":{"include_usage":false,"x":[ 1.0 ]}', b'{"include_usage":true,"x":[ 1.0 ]}'),
        (b',"stream_options":{"x":1,"include_usage":null}', b'{"x":1,"include_usage":true}'),
    ],
)
def test_streams_ask_for_usage(options: bytes, sent: bytes) -> None:
    body = outgoing(b'{"model":"m","stream":true' + options + b"}")
    assert body == b'{"model":"m","stream":true,"stream_options":' + sent + b"}"


def test_the_maximum_goes_where_the_client_put_it() -> None:
    assert outgoing(b'{"model":"m"}', most=9) == b'{"model":"m","max_completion_tokens":9}'
    assert outgoing(b'{"model":"m","max_tokens":50}', most=9) == b'{"model":"m","max_tokens":9}'
    both = b'{"model":"m","max_tokens":50,"max_completion_tokens":60}'
    assert outgoing(both, most=9) == b'{"model":"m","max_tokens":9,"max_completion_tokens":9}'
    assert outgoing(b'{"model":"m"}', most=9, endpoint=Endpoint.COMPLETIONS) == b'{"model":"m","max_tokens":9}'
    assert outgoing(b'{"model":"m"}', most=9, endpoint=Endpoint.EMBEDDINGS) == b'{"model":"m"}'


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 8, "total_tokens": 8}, Usage(input=8)),
        (
            {"prompt_tokens": 8, "completion_tokens": 2, "prompt_cache_hit_tokens": 6, "prompt_cache_miss_tokens": 2},
            Usage(input=2, cache_read=6, output=2),
        ),
        ({"prompt_tokens": 8, "completion_tokens": 2, "cached_tokens": 5}, Usage(input=3, cache_read=5, output=2)),
        (
            {"prompt_tokens": 8, "completion_tokens": 2, "prompt_tokens_details": None, "completion_tokens_details": 5},
            Usage(input=8, output=2),
        ),
        ({"prompt_tokens": -8, "completion_tokens": 2}, None),
        ({"prompt_tokens": "8", "completion_tokens": 2}, None),
        ({"prompt_tokens": 8.5, "completion_tokens": 2}, None),
        ({}, None),
        (None, None),
        ([1], None),
    ],
)
def test_usage_of_an_answer(usage: Any, expected: Usage | None) -> None:
    reported = CHAT.usage_of(msgspec.json.encode({"id": "x", "usage": usage}))
    assert reported == (None if expected is None else Reported(expected))


def test_usage_of_an_answer_with_its_own_cost() -> None:
    body = b'{"usage":{"prompt_tokens":8,"completion_tokens":2,"total_tokens":10,"cost":0.000123}}'
    assert CHAT.usage_of(body) == Reported(Usage(input=8, output=2), 123_000)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"usage":', b"{}"])
def test_no_usage_without_a_usable_answer(body: bytes) -> None:
    assert CHAT.usage_of(body) is None
    assert is_object(body) is (body == b"{}")
