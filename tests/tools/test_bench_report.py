"""The bench's tables and chart, from the figures of a recorded run."""

import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from bench import __main__ as program
from bench import chart, found, machine, progress, report, report_peers

RECORDED = Path(__file__).with_name("bench_run.json")
SVG = "{http://www.w3.org/2000/svg}"
PEERS = ("nginx", "headgate", "portkey", "litellm")


@pytest.fixture
def run() -> found.Found:
    return found.load(RECORDED.read_bytes())


def cells(text: str, title: str) -> list[str]:
    """The cells of the table row that begins with this title."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {title} |")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def bars(svg: str) -> list[dict[str, float]]:
    """The lengths of the bars of each panel by peer."""
    panels: list[dict[str, float]] = []
    for bar in ET.fromstring(svg).iter(f"{SVG}rect"):  # noqa: S314 our own text
        if peer := bar.get("data-peer"):
            if not panels or peer in panels[-1]:
                panels.append({})
            panels[-1][peer] = float(bar.get("width", "nan"))
    return panels


def test_a_run_comes_back_from_its_json_as_it_was(run: found.Found) -> None:
    assert found.load(found.dump(run)) == run


def test_the_table_of_peers_has_every_peer_and_every_figure(run: found.Found) -> None:
    text = report_peers.section(run, report.BUSY)
    heads = cells(text, "one core, same run")
    assert heads == ["**nginx**", "**relay**", "**Headgate**", "**Portkey**", "**LiteLLM**"]
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(row.strip("|").split("|")) for row in rows} == {4, 6}
    rates = [float(cell.replace(",", "")) for cell in cells(text, "unary calls/s, 32 clients")]
    assert rates == [round(run.figures.rate[name][0]) for name in run.peers[:3]] + [
        round(run.figures.rate[name][0]) for name in ("portkey", "litellm")
    ]
    assert cells(text, "bytes kept: answer / stream") == ["yes / yes"] * 3 + ["no / yes", "no / no"]


def test_peers_that_do_not_keep_up_are_named_and_their_cost_is_in_brackets(run: found.Found) -> None:
    run.figures.delivered = {name: [1.0] for name in run.peers} | {"litellm": [0.06]}
    text = report_peers.section(run, report.BUSY)
    costs = cells(text, "CPU a frame, 300 streams with gaps of 20 ms")
    assert [cost.startswith("(") for cost in costs] == [False] * 4 + [True]
    assert "In brackets: less than 98% of the frames came in time." in text


@pytest.mark.parametrize(("ours", "said"), [(60.0, "60.0 × |"), (29.0, "29.0 ×, **not met** |")])
def test_a_ratio_below_what_it_must_be_is_said(run: found.Found, ours: float, said: str) -> None:
    run.figures.rate["headgate"] = [run.figures.rate["litellm"][0] * ours]
    assert f"LiteLLM on the same core | ≥ 30 × | ≥ 60 × | {said}" in report_peers.section(run, report.BUSY)


def test_what_headgate_does_worse_is_said_only_where_it_does(run: found.Found) -> None:
    assert re.search(r"Idle it takes more memory: \d+ MiB against Portkey \d+ MiB\.", report_peers.section(run, 1))
    run.figures.idle["headgate"] = [1.0]
    assert "takes more memory" not in report_peers.section(run, 1)


def test_a_run_without_peers_keeps_their_part_with_its_date(run: found.Found) -> None:
    whole = report.write(run, report_peers.section(run, report.BUSY))
    later = replace(run, date="2031-01-01")
    again = report.write(later, report_peers.kept(whole))
    assert report_peers.kept(again) == report_peers.kept(whole) == report_peers.section(run, report.BUSY)
    assert again.count("2031-01-01") == 1
    assert again.replace("2031-01-01", run.date) == whole


def test_results_without_peers_have_no_part_on_them(run: found.Found) -> None:
    assert report_peers.kept(report.write(run, "")) == ""
    assert report_peers.kept("# Measured\n" + report_peers.BEGIN + "cut off") == ""


def test_the_main_part_shows_budget_memory_and_no_other_gateway(run: found.Found) -> None:
    text = report.write(run, "").partition("## How to repeat it")[0]
    assert cells(text, "memory after 20,192 calls against after 8,619")[2].startswith("1.007 ×")
    assert cells(text, "together") == ["189", "145"]
    assert "litellm" not in text.lower().replace(", ".join(run.versions).lower(), "")


def test_each_panel_has_a_bar_for_each_peer_as_long_as_its_figure_is_large(run: found.Found) -> None:
    shown = chart.panels(run.figures)
    drawn = bars(chart.draw(shown, "note"))
    assert len(drawn) == len(shown) == 4
    for panel, lengths in zip(shown, drawn, strict=True):
        assert tuple(lengths) == PEERS
        assert sorted(lengths, key=lengths.__getitem__) == sorted(panel.values, key=panel.values.__getitem__)
        assert min(lengths.values()) > 2


def test_a_chart_stands_alone_and_inside_its_frame(run: found.Found) -> None:
    svg = chart.draw(chart.panels(run.figures), "a <note> & more")
    root = ET.fromstring(svg)  # noqa: S314 our own text
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    assert "a <note> & more" in {text.text for text in root.iter(f"{SVG}text")}
    assert not re.search(r"url\(|href|@import|<script", svg)
    assert svg.count("http") == 1
    for bar in root.iter(f"{SVG}rect"):
        assert float(bar.get("x", 0)) + float(bar.get("width", 0)) <= width
        assert float(bar.get("y", 0)) + float(bar.get("height", 0)) <= height
    for name in PEERS:
        assert report_peers.TITLES[name] in root.findtext(f"{SVG}desc", "")


def test_a_chart_of_a_run_without_one_peer_leaves_it_out(run: found.Found) -> None:
    del run.figures.cpu_call["portkey"]
    assert all(
        tuple(lengths) == ("nginx", "headgate", "litellm")
        for lengths in bars(chart.draw(chart.panels(run.figures), ""))
    )


@pytest.mark.parametrize("values", [[1.0, 1000.0], [0.09, 37.8], [10.0, 10.0], [4071.0, 49.0]])
def test_a_logarithmic_scale_holds_every_value(values: list[float]) -> None:
    low, high = chart.span(values)
    assert all(0 < chart.share(value, low, high) <= 1 for value in values)


def test_tables_are_written_again_without_measuring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "RAW", RECORDED)
    monkeypatch.setattr(program, "RESULTS", tmp_path / "RESULTS.md")
    monkeypatch.setattr(program, "CHART", tmp_path / "bench.svg")
    monkeypatch.setattr(sys, "argv", ["bench", "--again"])
    assert program.main() == 0
    assert (tmp_path / "RESULTS.md").read_text(encoding="utf-8") == capsys.readouterr().out.removesuffix("\n")
    assert len(bars((tmp_path / "bench.svg").read_text(encoding="utf-8"))) == 4


def test_without_an_earlier_run_there_is_nothing_to_write_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "RAW", tmp_path / "none.json")
    monkeypatch.setattr(sys, "argv", ["bench", "--again"])
    assert program.main() == 1
    assert "make bench" in capsys.readouterr().err


def test_each_stage_says_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    stages = progress.Progress({"one": 200, "two": 100})
    stages.begin("one")
    stages.begin("two")
    assert capsys.readouterr().err.splitlines() == ["[1/2] one · about 5 min left", "[2/2] two · about 2 min left"]
    with pytest.raises(ValueError, match="three"):
        stages.begin("three")


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_ctrl_c_ends_all_that_was_started(tmp_path: Path) -> None:
    try:
        machine.cores()
    except machine.Unfit as reason:
        pytest.skip(str(reason))
    command = [sys.executable, "-m", "bench", "--quick", "--dry", "--peers", "nginx"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("[1/"):
                break
        started = machine.tree(process.pid)
        os.kill(process.pid, signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130
    assert "stopped" in said
    assert len(started) > 1
    # Killed at once, but the kernel and init take a moment to clear them away.
    until = time.monotonic() + 30
    while running := [pid for pid in started if lives(pid)]:
        assert time.monotonic() < until, running
