"""What a worker is told, and what it says where it cannot serve. Its life is tested through real gateways (e2e)."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from headgate.config.problems import ConfigError
from headgate.config.settings import NO_OVERRIDES
from headgate.ledger.engine import Ledger
from headgate.runtime.clock import SYSTEM
from headgate.runtime.control import Channel, Drain, Fatal, Fixed, Message, Reload, Start
from headgate.runtime.gate import Gate
from headgate.runtime.worker import compiled_of, live

FIXED = Fixed("127.0.0.1", 4321, "sqlite:///first.db", "fsync", "/state", "error")
CONFIG = """
server: {host: 127.0.0.2, port: 1, drain_timeout: 7s, log_level: debug}
ledger: {url: "sqlite:///second.db", durability: batch, state_dir: /elsewhere}
providers: {box: {kind: openai, base_url: "http://127.0.0.1:1", models: [m]}}
"""


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level


def start(config: str, **fixed: str) -> Start:
    return Start(0, replace(FIXED, **fixed), "/etc/headgate.yaml", "/etc", config, NO_OVERRIDES)


class Idle:
    """The listener of a worker that must not come to serve."""

    def __init__(self, gate: Gate, ledger: Ledger, host: str, port: int) -> None:
        pass

    async def serve(self) -> None:
        raise AssertionError("a worker that cannot serve must not listen")

    def stop(self) -> None:
        pass


async def told(*messages: Message) -> tuple[int, Message | None]:
    """Run a worker that is told so; return its exit status and what it says."""
    ours, theirs = socket.socketpair()
    channel = await Channel.open(ours)
    for message in messages:
        channel.send(message)
    if not messages:
        await channel.close()
    status = await live(theirs, Idle)
    said = await channel.receive()
    await channel.close()
    return status, said


def test_a_new_configuration_counts_but_for_what_was_fixed_at_the_start() -> None:
    for compiled in (compiled_of(start(CONFIG), SYSTEM), compiled_of(start(""), SYSTEM, Reload(CONFIG))):
        settings = compiled.settings
        assert settings.drain_timeout == 7_000_000_000
        assert list(compiled.catalog.providers) == ["box"]
        assert (settings.host, settings.port, settings.log_level) == ("127.0.0.1", 4321, "error")
        assert (settings.ledger_url, settings.durability, settings.state_dir) == (
            "sqlite:///first.db",
            "fsync",
            "/state",
        )


def test_variables_of_the_env_file_fill_the_text_and_the_environment_goes_before_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = 'providers: {box: {kind: openai, base_url: "http://127.0.0.1:1", api_key: "${IN_FILE}-${IN_BOTH}"}}'
    monkeypatch.setenv("IN_BOTH", "shell")
    values = {"IN_FILE": "first", "IN_BOTH": "file"}
    first = replace(start(text), env=values)
    assert compiled_of(first, SYSTEM).catalog.providers["box"].provider.api_key == "first-shell"
    again = compiled_of(first, SYSTEM, Reload(text, {"IN_FILE": "second"}))
    assert again.catalog.providers["box"].provider.api_key == "second-shell"


def test_a_configuration_that_is_wrong_is_refused() -> None:
    with pytest.raises(ConfigError, match="providrs"):
        compiled_of(start("providrs: {}"), SYSTEM)


async def test_a_wrong_configuration_is_told_to_the_supervisor() -> None:
    status, said = await told(start("providrs: {}"))
    assert status == 1
    assert isinstance(said, Fatal)
    assert "headgate.yaml:1" in said.message


async def test_a_ledger_that_cannot_be_used_is_told_to_the_supervisor(tmp_path: Path) -> None:
    status, said = await told(start(CONFIG, ledger_url=f"sqlite:///{tmp_path}/none/x.db", state_dir=str(tmp_path)))
    assert status == 1
    assert isinstance(said, Fatal)
    assert "mkdir -p" in said.message


async def test_without_a_start_there_is_no_worker() -> None:
    assert await told() == (1, None)
    assert await told(Drain(1)) == (1, None)
