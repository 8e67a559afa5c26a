"""A provider from a script, behind the same seam: what the driver's tests run against without sockets."""

import asyncio
from collections.abc import Sequence

import msgspec

from headgate.model.dialect import Endpoint
from headgate.model.failure import Failure, FailureKind
from headgate.upstream.client import UpstreamFailed


class Hang(msgspec.Struct, frozen=True):
    """In a script: nothing more comes, until the reader gives up."""


class Scripted(msgspec.Struct, frozen=True):
    """One answer: its head, then the steps of its body: bytes to send, a failure to raise, or a hang.

    `refused` is raised instead of any answer.
    """

    steps: tuple[bytes | Failure | Hang, ...] = ()
    status: int = 200
    headers: dict[str, str] = {}
    refused: Failure | None = None


class FakeAnswer:
    def __init__(self, script: Scripted) -> None:
        self.status = script.status
        self.closed = False
        self._headers = script.headers
        self._steps = iter(script.steps)

    def header(self, name: str) -> str | None:
        return self._headers.get(name)

    async def read(self) -> bytes | None:
        step = next(self._steps, None)
        if isinstance(step, Hang):
            await asyncio.get_running_loop().create_future()
        if isinstance(step, Failure):
            raise UpstreamFailed(step)
        assert not isinstance(step, Hang)
        return step

    async def close(self) -> None:
        self.closed = True


class FakeClient:
    """Answers requests by its scripts in order; `requests` keeps (endpoint, headers, body) of each."""

    def __init__(self, *scripts: Scripted) -> None:
        self._scripts = list(scripts)
        self.requests: list[tuple[Endpoint, list[tuple[str, str]], bytes]] = []
        self.answers: list[FakeAnswer] = []

    async def post(
        self,
        endpoint: Endpoint,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        *,
        whole: bool,  # noqa: ARG002
    ) -> FakeAnswer:
        self.requests.append((endpoint, list(headers), body))
        if not self._scripts:
            raise UpstreamFailed(Failure(FailureKind.CONNECT_FAILED, "the script is over"))
        script = self._scripts.pop(0)
        if script.refused is not None:
            raise UpstreamFailed(script.refused)
        answer = FakeAnswer(script)
        self.answers.append(answer)
        return answer
