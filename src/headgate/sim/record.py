"""What the sim saw: one record a request."""

from dataclasses import dataclass, field

from headgate.model.usage import Usage
from headgate.sim.bill import Outcome
from headgate.sim.faults import Fault
from headgate.sim.words import digest

_SECRET = {"authorization", "x-api-key", "api-key", "cookie", "proxy-authorization"}


@dataclass(slots=True)
class SimRequest:
    """One request as it came, and how it ended. `outcome` is None while it runs.

    `headers` are (lower-case name, value) in their order, credentials included, so neither they nor the
    bodies are in the repr. `usage` is what was charged; `answer` the bytes of the body that were sent,
    without chunk framing.
    """

    number: int
    method: str
    path: str
    headers: list[tuple[str, str]] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    endpoint: str = ""
    model: str = ""
    stream: bool = False
    fault: Fault | None = None
    status: int = 0
    frames: int = 0
    usage: Usage = field(default_factory=Usage)
    outcome: Outcome | None = None
    chunks: list[bytes] = field(default_factory=list, repr=False)

    @property
    def answer(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def finished(self) -> bool:
        """Whether the whole script was played: an answer to its end, or an error whole."""
        return self.outcome in (Outcome.COMPLETED, Outcome.FAILED)

    @property
    def disconnected(self) -> bool:
        """Whether the client left before the end."""
        return self.outcome is Outcome.CANCELLED

    def header(self, name: str) -> str | None:
        """Return the first value of a header, None if it was not sent."""
        return next((value for key, value in self.headers if key == name.lower()), None)

    def public(self) -> dict[str, object]:
        """Return the record for the control API: credentials only as a fingerprint."""
        shown = [(key, fingerprint(value) if key in _SECRET else value) for key, value in self.headers]
        return {
            "number": self.number,
            "method": self.method,
            "path": self.path,
            "headers": shown,
            "body": self.body.decode(errors="replace"),
            "endpoint": self.endpoint,
            "model": self.model,
            "stream": self.stream,
            "fault": self.fault,
            "status": self.status,
            "frames": self.frames,
            "usage": self.usage,
            "outcome": self.outcome,
        }


def fingerprint(secret: str) -> str:
    """Return a short mark by which a credential can be recognised, not recovered."""
    return f"blake2b:{digest(secret).hex()[:12]}"
