"""Measure what limits and wrong keys cost, and write that part of RESULTS.md: `python -m bench.limits`."""

import argparse
import datetime as dt
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import psycopg

from bench import hot, limited, load, machine, peers
from bench.progress import Progress, say
from bench.report_limits import Found, put, section

RESULTS = Path(__file__).with_name("RESULTS.md")
RAW = RESULTS.parents[1] / "build" / "bench-limits.json"
SCALES = {False: (limited.Scale(7, 5), hot.Scale(3, 20)), True: (limited.Scale(2, 3), hot.Scale(1, 8))}
"""By whether it is a quick run."""


def main() -> int:
    """Parse, measure, write; return the exit code: 0 measured, 1 it could not be, 130 stopped."""
    options = _options()
    try:
        found = _recorded() if options.again else _measured(options)
    except KeyboardInterrupt:
        print("stopped; nothing that was started runs on, nothing was written", file=sys.stderr)
        return 130
    except (
        machine.Unfit,
        load.BadAnswers,
        OSError,
        subprocess.SubprocessError,
        psycopg.Error,
        msgspec.DecodeError,
    ) as error:
        print(f"cannot measure: {error}", file=sys.stderr)
        return 1
    part = section(found)
    print(part)
    if not options.dry:
        RESULTS.write_text(put(RESULTS.read_text(encoding="utf-8"), part), encoding="utf-8")
        say(f"written: {RESULTS}")
    return 0


def _recorded() -> Found:
    if not RAW.exists():
        raise machine.Unfit(f"there is no {RAW}; measure first: make bench-limits")
    return msgspec.json.decode(RAW.read_bytes(), type=Found)


def _measured(options: argparse.Namespace) -> Found:
    # Whoever ends us ends what we started: SIGTERM unwinds as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    gateway, core = machine.cores()
    before = machine.load_average()
    one, many = SCALES[options.quick]
    stages = {
        "limits on and off, wrong keys": (len(limited.KINDS) + 2) * (one.rounds * one.seconds + 2) + 5,
        "one hot limit on PostgreSQL": hot.MOST * many.rounds * (many.seconds + 3 * hot.TELLS + 8) + 20,
    }
    progress = Progress(stages)
    os.sched_setaffinity(0, {core})
    with peers.mock(core, 1) as mock:
        names = iter(stages)
        progress.begin(next(names))
        cost = limited.measure(gateway, core, mock.target.port, one)
        progress.begin(next(names))
        shared = hot.measure(gateway, core, mock.target.port, many)
    found = Found(cost, shared, options.date, options.quick, before, machine.describe())
    RAW.parent.mkdir(exist_ok=True)
    RAW.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1))
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.limits", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two minutes; figures are rougher")
    parser.add_argument("--dry", action="store_true", help="print the tables, leave RESULTS.md alone")
    parser.add_argument("--again", action="store_true", help="write the tables anew from the last run's figures")
    parser.add_argument("--date", default=dt.datetime.now(dt.UTC).date().isoformat())
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
