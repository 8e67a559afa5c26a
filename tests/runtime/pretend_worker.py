"""A worker that does what a test wants: `pretend_worker.py FOLDER BEHAVIOUR… FD`, one behaviour a life.

The last behaviour is that of all further lives. FOLDER gets a file `INDEX-LIFE` with the first message.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

READY = b'{"type":"Ready","incarnation":%d}\n'
SLOW = 1.5
"""Seconds that a worker takes which need not say anything."""
BETWEEN = 0.05
BEAT = b'{"type":"Beat","metrics":{"in_flight":3,"uncommitted":2,"refused":{"path_not_found":5}}}\n'


def put(path: Path, content: bytes) -> None:
    """Write a file that whoever looks sees whole or not at all."""
    part = path.with_name(f".{path.name}")
    part.write_bytes(content)
    part.replace(path)


def beat(control: socket.socket) -> None:
    """Say that it lives, until nobody listens."""
    with contextlib.suppress(OSError):
        while True:
            control.sendall(BEAT)
            time.sleep(BETWEEN)


def main() -> int:
    folder, behaviours = Path(sys.argv[1]), sys.argv[2:-1]
    control = socket.socket(fileno=int(sys.argv[-1]))
    lines = control.makefile("rb")
    first = lines.readline()
    index = json.loads(first)["index"]
    life = 1 + len(list(folder.glob(f"{index}-*")))
    put(folder / f"{index}-{life}", first)
    behaviour = behaviours[min(life, len(behaviours)) - 1]
    match behaviour:
        case "die":
            return 7
        case "fatal":
            control.sendall(b'{"type":"Fatal","message":"the ledger is on fire"}\n')
            return 1
        case "half":
            control.sendall(READY % life + BEAT + BEAT[:20])
            os.kill(os.getpid(), signal.SIGKILL)
        case "deaf":
            control.sendall(READY % life)
            signal.pause()
        case "hangs":
            control.sendall(READY % life)
            lines.close()
            control.close()
            signal.pause()
    if behaviour == "slow":
        time.sleep(SLOW)
    control.sendall(READY % life + BEAT)
    if behaviour == "beats":
        threading.Thread(target=beat, args=(control,), daemon=True).start()
    for number, line in enumerate(lines):
        put(folder / f"said-{index}-{life}-{number}", line)
        if json.loads(line)["type"] == "Drain":
            if behaviour == "lingers":
                time.sleep(SLOW)
                put(folder / "lingered", b"")
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
