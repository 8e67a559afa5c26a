"""A start without any provider: the simulated upstream, or a sentence that says why it cannot be."""

import socket
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from headgate.config.compile import configuration
from headgate.config.settings import Compiled
from headgate.surfaces.serve import ServeFailed, _simulated


def nothing_found(folder: Path, port: int) -> Compiled:
    compiled = configuration(None, {}, datetime(2026, 1, 1, tzinfo=UTC), folder)
    assert compiled.simulated
    return msgspec.structs.replace(compiled, sim_address=("127.0.0.1", port))


async def test_a_taken_port_is_said_with_what_to_do(tmp_path: Path) -> None:
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ServeFailed, match=f"127.0.0.1:{port}.*headgate sim"):
            async with _simulated(nothing_found(tmp_path, port), said.append):
                pass


async def test_it_is_said_loudly_that_answers_are_made_up(tmp_path: Path) -> None:
    said: list[str] = []
    async with _simulated(nothing_found(tmp_path, 0), said.append):
        pass
    assert "SIMULATED" in said[0]
