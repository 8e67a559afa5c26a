"""The screen fits every terminal, says what the ledger says, and needs neither colour nor more than ASCII."""

import io
import re
from typing import Any

import pytest
from rich.console import Console
from tests.demo.conftest import Done

from headgate.ledger.views import GroupBy
from headgate.model.money import format_usd
from headgate.surfaces.demo.board import Board, Line
from headgate.surfaces.demo.figures import fit, money, span
from headgate.surfaces.demo.picture import write_svg
from headgate.surfaces.demo.scenario import Lane, Turn, scenario
from headgate.surfaces.demo.screen import Canvas, canvas_of, draw


def rows(done: Done) -> list[dict[str, Any]]:
    reader = done.ledger.reader()
    found = [reader.call(row["id"]) for row in reversed(reader.calls())]
    return [row for row in found if row is not None]


@pytest.fixture
def board(done: Done) -> Board:
    """The board of a real run, as if two more calls were running."""
    reader = done.ledger.reader()
    board = Board(clock=lambda: 100.0)
    turn = Turn("", "", note="groq answered 503: the call went on to openai before its client saw a word.")
    board.lines = [Line("agent A", row["model_asked"], turn, 90.0, None, 0, row["route"], row) for row in rows(done)]
    board.lines.append(Line("fast", "fast", turn, 98.5))
    board.lines.append(
        Line("chat", "anthropic/claude-haiku-4-5", turn, 97.0, 97.5, 12_345, "anthropic/claude-haiku-4-5")
    )
    board.note = turn.note
    [board.total] = reader.usage(GroupBy.ALL)
    board.models, board.providers = reader.usage(GroupBy.MODEL), reader.usage(GroupBy.PROVIDER)
    return board


def printed(board: Board, canvas: Canvas, *, encoding: str = "utf-8") -> list[str]:
    """Return the lines as a terminal of the canvas gets them, in its own encoding."""
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding=encoding, errors="strict") as file:
        console = Console(file=file, width=canvas.width, force_terminal=True, no_color=True, highlight=False)
        console.print(draw(board, canvas))
        file.flush()
        text = raw.getvalue().decode(encoding)
    return re.sub(r"\x1b\[[0-9;]*m", "", text).rstrip("\n").split("\n")


@pytest.mark.parametrize("width", [20, 40, 60, 78, 79, 80, 100, 181, 182, 200, 300])
@pytest.mark.parametrize("height", [5, 10, 23, 40, None])
def test_it_fits(board: Board, width: int, height: int | None) -> None:
    lines = printed(board, Canvas(width, height, unicode=True))
    assert max(map(len, lines)) <= width
    assert height is None or len(lines) <= height
    assert any("waiting" in line or "streaming" in line for line in lines) or height == 5


@pytest.mark.parametrize("width", [40, 80, 200])
def test_an_ascii_terminal_gets_ascii(board: Board, width: int) -> None:
    lines = printed(board, Canvas(width, 23, unicode=False), encoding="ascii")
    assert len(lines) <= 23
    assert "Headgate demo" in lines[0]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_it_says_that_nothing_of_it_is_real(board: Board, width: int) -> None:
    text = " ".join(printed(board, Canvas(width, 23, unicode=True)))
    assert "simulated upstream, invented answers, real prices" in re.sub(r"\s+", " ", text)


def test_each_ended_call_shows_what_its_row_in_the_ledger_says(done: Done, board: Board) -> None:
    lines = printed(board, Canvas(200, None, unicode=True))
    shown = [re.split(r"\s{1,}", line.strip()) for line in lines if line.startswith("agent A")]
    recorded = rows(done)
    assert len(shown) == len(recorded)
    for cells, row in zip(shown, recorded, strict=True):
        cost = "unknown" if row["cost_nano"] is None else money(row["cost_nano"], 9)
        fresh = row["input"] + row["cache_write_5m"] + row["cache_write_1h"]
        assert cells[2:5] == [row["model_asked"], row["route"], str(len(row["attempts"]))]
        assert cells[5] == span(row["ttft"])
        assert cells[7:10] == [str(fresh), str(row["cache_read"]), str(row["output"])]
        assert cells[10].removeprefix("~") == cost
        assert cells[11] == (money(row["savings_nano"], 9) if row["savings_nano"] else "0")


