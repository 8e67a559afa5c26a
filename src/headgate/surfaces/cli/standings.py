"""How limits stand, as a table for people."""

import sys
from typing import TYPE_CHECKING

from headgate.surfaces import shown_limits
from headgate.surfaces.cli.output import moment_text, table, usd_text

if TYPE_CHECKING:
    from headgate.model.limit import Limit, Standing

_BAR = 10


def standing_table(standings: "list[Standing]", names: shown_limits.Names) -> None:
    """Print how limits stand, one a line."""
    rows = [
        (
            str(standing.limit.id),
            subject_text(standing, names),
            standing.limit.pattern or "all",
            f"{standing.limit.unit.value}/{shown_limits.limit(standing.limit)['per'] or 'at once'}",
            amount_text(standing.limit, standing.limit.cap),
            amount_text(standing.limit, standing.spent),
            amount_text(standing.limit, standing.held),
            amount_text(standing.limit, standing.left),
            bar(standing),
            "-" if standing.resets_at is None else moment_text(standing.resets_at),
        )
        for standing in standings
    ]
    amounts = ["cap", "spent", "held", "left"]
    table(["id", "limit of", "models", "unit/per", *amounts, "used", "resets"], rows, numeric=["id", *amounts])


def subject_text(standing: "Standing", names: shown_limits.Names) -> str:
    """Return whose balance this is, for people."""
    told = shown_limits.subject(standing, names)
    if "session" in told:
        return f"session {told['session']} of {told['account']}"
    if "key" in told:
        return f"key {told['key_name']} of {told['account']}" if "key_name" in told else f"key {told['key']}"
    return " ".join(*told.items())


def amount_text(limit: "Limit", amount: int) -> str:
    """Return an amount of a limit for people."""
    from headgate.model.limit import Unit

    if limit.unit is Unit.USD:
        return usd_text(amount)
    return f"{amount} {'at once' if limit.unit is Unit.CONCURRENCY else limit.unit.value}"


def bar(standing: "Standing") -> str:
    """Return what is used of a cap, as a bar and per cent rounded down; what is more than none shows."""
    from headgate.ledger.limit_views import fullness

    share = min(fullness(standing), 1.0)
    filled = int(share * _BAR) or int(share > 0)
    full, empty = _blocks()
    return f"{full * filled}{empty * (_BAR - filled)} {int(share * 100):3d}%"


def _blocks() -> tuple[str, str]:
    try:
        "\u2588\u2591".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return "#", "."
    return "\u2588", "\u2591"
