"""What clients do wrong: each gets an error in its own dialect, and a row where a call had begun."""

import gzip
import zlib
from collections.abc import Iterator
from typing import Any

import anthropic
import msgspec
import openai
import pytest
from tests.e2e.gateway import Gateway
from tests.e2e.refusals import recorded, refused, serves_on
from tests.e2e.wire import (
    CHAT,
    COMPLETIONS,
    COUNT,
    EMBEDDINGS,
    MESSAGES,
    PROVIDER,
    RESPONSES,
    STREAMED,
    ask,
    asked,
    body_of,
    headers_of,
    send,
)

from headgate.sim import SimThread

ENDPOINTS = (*STREAMED, EMBEDDINGS, COUNT)
LIMIT = 32 * 1024 * 1024
MODEL = {endpoint: "claude-sim" if name == "anthropic" else "gpt-sim" for endpoint, name in PROVIDER.items()}
BROKEN = {
    "empty": (b"", "empty"),
    "blank": (b" \n", "empty"),
    "cut": (b'{"model": "gpt-sim", "messa', "JSON"),
    "trailing": (b'{"model": "gpt-sim"} x', "JSON"),
    "two": (b'{"model": "gpt-sim"}{"model": "gpt-sim"}', "JSON"),
    "single-quotes": (b"{'model': 'gpt-sim'}", "JSON"),
    "no-number": (b'{"model": "gpt-sim", "n": NaN}', "JSON"),
    "form": (b"model=gpt-sim&n=1", "JSON"),
    "bytes": (b"\x00\xff\xfe", "JSON"),
    "mark": (b'\xef\xbb\xbf{"model": "gpt-sim"}', "byte order mark"),
    "utf8-in-key": (b'{"model": "gpt-sim", "\xff": 1}', "UTF-8"),
    "array": (b'[{"model": "gpt-sim"}]', "object"),
    "string": (b'"gpt-sim"', "object"),
    "null": (b"null", "object"),
    "twice": (b'{"model": "gpt-sim", "stream": true, "stream": false}', '"stream" twice'),
    "twice-escaped": (b'{"model": "gpt-sim", "m\\u006fdel": "other"}', '"model" twice'),
    "deep": (b'{"model": "gpt-sim", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deep"),
    "deep-objects": (b'{"model": "gpt-sim", "x": ' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001, "nested too deep"),
}


@pytest.mark.parametrize("body", BROKEN)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_body_that_is_no_request(gateway: Gateway, endpoint: str, body: str) -> None:
    data, words = BROKEN[body]
    heard = ask(gateway, endpoint, data)
    assert words in refused(endpoint, heard, 400)
    recorded(gateway, heard, "invalid_request")


WRONG = {
    "model-missing": ({}, "model"),
    "model-empty": ({"model": ""}, "model"),
    "model-blank": ({"model": " \t"}, "model"),
    "model-null": ({"model": None}, "model"),
    "model-number": ({"model": 5}, "model"),
    "model-list": ({"model": ["gpt-sim"]}, "model"),
    "model-long": ({"model": "m" * 10_000}, "model"),
    "model-control": ({"model": "gpt\r\nx-evil: 1"}, "model"),
    "stream": ({"model": "gpt-sim", "stream": "yes"}, "stream"),
    "stream-number": ({"model": "gpt-sim", "stream": 1}, "stream"),
}


@pytest.mark.parametrize("body", WRONG)
@pytest.mark.parametrize("endpoint", STREAMED)
def test_a_field_of_the_wrong_type_is_named(gateway: Gateway, endpoint: str, body: str) -> None:
    fields, param = WRONG[body]
    heard = ask(gateway, endpoint, fields)
    assert param in refused(endpoint, heard, 400, param=param)
    recorded(gateway, heard, "invalid_request")


@pytest.mark.parametrize(
    ("endpoint", "field", "value"),
    [
        (CHAT, "n", "3"),
        (CHAT, "n", 0),
        (CHAT, "max_completion_tokens", -1),
        (CHAT, "max_tokens", 1.5),
        (CHAT, "stream_options", 5),
        (COMPLETIONS, "max_tokens", "many"),
        (RESPONSES, "max_output_tokens", 10**30),
        (MESSAGES, "max_tokens", [1]),
    ],
)
def test_a_number_that_money_depends_on_must_be_one(gateway: Gateway, endpoint: str, field: str, value: Any) -> None:
    heard = ask(gateway, endpoint, body_of(endpoint, MODEL[endpoint], stream=True) | {field: value})
    assert field in refused(endpoint, heard, 400, param=field)
    recorded(gateway, heard, "invalid_request")


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_an_unknown_model_is_told_the_nearest(gateway: Gateway, endpoint: str) -> None:
    asked_for = MODEL[endpoint][:-1] + "n"
    heard = ask(gateway, endpoint, body_of(endpoint, asked_for))
    message = refused(endpoint, heard, 404, param="model", code="model_not_found")
    assert f"'{MODEL[endpoint]}'" in message
    assert recorded(gateway, heard, "model_not_found")["model_asked"] == asked_for


@pytest.mark.parametrize("model", ["nobody/gpt-sim", "openai/", "/", "wholly-unlike-any", "auto", "水" * 50])
def test_a_model_that_nothing_is_near_to(gateway: Gateway, model: str) -> None:
    heard = ask(gateway, CHAT, body_of(CHAT, model))
    refused(CHAT, heard, 404, param="model", code="model_not_found")
    assert recorded(gateway, heard, "model_not_found")["model_asked"] == model


def test_a_model_that_no_translation_leads_to(gateway: Gateway) -> None:
    heard = ask(gateway, COMPLETIONS, body_of(COMPLETIONS, "claude-sim"))
    assert COMPLETIONS in refused(COMPLETIONS, heard, 400, param="model", code="dialect_unavailable")
    recorded(gateway, heard, "dialect_unavailable")


@pytest.mark.parametrize("endpoint", [CHAT, RESPONSES, MESSAGES])
def test_what_only_the_upstream_can_judge_is_its_own_answer(gateway: Gateway, sim: SimThread, endpoint: str) -> None:
    name = f"judged-{endpoint.replace('/', '-')}"
    field = "input" if endpoint == RESPONSES else "messages"
    heard = ask(gateway, endpoint, body_of(endpoint, f"{PROVIDER[endpoint]}/{name}") | {field: 5})
    assert heard.status == 400
    request = next(one for one in list(sim.requests) if name.encode() in one.body)
    assert heard.body == request.answer
    row = gateway.call(heard.call)
    assert (row["outcome"], row["status"], row["cost_nano"]) == ("rejected", 400, 0)
    assert [attempt["failure"] for attempt in row["attempts"]] == ["request_rejected"]


# -- size and encoding -------------------------------------------------------------------------------


def padded(endpoint: str, size: int) -> bytes:
    """Return a request of exactly so many bytes."""
    start = msgspec.json.encode(body_of(endpoint, MODEL[endpoint]))[:-1] + b',"x_pad":"'
    return start + b"x" * (size - len(start) - 2) + b'"}'


@pytest.mark.parametrize("endpoint", [CHAT, RESPONSES, MESSAGES])
def test_a_body_over_the_limit(gateway: Gateway, endpoint: str) -> None:
    heard = ask(gateway, endpoint, padded(endpoint, LIMIT + 1))
    assert str(LIMIT) in refused(endpoint, heard, 413, code="request_too_large")
    recorded(gateway, heard, "request_too_large")


def test_a_body_at_the_limit_passes(gateway: Gateway) -> None:
    heard = ask(gateway, EMBEDDINGS, padded(EMBEDDINGS, LIMIT))
    assert heard.status == 200


def test_a_body_in_chunks_over_the_limit(gateway: Gateway) -> None:
    heard = ask(gateway, CHAT, iter([b"x" * 1024 * 1024] * 33))
    refused(CHAT, heard, 413, code="request_too_large")
    recorded(gateway, heard, "request_too_large")


def test_the_vendors_clients_learn_that_their_body_is_too_large(gateway: Gateway) -> None:
    huge: Any = [{"role": "user", "content": "x" * (LIMIT + 1)}]
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as oai:
        with pytest.raises(openai.APIStatusError) as of_openai:
            oai.chat.completions.create(model="gpt-sim", messages=huge)
        assert (of_openai.value.status_code, of_openai.value.code) == (413, "request_too_large")
    with (
        anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0) as ant,
        pytest.raises(anthropic.RequestTooLargeError),
    ):
        ant.messages.create(model="claude-sim", max_tokens=1, messages=huge)


