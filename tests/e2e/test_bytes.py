"""What passes through stays byte for byte what it was: frames and bodies to the client, values to the upstream."""

import re
import zlib

import msgspec
import pytest
from tests.e2e.gateway import Gateway
from tests.e2e.wire import (
    CHAT,
    COMPLETIONS,
    COUNT,
    EMBEDDINGS,
    MESSAGES,
    PROVIDER,
    RESPONSES,
    STREAMED,
    Heard,
    ask,
    asked,
    body_of,
)

from headgate.sim import SimThread

UNARY = (*STREAMED, EMBEDDINGS, COUNT)
READ = msgspec.json.Decoder(dict[str, msgspec.Raw])

ODD_VALUES = {
    CHAT: b"""{"temperature" :\t1.0e0,
 "messages":[ {"role":"user","content":"h\\u00e9\\/ \\ud83c\\udf0a caf\xc3\xa9 %(text)s"} ] ,
 "\\u0078_unknown": {"a":1E+2,"a":-0,"deep":[[[[]]]],"big":123456789012345678901234567890, "f":0.10},
"model":"%(model)s","top_p":0.90 , "seed":12345678901234567890,"stop":null, "metadata" : {}, "stream" :%(stream)s}""",
    COMPLETIONS: b"""{ "prompt":"\\u0068i %(text)s","max_tokens":7 ,"logit_bias":{"50256":-1E2}, "model" : "%(model)s",
"x-\xc3\xa9":"\\"","stream":%(stream)s,"temperature":1.0e0}""",
    RESPONSES: b"""{"input":[{"role":"user","content":[ {"type":"input_text","text":"\\/%(text)s"} ]}], "store" : false,
"temperature":0.70,"model":"%(model)s" ,"x_unknown":[1.0,1E2,{"k" : null}],"stream":%(stream)s}""",
    MESSAGES: b"""{"max_tokens":100,"stream":%(stream)s, "system":[ {"type":"text","text":"\\u00e9"} ],"messages":
[{"role":"user","content":"%(text)s\\u000a"}], "top_k":5,
"temperature":0.50,"model":"%(model)s","x_unknown":{"n":-0.0}}""",
}
"""Requests in spellings that are lost as soon as anyone parses and rewrites them."""


def both(gateway: Gateway, sim: SimThread, endpoint: str, name: str, text: str, **options: bool) -> tuple[Heard, bytes]:
    """Return what the client heard, and what the upstream said."""
    heard = ask(gateway, endpoint, body_of(endpoint, f"{PROVIDER[endpoint]}/{name}", text, **options))
    assert heard.status == 200, heard.body
    assert heard.whole
    [request] = asked(sim, name)
    return heard, request.answer


def named(endpoint: str, *parts: str) -> str:
    return "-".join(["bytes", endpoint.replace("/", "-"), *parts])


@pytest.mark.parametrize("fault", ["none", "crlf", "drip", "comments", "usage-on-last", "usage-every", "no-usage"])
@pytest.mark.parametrize("endpoint", STREAMED)
def test_a_stream_is_forwarded_as_it_came(gateway: Gateway, sim: SimThread, endpoint: str, fault: str) -> None:
    suffix = [] if fault == "none" else ["sim", fault]
    # A drip sends every byte by itself, so it gets a short answer.
    text = "[[sim tokens=2]]" if fault == "drip" else "[[sim tokens=30 frame=2]]"
    heard, answer = both(gateway, sim, endpoint, named(endpoint, "stream", *suffix), text, stream=True)
    assert heard.body == answer
    assert b"x_sim" in answer
    assert heard.headers["content-type"].startswith("text/event-stream")
    assert gateway.call(heard.call)["outcome"] == "ok"


