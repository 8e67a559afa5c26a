"""The official SDKs read what the codecs write, over their own in-memory transport."""

from collections.abc import Callable
from typing import get_args

import anthropic
import httpx2
import msgspec
import openai
import pytest
from anthropic.types.shared.error_type import ErrorType
from tests.protocols.transcripts import CHAT_TEXT, MESSAGES, RESPONSES

from headgate.model.dialect import Endpoint
from headgate.model.errors import STATUS, ErrorKind, HeadgateError
from headgate.protocols.codec import codec_for

Answer = Callable[[httpx2.Request], httpx2.Response]
KINDS = list(ErrorKind)
ANTHROPIC_ONLY = {"request_too_large"}


def openai_client(answer: Answer) -> openai.OpenAI:
    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    return openai.OpenAI(api_key="k", base_url="http://gate/v1", http_client=http, max_retries=0)


def anthropic_client(answer: Answer) -> anthropic.Anthropic:
    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    return anthropic.Anthropic(api_key="k", base_url="http://gate", http_client=http, max_retries=0)


def body(content: bytes, status: int) -> Answer:
    headers = {"content-type": "application/json"}
    return lambda _: httpx2.Response(status, content=content, headers=headers)


def stream(*frames: bytes) -> Answer:
    headers = {"content-type": "text/event-stream"}
    return lambda _: httpx2.Response(200, content=b"".join(frames), headers=headers)


def error_of(kind: ErrorKind) -> HeadgateError:
    return HeadgateError(kind, 'it "failed"\nhere', param="model")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("endpoint", [Endpoint.CHAT, Endpoint.RESPONSES])
def test_openai_reads_every_error(kind: ErrorKind, endpoint: Endpoint) -> None:
    content = codec_for(endpoint).encode_error(error_of(kind), "call-1")
    client = openai_client(body(content, STATUS[kind]))
    with pytest.raises(openai.APIStatusError) as caught:
        client.models.list()
    error = caught.value
    assert set(msgspec.json.decode(content)["error"]) == {"message", "type", "param", "code"}
    assert (error.status_code, error.param) == (STATUS[kind], "model")
    assert error.code == (None if kind is ErrorKind.INVALID_REQUEST else kind.value)
    assert error.type
    assert isinstance(error.body, dict)
    assert error.body["message"] == 'it "failed"\nhere'


@pytest.mark.parametrize("kind", KINDS)
def test_anthropic_reads_every_error(kind: ErrorKind) -> None:
    content = codec_for(Endpoint.MESSAGES).encode_error(error_of(kind), "call-1")
    client = anthropic_client(body(content, STATUS[kind]))
    with pytest.raises(anthropic.APIStatusError) as caught:
        client.models.list()
    said = msgspec.json.decode(content)
    assert said["type"] == "error"
    assert said["request_id"] == "call-1"
    assert set(said["error"]) == {"type", "message"} | ({"details"} if kind is ErrorKind.THREAD_NOT_FOUND else set())
    assert caught.value.status_code == STATUS[kind]
    assert said["error"]["type"] in {*get_args(ErrorType), *ANTHROPIC_ONLY}


@pytest.mark.parametrize("kind", [ErrorKind.UPSTREAM_ERROR, ErrorKind.UPSTREAM_TIMEOUT])
def test_the_openai_sdk_raises_on_a_broken_chat(kind: ErrorKind) -> None:
    event = codec_for(Endpoint.CHAT).encode_error_event(error_of(kind), None)
    client = openai_client(stream(*CHAT_TEXT[:3], event))
    got = 0
    with pytest.raises(openai.APIError, match="failed") as caught:  # noqa: PT012  reading is what raises
        for _ in client.chat.completions.create(model="m", messages=[], stream=True):
            got += 1
    assert (got, caught.value.code) == (3, kind.value)


def test_the_openai_sdk_raises_on_a_broken_response() -> None:
    event = codec_for(Endpoint.RESPONSES).encode_error_event(error_of(ErrorKind.UPSTREAM_ERROR), None, 8)
    client = openai_client(stream(*RESPONSES[:8], event))
    with pytest.raises(openai.APIError, match="failed"):
        list(client.responses.create(model="m", input="x", stream=True))
    data = msgspec.json.decode(event.partition(b"data: ")[2])
    documented = {"type", "code", "message", "param", "sequence_number"}
    assert documented <= set(data)
    assert (event.startswith(b"event: error\n"), data["sequence_number"]) == (True, 8)


def test_the_anthropic_sdk_raises_on_a_broken_message() -> None:
    event = codec_for(Endpoint.MESSAGES).encode_error_event(error_of(ErrorKind.UPSTREAM_ERROR), "call-1")
    client = anthropic_client(stream(*MESSAGES[:5], event))
    with pytest.raises(anthropic.APIStatusError, match="failed"):
        list(client.messages.create(model="m", max_tokens=5, messages=[], stream=True))


def test_every_endpoint_has_a_codec() -> None:
    assert all(codec_for(endpoint) for endpoint in Endpoint)
