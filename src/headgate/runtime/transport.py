"""The seam to the HTTP server: one request as the data path sees it."""

from collections.abc import AsyncIterator
from typing import Protocol

from headgate.model.dialect import Endpoint


class ClientLeft(Exception):
    """The client closed its connection; nothing more can be sent."""


class Sender(Protocol):
    """A streamed answer whose head has been sent."""

    async def send(self, data: bytes) -> None:
        """Send bytes; waits while the client does not read. Raises ClientLeft."""


Headers = list[tuple[str, str]]


class Transport(Protocol):
    """One request and the place for its one answer."""

    method: str
    path: str
    query: str

    def header(self, name: str) -> str | None:
        """Return a header of the request by lower-case name."""

    def every(self, name: str) -> str | None:
        """Return a header that is a list, all its lines joined, by lower-case name."""

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes. Raises ClientLeft."""

    async def body(self) -> bytes:
        """Return the whole body; only for requests whose length is known to be within bounds. Raises ClientLeft."""

    def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer. A client that has left is no error here."""

    def stream(self, status: int, headers: Headers) -> Sender:
        """Send the head of a streamed answer."""

    async def left(self) -> None:
        """Return when the client has closed its connection."""


SESSION_LIMIT = 200
_OURS, _OPENCODES = "x-headgate-session", "x-session-id"
SESSION_HEADERS: dict[Endpoint, tuple[str, ...]] = {
    Endpoint.CHAT: (_OURS, _OPENCODES),
    Endpoint.RESPONSES: (_OURS, "session-id", _OPENCODES),
    Endpoint.MESSAGES: (_OURS, "x-claude-code-session-id", _OPENCODES),
}
"""Where a session's id stands, in the order of precedence: our own header, Codex's or Claude Code's, opencode's.

By endpoint, since every look costs: each of these programs calls one of them.
"""


def session_of(transport: Transport, endpoint: Endpoint) -> str | None:
    """Return the session id that a request names, None where it is none that can go into a row and a header."""
    for name in SESSION_HEADERS.get(endpoint, (_OURS,)):
        sent = transport.header(name)
        if sent:
            return sent if len(sent) <= SESSION_LIMIT and sent.isprintable() else None
    return None
