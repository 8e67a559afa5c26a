"""What the exchange tells the driver to do."""

import msgspec

from headgate.model.failure import Failure
from headgate.model.records import Outcome
from headgate.model.route import Route


class Hold(msgspec.Struct, frozen=True, gc=False):
    """Set aside what the attempt may cost at most; answer with HoldGranted or HoldRefused."""

    route: Route


class OpenAttempt(msgspec.Struct, frozen=True, gc=False):
    """Send the request; answer with AttemptOpened or AttemptFailed."""

    route: Route


class Forward(msgspec.Struct, frozen=True, gc=False):
    """Send these bytes to the client; the answer's head goes before the first of them."""

    data: bytes


class CloseAttempt(msgspec.Struct, frozen=True, gc=False):
    """Drop the upstream's connection."""


class Settle(msgspec.Struct, frozen=True, gc=False):
    """Charge the attempt what is true of it. `failure` is None for an answer that came whole."""

    failure: Failure | None


class Record(msgspec.Struct, frozen=True, gc=False):
    """Write the call and its attempts to the ledger; what ends the answer waits for this commit.

    `failures` is what each failed attempt said, in order, by route name. `passed_on`: the client is answered with
    the upstream's own error.
    """

    outcome: Outcome
    failures: tuple[tuple[str, Failure], ...] = ()
    passed_on: bool = False


class EndWith(msgspec.Struct, frozen=True, gc=False):
    """Send the last bytes and end the answer. `status` is the answer's HTTP status if its head is unsent."""

    data: bytes
    status: int = 200


class FailWith(msgspec.Struct, frozen=True, gc=False):
    """End the call in the error that its record names: an answer of its own, or an event where content has begun."""


Command = Hold | OpenAttempt | Forward | CloseAttempt | Settle | Record | EndWith | FailWith
