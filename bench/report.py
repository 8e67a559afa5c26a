"""The tables: figure, must, aim, measured."""

from bench import answers, report_peers
from bench.budget import PARTS, Budget
from bench.figures import Figures
from bench.found import Found

HOW = """
## How to repeat it

```
apt-get install nginx-light wrk   # Debian's names
make bench-peers                  # everything above, a quarter of an hour; node and npm are needed for Portkey
make bench                        # without the other gateways, six minutes; their tables stay as they are
make bench-limits                 # the part on limits and wrong keys, ten minutes
```

Add `ARGS=--quick` for a third of the time and rougher figures. `make bench-peers` installs the other gateways into
`build/peers`, at the versions in `bench/pins.py`, and uses them again when they are there.

Linux and two cores are needed, and a machine with nothing else to do. The gateway (all its processes) is
pinned to one core, mock and load to the other. CPU is user and system time of the gateway's process tree,
from /proc, divided by the calls or frames that clients counted, so that it holds also where the mock and
not the gateway is the limit. The peers take turns within each round; a ratio is the median of the rounds'
ratios. Unary: 32 clients with a prompt of 1 KB. Streams: 300 held, a frame every 20 ms on each. Headgate
runs with key auth, routing, metering and the SQLite ledger at durability `call`. Before anything is
measured, a unary answer and a stream of each peer are compared with the mock's bytes (what they say, where a
peer writes them anew); every frame of the streams is compared afterwards. “Relay” is Granian (RSGI) and
pyreqwest passing bytes on and doing nothing else: the floor of this stack.
"""

MUST_CALL = 6
BUSY = 0.5
"""Load above which figures are disturbed."""


def write(found: Found, peers: str, limits: str = "") -> str:
    """Return RESULTS.md. `peers` is the part on other gateways, `limits` the one on limits: each has its own module."""
    lines = ["# Measured", "", *report_peers.circumstances(found, BUSY), ""]
    lines += ["## Headgate against nginx", "", *_promises(found), "", *_missed(found.figures)]
    if found.recorded is not None:
        seen, recorded = found.recorded
        lines += [f"Clients saw the end of {seen:,} calls in the memory run; the ledger holds {recorded:,}.", ""]
    lines += ["## Absolute figures", "", *_absolute(found), ""]
    if found.budget is not None:
        lines += ["## CPU budget of a unary call", "", *_budget(found.budget), ""]
    return "\n".join(lines).rstrip() + "\n\n" + peers + limits + HOW


def _promises(found: Found) -> list[str]:
    figures = found.figures
    rows = ["| figure | must | aim | measured | nginx |", "|---|---|---|---|---|"]
    rows.append(_against("CPU a unary call, against nginx", "≤ 6 × | ≤ 4 ×", figures, figures.cpu_call))
    frame = f"CPU a forwarded frame ({found.scale.streams} streams, 20 ms gaps), against nginx"
    rows.append(_against(frame, "≤ 3 × | ≤ 2.2 ×", figures, figures.cpu_frame))
    nginx, ours = (
        [figures.middle(of, name) / 1e3 for of in (figures.p50, figures.p95)] for name in ("nginx", "headgate")
    )
    rows.append(
        "| added p50 / p95 at one client, beyond nginx's | ≤ 0.8 / 1.5 ms | ≤ 0.4 / 0.7 ms | "
        f"{ours[0] - nginx[0]:.2f} / {ours[1] - nginx[1]:.2f} ms | {nginx[0]:.2f} / {nginx[1]:.2f} ms |"
    )
    # The most of the rounds: later ones use memory again that the first has taken.
    held, theirs = (max(figures.held_stream[name]) / 1e6 for name in ("headgate", "nginx"))
    rows.append(f"| memory a held stream | ≤ 0.6 MB | ≤ 0.2 MB | {held:.3f} MB | {theirs:.3f} MB |")
    if len(figures.memory) == 2:
        (few, before), (many, after) = figures.memory
        rows.append(
            f"| memory after {many:,} calls against after {few:,} | ≤ 1.05 × | = | {after / before:.3f} × "
            f"({before / 2**20:.0f} → {after / 2**20:.0f} MiB) | – |"
        )
    rows += _translated(found)
    return rows


