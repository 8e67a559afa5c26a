"""Who may come in: deny by default, by a list of what is exempt."""

import hashlib
import hmac
import ipaddress
from collections.abc import Iterable

from headgate.config.settings import Settings
from headgate.config.vendors import is_loopback
from headgate.surfaces.admin.errors import Refused

EXEMPT = frozenset({("GET", "/healthz"), ("GET", "/readyz")})
"""All that is answered without the admin token."""
CHALLENGE = {"www-authenticate": 'Bearer realm="headgate admin"'}

Headers = Iterable[tuple[bytes, bytes]]


class Guard:
    """Knows the admin token by its SHA-256 only. On a loopback address it also refuses foreign names of hosts."""

    def __init__(self, settings: Settings) -> None:
        token = settings.admin_token
        self._digest = None if token is None else _digest(token.encode())
        self._loopback = is_loopback(settings.admin_host)

    def check(self, method: str, path: str, headers: Headers) -> None:
        """Return if this request may be answered. Raises Refused: 403, 401 or 421."""
        listed = list(headers)
        if self._loopback:
            _check_host(_values(listed, b"host"))
        if (method, path) in EXEMPT:
            return
        if self._digest is None:
            raise Refused(
                403,
                "admin_closed",
                "The admin plane is closed, because no admin token is set. Set server.admin_token or the environment"
                " variable HEADGATE_ADMIN_TOKEN to a long random text, and start headgate again.",
            )
        given = _values(listed, b"authorization")
        if len(given) != 1 or not self._is_token(given[0]):
            raise Refused(
                401,
                "invalid_admin_token",
                "The admin token is missing or wrong. Send it as: Authorization: Bearer TOKEN",
                headers=CHALLENGE,
            )

    def _is_token(self, header: bytes) -> bool:
        scheme, _, token = header.partition(b" ")
        assert self._digest is not None
        # Digests are of one length, so that the time taken tells nothing of the token.
        return hmac.compare_digest(_digest(token.strip(b" ")), self._digest) and scheme.lower() == b"bearer"


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def _values(headers: Headers, name: bytes) -> list[bytes]:
    return [value for key, value in headers if key.lower() == name]


def _check_host(hosts: list[bytes]) -> None:
    """A page of a foreign name that resolves to this machine (DNS rebinding) gives itself away by its name.

    Addresses are let through: a page cannot have one of ours as its origin unless it was loaded from it.
    """
    for host in hosts:
        if not _is_own_name(host.decode("latin-1")):
            raise Refused(
                421,
                "wrong_host",
                "This admin plane listens on a loopback address and answers to its address or to localhost only;"
                " ask for it by one of these.",
            )


def _is_own_name(host: str) -> bool:
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if name.lower() == "localhost":
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
