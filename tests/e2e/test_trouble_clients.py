"""Clients that are slow, leave, or send what is no request."""

import http.client
import socket
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from tests.e2e.gateway import Gateway
from tests.e2e.limited import books, limit, put
from tests.e2e.processes import poll
from tests.e2e.refusals import recorded, refused, serves_on
from tests.e2e.wire import (
    CHAT,
    MESSAGES,
    RESPONSES,
    ask,
    asked,
    billed,
    body_of,
    connected,
    headers_of,
    hear,
    until_status,
)

from headgate.ledger.views import Filter
from headgate.model.limit import Scope, Unit
from headgate.sim import SimThread


def begin(connection: http.client.HTTPConnection, endpoint: str, key: str, body: bytes, length: int | None) -> None:
    """Send a request's head and a part of its body; `length` None: in chunks."""
    connection.putrequest("POST", f"/v1/{endpoint}")
    for name, value in headers_of(endpoint, key).items():
        connection.putheader(name, value)
    if length is None:
        connection.putheader("transfer-encoding", "chunked")
        connection.endheaders(b"%x\r\n%s\r\n" % (len(body), body))
    else:
        connection.putheader("content-length", str(length))
        connection.endheaders(body)


@pytest.mark.parametrize("length", [1000, None], ids=["length", "chunks"])
@pytest.mark.parametrize("endpoint", [CHAT, MESSAGES])
def test_a_body_that_does_not_come(gateway: Gateway, endpoint: str, length: int | None) -> None:
    with connected(gateway) as connection:
        begin(connection, endpoint, gateway.key, b'{"model": "gpt-sim"', length)
        heard = hear(connection)
    refused(endpoint, heard, 408, code="request_timeout")
    recorded(gateway, heard, "request_timeout")


def test_half_a_head_is_given_up_and_stops_nobody(gateway: Gateway) -> None:
    with connected(gateway) as connection:
        connection.sock.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bea")
        assert ask(gateway, CHAT, body_of(CHAT, "gpt-sim")).status == 200
        said = connection.sock.recv(10_000)
    assert said == b"" or said.startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("junk", [b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"\r\n" * 50 + b"\x00" * 50])
def test_what_is_no_request_at_all_ends_its_connection(gateway: Gateway, junk: bytes) -> None:
    with connected(gateway) as connection:
        connection.sock.sendall(junk)
        connection.sock.shutdown(socket.SHUT_WR)
        said = connection.sock.recv(10_000)
    assert said == b"" or said.startswith(b"HTTP/1.1 400")
    assert ask(gateway, CHAT, body_of(CHAT, "gpt-sim")).status == 200


def gone(gateway: Gateway, *, key: str | None = None, model: str | None = None) -> dict[str, Any]:
    """Wait for the row of a client that left, and return it."""
    rows = gateway.until(lambda reader: reader.calls(Filter(outcome="client_gone", key=key, model=model)))
    assert len(rows) == 1
    return gateway.call(rows[0]["id"])


def test_a_client_that_leaves_in_the_middle_of_its_body(gateway: Gateway) -> None:
    secret = gateway.new_key("leaves-early")
    until_status(gateway, secret, 200)
    with connected(gateway) as connection:
        begin(connection, CHAT, secret, b'{"model": "gpt-sim"', 1000)
    row = gone(gateway, key="leaves-early")
    assert (row["status"], row["attempts"], row["cost_nano"]) == (499, [], 0)


