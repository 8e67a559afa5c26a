"""One chart as SVG: bars of each peer in four panels. No script, no font and no picture from elsewhere."""

import math
from dataclasses import dataclass
from html import escape

from bench.figures import Figures
from bench.report_peers import TITLES, added

SVG = "http://www.w3.org/2000/svg"
ORDER = ("nginx", "headgate", "portkey", "litellm")
WIDTH, PANEL_WIDTH, PANEL_HEIGHT, MARGIN = 820, 400, 176, 20
LABEL_WIDTH, VALUE_WIDTH, BAR, STEP, TOP = 76, 74, 16, 26, 46
FACTOR = 10
"""Beyond this factor between the longest and the shortest, a bar on a plain scale cannot be seen."""

STYLE = """
.page{fill:#ffffff}.text{fill:#1f2328}.soft{fill:#59636e}.line{stroke:#d1d9e0}.other{fill:#8c959f}.ours{fill:#0969da}
.value{paint-order:stroke;stroke:#ffffff;stroke-width:4px}
text{font:12px system-ui,-apple-system,"Segoe UI",sans-serif}.title{font-weight:600;font-size:13px}.tick{font-size:10px}
@media (prefers-color-scheme:dark){.page{fill:#0d1117}.text{fill:#f0f6fc}.soft{fill:#9198a1}.line{stroke:#3d444d}
.other{fill:#6e7681}.ours{fill:#4493f8}.value{stroke:#0d1117}}
"""


@dataclass(frozen=True)
class Panel:
    """A title, what is better, how a value is written, and the value of each peer by name."""

    title: str
    better: str
    shape: str
    values: dict[str, float]


def panels(figures: Figures) -> list[Panel]:
    """Return the four panels for the peers that were measured."""
    names = [name for name in ORDER if name in figures.cpu_call]
    few = {name: figures.middle(figures.cpu_frame_few, name) for name in names}
    return [
        Panel("Calls a second on one core", "more is better", "{:,.0f}", _middles(figures, figures.rate, names)),
        Panel("CPU a streamed frame", "less is better", "{:,.0f} µs", few),
        Panel(
            "Added latency, median, one client",
            "less is better",
            "{:.2f} ms",
            {name: added(figures, figures.p50, name) for name in names},
        ),
        Panel(
            "Memory, idle",
            "less is better",
            "{:,.0f} MiB",
            {name: figures.middle(figures.idle, name) / 2**20 for name in names},
        ),
    ]


def draw(shown: list[Panel], note: str) -> str:
    """Return the SVG. `note` stands at the foot."""
    rows = (len(shown) + 1) // 2
    height = rows * (PANEL_HEIGHT + MARGIN) + 2 * MARGIN
    said = "; ".join(
        f"{panel.title}: "
        + ", ".join(f"{TITLES[name]} {panel.shape.format(value)}" for name, value in panel.values.items())
        for panel in shown
    )
    lines = [
        f'<svg xmlns="{SVG}" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"',
        'role="img" aria-labelledby="title desc">',
        '<title id="title">Headgate beside nginx and other gateways</title>',
        f'<desc id="desc">{escape(said)}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{height}" rx="6"/>',
    ]
    for at, panel in enumerate(shown):
        left = MARGIN + at % 2 * PANEL_WIDTH
        lines += _panel(panel, left, MARGIN + at // 2 * (PANEL_HEIGHT + MARGIN))
    lines.append(f'<text class="soft tick" x="{MARGIN}" y="{height - 14}">{escape(note)}</text>')
    return "\n".join([*lines, "</svg>"]) + "\n"


def _panel(panel: Panel, left: float, top: float) -> list[str]:
    values = panel.values.values()
    logarithmic = max(values) / min(values) > FACTOR
    scale = f"{panel.better}; each line is ten times the last" if logarithmic else panel.better
    lines = [
        f'<text class="text title" x="{left}" y="{top + 12}">{escape(panel.title)}</text>',
        f'<text class="soft tick" x="{left}" y="{top + 28}">{escape(scale)}</text>',
    ]
    start, width = left + LABEL_WIDTH, PANEL_WIDTH - MARGIN - LABEL_WIDTH - VALUE_WIDTH
    low, high = span(list(values))
    foot = top + TOP + STEP * len(panel.values)
    if logarithmic:
        for power in range(round(math.log10(low)), round(math.log10(high)) + 1):
            x = start + width * share(10.0**power, low, high)
            lines.append(f'<line class="line" x1="{x:.1f}" x2="{x:.1f}" y1="{top + TOP - 6}" y2="{foot - 4}"/>')
            lines.append(
                f'<text class="soft tick" x="{x:.1f}" y="{foot + 8}" text-anchor="middle">{10.0**power:,g}</text>'
            )
    for at, (name, value) in enumerate(panel.values.items()):
        y = top + TOP + at * STEP
        length = width * (share(value, low, high) if logarithmic else value / max(values))
        kind = "ours" if name == "headgate" else "other"
        lines += [
            f'<text class="text" x="{start - 8}" y="{y + 12}" text-anchor="end">{TITLES[name]}</text>',
            f'<rect class="{kind}" data-peer="{name}" x="{start}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2"/>',
            f'<text class="text value" x="{start + length + 6:.1f}" y="{y + 12}">{panel.shape.format(value)}</text>',
        ]
    return lines


def span(values: list[float]) -> tuple[float, float]:
    """Return the powers of ten around these values; the lower leaves the shortest bar some length."""
    low = 10.0 ** math.floor(math.log10(min(values) * 0.8))
    return low, max(low * 10, 10.0 ** math.ceil(math.log10(max(values))))


def share(value: float, low: float, high: float) -> float:
    """Return how far along a logarithmic scale a value lies, 0 to 1."""
    return math.log10(value / low) / math.log10(high / low)


def _middles(figures: Figures, of: dict[str, list[float]], names: list[str]) -> dict[str, float]:
    return {name: figures.middle(of, name) for name in names}
