"""The console script on a terminal of a given size, and what it wrote there."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

_ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A program whose stderr, and stdout unless it is `piped`, are a terminal of `columns` columns.

    Its standard input is a pipe. `with Terminal(...) as terminal:` waits for its end.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        folder: Path,
        columns: int = 80,
        env: Mapping[str, str] | None = None,
        *,
        piped: bool = False,
    ) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        clean = {"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "xterm", "LANG": "C.UTF-8"}
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**clean, **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if piped else slave,
            stderr=slave,
        )
        os.close(slave)
        self.raw = b""

    def read_until(self, text: bytes) -> None:
        """Wait for `text` on the terminal. Raises EOFError with what came instead."""
        while text not in self.raw:
            if not self._read():
                raise EOFError(self.raw)

    def finish(self) -> int:
        """Return the exit status; all that was written is then in `raw`."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        while self._read():
            pass
        return self.process.wait()

    @property
    def text(self) -> str:
        """What was written, without the escapes."""
        return _ESCAPES.sub(b"", self.raw).decode().replace("\r\n", "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
        os.close(self._master)

    def _read(self) -> bool:
        try:
            more = os.read(self._master, 65_536)
        except OSError:
            # Linux says EIO where nobody holds the other side any more.
            return False
        self.raw += more
        return bool(more)
