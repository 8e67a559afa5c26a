"""The bench of limits: its tables from the figures of a recorded run, and what it counts."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from bench import hot, machine, report, report_limits
from bench import limits as program

RECORDED = Path(__file__).with_name("bench_limits_run.json")


@pytest.fixture
def run() -> report_limits.Found:
    return msgspec.json.decode(RECORDED.read_bytes(), type=report_limits.Found)


def measured(text: str, title: str) -> str:
    """The last cell of the table row that begins with this title."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {title}")]
    return line.strip("|").split("|")[-1].strip()


def test_every_promise_has_a_row_and_one_that_is_kept_is_not_called_missed(run: report_limits.Found) -> None:
    text = report_limits.section(run)
    assert measured(text, "CPU a unary call, limits on") == f"{run.limited.ratio('limits on', 'limits off'):.2f} ×"
    assert measured(text, "a good client's rate") == f"{run.limited.kept:.0%}"
    assert "not met" not in text


def test_a_promise_that_is_not_kept_is_said(run: report_limits.Found) -> None:
    run.limited.cpu["limits on"] = [cost * 1.3 for cost in run.limited.cpu["limits off"]]
    run.limited.cpu["wrong key"] = [cost * 0.6 for cost in run.limited.cpu["relay"]]
    run.limited.flooded = [rate * 0.3 for rate in run.limited.alone]
    run.hot.wrong = (1000, 1050, 50)
    text = report_limits.section(run)
    titles = ("CPU a unary call", "CPU of a wrong key", "a good client's rate", "SQL of a wrong key")
    assert all(measured(text, title).endswith(", **not met**") for title in titles)
    assert measured(text, titles[0]).startswith("1.30 ×")


def test_the_worst_number_of_gateways_counts(run: report_limits.Found) -> None:
    first, second, _ = run.hot.steps
    costly = msgspec.structs.replace(first.taken, wal=first.taken.wal * 1.2)
    run.hot.steps[1] = msgspec.structs.replace(second, taken=costly)
    assert "WAL 1.20 ×" in measured(report_limits.section(run), "1,000 calls on one hot limit")
    assert measured(report_limits.section(run), "1,000 calls on one hot limit").endswith("**not met**")


def test_the_part_takes_its_earlier_ones_place_and_nothing_else_changes(run: report_limits.Found) -> None:
    part = report_limits.section(run)
    before = f"# Measured\n\nmore\n{report.HOW}"
    text = report_limits.put(before, part)
    assert report_limits.kept(text) == part
    assert text.replace(part, "") == before
    assert text.index(part) < text.index("## How to repeat it")
    newer = part.replace(run.date, "2031-01-01")
    assert report_limits.put(text, newer) == text.replace(run.date, "2031-01-01")


def test_tables_are_written_again_without_measuring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "RESULTS.md"
    results.write_text(f"# Measured\n{report.HOW}", encoding="utf-8")
    monkeypatch.setattr(program, "RAW", RECORDED)
    monkeypatch.setattr(program, "RESULTS", results)
    monkeypatch.setattr(sys, "argv", ["bench.limits", "--again"])
    assert program.main() == 0
    assert report_limits.kept(results.read_text(encoding="utf-8")) == capsys.readouterr().out.removesuffix("\n")


def test_without_an_earlier_run_there_is_nothing_to_write_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "RAW", tmp_path / "none.json")
    monkeypatch.setattr(sys, "argv", ["bench.limits", "--again"])
    assert program.main() == 1
    assert "make bench-limits" in capsys.readouterr().err


def test_what_gateways_take_idle_is_taken_off() -> None:
    first, before, after = (hot.Reading(*[value] * 4) for value in (1.0, 3.0, 105.0))
    step = hot.Step(1, 10, after.minus(before).minus(before.minus(first)))
    assert step.taken == hot.Reading(100.0, 100.0, 100.0, 100.0)
    assert step.a_thousand("cpu") == 1000


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_cpu_of_children_that_have_ended_is_counted() -> None:
    before = machine.waited_cpu_s(os.getpid())
    subprocess.run([sys.executable, "-c", "sum(range(10**7))"], check=True)
    assert machine.waited_cpu_s(os.getpid()) > before
