"""What clients send that no SDK would."""

import socket

import pytest
from tests.e2e.gateway import Gateway
from tests.e2e.wire import MESSAGES, connected, headers_of

from headgate.sim import SimThread

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\0\0\0\4\0\0\0\0\0"


@pytest.mark.parametrize(
    "beginning",
    [b"", b"P", PREFACE[:16], PREFACE, PREFACE + SETTINGS, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"],
    ids=["nothing", "letter", "version", "preface", "settings", "idle"],
)
def test_a_connection_that_asks_nothing_is_given_up(gateway: Gateway, beginning: bytes) -> None:
    with connected(gateway) as connection:
        sock: socket.socket = connection.sock
        sock.sendall(beginning)
        try:
            while sock.recv(65_536):
                continue
        except ConnectionError:
            return


def test_betas_in_several_lines_all_go_upstream(gateway: Gateway, sim: SimThread) -> None:
    body = b'{"model":"anthropic/several-lines","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}'
    with connected(gateway) as connection:
        connection.putrequest("POST", f"/v1/{MESSAGES}")
        for name, value in headers_of(MESSAGES, gateway.key).items():
            connection.putheader(name, value)
        connection.putheader("anthropic-beta", "one")
        connection.putheader("anthropic-beta", "two,three")
        connection.putheader("content-length", str(len(body)))
        connection.endheaders(body)
        assert connection.getresponse().status == 200
    asked = next(request for request in sim.requests if b"several-lines" in request.body)
    assert [value for name, value in asked.headers if name == "anthropic-beta"] == ["one, two,three"]