@pytest.mark.parametrize("fault", ["none", "drip"])
@pytest.mark.parametrize("endpoint", UNARY)
def test_a_unary_answer_is_forwarded_as_it_came(gateway: Gateway, sim: SimThread, endpoint: str, fault: str) -> None:
    suffix = [] if fault == "none" else ["sim", fault]
    heard, answer = both(gateway, sim, endpoint, named(endpoint, "unary", *suffix), "[[sim tokens=2]]")
    assert heard.body == answer
    assert b"x_sim" in answer


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("endpoint", STREAMED)
def test_what_an_upstream_compressed_unasked_is_unpacked(
    gateway: Gateway, sim: SimThread, endpoint: str, stream: bool
) -> None:
    name = named(endpoint, str(stream), "sim-gzip")
    heard, answer = both(gateway, sim, endpoint, name, "[[sim tokens=5]]", stream=stream)
    assert heard.body == zlib.decompress(answer, wbits=31)
    assert "content-encoding" not in heard.headers


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
@pytest.mark.parametrize("endpoint", [CHAT, COMPLETIONS])
def test_only_the_usage_frame_is_kept_from_who_did_not_ask_for_it(
    gateway: Gateway, sim: SimThread, endpoint: str, newline: bytes
) -> None:
    name = named(endpoint, "unasked", *(["sim-crlf"] if newline == b"\r\n" else []))
    body = body_of(endpoint, f"openai/{name}", "[[sim tokens=5]]")
    heard = ask(gateway, endpoint, body | {"stream": True})
    [request] = asked(sim, name)
    frames = request.answer.split(newline * 2)
    kept = [frame for frame in frames if b'"choices":[]' not in frame]
    assert len(frames) == len(kept) + 1
    assert heard.body == (newline * 2).join(kept)
    assert gateway.call(heard.call)["cost_nano"] > 0


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("endpoint", STREAMED)
def test_every_value_of_a_request_arrives_in_its_own_spelling(
    gateway: Gateway, sim: SimThread, endpoint: str, stream: bool
) -> None:
    name = named(endpoint, "odd", str(stream))
    words = {b"model": f"{PROVIDER[endpoint]}/{name}".encode(), b"text": b"[[sim tokens=2]]"}
    body = ODD_VALUES[endpoint] % (words | {b"stream": b"true" if stream else b"false"})
    heard = ask(gateway, endpoint, body)
    assert heard.status == 200, heard.body
    [request] = asked(sim, name)
    sent, came = READ.decode(body), READ.decode(request.body)
    assert bytes(came.pop("model")) == msgspec.json.encode(name)
    del sent["model"]
    if stream and endpoint in (CHAT, COMPLETIONS):
        assert bytes(came.pop("stream_options")) == b'{"include_usage":true}'
    assert [(key, bytes(value)) for key, value in came.items()] == [(key, bytes(value)) for key, value in sent.items()]


@pytest.mark.parametrize("endpoint", [CHAT, COMPLETIONS])
def test_the_clients_other_stream_options_are_kept(gateway: Gateway, sim: SimThread, endpoint: str) -> None:
    name = named(endpoint, "options")
    body = msgspec.json.encode(body_of(endpoint, f"openai/{name}"))[:-1]
    ask(gateway, endpoint, body + b',"stream":true,"stream_options":{"x":1.0 ,"include_usage":false}}')
    [request] = asked(sim, name)
    options = READ.decode(READ.decode(request.body)["stream_options"])
    assert {key: bytes(value) for key, value in options.items()} == {"x": b"1.0", "include_usage": b"true"}


@pytest.mark.parametrize("endpoint", [*STREAMED, EMBEDDINGS, COUNT])
def test_a_body_with_nothing_to_change_is_the_very_same(gateway: Gateway, sim: SimThread, endpoint: str) -> None:
    model = "claude-sim" if PROVIDER[endpoint] == "anthropic" else "gpt-sim"
    marker = named(endpoint, "same")
    plain = msgspec.json.encode(body_of(endpoint, model, stream=endpoint in STREAMED))
    body = re.sub(rb"([:,])", rb"\1 ", plain[:-1], count=2) + b' , "x_marker"\t:"' + marker.encode() + b'" }\n'
    assert ask(gateway, endpoint, body).status == 200
    [request] = [one for one in list(sim.requests) if marker.encode() in one.body]
    assert request.body == body


def test_headers_of_the_client_that_are_its_own_stay_here(gateway: Gateway, sim: SimThread) -> None:
    private = {
        "cookie": "session=c00kie",
        "x_headgate_session": "s-1",
        "x_headgate_include": "meta",
        "proxy_authorization": "Basic cHJveHk=",
        "x_forwarded_for": "10.1.2.3",
        "te": "trailers",
        "user_agent": "client/1",
        "openai_organization": "org-mine",
    }
    for endpoint in (CHAT, RESPONSES, MESSAGES):
        name = named(endpoint, "headers")
        heard = ask(gateway, endpoint, body_of(endpoint, f"{PROVIDER[endpoint]}/{name}"), **private)
        assert heard.status == 200
        [request] = asked(sim, name)
        assert gateway.key not in repr(request.headers)
        came = dict(request.headers)
        assert not came.keys() & {word.replace("_", "-") for word in private} - {"user-agent"}
        assert came["user-agent"].startswith("headgate/")
        assert gateway.call(heard.call)["session"] == "s-1"


def test_headers_that_shape_an_answer_go_upstream(gateway: Gateway, sim: SimThread) -> None:
    ask(gateway, MESSAGES, body_of(MESSAGES, "anthropic/bytes-beta"), anthropic_beta="tools-1,cache-2")
    ask(gateway, CHAT, body_of(CHAT, "openai/bytes-beta-chat"), openai_beta="assistants=v2")
    assert asked(sim, "bytes-beta")[0].header("anthropic-beta") == "tools-1,cache-2"
    assert asked(sim, "bytes-beta")[0].header("anthropic-version") == "2023-06-01"
    assert asked(sim, "bytes-beta-chat")[0].header("openai-beta") == "assistants=v2"
