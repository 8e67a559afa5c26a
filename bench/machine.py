"""Cores, processes and what they use, from /proc. Linux only."""

import contextlib
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
NEEDED = ("nginx", "wrk", "taskset")
STOP_S = 20.0


class Unfit(Exception):
    """This machine cannot run the comparison; the message says what it lacks."""


def cores() -> tuple[int, int]:
    """Return the core of the gateway and the core of mock and load. Raises Unfit."""
    if sys.platform != "linux":
        raise Unfit("the comparison reads /proc and pins processes: it runs on Linux only")
    missing = [name for name in NEEDED if shutil.which(name, path=search_path()) is None]
    if missing:
        raise Unfit(f"not installed: {', '.join(missing)}; on Debian: apt-get install nginx-light wrk util-linux")
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise Unfit("two cores are needed: one for the gateway, one for mock and load")
    return usable[0], usable[1]


def search_path() -> str:
    """Return PATH with the folders where Debian puts daemons."""
    return os.pathsep.join((os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"))


def pinned(
    core: int,
    command: list[str],
    *,
    stdout: int = subprocess.DEVNULL,
    stderr: IO[bytes] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> "subprocess.Popen[bytes]":
    """Start a command, and so all its children, on one core. `env` is all of its environment but PATH."""
    env = {**(os.environ if env is None else env), "PATH": search_path()}
    return subprocess.Popen(
        ["taskset", "-c", str(core), *command], env=env, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, cwd=cwd
    )


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End a process that we started: SIGTERM, after 20 s SIGKILL."""
    process.terminate()
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
    finally:
        # Also when a second Ctrl-C ends the wait: nothing may run on.
        if process.poll() is None:
            process.kill()
            process.wait()


def free_port() -> int:
    """Return a loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def tree(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            # A thread may end between the two.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found += map(int, task.read_text().split())
    return found


def cpu_s(pid: int) -> float:
    """Return the CPU seconds, user and system, that a process tree has used so far."""
    return sum(_cpu_of(Path(f"/proc/{each}/stat")) for each in tree(pid))


def waited_cpu_s(pid: int) -> float:
    """Return the CPU seconds of those children of a process that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / TICKS_PER_S


def threads_cpu_s(pid: int) -> dict[int, float]:
    """Return the CPU seconds of each thread of one process by its id."""
    return {int(task.name): _cpu_of(task / "stat") for task in Path(f"/proc/{pid}/task").iterdir()}


def rss(pid: int) -> int:
    """Return the resident bytes of a process tree."""
    return sum(int(Path(f"/proc/{each}/statm").read_text().split()[1]) * PAGE for each in tree(pid))


def _cpu_of(stat: Path) -> float:
    # The name in brackets may hold spaces; utime and stime are the 12th and 13th fields after it.
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def describe() -> list[str]:
    """Return what a reader needs to know of this machine, a line each."""
    cpu = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    memory = next((line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), "0")
    return [
        f"{cpu}, {os.cpu_count()} cores, {int(memory) / 2**20:.1f} GiB",
        f"Linux {platform.release()}, Python {platform.python_version()}",
    ]


def load_average() -> float:
    """Return the load of the last minute: above 0.5 before the start, figures are disturbed."""
    return os.getloadavg()[0]


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines()
