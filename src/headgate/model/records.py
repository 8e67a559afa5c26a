"""The rows that a call leaves in the ledger. Field order is the column order of `ledger/tables.py`."""

from enum import StrEnum

import msgspec


class Outcome(StrEnum):
    """How a call ended, as its client saw it."""

    OK = "ok"
    REJECTED = "rejected"  # refused by Headgate or by an upstream's 4xx; nothing was answered
    FAILED = "failed"  # no upstream could answer
    BROKEN = "broken"  # content had begun, then an error event ended it
    CLIENT_GONE = "client_gone"
    CAPPED = "capped"  # stopped at its hold, with a valid end
    LOST = "lost"  # its worker died, or was taken for dead


class AttemptState(StrEnum):
    HELD = "held"
    SETTLED = "settled"
    LOST = "lost"


class CallRow(msgspec.Struct, gc=False):
    """One client request. Times are ns: `*_at` since the Unix epoch (UTC), the others durations.

    Token and money columns are the sums over its attempts; `cost_nano` is None if any attempt's cost is unknown.
    `facts` is JSON: what selection saw (never the prompt). `status` is the HTTP status sent to the client.
    `response_id` is the upstream's own name for an answer that a later call may go on from, where it keeps state.
    """

    id: str
    incarnation: int
    account: str
    key: str
    session: str | None
    endpoint: str
    model_asked: str
    model: str
    route: str
    stream: bool
    status: int
    outcome: str
    error: str | None
    attempts: int
    started_at: int
    duration: int
    ttft: int | None
    input: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    output: int
    reasoning: int
    input_audio: int
    cache_read_audio: int
    output_audio: int
    cost_nano: int | None
    basis: str
    savings_nano: int
    dropped: str | None
    facts: bytes
    response_id: str | None = None


class AttemptRow(msgspec.Struct, gc=False):
    """One upstream request of a call, failed ones too. `no` counts from 1 within the call.

    Side by side: `hold_nano`, what it might have cost at most (None: unpriced), with `hold_tokens`; `reported_nano`,
    the cost of the usage that the upstream reported (None: it reported none); `cost_nano`, what was settled;
    `over_nano`, by how much that passed a hold that a limit had granted. `failure` is a FailureKind or None.
    """

    call: str
    no: int
    incarnation: int
    provider: str
    upstream_name: str
    backend: str
    model: str
    state: str
    status: int
    failure: str | None
    message: str | None
    started_at: int
    duration: int
    ttft: int | None
    input: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    output: int
    reasoning: int
    input_audio: int
    cache_read_audio: int
    output_audio: int
    hold_nano: int | None
    cost_nano: int | None
    basis: str
    savings_nano: int
    hold_tokens: int = 0
    reported_nano: int | None = None
    over_nano: int = 0
