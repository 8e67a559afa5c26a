"""The part of RESULTS.md on other gateways: a chart, ratios, a table and what has to be known to judge it."""

from collections.abc import Callable

from bench import answers
from bench.figures import HELD, Figures
from bench.found import Found

OTHERS = {"portkey": "Portkey", "litellm": "LiteLLM"}
TITLES = {"nginx": "nginx", "relay": "relay", "headgate": "Headgate", **OTHERS}
MUSTS = {"litellm": (30, 60), "portkey": (4, 7)}
"""Calls/s against each: must, aim."""

BEGIN = "<!-- Other gateways: written by make bench-peers alone. -->\n"
END = "<!-- End of other gateways. -->\n"

CHECKS = {
    "nginx": ("no", "no"),
    "relay": ("no", "no"),
    "headgate": ("yes", "yes, before the client sees the end"),
    "portkey": ("no", "no"),
    "litellm": ("one master key", "no"),
}
"""In this run: are keys checked, is each call recorded durably."""

NOTES = """What to know before believing it:

- **nginx** is the limit of what is possible: it looks at nothing, checks no key and records nothing.
- **Headgate** does all of its work here: the key is looked up, the route chosen, usage read from the answer, the
  cost computed, and the call is in the SQLite ledger before the client sees the end of its answer.
- **LiteLLM** is run as its production guide says: one uvicorn worker (there is one core), `LITELLM_MODE=PRODUCTION`,
  logs at errors only, a master key. It has **no database**: keys of its own and spend would need PostgreSQL and take
  time for each call. That is to its advantage. It reads every answer into objects and writes it anew, which is what
  lets it translate between a hundred providers; Headgate passes an answer of the same dialect on as it is. Its Rust
  core (a beta, off unless asked for) does not serve this route by its documents; Gunicorn and Granian, which it can
  run under too, are not what the guide advises for one worker.
- **Portkey** is its open gateway on Node: one process, the upstream named in the headers of each request. It checks no
  key and records nothing: that is to its advantage. Its `hono` packages are those that its own lock file names, since
  the newest break its streams.
- Neither is tuned beyond its documents. The mock answers at once, a provider takes seconds: a person notices little of
  these latencies. What they come to is how many cores and how much memory the same traffic needs.
- Memory is what /proc says is resident, of all processes of a peer; what two of them share counts twice (Headgate and
  nginx run two)."""

WORSE = (
    "What Headgate does worse: it is young; it knows fewer providers than either, keeps no cache of answers, guards no "
    "contents and has no web page."
)


def kept(text: str) -> str:
    """Return the part on other gateways of an earlier RESULTS.md, with its marks; nothing where there is none."""
    return between(text, BEGIN, END)


def between(text: str, first: str, last: str) -> str:
    """Return the part of a text from one mark to another, with both; nothing where one is missing."""
    _, mark, rest = text.partition(first)
    body, end, _ = rest.partition(last)
    return mark + body + end if mark and end else ""


def section(found: Found, busy: float) -> str:
    """Return the part on other gateways, with its marks."""
    names = [name for name in TITLES if name in found.peers]
    lines = ["## Headgate against other gateways", "", *circumstances(found, busy), ""]
    lines += ["![Calls a second, CPU a frame, latency and memory of each, as a chart](../docs/bench.svg)", ""]
    lines += [*_musts(found.figures), "", *_table(found, names), "", NOTES, "", f"{WORSE}{_memory(found.figures)}"]
    return BEGIN + "\n".join(lines) + "\n" + END


def circumstances(found: Found, busy: float) -> list[str]:
    """Return when, on what and with what was measured."""
    kind = "quick run, rougher than the whole" if found.quick else "whole run"
    lines = [f"{found.date}, {kind}. Load of the machine before: {found.load_before:.2f}."]
    if found.load_before > busy:
        lines += ["", "**The machine was busy with other work: times and CPU are higher than they would be alone.**"]
    return [*lines, "", *(f"- {line}" for line in [*found.machine, ", ".join(found.versions)])]


