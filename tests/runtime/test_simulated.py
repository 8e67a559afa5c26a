"""A start without any provider: the simulated upstream, said loudly, on its usual port or on a free one."""

import socket

from headgate.surfaces.first_start import simulated


async def test_it_is_said_loudly_that_answers_are_made_up() -> None:
    said: list[str] = []
    async with simulated(said.append, 0) as (host, port):
        assert "SIMULATED" in said[0]
        assert f"http://{host}:{port}" in said[0]


async def test_a_taken_port_means_a_free_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        said: list[str] = []
        async with simulated(said.append, taken) as (host, port):
            assert port != taken
            with socket.create_connection((host, port)):
                pass
