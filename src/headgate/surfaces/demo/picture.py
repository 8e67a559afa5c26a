"""The demo's screen as an SVG that loads nothing from anywhere."""

import io
from pathlib import Path

from rich.console import Console

from headgate.surfaces.demo.board import Board, DemoFailed
from headgate.surfaces.demo.screen import Canvas, draw

_FORMAT = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace;
  font-size: {char_height}px;
  line-height: {line_height}px;
}}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""rich's own format without its fonts from a CDN."""


def write_svg(board: Board, file: Path, width: int) -> None:
    """Write the board's last screen, all of its calls, as it is on a terminal of `width` columns. Raises DemoFailed."""
    console = Console(
        file=io.StringIO(), record=True, width=width, force_terminal=True, color_system="truecolor", highlight=False
    )
    console.print(draw(board, Canvas(width, None, unicode=True)))
    svg = console.export_svg(title="headgate demo", code_format=_FORMAT, unique_id=f"headgate-demo-{width}")
    try:
        file.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n", encoding="utf-8")
    except OSError as error:
        raise DemoFailed(f"Cannot write {file}: {error.strerror}. Name another file: --svg FILE") from None
