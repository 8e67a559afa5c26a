"""What the driver tells the exchange: everything that can happen to a call."""

import msgspec

from headgate.model.failure import Failure
from headgate.model.route import Route
from headgate.protocols.base import PieceKind


class Admitted(msgspec.Struct, frozen=True, gc=False):
    """The call may go out by these routes, in this order; at least one."""

    routes: tuple[Route, ...]


class HoldGranted(msgspec.Struct, frozen=True, gc=False):
    """What the attempt may cost at most is set aside; it may be sent."""


class HoldRefused(msgspec.Struct, frozen=True, gc=False):
    """The attempt may not be sent on this route."""

    failure: Failure


class AttemptOpened(msgspec.Struct, frozen=True, gc=False):
    """The upstream answered with a success status; frames will follow."""


class FrameSeen(msgspec.Struct, frozen=True, gc=False):
    """A classified piece of the answer. A unary body is one TERMINAL piece."""

    kind: PieceKind
    data: bytes


class AttemptEnded(msgspec.Struct, frozen=True, gc=False):
    """The upstream's body ended without a terminal frame; `complete`: the answer may count as whole."""

    complete: bool


class AttemptFailed(msgspec.Struct, frozen=True, gc=False):
    """The attempt broke, or the upstream refused it.

    `answer` is the upstream's own error body or error frame, where it may be the client's answer.
    """

    failure: Failure
    answer: bytes | None = None


class CapReached(msgspec.Struct, frozen=True, gc=False):
    """The stream has passed what is held for it; `data` ends it validly."""

    data: bytes


class ClientGone(msgspec.Struct, frozen=True, gc=False):
    """The client closed its connection."""


class DeadlinePassed(msgspec.Struct, frozen=True, gc=False):
    """A timeout of the attempt or the deadline over all attempts."""

    failure: Failure


Event = (
    Admitted
    | HoldGranted
    | HoldRefused
    | AttemptOpened
    | FrameSeen
    | AttemptEnded
    | AttemptFailed
    | CapReached
    | ClientGone
    | DeadlinePassed
)