def _translated(found: Found) -> list[str]:
    """Return a row for each dialect that frames of a chat upstream were translated into."""
    figures, rows = found.figures, []
    for client in (client for client in figures.translated if client != "chat"):
        ratio = figures.ratio(figures.translated, client, "chat")
        ours, forwarded = (figures.middle(figures.translated, each) for each in (client, "chat"))
        rows.append(
            f"| CPU a frame translated from chat for a {client} client ({found.scale.translated_streams} streams), "
            f"against a forwarded one | ≤ 3 × | – | {ratio:.1f} × ({ours:.0f} µs; forwarded {forwarded:.0f} µs) | – |"
        )
    return rows


def _missed(figures: Figures) -> list[str]:
    """Say why a unary call costs more than it must, where it does: what the bare stack takes, and what we add."""
    ours = figures.ratio(figures.cpu_call, "headgate")
    if ours <= MUST_CALL or "relay" not in figures.cpu_call:
        return []
    floor = figures.ratio(figures.cpu_call, "relay")
    nginx, relay, whole = (figures.middle(figures.cpu_call, name) for name in ("nginx", "relay", "headgate"))
    said = (
        f"**“CPU a unary call” is not met.** The budget was drawn up for an nginx of 33 µs a call; here it takes "
        f"{nginx:.0f} µs. The bare stack, passing bytes on and doing nothing else, takes {relay:.0f} µs "
        f"({floor:.1f} ×), and Headgate adds {whole - relay:.0f} µs to it for keys, routing, metering and the ledger: "
        f"at 33 µs that would be {whole / 33:.1f} ×. What would help: an interpreter built with profile-guided "
        "optimisation (Debian's takes 17 % less for the same code than one built without), and fewer hand-overs "
        "between threads than Granian, pyreqwest and the writer need now."
    )
    return [said, ""]


def _against(figure: str, goals: str, figures: Figures, of: dict[str, list[float]]) -> str:
    ours, nginx = figures.middle(of, "headgate"), figures.middle(of, "nginx")
    return f"| {figure} | {goals} | {figures.ratio(of, 'headgate'):.1f} × ({ours:.0f} µs) | {nginx:.1f} µs |"


def _absolute(found: Found) -> list[str]:
    figures = found.figures
    frames = answers.BURST_FRAMES
    streams = f"streams/s ({frames} frames, back to back)"
    heads = [
        "what",
        "calls/s",
        "CPU a call",
        streams,
        "CPU a frame",
        "reads a frame",
        "p50 / p95 at one client",
    ]
    rows = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name in (name for name in figures.rate if name not in report_peers.OTHERS):
        cells = [
            _cell(figures, figures.rate, name, "{:,.0f}"),
            _cell(figures, figures.cpu_call, name, "{:.1f} µs"),
            _cell(figures, figures.burst_rate, name, "{:,.0f}"),
            _cell(figures, figures.cpu_frame, name, "{:.1f} µs"),
            _cell(figures, figures.alone, name, "{:.2f}"),
            f"{figures.middle(figures.p50, name):.0f} / {figures.middle(figures.p95, name):.0f} µs",
        ]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    rows += ["", "Reads a frame: 1.00 where every frame came to the client alone, as it was sent."]
    return rows


def _cell(figures: Figures, of: dict[str, list[float]], name: str, shape: str) -> str:
    return shape.format(figures.middle(of, name)) if name in of else "–"


def _budget(measured: Budget) -> list[str]:
    if not measured.parts:
        return [f"Not measured: {measured.note}."]
    rows = ["| part | budget, µs | measured, µs |", "|---|---|---|"]
    rows += [f"| {part} | {given:.0f} | {measured.parts[part]:.0f} |" for part, given in PARTS.items()]
    given = sum(PARTS.values())
    rows += [f"| together | {given:.0f} | {sum(measured.parts.values()):.0f} |", ""]
    rows += [f"The budget is for nginx = 33 µs. py-spy: {measured.note}; sampling slows it a little."]
    return rows