def test_on_a_narrow_screen_a_call_says_what_it_saved_where_it_saved_something(done: Done, board: Board) -> None:
    lines = printed(board, Canvas(50, None, unicode=True))
    figures = [line for line in lines if re.match(r"  (1 try|\d tries) ", line)]
    recorded = rows(done)
    assert len(figures) == len(recorded)
    for line, row in zip(figures, recorded, strict=True):
        saved = row["savings_nano"]
        assert re.findall(r"saved (.*)", line) == ([f"${money(saved, 5)}"] if saved else [])
    for width in (40, 50):
        [left] = [line for line in printed(board, Canvas(width, None, unicode=True)) if "~" in line]
        assert re.search(r" ~\$0\.\d{5}$", left)


def test_the_sums_are_the_ledgers(board: Board) -> None:
    assert board.total is not None
    for width in (40, 80, 200):
        text = " ".join(printed(board, Canvas(width, None, unicode=True)))
        text = re.sub(r"\s+", " ", text)
        assert f"cost ${money(board.total.cost_nano, 6)}, 1 unknown" in text
        for group in [*board.models, *board.providers]:
            assert str(group.group) in text
            assert (money(group.cost_nano, 6) if group.cost_nano else "unknown") in text


def test_on_a_low_screen_the_running_calls_are_kept(board: Board) -> None:
    lines = printed(board, Canvas(80, 9, unicode=True))
    assert sum("waiting" in line or "streaming" in line for line in lines) == 2


def test_an_empty_board_is_drawn(board: Board) -> None:
    for width in (40, 80, 200):
        assert printed(Board(), Canvas(width, 23, unicode=True))


def test_a_terminal_that_is_no_utf_8_is_known_by_its_encoding() -> None:
    with io.TextIOWrapper(io.BytesIO(), encoding="ascii") as file:
        canvas = canvas_of(Console(file=file, width=70, height=30, force_terminal=True))
    assert canvas == Canvas(70, 29, unicode=False)


def test_the_picture_loads_nothing_and_names_every_route(board: Board, tmp_path: Any) -> None:
    file = tmp_path / "demo.svg"
    write_svg(board, file, 80)
    svg = file.read_text(encoding="utf-8")
    assert re.findall(r"https?://[^\"' ]+", svg) == ["http://www.w3.org/2000/svg"]
    assert "@font-face" not in svg
    assert all(line.route.partition("/")[2] in svg for line in board.lines)


def test_a_call_that_did_not_go_as_planned_is_a_problem(done: Done) -> None:
    lane = next(lane for group in scenario() for lane in group)
    right = lane.turns[0]
    row = next(row for row in rows(done) if row["model_asked"] == lane.model)
    assert ended(done, lane, right, row) == []
    changed: list[dict[str, Any]] = [
        {"outcome": "failed"},
        {"route": "groq/other"},
        {"cost_nano": None},
        {"basis": "estimated"},
        {"cache_read": 12},
        {"attempts": [*row["attempts"], row["attempts"][0]]},
        {"attempts": [row["attempts"][0] | {"failure": "cut"}]},
    ]
    for change in changed:
        [problem] = ended(done, lane, right, row | change)
        assert problem.startswith("agent A, anthropic/claude-opus-4-5: ")


def ended(done: Done, lane: Lane, turn: Turn, row: dict[str, Any]) -> list[str]:
    board = Board()
    board.end(board.begin(lane, turn), row, done.ledger.reader())
    return board.problems


@pytest.mark.parametrize(
    ("nano", "digits", "text"),
    [
        (0, 5, "0.00000"),
        (4_999, 5, "0.00000"),
        (5_000, 5, "0.00001"),
        (1_999_999_999, 6, "2.000000"),
        (7, 9, "0.000000007"),
    ],
)
def test_money_is_rounded_half_up(nano: int, digits: int, text: str) -> None:
    assert money(nano, digits) == text
    assert digits != 9 or format_usd(nano) == text


def test_what_is_too_long_is_cut_with_a_mark() -> None:
    assert [fit("abcdef", 4), fit("ab", 4), fit("ab", -4)] == ["ab..", "ab  ", "  ab"]
