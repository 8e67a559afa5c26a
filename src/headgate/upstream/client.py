"""The seam to the HTTP client: what a connection to an upstream offers, and the errors it translates to."""

from collections.abc import Sequence
from typing import Protocol

from headgate.model.dialect import Endpoint
from headgate.model.failure import Failure


class UpstreamFailed(Exception):
    """The transport to an upstream failed. `failure` is what of it may be shown."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Answer(Protocol):
    """An upstream's answer whose head has come. Close it always; a body read to its end keeps the connection."""

    status: int

    def header(self, name: str) -> str | None:
        """Return a header of the answer by lower-case name."""

    async def read(self) -> bytes | None:
        """Return the next bytes of the body as they came, decompressed; None at its end.

        Raises UpstreamFailed.
        """

    async def close(self) -> None:
        """Give up what is left of the body."""


class Client(Protocol):
    """Connections to one provider."""

    async def post(self, endpoint: Endpoint, headers: Sequence[tuple[str, str]], body: bytes, *, whole: bool) -> Answer:
        """Send a request and return once the answer's head is there. Raises UpstreamFailed.

        `whole`: nobody reads the answer before its end, so it may be gathered first.
        """
