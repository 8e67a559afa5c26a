"""Run the comparison and write RESULTS.md. Loads only what it started itself, on loopback."""

import argparse
import contextlib
import datetime as dt
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

import headgate
from bench import (
    budget,
    chart,
    figures,
    found,
    install,
    load,
    machine,
    others,
    peers,
    pins,
    report,
    report_limits,
    report_peers,
)
from bench.progress import Progress, say

RESULTS = Path(__file__).with_name("RESULTS.md")
CHART = RESULTS.parents[1] / "docs" / "bench.svg"
RAW = RESULTS.parents[1] / "build" / "bench.json"
USUAL = ["nginx", "relay", "headgate"]
STARTS = {
    "nginx": peers.nginx,
    "relay": peers.relay,
    "headgate": peers.headgate,
    "portkey": others.portkey,
    "litellm": others.litellm,
}


def main() -> int:
    """Parse, measure, write; return the exit code: 0 measured, 1 it could not be, 130 stopped."""
    options = _options()
    try:
        result = _recorded() if options.again else _measured(options)
    except KeyboardInterrupt:
        print("stopped; nothing that was started runs on, nothing was written", file=sys.stderr)
        return 130
    except (machine.Unfit, load.BadAnswers, OSError, subprocess.SubprocessError, msgspec.DecodeError) as error:
        print(f"cannot measure: {error}", file=sys.stderr)
        return 1
    _write(result, dry=options.dry)
    return 0


def _recorded() -> found.Found:
    if not RAW.exists():
        raise machine.Unfit(f"there is no {RAW}; measure first: make bench-peers, or make bench")
    return found.load(RAW.read_bytes())


def _measured(options: argparse.Namespace) -> found.Found:
    # Whoever ends us ends what we started: SIGTERM unwinds as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    scale = figures.QUICK if options.quick else figures.FULL
    gateway_core, load_core = machine.cores()
    ready = {"portkey": install.portkey, "litellm": install.litellm}
    for name in options.peers:
        if name in ready:
            ready[name]()
    result = found.Found(
        figures.Figures(),
        machine.load_average(),
        scale,
        options.quick,
        options.date,
        machine.describe(),
        _versions(options.peers),
    )
    progress = Progress(_stages(scale, len(options.peers), "litellm" in options.peers))
    os.sched_setaffinity(0, {load_core})
    with _mock(load_core, scale) as mock:
        progress.begin("mock alone")
        figures.mock_alone(result.figures, mock, gateway_core, scale)
        _compare(result, mock, gateway_core, load_core, options.peers, progress)
        # Ten minutes of figures outlive trouble in what comes after; --again writes them.
        _save(result)
        if "headgate" in options.peers:
            _headgate_alone(result, mock, gateway_core, load_core, progress)
            _save(result)
    return result


def _compare(
    result: found.Found, mock: peers.Peer, gateway: int, core: int, names: list[str], progress: Progress
) -> None:
    scale, of = result.scale, result.figures
    progress.begin("start and check answers")
    with contextlib.ExitStack() as stack:
        running = []
        for name in names:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headgate-bench-")))
            peer = stack.enter_context(STARTS[name](gateway, mock.target.port, folder))
            result.bytes_kept[name] = peers.check_envelopes(peer)
            running.append(peer)
        progress.begin("memory: idle and 300 held streams")
        figures.fresh(of, running, scale)
        progress.begin("unary and streams back to back, 32 clients")
        figures.saturated(of, running, core, scale)
        progress.begin("few streams with gaps")
        figures.paced_few(of, running, scale)
        progress.begin("300 streams with gaps")
        figures.paced(of, running, scale)
        progress.begin("latency of one client")
        figures.latency(of, [mock, *running], scale)


