"""The CPU budget of a unary call: what each part was given and what it takes.

The worker is sampled by py-spy under wrk's unary load. The CPU of each of its threads (from /proc) is divided by the
samples of that thread: a sample belongs to the innermost frame that one of the claims below matches. Native threads
(Granian's and pyreqwest's runtimes) belong to server and client, all other processes of the tree to the rest.
"""

import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bench import load, machine
from bench.figures import US
from bench.peers import Peer
from bench.progress import say

RATE = 400
SERVER = "server and client"
REST = "the rest"
ROWS = "hold, settle and rows"
PARTS = {SERVER: 75, "head and re-encode": 12, "key": 6, "plan": 15, ROWS: 55, "metrics": 6, REST: 20}
"""µs of the budget, at nginx = 33 µs. Hold (25) is one with settle and rows (30): the writer does both."""

CLAIMS = {
    "granian/": SERVER,
    "pyreqwest/": SERVER,
    "uvloop/": SERVER,
    "headgate/upstream/": SERVER,
    "headgate/surfaces/data/": SERVER,
    "headgate/runtime/transport": SERVER,
    "headgate/protocols/": "head and re-encode",
    "headgate/runtime/gate.py:identify": "key",
    "headgate/surfaces/data/app.py:secret_of": "key",
    "headgate/ledger/keys": "key",
    "headgate/policy/": "plan",
    "headgate/policy/pricing": ROWS,
    "headgate/policy/truth": ROWS,
    "headgate/ledger/": ROWS,
    "headgate/runtime/rows": ROWS,
    "headgate/runtime/call.py:_settle": ROWS,
    "headgate/runtime/call.py:_record": ROWS,
    "headgate/runtime/metrics": "metrics",
    "prometheus_client/": "metrics",
    "headgate/": REST,
}
"""Paths, some with the name of a function, and the part they belong to; the longest that matches wins."""

_THREAD = re.compile(r"thread \((\d+)\)")
_FRAME = re.compile(r"([^;]+) \(([^():]+)(?::\d+)?\)")


@dataclass(frozen=True)
class Budget:
    """Measured µs of CPU a call by part, or why there are none."""

    parts: dict[str, float]
    note: str


def measure(peer: Peer, core: int, seconds: int) -> Budget:
    """Sample the busiest process of the peer's tree under load."""
    load.wrk(core, peer.target, "unary", 1)
    worker = max(machine.tree(peer.pid), key=lambda pid: sum(machine.threads_cpu_s(pid).values()))
    if not _may_sample(worker):
        return Budget({}, "py-spy may not read the worker here (it needs the right to ptrace); run as root")
    with tempfile.TemporaryDirectory() as folder:
        stacks = Path(folder) / "stacks"
        before, tree_before = machine.threads_cpu_s(worker), machine.cpu_s(peer.pid)
        command = ["record", "--pid", str(worker), "--format", "raw", "--output", str(stacks)]
        spy = subprocess.Popen(
            [*_spy(), *command, "--duration", str(seconds), "--rate", str(RATE), "--threads"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(0.5)
        try:
            done = load.wrk(core, peer.target, "unary", seconds)
            after, tree_after = machine.threads_cpu_s(worker), machine.cpu_s(peer.pid)
            spy.wait(60)
        except load.BadAnswers:
            return Budget({}, "calls failed while py-spy held the worker up; the machine was too busy")
        finally:
            machine.stop(spy)
        samples = count(stacks.read_text(encoding="utf-8"))
    used = {thread: after[thread] - before.get(thread, 0.0) for thread in after}
    parts = share(samples, used)
    parts[REST] += tree_after - tree_before - sum(used.values())
    total = sum(sum(each.values()) for each in samples.values())
    say(f"profiled {done.calls} calls, {total} samples")
    note = f"{total} samples of the worker's threads over {done.calls} calls"
    return Budget({part: parts[part] * US / done.calls for part in PARTS}, note)


def share(samples: dict[int, Counter[str]], used: dict[int, float]) -> dict[str, float]:
    """Return CPU seconds by part. A thread's CPU is divided by its own samples: a waiting thread may be sampled too."""
    parts = dict.fromkeys(PARTS, 0.0)
    for thread, cpu in used.items():
        seen = samples.get(thread) or Counter({SERVER: 1})
        for part, times in seen.items():
            parts[part] += cpu * times / seen.total()
    return parts


def count(stacks: str) -> dict[int, Counter[str]]:
    """Count samples by thread and part.

    `stacks` is py-spy's raw format: `thread (ID): name;root;…;leaf count` a line, a frame's file and line in brackets.
    """
    found: dict[int, Counter[str]] = {}
    for line in stacks.splitlines():
        stack, _, times = line.rpartition(" ")
        if thread := _THREAD.match(stack):
            found.setdefault(int(thread[1]), Counter())[part_of(stack)] += int(times)
    return found


def part_of(stack: str) -> str:
    """Return the part that the innermost claimed frame belongs to; a path may stand behind any folder.

    A thread without a Python frame is a native runtime that calls into Python.
    """
    if _THREAD.fullmatch(stack):
        return SERVER
    for name, path in reversed(_FRAME.findall(stack)):
        # Functions are named with their class: Gate.identify.
        frame = f"/{path}:{name.rpartition('.')[2]}"
        matched = [claim for claim in CLAIMS if f"/{claim}" in frame]
        if matched:
            return CLAIMS[max(matched, key=len)]
    return REST


def _may_sample(pid: int) -> bool:
    return not subprocess.run([*_spy(), "dump", "--pid", str(pid)], capture_output=True, check=False).returncode


def _spy() -> list[str]:
    return [str(Path(sys.executable).with_name("py-spy"))]
