"""Ports: found free, refused when another server has them, kept while workers come and go."""

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
