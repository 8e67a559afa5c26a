"""Ports: found free, refused when another server has them, kept while workers come and go."""

import asyncio
import errno
import socket


class PortTaken(Exception):
    """Another process listens where we should."""


def reserve(host: str, port: int) -> socket.socket:
    """Return a socket that keeps (host, port) for this process's workers, without listening on it.

    Workers share the port by SO_REUSEPORT, which would also let a second server in unnoticed; so the
    port is first bound without it, which fails while anybody listens. Port 0 takes any free one.
    Raises PortTaken, or OSError for an address that is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(f"{host}:{port} is in use") from None
            raise
        found = probe.getsockname()[1]
    kept = socket.socket(family, socket.SOCK_STREAM)
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        kept.bind((host, found))  # without SO_REUSEADDR, so that another probe fails before a worker listens
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of another program linger
        kept.bind((host, found))
    return kept


LOOK_AGAIN = 0.002
"""Seconds between two tries to reach a listener that is starting."""
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  where to reach what listens on all addresses


async def accepting(host: str, port: int, serving: asyncio.Task[None]) -> None:
    """Return once (host, port) accepts connections. Raises what ended `serving` before."""
    host = _ANY.get(host, host)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while not serving.done():
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            try:
                await asyncio.get_running_loop().sock_connect(probe, (host, port))
            except ConnectionRefusedError:
                await asyncio.sleep(LOOK_AGAIN)
            else:
                return
    serving.result()
    raise RuntimeError("the server ended before it served")
