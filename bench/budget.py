"""The CPU budget of a unary call: what each part was given and what it takes.

The worker is sampled by py-spy under wrk's unary load. The CPU of its Python threads (from /proc) is
divided by the samples of each part: a sample belongs to the innermost frame that one of the parts below
claims. Native threads (Granian's and pyreqwest's runtimes) belong to server and client whole, all other
processes of the tree to the rest.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bench import load, machine
from bench.figures import US, say
from bench.peers import Peer

RATE = 400
SERVER = "server and client"
REST = "the rest"
PARTS: dict[str, tuple[float, tuple[str, ...]]] = {
    SERVER: (75, ("granian/", "pyreqwest/", "headgate/upstream/", "headgate/surfaces/data/rsgi", "uvloop/")),
    "head and re-encode": (12, ("headgate/protocols/", "headgate/model/request")),
    "key": (6, ("headgate/surfaces/data/auth", "headgate/ledger/keys")),
    "plan": (15, ("headgate/policy/",)),
    "hold, settle and rows": (55, ("headgate/ledger/", "headgate/runtime/gate", "headgate/runtime/rows")),
    "metrics": (6, ("headgate/runtime/metrics", "prometheus_client/")),
    REST: (20, ("headgate/", "")),
}
"""Part: (µs of the budget at nginx = 33 µs, path prefixes that belong to it; the first match wins)."""

_NATIVE = re.compile(r"thread \(\w+\)")
_FRAME = re.compile(r"\(([^():]+)(?::\d+)?\)")


@dataclass(frozen=True)
class Budget:
    """Measured µs of CPU a call by part, or why there are none."""

    parts: dict[str, float]
    note: str


def measure(peer: Peer, core: int, seconds: int) -> Budget:
    """Sample the busiest process of the peer's tree under load."""
    load.wrk(core, peer.target, "unary", 1)
    worker = max(machine.tree(peer.pid), key=lambda pid: sum(machine.threads_cpu_s(pid).values()))
    python = _python_threads(worker)
    if python is None:
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
        done = load.wrk(core, peer.target, "unary", seconds)
        after, tree_after = machine.threads_cpu_s(worker), machine.cpu_s(peer.pid)
        spy.wait(60)
        samples = count(stacks.read_text(encoding="utf-8"))
    used = {thread: after[thread] - before.get(thread, 0.0) for thread in after}
    on_python = sum(cpu for thread, cpu in used.items() if thread in python)
    native = sum(used.values()) - on_python
    total = sum(samples.values()) or 1
    parts = {part: on_python * samples[part] / total * US / done.calls for part in PARTS}
    parts[SERVER] += native * US / done.calls
    parts[REST] += (tree_after - tree_before - on_python - native) * US / done.calls
    say(f"profiled {done.calls} calls, {total} samples")
    return Budget(parts, f"{total} samples of the worker's Python threads over {done.calls} calls")


def count(stacks: str) -> Counter[str]:
    """Count samples by part. `stacks`: py-spy's raw format, `root;…;leaf count` a line, files in brackets."""
    found: Counter[str] = Counter()
    for line in stacks.splitlines():
        stack, _, times = line.rpartition(" ")
        found[part_of(stack)] += int(times)
    return found


def part_of(stack: str) -> str:
    """Return the part that the innermost claimed frame belongs to; a path may stand behind any folder.

    A thread without a Python frame is a native runtime that calls into Python.
    """
    if _NATIVE.fullmatch(stack):
        return SERVER
    for path in reversed(_FRAME.findall(stack)):
        for part, (_, prefixes) in PARTS.items():
            if any(prefix and (path.startswith(prefix) or f"/{prefix}" in path) for prefix in prefixes):
                return part
    return REST


def _python_threads(pid: int) -> set[int] | None:
    dumped = subprocess.run([*_spy(), "dump", "--json", "--pid", str(pid)], capture_output=True, check=False)
    return (
        {thread["os_thread_id"] for thread in json.loads(dumped.stdout)} if dumped.returncode == 0 else None
    )


def _spy() -> list[str]:
    return [str(Path(sys.executable).with_name("py-spy"))]
