"""The demo's screen: a picture of the board for any width, height and character set, as lines that never wrap."""

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from headgate.ledger.views import Usage
from headgate.surfaces.cli.output import plain
from headgate.surfaces.demo.board import Board, Line
from headgate.surfaces.demo.figures import fit, fresh, fresh_of, happened, money, span, total_cost

TITLE = "Headgate demo"
WARNING = "simulated upstream, invented answers, real prices"
COMPACT, WIDE = 79, 182
"""Below the first width a call takes two lines; from the second on there is room for what happened."""
LEAST_CALLS = 3
"""Calls that are shown however low the screen is; totals give way."""

Part = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Canvas:
    """What is drawn on. `height` in lines, None: as many as there are; `unicode`: more than ASCII can be shown."""

    width: int
    height: int | None
    unicode: bool


def canvas_of(console: Console) -> Canvas:
    """Return the canvas of a terminal; its last line stays free, so that nothing scrolls."""
    return Canvas(console.width, max(console.height - 1, 1), console.encoding.lower().startswith("utf"))


def draw(board: Board, canvas: Canvas) -> Text:
    """Return the picture; no line of it is wider than the canvas, and no more of them than it has."""
    head, foot = _head(canvas), _foot(board, canvas)
    models = _totals(board.models, "by model", "calls", canvas)
    providers = _totals(board.providers, "by provider", "tries", canvas)
    sections = [_beside(models, providers)] if canvas.width >= WIDE else [models, providers]
    each, top = (2, 0) if canvas.width < COMPACT else (1, 1)
    room = _room(canvas, head, foot, sections, top, each)
    while sections and room < LEAST_CALLS:
        sections.pop()
        room = _room(canvas, head, foot, sections, top, each)
    calls = _calls(_chosen(board.lines, room), board, canvas)
    blocks = [head, calls, *(section for section in sections if section), foot]
    spare = 0 if canvas.height is None else canvas.height - sum(map(len, blocks))
    airy = canvas.height is None or spare >= len(blocks) - 1
    lines: list[Text] = []
    for block in blocks:
        lines += ([Text("")] if airy and lines else []) + block
    if canvas.height is not None:
        lines = lines[: canvas.height]
    for line in lines:
        line.truncate(canvas.width, overflow="crop")
        line.rstrip()
    return Text("\n", no_wrap=True, overflow="crop").join(lines)


def _room(canvas: Canvas, head: list[Text], foot: list[Text], sections: list[list[Text]], top: int, each: int) -> int:
    """Return how many calls fit beside the rest."""
    if canvas.height is None:
        return 10_000
    return (canvas.height - len(head) - len(foot) - sum(map(len, sections)) - top) // each


def _chosen(lines: list[Line], room: int) -> list[Line]:
    """Return what is running and what has ended last, in the order in which it began."""
    running = [at for at, line in enumerate(lines) if line.row is None]
    ended = [at for at, line in enumerate(lines) if line.row is not None]
    left = max(room - len(running), 0)
    kept = sorted([*running, *(ended[-left:] if left else [])])
    return [lines[at] for at in kept][-max(room, 1) :]


def _head(canvas: Canvas) -> list[Text]:
    mark = " · " if canvas.unicode else " - "
    if len(TITLE) + len(mark) + len(WARNING) <= canvas.width:
        return [_line((TITLE, "bold"), (mark, "dim"), (WARNING, "yellow"))]
    return [_line((TITLE, "bold")), *(_line((text, "yellow")) for text in textwrap.wrap(WARNING, canvas.width))]


def _foot(board: Board, canvas: Canvas) -> list[Text]:
    found = []
    if board.total is not None:
        attempts = sum(group.requests for group in board.providers)
        unknown = f", {board.total.unknown_cost} unknown" if board.total.unknown_cost else ""
        cost, saved = money(board.total.cost_nano, 6), money(board.total.savings_nano, 6)
        text = f"{board.total.requests} calls, {attempts} attempts; cost ${cost}{unknown}; caches saved ${saved}"
        found = [_line((text, "bold green")) for text in textwrap.wrap(text, canvas.width)]
    return [*found, *(_line((text, "cyan")) for text in textwrap.wrap(board.note, canvas.width))]


Column = tuple[str, int, Callable[[dict[str, Any]], Part]]
_GAP = " "


def _columns(canvas: Canvas) -> list[Column]:
    """The columns of ended calls: title, width (negative: to the right), and what a row of the ledger has in it."""
    if canvas.width < WIDE:
        return [
            ("try", -3, _tries),
            ("TTFT", -5, lambda row: (span(row["ttft"]), "")),
            ("fresh", -5, lambda row: (str(fresh(row)), "")),
            ("cached", -6, _cached),
            ("out", -4, lambda row: (str(row["output"]), "")),
            ("cost $", -8, lambda row: _cost(row, 5)),
            ("saved $", -7, lambda row: _saved(row["savings_nano"], 5)),
        ]
    return [
        ("try", -4, _tries),
        ("TTFT", -7, lambda row: (span(row["ttft"]), "")),
        ("took", -7, lambda row: (span(row["duration"]), "")),
        ("fresh", -7, lambda row: (str(fresh(row)), "")),
        ("cached", -7, _cached),
        ("out", -6, lambda row: (str(row["output"]), "")),
        ("cost $", -12, lambda row: _cost(row, 9)),
        ("saved $", -12, lambda row: _saved(row["savings_nano"], 9)),
        ("  what happened", 50, lambda row: ("  " + happened(row), "")),
    ]