@pytest.mark.parametrize("endpoint", [CHAT, RESPONSES, MESSAGES])
def test_a_client_that_leaves_a_stream(gateway: Gateway, sim: SimThread, endpoint: str) -> None:
    """The upstream is let go at once; a vendor that bills on is owed the hold, one that stops what was streamed."""
    kind = {CHAT: "openai", RESPONSES: "openai_responses", MESSAGES: "anthropic"}[endpoint]
    for place in ("plain", "stops"):
        name = f"leaves-{place}-{kind}"
        leave(gateway, sim, endpoint, f"{place}-{kind}/{name}", gateway.key, stream=True)
        sim.until(lambda name=name: asked(sim, name)[0].disconnected)  # type: ignore[misc]  # bound in the loop
        row = gone(gateway, model=name)
        [attempt] = row["attempts"]
        assert (row["status"], attempt["failure"], row["basis"]) == (200, "client_gone", "estimated")
        assert billed(*asked(sim, name)) <= row["cost_nano"]
        assert (row["cost_nano"] == attempt["hold_nano"]) == (place == "plain")


@pytest.mark.parametrize(
    ("endpoint", "provider", "stream", "extra"),
    [
        (CHAT, "openai", False, {}),
        (MESSAGES, "anthropic", False, {}),
        (RESPONSES, "responses", True, {"reasoning": {"effort": "low"}}),
        (CHAT, "drains", True, {}),
    ],
    ids=["chat", "messages", "reasoning", "provider-says-so"],
)
def test_a_client_that_leaves_what_is_drained_pays_what_it_costs(
    gateway: Gateway, sim: SimThread, endpoint: str, provider: str, stream: bool, extra: dict[str, Any]
) -> None:
    name = f"drained-{provider}-{stream}"
    watched = stream or endpoint == MESSAGES
    secret = gateway.new_key(name)
    limits = put(gateway.ledger_url, limit(Scope.KEY, name, Unit.CONCURRENCY, 1)) if watched else []
    until_status(gateway, secret, 200)
    leave(gateway, sim, endpoint, f"{provider}/{name}", secret, stream=stream, **extra)
    for at_once in limits:  # a call whose client is known to have left is none at once
        poll(lambda at_once=at_once: books(gateway.ledger_url).limits[at_once] == (0, 0))  # type: ignore[misc]
    sim.release()
    rows = gateway.until(lambda reader: reader.calls(Filter(model=name)))
    row = gateway.call(rows[0]["id"])
    # A unary call's client is watched where it takes a place of those at once, and else nobody misses it.
    assert row["outcome"] == ("client_gone" if watched else "ok")
    [request] = asked(sim, name)
    assert request.finished
    assert (row["cost_nano"], row["basis"]) == (billed(request), "computed")
    assert row["output"] == request.usage.output > 0


def leave(
    gateway: Gateway, sim: SimThread, endpoint: str, model: str, secret: str, *, stream: bool, **extra: Any
) -> None:
    """Ask for an answer that the upstream holds back, and leave: a stream after its first content."""
    name = model.partition("/")[2]
    body = body_of(endpoint, model, "[[sim fault=hold tokens=20]]", stream=stream) | extra
    with connected(gateway) as connection:
        connection.request("POST", f"/v1/{endpoint}", msgspec.json.encode(body), headers_of(endpoint, secret))
        if stream:
            answer = connection.getresponse()
            assert answer.read1(1)
        else:
            sim.until(lambda: len(asked(sim, name)) == 1)


def test_a_client_that_reads_slowly_stops_nobody_and_gets_all(gateway: Gateway, sim: SimThread) -> None:
    body = body_of(CHAT, "openai/slow-reader", "[[sim tokens=5000]]", stream=True, max_tokens=5_000)
    heard = b""
    with connected(gateway) as connection:
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        connection.request("POST", f"/v1/{CHAT}", msgspec.json.encode(body), headers_of(CHAT, gateway.key))
        answer = connection.getresponse()
        for _ in range(20):
            heard += answer.read(100)
            assert ask(gateway, CHAT, body_of(CHAT, "gpt-sim")).status == 200
        heard += answer.read()
    [request] = asked(sim, "slow-reader")
    assert heard == request.answer
    row = gateway.call(answer.headers["x-headgate-call"])
    assert (row["outcome"], row["cost_nano"]) == ("ok", billed(request))


@pytest.fixture(autouse=True)
def _serves_on(gateway: Gateway) -> Iterator[None]:
    yield
    serves_on(gateway)
