"""Processes of a gateway, seen and ended from outside; ports; and a way to wait for what nobody tells."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, TypeVar

import psutil  # type: ignore[import-untyped]
from tests.e2e.gateway import ADMIN_TOKEN, PATIENCE, Gateway

from headgate.ledger.engine import open_ledger

T = TypeVar("T")


def poll(condition: Callable[[], T], patience: float = PATIENCE) -> T:
    """Return the first true answer. Raises TimeoutError."""
    deadline = time.monotonic() + patience
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.01)
    return answer


async def apoll(condition: Callable[[], T], patience: float = PATIENCE) -> T:
    """As poll, from a coroutine: the condition runs in a thread, so it may block."""
    return await asyncio.to_thread(poll, condition, patience)


def workers(gateway: Gateway) -> list[psutil.Process]:
    """Return the living worker processes."""
    found = []
    for child in psutil.Process(gateway.pid).children():
        try:
            if child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


def kill_all(gateway: Gateway) -> None:
    """SIGKILL to every worker and the supervisor, then wait until all are gone.

    The supervisor is stopped first: nobody may learn of another's death and do something about it.
    """
    gateway.process.send_signal(signal.SIGSTOP)
    children = workers(gateway)
    for process in (*children, gateway.process):
        process.kill()
    gateway.wait()
    psutil.wait_procs(children, timeout=PATIENCE)


def status(gateway: Gateway) -> dict[str, Any]:
    """Ask the admin plane for its status."""
    request = urllib.request.Request(  # noqa: S310  our own server
        gateway.admin_url + "/status", headers={"authorization": f"Bearer {ADMIN_TOKEN}"}
    )
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310
        return dict(json.load(answer))


def ready_pids(gateway: Gateway) -> set[int]:
    """Return the pids of the workers that serve."""
    return {worker["pid"] for worker in status(gateway)["workers"] if worker["ready"]}


def living(gateway: Gateway) -> list[int]:
    """Return the incarnations that are not marked dead."""
    ledger = open_ledger(gateway.ledger_url)
    try:
        with ledger.reader().connection() as connection:
            found = connection.exec_driver_sql("SELECT id FROM incarnations WHERE dead_at IS NULL ORDER BY id")
            return [int(row[0]) for row in found]
    finally:
        ledger.close()


def status_of(url: str) -> int:
    """Return the status that a GET is answered with, 0 if nothing answers."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Say whether a server that shares with nobody could listen on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
        return True


def run(command: list[str], gateway: Gateway) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself, as the gateway is run."""
    return subprocess.run(
        command, cwd=gateway.folder, env=gateway._env, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
