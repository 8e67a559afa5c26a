"""How a client's limits stand, in the headers of its vendor."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from headgate.model.dialect import Dialect
from headgate.model.limit import Per, Scope, Standing, Unit

RATE_LIMIT_PREFIXES: Final = ("x-ratelimit-", "anthropic-ratelimit-")
"""An upstream's own such headers tell of the gateway's account there, not of the client's limits: they stay here."""

_SECOND_NS: Final = 1_000_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER: Final = 1 << 64
_UNITS: Final = (Unit.REQUESTS, Unit.TOKENS)
_SIXTIETHS: Final = 61
"""A rolling window lets go by sixtieths of its length: one more, and all that counts now has left."""


def rate_limit_headers(dialect: Dialect, standings: Sequence[Standing], now: int) -> list[tuple[str, str]]:
    """Return the headers for requests and tokens, each from the limit that has least left. `now` in ns since the epoch.

    OpenAI: `x-ratelimit-{limit,remaining,reset}-{unit}`, the reset as the time from now in Go's form (`6m0s`):
    https://platform.openai.com/docs/guides/rate-limits. Anthropic:
    `anthropic-ratelimit-{unit}-{limit,remaining,reset}`, the reset in RFC 3339:
    https://docs.claude.com/en/api/rate-limits. Both say when the limit is whole again, so a
    rolling limit's is when all that counts now has left, and a total has none. Resets are rounded up to a second.
    Providers' limits are not the client's, and the vendors have no form for money or concurrency: none is told.
    """
    headers: list[tuple[str, str]] = []
    for unit in _UNITS:
        standing = _tightest(standings, unit, now)
        if standing is None:
            continue
        reset = _resets_at(standing, now)
        figures = [("limit", str(standing.limit.cap)), ("remaining", str(standing.left))]
        if dialect is Dialect.ANTHROPIC_MESSAGES:
            if reset is not None:
                figures.append(("reset", _time(reset)))
            headers += [(f"anthropic-ratelimit-{unit.value}-{name}", value) for name, value in figures]
        else:
            if reset is not None:
                figures.append(("reset", _duration(reset - now)))
            headers += [(f"x-ratelimit-{name}-{unit.value}", value) for name, value in figures]
    return headers


def _tightest(standings: Iterable[Standing], unit: Unit, now: int) -> Standing | None:
    """Return the standing with least left; of equals the one that resets last."""
    own = (standing for standing in standings if standing.limit.unit is unit and standing.limit.scope != Scope.PROVIDER)
    return min(own, key=lambda standing: (standing.left, -(_resets_at(standing, now) or _NEVER)), default=None)


def _resets_at(standing: Standing, now: int) -> int | None:
    window = standing.limit.window
    if window.per is Per.ROLLING:
        return now + window.length * _SIXTIETHS // (_SIXTIETHS - 1)
    return standing.resets_at


def _duration(wait: int) -> str:
    hours, rest = divmod(max(0, -(-wait // _SECOND_NS)), 3600)
    minutes, seconds = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes}m{seconds}s"
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"


def _time(when: int) -> str:
    return f"{_EPOCH + timedelta(seconds=-(-when // _SECOND_NS)):%Y-%m-%dT%H:%M:%SZ}"
