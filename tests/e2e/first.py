"""`headgate serve` as a person starts it first: in an empty folder, without a file, its lines read as they come."""

import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from tests.e2e.gateway import PATIENCE, SCRIPT
from tests.e2e.processes import free_port

PORTS = ("--port", "0", "--admin-port", "0")
LAST = "What was called"
"""Begins the last line of a first start."""


class Start:
    """A started process. `said` are its lines on standard output so far; `stderr` is a file in the folder."""

    def __init__(self, folder: Path, *args: str, env: Mapping[str, str] | None = None, stdout: Any = None) -> None:
        self.folder = folder
        self.said: list[str] = []
        self._log = folder.parent / f"{folder.name}.stderr"
        # Nobody serves models where OLLAMA_HOST says, whatever runs on the machine of the tests.
        clean = {"PATH": os.environ["PATH"], "HOME": str(folder), "OLLAMA_HOST": f"127.0.0.1:{free_port()}"}
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [SCRIPT, "serve", *PORTS, *args],
                cwd=folder,
                env={**clean, **(env or {})},
                stdout=subprocess.PIPE if stdout is None else stdout,
                stderr=log,
                text=True,
            )

    @property
    def stderr(self) -> str:
        return self._log.read_text()

    def until(self, words: str) -> str:
        """Read lines until one holds `words`, and return it. Raises AssertionError with all that was said."""
        assert self.process.stdout is not None
        timer = threading.Timer(PATIENCE, self.process.kill)
        timer.start()
        try:
            for line in self.process.stdout:
                self.said.append(line.rstrip("\n"))
                if words in line:
                    return self.said[-1]
        finally:
            timer.cancel()
        raise AssertionError(f"never said {words!r} ({self.process.wait()}): {self.said}\n{self.stderr}")

    def line(self, words: str) -> str:
        """Return the line said so far that holds `words`."""
        return next(line for line in self.said if words in line)

    @property
    def secret(self) -> str:
        return self.line("Your key").rpartition(" ")[2]

    @property
    def url(self) -> str:
        return self.line("headgate serves").split()[2]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, read what is still said, and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        timer = threading.Timer(PATIENCE, self.process.kill)
        timer.start()
        try:
            if self.process.stdout is not None and not self.process.stdout.closed:
                with self.process.stdout as rest:  # what was read ahead stands in its buffer
                    self.said += rest.read().splitlines()
            return self.process.wait()
        finally:
            timer.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def call(command: str) -> dict[str, Any]:
    """Do what a `curl` line says, and return the answer."""
    words = shlex.split(command)
    assert words[:2] == ["curl", "-s"]
    values = dict(zip(words[3::2], words[4::2], strict=False))
    headers = dict(word.split(": ", 1) for flag, word in zip(words[3::2], words[4::2], strict=True) if flag == "-H")
    request = urllib.request.Request(words[2], values["-d"].encode(), headers)  # noqa: S310  our own server
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310
        return dict(json.load(answer))


@contextlib.contextmanager
def silent_server() -> Iterator[tuple[str, threading.Event]]:
    """Listen and never answer; yield the address, and an event that is set when somebody has connected."""
    came = threading.Event()
    kept: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with contextlib.suppress(OSError):
                kept.append(server.accept()[0])
                came.set()

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}", came
        if not came.is_set():
            socket.create_connection(server.getsockname()[:2]).close()
        thread.join()
        for one in kept:
            one.close()