@pytest.mark.parametrize("endpoint", [CHAT, RESPONSES, MESSAGES])
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_bomb_is_measured_after_decompression(gateway: Gateway, endpoint: str, encoding: str) -> None:
    body = padded(endpoint, LIMIT + 1)
    packed = gzip.compress(body, 1) if encoding == "gzip" else zlib.compress(body, 1)
    assert len(packed) < LIMIT // 100
    heard = ask(gateway, endpoint, packed, content_encoding=encoding)
    refused(endpoint, heard, 413, code="request_too_large")
    recorded(gateway, heard, "request_too_large")


def test_a_compressed_request_is_a_request(gateway: Gateway, sim: SimThread) -> None:
    body = msgspec.json.encode(body_of(CHAT, "openai/packed"))
    heard = ask(gateway, CHAT, gzip.compress(body), content_encoding="gzip")
    assert heard.status == 200
    [request] = asked(sim, "packed")
    assert request.header("content-encoding") is None
    assert msgspec.json.decode(request.body) == msgspec.json.decode(body) | {"model": "packed"}


GZIPPED = gzip.compress(b'{"model": "gpt-sim", "messages": []}')


@pytest.mark.parametrize(
    ("encoding", "body", "status", "code"),
    [
        ("gzip", b'{"model": "gpt-sim"}', 400, None),
        ("gzip", GZIPPED[:-9], 400, None),
        ("gzip", GZIPPED + b"more", 400, None),
        ("br", b"anything", 415, "unsupported_encoding"),
        ("gzip, gzip", gzip.compress(GZIPPED), 415, "unsupported_encoding"),
    ],
    ids=["not-packed", "cut", "more", "unknown", "twice"],
)
@pytest.mark.parametrize("endpoint", [CHAT, MESSAGES])
def test_an_encoding_that_does_not_hold(
    gateway: Gateway, endpoint: str, encoding: str, body: bytes, status: int, code: str | None
) -> None:
    heard = ask(gateway, endpoint, body, content_encoding=encoding)
    refused(endpoint, heard, status, code=code)
    recorded(gateway, heard, code or "invalid_request")