def _musts(figures: Figures) -> list[str]:
    rows = ["| figure | must | aim | measured |", "|---|---|---|---|"]
    for name, (must, aim) in MUSTS.items():
        if name in figures.rate:
            times = figures.ratio(figures.rate, "headgate", name)
            missed = "" if times >= must else ", **not met**"
            rows.append(
                f"| calls/s against {TITLES[name]} on the same core | ≥ {must} × | ≥ {aim} × | {times:.1f} ×{missed} |"
            )
    return rows


def _table(found: Found, names: list[str]) -> list[str]:
    figures, frames = found.figures, answers.BURST_FRAMES
    few, many = found.scale.few_streams, found.scale.streams

    def row(title: str, of: dict[str, list[float]], shape: str, times: float = 1) -> list[str]:
        return [title, *(shape.format(figures.middle(of, name) * times) for name in names)]

    def each(title: str, cell: Callable[[str], str]) -> list[str]:
        return [title, *(cell(name) for name in names)]

    def costs(title: str, of: dict[str, list[float]], delivered: dict[str, list[float]]) -> list[str]:
        said = {name: f"{figures.middle(of, name):.1f} µs" for name in names}
        return [
            title,
            *(said[name] if figures.middle(delivered, name) >= HELD else f"({said[name]})" for name in names),
        ]

    rows = [
        each("one core, same run", lambda name: f"**{TITLES[name]}**"),
        row("unary calls/s, 32 clients", figures.rate, "{:,.0f}"),
        row("CPU a unary call", figures.cpu_call, "{:,.0f} µs"),
        row(f"streams/s back to back, {frames} frames each", figures.burst_rate, "{:,.0f}"),
        row("frames/s back to back", figures.burst_rate, "{:,.0f}", frames),
        costs(f"CPU a frame, {few} streams with gaps of 20 ms", figures.cpu_frame_few, figures.delivered_few),
        row("frames delivered of those asked", figures.delivered_few, "{:.0%}"),
        costs(f"CPU a frame, {many} streams with gaps of 20 ms", figures.cpu_frame, figures.delivered),
        row("frames delivered of those asked", figures.delivered, "{:.0%}"),
        each("added p50 / p95 at one client, beyond the mock's own", lambda name: _added(figures, name)),
        row("memory idle", figures.idle, "{:,.0f} MiB", 2**-20),
        each(f"memory a held stream ({many} held)", lambda name: f"{figures.held_stream[name][0] / 1e6:.3f} MB"),
        each("bytes kept: answer / stream", lambda name: _kept(found, name)),
        each("keys checked in this run", lambda name: CHECKS[name][0]),
        each("calls recorded durably in this run", lambda name: CHECKS[name][1]),
    ]
    lines = [f"| {' | '.join(cells)} |" for cells in rows]
    lines.insert(1, "|---" * (len(names) + 1) + "|")
    if any("(" in cell for cells in rows for cell in cells[1:]):
        lines += ["", f"In brackets: less than {HELD:.0%} of the frames came in time."]
    return lines


def _added(figures: Figures, name: str) -> str:
    return " / ".join(f"{added(figures, of, name):.2f}" for of in (figures.p50, figures.p95)) + " ms"


def added(figures: Figures, of: dict[str, list[float]], name: str) -> float:
    """Return the ms by which a peer is slower than the mock alone; never below a hundredth."""
    return max(0.01, (figures.middle(of, name) - figures.middle(of, "mock")) / 1e3)


def _kept(found: Found, name: str) -> str:
    return " / ".join("yes" if same else "no" for same in found.bytes_kept[name])


def _memory(figures: Figures) -> str:
    """Say it where another gateway needs less memory."""
    ours = figures.middle(figures.idle, "headgate")
    less = [
        f"{TITLES[name]} {figures.middle(figures.idle, name) / 2**20:.0f} MiB"
        for name in OTHERS
        if name in figures.idle and figures.middle(figures.idle, name) < ours
    ]
    return f" Idle it takes more memory: {ours / 2**20:.0f} MiB against {', '.join(less)}." if less else ""
