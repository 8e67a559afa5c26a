"""Run the comparison and write RESULTS.md. Loads only what it started itself, on loopback."""

import argparse
import contextlib
import datetime as dt
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench import budget, figures, load, machine, peers, report

RESULTS = Path(__file__).with_name("RESULTS.md")


def main() -> int:
    """Parse, measure, write; return the exit code: 0 measured, 1 it could not be."""
    options = _options()
    scale = figures.QUICK if options.quick else figures.FULL
    try:
        gateway_core, load_core = machine.cores()
        os.sched_setaffinity(0, {load_core})
        found = report.Found(figures.Figures(), machine.load_average(), scale, options.quick)
        with _mock(load_core, scale) as mock:
            figures.mock_alone(found.figures, mock, gateway_core, scale)
            _compare(found, mock, gateway_core, load_core, options)
            if "headgate" in options.peers:
                _headgate_alone(found, mock, gateway_core, load_core)
    except (machine.Unfit, load.BadAnswers) as error:
        print(f"cannot measure: {error}", file=sys.stderr)
        return 1
    text = report.write(found, options.date)
    print(text)
    if not options.dry:
        RESULTS.write_text(text, encoding="utf-8")
    return 0


def _compare(found: report.Found, mock: peers.Peer, gateway: int, core: int, options: argparse.Namespace) -> None:
    starts = {"nginx": peers.nginx, "relay": peers.relay, "headgate": peers.headgate}
    with contextlib.ExitStack() as stack:
        running = []
        for name in options.peers:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headgate-bench-")))
            peer = stack.enter_context(starts[name](gateway, mock.target.port, folder))
            peers.check_envelopes(peer)
            running.append(peer)
        figures.saturated(found.figures, running, core, found.scale)
        figures.paced(found.figures, running, found.scale)
        figures.latency(found.figures, [mock, *running], found.scale)


def _headgate_alone(found: report.Found, mock: peers.Peer, gateway: int, core: int) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="headgate-bench-") as folder,
        peers.headgate(gateway, mock.target.port, Path(folder)) as peer,
    ):
        seen = figures.memory(found.figures, peer, core, found.scale)
        found.recorded = seen, peers.recorded(Path(folder))
        if found.recorded[1] < seen:
            raise load.BadAnswers(f"clients saw {seen} calls, the ledger holds {found.recorded[1]}")
        found.budget = budget.measure(peer, core, found.scale.profile_s)


@contextlib.contextmanager
def _mock(core: int, scale: figures.Scale) -> Iterator[peers.Peer]:
    with peers.mock(core, scale.paced_frames) as mock:
        peers.check_envelopes(mock)
        yield mock


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two minutes instead of ten; figures are rougher")
    parser.add_argument("--dry", action="store_true", help="print the tables, do not write RESULTS.md")
    parser.add_argument("--date", default=dt.datetime.now(dt.UTC).date().isoformat())
    parser.add_argument(
        "--peers", nargs="+", choices=["nginx", "relay", "headgate"], default=["nginx", "relay", "headgate"]
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