# -- paths, methods, keys ----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_wrong_method(gateway: Gateway, endpoint: str, method: str) -> None:
    heard = send(gateway, method, f"/v1/{endpoint}", headers=headers_of(endpoint, gateway.key))
    refused(endpoint, heard, 405, code="method_not_allowed")
    assert heard.headers["allow"] == "POST"
    assert "x-headgate-call" not in heard.headers


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [
        (CHAT, "/v1/chat/completion"),
        (CHAT, "/v1/chat/completions/"),
        (CHAT, "/chat/completions"),
        (CHAT, "/v1/../v1/chat/completions"),
        (RESPONSES, "/v1/responses/resp_1/cancel"),
        (MESSAGES, "/v1/messages/batches"),
        (MESSAGES, "/v1/complete"),
    ],
)
def test_an_unknown_path(gateway: Gateway, endpoint: str, path: str) -> None:
    heard = send(gateway, "POST", path, {}, headers_of(endpoint, gateway.key))
    refused(endpoint, heard, 404, code="path_not_found")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer "},
        {"authorization": "Bearer hg_wrong"},
        {"authorization": "Basic aGdfd3Jvbmc6"},
        {"x-api-key": "hg_wrong"},
        {"x-api-key": "hg_" + "x" * 5_000},
        {"x-api-key": "caf\xe9"},
    ],
    ids=["none", "empty", "wrong", "basic", "wrong-x", "long", "latin"],
)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_without_a_key_that_holds_nothing_is_served(
    gateway: Gateway, sim: SimThread, endpoint: str, headers: dict[str, str]
) -> None:
    name = "keyless"
    version = {"anthropic-version": "2023-06-01"} if endpoint in (MESSAGES, COUNT) else {}
    body = body_of(endpoint, f"{PROVIDER[endpoint]}/{name}")
    heard = send(gateway, "POST", f"/v1/{endpoint}", body, headers | version)
    message = refused(endpoint, heard, 401, code="invalid_api_key")
    assert all(value not in message for value in headers.values())
    assert not asked(sim, name)


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/gpt-sim", "/v1/usage"])
def test_lists_want_a_key_too(gateway: Gateway, path: str) -> None:
    refused(CHAT, send(gateway, "GET", path), 401, code="invalid_api_key")
    refused(MESSAGES, send(gateway, "GET", path, headers=headers_of(MESSAGES, "hg_wrong")), 401)


@pytest.fixture(autouse=True)
def _serves_on(gateway: Gateway) -> Iterator[None]:
    yield
    serves_on(gateway)
