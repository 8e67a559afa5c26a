"""The life of one call. The driver feeds `handle` what happened and does what it returns, in order.

Invariants, held by a property test over any order of events: one settle for each attempt that was
opened; at most one end of the answer; nothing forwarded after it; one record, before the end.
"""

from enum import IntEnum
from typing import assert_never

from headgate.exchange.commands import (
    CloseAttempt,
    Command,
    EndWith,
    FailWith,
    Forward,
    Hold,
    OpenAttempt,
    Record,
    Settle,
)
from headgate.exchange.events import (
    Admitted,
    AttemptEnded,
    AttemptFailed,
    AttemptOpened,
    CapReached,
    ClientGone,
    DeadlinePassed,
    Event,
    FrameSeen,
    HoldGranted,
    HoldRefused,
)
from headgate.model.failure import Failure, FailureKind
from headgate.model.records import Outcome
from headgate.model.route import Route
from headgate.policy.failures import falls_over, never_sent
from headgate.protocols.base import PieceKind

PREAMBLE_LIMIT = 16 * 1024
"""Bytes held back while content or an error may still decide; beyond it the route is final."""

GONE = Failure(FailureKind.CLIENT_GONE, "the client left")
ERROR_FRAME = Failure(FailureKind.ERROR_EVENT, "the upstream sent an error in its stream")
CAPPED = Failure(FailureKind.CAPPED, "the answer passed what was held for it")
CUT = Failure(FailureKind.CUT, "the upstream ended its answer before it was whole")


class State(IntEnum):
    NEW = 0
    HOLDING = 1  # waiting for the ledger
    OPENING = 2  # sent, waiting for the upstream's head
    READING = 3  # the upstream answers
    DONE = 4


class Exchange:
    """One call; `content_begun` tells that the client has content, so no other route may answer."""

    __slots__ = (
        "_at",
        "_drains",
        "_failures",
        "_preamble",
        "_preamble_size",
        "_routes",
        "client_gone",
        "content_begun",
        "state",
    )

    def __init__(self, *, drains: bool) -> None:
        """`drains`: this call is read to its end after the client has left, whatever its route says."""
        self.state = State.NEW
        self.content_begun = False
        self.client_gone = False
        self._drains = drains
        self._routes: tuple[Route, ...] = ()
        self._at = 0
        self._preamble: list[bytes] = []
        self._preamble_size = 0
        self._failures: list[tuple[str, Failure]] = []

    @property
    def route(self) -> Route:
        """The route of the current attempt."""
        return self._routes[self._at]

    @property
    def drains(self) -> bool:
        """The current attempt goes on when the client has left."""
        sent = self.state in (State.OPENING, State.READING)
        return sent and (self._drains or self.route.provider.drain_on_disconnect)

    def handle(self, event: Event) -> tuple[Command, ...]:  # noqa: PLR0911, C901  one return for each event
        """Return the commands that follow from `event`. An event that comes too late yields none."""
        if self.state == State.DONE:
            return ()
        match event:
            case FrameSeen():
                return self._frame(event.kind, event.data)
            case Admitted():
                self._routes = event.routes
                return self._hold()
            case HoldGranted():
                self.state = State.OPENING
                return (OpenAttempt(self.route),)
            case HoldRefused():
                return self._next_or_fail(event.failure, None)
            case AttemptOpened():
                self.state = State.READING
                return ()
            case AttemptEnded():
                if event.complete:
                    return self._end(b"")
                return self._failed(CUT, None)
            case AttemptFailed():
                return self._failed(event.failure, event.answer)
            case DeadlinePassed():
                return self._failed(event.failure, None)
            case CapReached():
                return self._capped(event.data)
            case ClientGone():
                return self._client_gone()
            case _:
                assert_never(event)

    def _hold(self) -> tuple[Command, ...]:
        self.state = State.HOLDING
        return (Hold(self.route),)

    def _frame(self, kind: PieceKind, data: bytes) -> tuple[Command, ...]:
        if self.state != State.READING:
            return ()
        match kind:
            case PieceKind.CONTENT:
                self.content_begun = True
                return self._forward(data)
            case PieceKind.PREAMBLE:
                return self._held_back(data)
            case PieceKind.TERMINAL:
                return self._end(data)
            case PieceKind.ERROR:
                return self._failed(ERROR_FRAME, data)
            case _:
                assert_never(kind)

    def _held_back(self, data: bytes) -> tuple[Command, ...]:
        if self.content_begun:
            return self._forward(data)
        self._preamble.append(data)
        self._preamble_size += len(data)
        if self._preamble_size <= PREAMBLE_LIMIT:
            return ()
        self.content_begun = True
        return self._forward(b"")

    def _forward(self, data: bytes) -> tuple[Command, ...]:
        if self._preamble:
            data = self._with_preamble(data)
        return () if self.client_gone else (Forward(data),)

    def _with_preamble(self, data: bytes) -> bytes:
        if not self._preamble:
            return data
        whole = b"".join((*self._preamble, data))
        self._preamble.clear()
        return whole

    def _end(self, data: bytes) -> tuple[Command, ...]:
        if self.client_gone:
            return (Settle(None), CloseAttempt(), *self._finish(Outcome.CLIENT_GONE))
        end = EndWith(self._with_preamble(data))
        return (Settle(None), *self._finish(Outcome.OK, end), CloseAttempt())

    def _capped(self, data: bytes) -> tuple[Command, ...]:
        if self.state != State.READING:
            return ()
        self._failures.append((self.route.name, CAPPED))
        stop = (CloseAttempt(), Settle(CAPPED))
        if self.client_gone:
            return (*stop, *self._finish(Outcome.CLIENT_GONE))
        return (*stop, *self._finish(Outcome.CAPPED, EndWith(self._with_preamble(data))))

    def _failed(self, failure: Failure, answer: bytes | None) -> tuple[Command, ...]:
        """An attempt that was sent has failed."""
        if self.state == State.HOLDING:
            return self._next_or_fail(failure, None)
        return (CloseAttempt(), Settle(failure), *self._next_or_fail(failure, answer))

    def _next_or_fail(self, failure: Failure, answer: bytes | None) -> tuple[Command, ...]:
        self._failures.append((self.route.name, failure))
        if self.client_gone:
            return self._finish(Outcome.CLIENT_GONE)
        if self.content_begun:
            return self._finish(Outcome.BROKEN, FailWith() if answer is None else EndWith(answer))
        if failure.kind is FailureKind.REQUEST_REJECTED:
            end = FailWith() if answer is None else EndWith(answer, failure.status)
            return self._finish(Outcome.REJECTED, end)
        if falls_over(failure.kind) and self._at + 1 < len(self._routes):
            self._at += 1
            self._preamble.clear()
            self._preamble_size = 0
            return self._hold()
        ours = all(never_sent(failed.kind) for _, failed in self._failures)
        return self._finish(Outcome.REJECTED if ours else Outcome.FAILED, FailWith())

    def _finish(self, outcome: Outcome, *end: Command) -> tuple[Command, ...]:
        self.state = State.DONE
        passed_on = bool(end) and isinstance(end[0], EndWith)
        return (Record(outcome, tuple(self._failures), passed_on=passed_on), *end)

    def _client_gone(self) -> tuple[Command, ...]:
        self.client_gone = True
        if self.drains:
            return ()
        was_sent = self.state in (State.OPENING, State.READING)
        settle: tuple[Command, ...] = (CloseAttempt(), Settle(GONE)) if was_sent else ()
        return (*settle, *self._finish(Outcome.CLIENT_GONE))
