"""What ends the waits of a call from outside: time that has run out, a client that leaves, a gateway that stops."""

import asyncio

from headgate.exchange.events import ClientGone, DeadlinePassed, Event, HoldRefused
from headgate.exchange.machine import Exchange, State
from headgate.model.dialect import Endpoint
from headgate.model.failure import Failure, FailureKind
from headgate.policy.patience import overdue
from headgate.runtime.answering import Answering
from headgate.runtime.gate import Gate
from headgate.runtime.transport import Transport
from headgate.runtime.waiting import Waiting

HOLD_PATIENCE_NS = 2_000_000_000
"""How long an attempt waits for its hold; nothing goes out unheld."""
COMMIT_PATIENCE_NS = 5_000_000_000
"""How long an answer waits at its end for a store that does not commit."""
CLIENT_PATIENCE_NS = 300_000_000_000
"""A client that reads nothing for so long counts as gone."""
TAIL_PATIENCE_NS = 250_000_000
"""How long the rest of an upstream's body is awaited, so that its connection can be used again."""

STORE_GONE = HoldRefused(Failure(FailureKind.STORE_UNAVAILABLE, "the gateway cannot reach its ledger to hold for it"))
PATIENCE: dict[Waiting, tuple[int, Event | None]] = {
    Waiting.CLIENT: (CLIENT_PATIENCE_NS, ClientGone()),
    Waiting.COMMIT: (COMMIT_PATIENCE_NS, None),
    Waiting.HOLD: (HOLD_PATIENCE_NS, STORE_GONE),
    Waiting.TAIL: (TAIL_PATIENCE_NS, None),
}
"""How long a call waits for anything but its upstream and its own body, and what it wakes to."""
UNBEGUN = Exchange(drains=False)
"""What stands for the exchange of a call that has no plan yet; it is told nothing."""


class Interrupted(Answering):
    """Base of a call: turns what happens beside it into events of its exchange. Times in ns, `_started` monotonic."""

    __slots__ = ("_exchange", "_started", "_started_at", "_watcher", "gate", "terms")

    def __init__(self, gate: Gate, transport: Transport, endpoint: Endpoint) -> None:
        self._started_at = gate.clock.wall()
        self._started = gate.clock.mono()
        super().__init__(transport, gate.clock, endpoint, gate.new_id(self._started_at))
        self.gate = gate
        self.terms = gate.terms
        self._exchange = UNBEGUN
        self._watcher: asyncio.Task[None] | None = None

    def expire(self, now: int) -> None:
        quiet = now - self._waiting_since
        match self._waiting:
            case Waiting.NOTHING:
                return
            case Waiting.UPSTREAM:
                failure = self._overdue(now, quiet)
                if failure is not None:
                    self.interrupt(DeadlinePassed(failure))
            case Waiting.BODY:
                if quiet > self.terms.settings.body_timeout:
                    self.interrupt(None)
            case waiting:
                patience, event = PATIENCE[waiting]
                if quiet > patience:
                    self.interrupt(event)

    def end(self, failure: Failure) -> None:
        if self._exchange.state != State.DONE:  # one that is over ends by itself
            self.interrupt(DeadlinePassed(failure))

    def _overdue(self, now: int, quiet: int) -> Failure | None:
        attempt, head = self._attempt, self._head
        assert attempt is not None
        assert head is not None
        return overdue(
            attempt.route.provider.timeouts,
            self.terms.settings.deadline,
            stream=head.stream,
            content=self._exchange.content_begun,
            answered=attempt.answer is not None,
            call_age=now - self._started,
            attempt_age=now - attempt.began,
            quiet=quiet,
        )

    def _left(self) -> None:
        """The client has left, and its call goes on."""

    def _watch(self) -> None:
        if self._watcher is None:
            self._watcher = self.gate.loop.create_task(self._notice_leaving())

    async def _notice_leaving(self) -> None:
        await self.transport.left()
        if self._exchange.drains:
            self._exchange.handle(ClientGone())
            self._left()
        elif self._exchange.state != State.DONE:
            self.interrupt(ClientGone())
