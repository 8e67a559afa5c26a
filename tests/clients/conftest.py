"""Real clients on one gateway and one simulated upstream of all kinds; nothing may leave this machine.

What is imported here is installed by `make test-clients` alone, so nothing else looks into this folder.
"""

import ipaddress
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from tests.clients.given import configuration
from tests.e2e.gateway import Gateway
from tests.e2e.wire import leaks

from headgate.sim import SimThread

QUIET = {
    "OPENAI_AGENTS_DISABLE_TRACING": "1",
    "LANGSMITH_TRACING": "false",
    "LANGCHAIN_TRACING_V2": "false",
    "OTEL_SDK_DISABLED": "true",
}
"""Telemetry of the clients, off."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return None if config.option.markexpr == "clients" else True


def _refuse_strangers(event: str, args: tuple[Any, ...]) -> None:
    if event == "socket.getaddrinfo":
        host = args[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(args[1], tuple):
        host = args[1][0]
    else:
        return
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return
    try:
        if ipaddress.ip_address(name).is_loopback:
            return
    except ValueError:
        pass
    raise PermissionError(f"a client wants to reach {name}")


@pytest.fixture(scope="session", autouse=True)
def alone() -> None:
    """Turn telemetry off, and let no client reach anything but this machine."""
    os.environ.update(QUIET)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        os.environ.pop(name, None)
    sys.addaudithook(_refuse_strangers)


@pytest.fixture(scope="session")
def sim() -> Iterator[SimThread]:
    with SimThread(seed=1) as running:
        yield running


@pytest.fixture(scope="session")
def gateway(alone: None, sim: SimThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The shared one; tests look for what is theirs by the model's name."""
    running = Gateway(tmp_path_factory.mktemp("gateway"), sim, configuration(sim))
    try:
        yield running.start()
    finally:
        running.stop()
    assert not leaks(running.folder)


@pytest.fixture
def oai(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as client:
        yield client


@pytest.fixture
def ant(gateway: Gateway) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0) as client:
        yield client


@pytest.fixture
async def async_oai(gateway: Gateway) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as client:
        yield client


@pytest.fixture
async def async_ant(gateway: Gateway) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0) as client:
        yield client