def _stages(scale: figures.Scale, count: int, slow: bool) -> dict[str, float]:  # noqa: FBT001 private
    """Return the stages and about how many seconds each takes with so many peers."""
    flow = scale.paced_frames * 0.02 + 1
    return {
        "mock alone": 2 * scale.burst_s,
        "start and check answers": 4 + 10 * slow,
        "memory: idle and 300 held streams": 4 * count + 10 * slow,
        "unary and streams back to back, 32 clients": count * (2 + scale.rounds * scale.unary_s + scale.burst_s),
        "few streams with gaps": count * scale.rounds * flow,
        "300 streams with gaps": scale.rounds * (count * flow + 10 * slow),
        "latency of one client": scale.latency_rounds * scale.latency_calls * (0.003 + 0.012 * slow),
        "Headgate's memory": scale.memory_calls[1] / 5000 + 4,
        "frames translated": 3 * scale.rounds * flow,
        "Headgate's profile": scale.profile_s + 4,
    }


def _headgate_alone(result: found.Found, mock: peers.Peer, gateway: int, core: int, progress: Progress) -> None:
    progress.begin("Headgate's memory")
    with (
        tempfile.TemporaryDirectory(prefix="headgate-bench-") as folder,
        peers.headgate(gateway, mock.target.port, Path(folder)) as peer,
    ):
        seen = figures.memory(result.figures, peer, core, result.scale)
        result.recorded = seen, peers.recorded(Path(folder))
        if result.recorded[1] < seen:
            raise load.BadAnswers(f"clients saw {seen} calls, the ledger holds {result.recorded[1]}")
        progress.begin("frames translated")
        figures.translated(result.figures, peer, result.scale)
        progress.begin("Headgate's profile")
        result.budget = budget.measure(peer, core, result.scale.profile_s)


@contextlib.contextmanager
def _mock(core: int, scale: figures.Scale) -> Iterator[peers.Peer]:
    with peers.mock(core, scale.paced_frames) as mock:
        peers.check_envelopes(mock)
        yield mock


def _versions(names: list[str]) -> list[str]:
    said = [*peers.versions(), f"Headgate {headgate.__version__}"]
    if "portkey" in names:
        said.append(f"Portkey {pins.PORTKEY} on Node {others.node_version()}")
    if "litellm" in names:
        said.append(f"LiteLLM {pins.LITELLM}")
    return said


def _write(result: found.Found, *, dry: bool) -> None:
    """Print the tables; write them, the chart and the raw figures if nginx and Headgate were both measured."""
    if not {"nginx", "headgate"} <= set(result.peers):
        print(found.dump(result).decode())
        return
    others_too = bool(report_peers.OTHERS.keys() & set(result.peers))
    old = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    part = report_peers.section(result, report.BUSY) if others_too else report_peers.kept(old)
    text = report.write(result, part, report_limits.kept(old))
    print(text)
    if dry:
        return
    RESULTS.write_text(text, encoding="utf-8")
    if others_too:
        kind = ", a quick run" if result.quick else ""
        note = f"{result.date}{kind}; {result.machine[0]}, one core for the gateway. How: bench/RESULTS.md"
        CHART.write_text(chart.draw(chart.panels(result.figures), note), encoding="utf-8")
        say(f"written: {RESULTS} and {CHART}")


def _save(result: found.Found) -> None:
    RAW.parent.mkdir(exist_ok=True)
    RAW.write_bytes(found.dump(result))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a third of the time; figures are rougher")
    parser.add_argument("--dry", action="store_true", help="print the tables, leave RESULTS.md and chart alone")
    parser.add_argument("--again", action="store_true", help="write tables and chart anew from the last run's figures")
    parser.add_argument("--date", default=dt.datetime.now(dt.UTC).date().isoformat())
    parser.add_argument("--with-peers", action="store_true", help="LiteLLM and Portkey too; installed into build/peers")
    parser.add_argument("--peers", nargs="+", choices=list(STARTS), help="these only")
    options = parser.parse_args()
    options.peers = options.peers or (list(STARTS) if options.with_peers else USUAL)
    return options


if __name__ == "__main__":
    sys.exit(main())
