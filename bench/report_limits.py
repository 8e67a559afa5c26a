"""The part of RESULTS.md on limits: what they cost a call, a database and, with wrong keys, the other clients."""

from statistics import median

import msgspec

from bench.hot import CALLERS, FIGURES, MOST, Hot
from bench.limited import CAP_USD, KINDS, REFUSED, Limited
from bench.load import CLIENTS
from bench.report_peers import between

BEGIN = "<!-- Limits: written by make bench-limits alone. -->\n"
END = "<!-- End of limits. -->\n"
ON, OFF = "limits on", "limits off"
MUST_ON, MUST_FLAT, MUST_WRONG, MUST_KEEP = 1.25, 1.15, 0.5, 0.4
BUSY = 0.5
"""Load above which figures are disturbed."""


class Found(msgspec.Struct):
    """One run of all of it, when, and on what."""

    limited: Limited
    hot: Hot
    date: str
    quick: bool
    load_before: float
    machine: list[str]


def kept(text: str) -> str:
    """Return the part on limits of an earlier RESULTS.md, with its marks; nothing where there is none."""
    return between(text, BEGIN, END)


def put(text: str, part: str) -> str:
    """Return RESULTS.md with this part in the place of its earlier one, else before what says how to repeat it."""
    old = kept(text)
    if old:
        return text.replace(old, part)
    before, mark, after = text.partition("\n## How to repeat it\n")
    return f"{before}{part}{mark}{after}"


def section(found: Found) -> str:
    """Return the part on limits, with its marks."""
    kind = "quick run, rougher than the whole" if found.quick else "whole run"
    lines = [
        "## Limits and wrong keys",
        "",
        f"{found.date}, {kind}. Load of the machine before: {found.load_before:.2f}.",
    ]
    if found.load_before > BUSY:
        lines += ["", "**The machine was busy with other work: times and CPU are higher than they would be alone.**"]
    lines += ["", *(f"- {line}" for line in found.machine), "", *_promises(found), "", *_kinds(found.limited), ""]
    lines += [*_hot(found.hot), "", *_notes(found)]
    return BEGIN + "\n".join(lines) + "\n" + END


def _promises(found: Found) -> list[str]:
    one, hot = found.limited, found.hot
    refused, batches = one.batches
    wrong, flooded, idle = hot.wrong
    ratio = {figure: max(hot.ratio(figure, gateways) for gateways in range(2, MOST + 1)) for figure in FIGURES}
    told = ", ".join(f"{title} {ratio[figure]:.2f} ×" for figure, (title, _) in TITLES.items())
    postgres = f"PostgreSQL: {flooded} transactions while {wrong:,} came, {idle} in as long without"
    on, bad = one.ratio(ON, OFF), one.ratio(REFUSED, "relay")
    rows = [
        (f"CPU a unary call, {ON} against {OFF}", f"≤ {MUST_ON} ×", f"{on:.2f} ×", on <= MUST_ON),
        (
            f"1,000 calls on one hot limit, {MOST} or 2 gateways against 1",
            f"≤ {MUST_FLAT} ×",
            told,
            max(ratio.values()) <= MUST_FLAT,
        ),
        (f"CPU of a {REFUSED} against a bare call (relay)", f"≤ {MUST_WRONG} ×", f"{bad:.2f} ×", bad <= MUST_WRONG),
        (
            f"a good client's rate beside a flood of {REFUSED}s",
            f"≥ {MUST_KEEP:.0%}",
            f"{one.kept:.0%}",
            one.kept >= MUST_KEEP,
        ),
        (
            f"SQL of a {REFUSED}",
            "none",
            f"SQLite: {batches} batches while {refused:,} came; {postgres}",
            # The heartbeat and the look for changed keys go on: some more or less of them fall into a window.
            batches * 1000 < refused and (flooded - idle) * 1000 < wrong,
        ),
    ]
    lines = ["| figure | must | measured |", "|---|---|---|"]
    return lines + [
        f"| {title} | {must} | {measured}{'' if met else ', **not met**'} |" for title, must, measured, met in rows
    ]


TITLES = {"transactions": ("transactions", "{:,.0f}"), "wal": ("WAL", "{:,.0f} bytes"), "cpu": ("CPU", "{:.2f} s")}


def _kinds(found: Limited) -> list[str]:
    lines = ["| what | CPU a call |", "|---|---|"]
    lines += [f"| {kind} | {median(found.cpu[kind]):.1f} µs |" for kind in KINDS]
    rates = [f"{median(of):,.0f}" for of in (found.alone, found.flooded, found.flood)]
    return [*lines, "", f"A good client: {rates[0]} calls/s alone, {rates[1]} beside {rates[2]} {REFUSED}s/s."]


def _hot(found: Hot) -> list[str]:
    gateways = range(1, MOST + 1)
    lines = [f"| PostgreSQL, 1,000 calls on one hot limit | {' | '.join(map(_gateways, gateways))} |"]
    lines.append("|---" * (MOST + 1) + "|")
    lines.append(f"| calls/s of all together | {' | '.join(f'{found.rate(count):,.0f}' for count in gateways)} |")
    for figure, (title, shape) in TITLES.items():
        cells = [
            f"{shape.format(found.middle(figure, count))} ({found.ratio(figure, count):.2f} ×)" for count in gateways
        ]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return lines


def _gateways(count: int) -> str:
    return f"{count} gateway" if count == 1 else f"{count} gateways"


def _notes(found: Found) -> list[str]:
    rounds = sum(step.gateways == 1 for step in found.hot.steps)
    return [
        NOTE.format(rounds=len(found.limited.alone), clients=CLIENTS, cap=CAP_USD),
        "",
        HOT_NOTE.format(rounds=rounds, callers=CALLERS),
    ]


NOTE = """“Limits on”: each call is under two, of its account (usd per month) and of its key (usd per 24h), with caps of
{cap:,} USD. Relay (the bare stack), a key without limits, one with and a wrong one take turns within each of the
{rounds} rounds, with {clients} clients each. The relay is a process of its own, the others are one gateway's, whose
worker's CPU is counted (its supervisor's apart). Beside the good client's {clients} connections {clients} others send
wrong keys as fast as they are refused."""

HOT_NOTE = """The hot limit: {rounds} × 1, 2 and 3 gateways over one server (PostgreSQL 16 with its own defaults, so
fsync is on), {callers} callers for each gateway (weak scaling), the upstream answering after 50 to 150 ms. Transactions
are `pg_stat_database.xact_commit`, WAL is `pg_current_wal_lsn()`, CPU is that of all the server's processes; what the
gateways take idle is taken off. A call under a limit is in two batches, one transaction each, which it shares: with
more gateways batches wait longer for the limit's lock, and grow meanwhile."""