def _calls(lines: list[Line], board: Board, canvas: Canvas) -> list[Text]:
    if canvas.width < COMPACT:
        return [text for line in lines for text in _compact(line, board, canvas)]
    columns = _columns(canvas)
    wide = canvas.width >= WIDE
    names = [("who", 7), ("asked for", 26), ("route", 26)] if wide else [("who", 7), ("route", 26)]
    titles = [*(fit(title, width) for title, width in names), *(fit(title, width) for title, width, _ in columns)]
    found = [_line((_GAP.join(titles), "bold underline" if canvas.unicode else "bold"))]
    for line in lines:
        given = [(line.who, _colour(line)), *([(line.asked, "dim")] if wide else []), (line.route or line.asked, "")]
        parts: list[Part] = []
        for (text, style), (_, width) in zip(given, names, strict=True):
            parts += [(fit(plain(text), width), style), (_GAP, "")]
        if line.row is None:
            parts.append((f" {_running(line, board)}", "italic cyan"))
        else:
            for _, width, cell in columns:
                text, style = cell(line.row)
                parts += [(fit(text, width), style), (_GAP, "")]
        found.append(_line(*parts))
    return found


def _compact(line: Line, board: Board, canvas: Canvas) -> list[Text]:
    """A call in two lines: who and where, and below it the figures."""
    if line.row is None:
        where = _line((fit(line.who, 7), _colour(line)), (" ", ""), (plain(line.route or line.asked), ""))
        return [where, _line((f"  {_running(line, board)}", "italic cyan"))]
    row = line.row
    cost, style = _cost(row, 5, "$")
    route = fit(plain(line.route), max(canvas.width - 8 - len(cost) - 2, 1))
    tries = f"{len(row['attempts'])} tries" if len(row["attempts"]) > 1 else "1 try"
    figures = f"  {tries} {span(row['ttft'])} in {fresh(row)}+{row['cache_read']} out {row['output']}"
    saved = f" saved ${money(row['savings_nano'], 5)}" if row["savings_nano"] else ""
    return [
        _line((fit(line.who, 7), _colour(line)), (f" {route} ", ""), (cost, style)),
        _line((figures + (saved if len(figures) + len(saved) <= canvas.width else ""), "")),
    ]


def _totals(groups: Sequence[Usage], title: str, counted: str, canvas: Canvas) -> list[Text]:
    if not groups:
        return []
    if canvas.width < COMPACT:
        widths = [max(canvas.width - 16, 8), -5, -9]
        found = [_line((_GAP.join(map(fit, (title, counted, "cost $"), widths)), "bold"))]
        for group in groups:
            cells = [plain(_name(group)), str(group.requests), total_cost(group)]
            found.append(_line((_GAP.join(map(fit, cells, widths)), "")))
        return found
    widths = [26, -5, -8, -8, -7, -10, -9]
    titles = [title, counted, "fresh", "cached", "out", "cost $", "saved $"]
    found = [_line((_GAP.join(map(fit, titles, widths)), "bold underline" if canvas.unicode else "bold"))]
    for group in groups:
        cells = [
            plain(_name(group)),
            str(group.requests),
            str(fresh_of(group)),
            str(group.cache_read),
            str(group.output),
        ]
        cost = "yellow" if group.unknown_cost else "green"
        saved, style = _saved(group.savings_nano, 6)
        found.append(
            _line(
                (_GAP.join(map(fit, cells, widths)), ""),
                (f"{_GAP}{fit(total_cost(group), -10)}", cost),
                (f"{_GAP}{fit(saved, -9)}", style),
            )
        )
    return found


def _name(group: Usage) -> str:
    return str(group.group)


def _beside(left: list[Text], right: list[Text]) -> list[Text]:
    """Put two blocks side by side."""
    found = []
    width = max((line.cell_len for line in left), default=0)
    for at in range(max(len(left), len(right))):
        one = left[at].copy() if at < len(left) else Text("")
        if at < len(right):
            one.pad_right(width + 4 - one.cell_len)
            one.append_text(right[at])
        found.append(one)
    return found


def _colour(line: Line) -> str:
    if line.row is None:
        return "bold cyan"
    if line.row["outcome"] != "ok":
        return "magenta"
    return "yellow" if len(line.row["attempts"]) > 1 or line.row["cost_nano"] is None else ""


def _running(line: Line, board: Board) -> str:
    now = board.clock()
    if line.first is None and not line.heard:
        return f"waiting, {now - line.began:.1f} s"
    return f"streaming, {line.heard / 1000:.1f} kB in {now - line.began:.1f} s"


def _tries(row: dict[str, Any]) -> Part:
    count = len(row["attempts"])
    return str(count), "bold yellow" if count > 1 else ""


def _cost(row: dict[str, Any], digits: int, unit: str = "") -> Part:
    if row["cost_nano"] is None:
        return "unknown", "bold yellow"
    about = "~" if row["basis"] == "estimated" else ""
    return about + unit + money(row["cost_nano"], digits), "magenta" if about else "bold green"


def _cached(row: dict[str, Any]) -> Part:
    return str(row["cache_read"]), "green" if row["cache_read"] else "dim"


def _saved(nano: int, digits: int) -> Part:
    return (money(nano, digits), "green") if nano else ("0", "dim")


def _line(*parts: Part) -> Text:
    return Text.assemble(*parts, no_wrap=True, overflow="crop")
