"""What the other tests rely on: no client can reach anything but this machine."""

import socket

import pytest
from tests.e2e.gateway import Gateway

pytestmark = pytest.mark.clients


def test_a_name_is_not_looked_up(alone: None) -> None:
    with pytest.raises(PermissionError, match=r"telemetry\.example"):
        socket.create_connection(("telemetry.example", 443), timeout=1)


def test_an_address_is_not_connected_to(alone: None) -> None:
    with socket.socket() as connection, pytest.raises(PermissionError, match=r"192\.0\.2\.1"):
        connection.connect(("192.0.2.1", 443))


def test_this_machine_is_reached(gateway: Gateway) -> None:
    host, _, port = gateway.url.removeprefix("http://").partition(":")
    socket.create_connection((host, int(port))).close()
