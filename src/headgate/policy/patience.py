"""When an attempt has taken too long, and how soon a client may try again. Times in ns of one monotonic clock."""

from headgate.model.failure import Failure, FailureKind
from headgate.model.route import Timeouts

RETRY_SOON = 1
"""Seconds of Retry-After while draining: another worker or replica takes over at once."""
RETRY_STORE = 2
"""Seconds of Retry-After while the ledger cannot be reached."""

DEADLINE = Failure(FailureKind.DEADLINE, "the deadline over all attempts passed")
NO_CONTENT = Failure(FailureKind.FIRST_TOKEN_TIMEOUT, "no content within the first-token timeout")
NO_ANSWER = Failure(FailureKind.FIRST_TOKEN_TIMEOUT, "no answer within the answer timeout")
SILENT = Failure(FailureKind.IDLE_TIMEOUT, "the upstream was silent for longer than the idle timeout")


def overdue(
    timeouts: Timeouts,
    deadline: int,
    *,
    stream: bool,
    content: bool,
    answered: bool,
    call_age: int,
    attempt_age: int,
    quiet: int,
) -> Failure | None:
    """Return what an attempt that waits for its upstream is to fail with, None if it may wait on.

    `content`: the client has content, so the deadline over all attempts no longer counts. `answered`: the
    answer's head has come. `quiet`: since the upstream last sent anything.
    """
    if not content and call_age > deadline:
        return DEADLINE
    if stream and not content and attempt_age > timeouts.first_token:
        return NO_CONTENT
    if not answered:
        return NO_ANSWER if attempt_age > timeouts.answer else None
    return SILENT if quiet > timeouts.idle else None
