"""File locks on this host: flock, which the kernel drops when its holder dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from headgate.ledger.errors import LedgerUnusable

_DIRECTORY_ID = "id"


class FileLock:
    """One open lock file. Two FileLock objects on one path exclude each other, in one process too."""

    def __init__(self, path: Path) -> None:
        """Open (and create) the file, without locking it. Raises OSError."""
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def acquire(self) -> None:
        """Wait for the lock."""
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def try_acquire(self) -> bool:
        """Take the lock if nobody holds it; say whether it was taken."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file; a lock held through it is dropped. Closing twice is harmless."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def remove(self) -> None:
        """Delete the file while holding its lock, then close it."""
        self.path.unlink(missing_ok=True)
        self.close()


class Turn:
    """The turn to write to an SQLite ledger, passed fairly between processes.

    SQLite's own lock starves writers under load; whoever waits for `turn` holds `gate`, so that a writer
    that has just finished cannot overtake the one that waits.
    """

    def __init__(self, directory: Path) -> None:
        self._gate = FileLock(directory / "gate")
        try:
            self._turn = FileLock(directory / "turn")
        except OSError:
            self._gate.close()
            raise

    def take(self) -> None:
        self._gate.acquire()
        try:
            self._turn.acquire()
        finally:
            self._gate.release()

    def give_back(self) -> None:
        self._turn.release()

    def close(self) -> None:
        self._turn.close()
        self._gate.close()


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock on `path` for the block, waiting for it."""
    lock = FileLock(path)
    try:
        lock.acquire()
        yield
    finally:
        lock.close()


def try_hold(path: Path) -> FileLock | None:
    """Take the lock on `path` for as long as the returned object is open; None if someone else holds it."""
    lock = FileLock(path)
    if lock.try_acquire():
        return lock
    lock.close()
    return None


def make_directory(directory: Path) -> None:
    """Create a lock directory. Raises LedgerUnusable where that cannot be done."""
    try:
        directory.mkdir(mode=0o755, parents=False, exist_ok=True)
    except OSError as error:
        raise LedgerUnusable(
            f"Cannot create the lock directory {directory}: {error.strerror}. "
            f"Make its parent directory exist and writable for this user: mkdir -p {directory.parent}"
        ) from error


def directory_id(directory: Path) -> str:
    """Return the random id of a lock directory (32 hex digits), made at first use. Raises LedgerUnusable."""
    make_directory(directory)
    path = directory / _DIRECTORY_ID
    try:
        with exclusive(directory / "id.lock"):
            known = path.read_text(encoding="ascii").strip() if path.exists() else ""
            if not known:
                known = secrets.token_hex(16)
                path.write_text(known + "\n", encoding="ascii")
    except OSError as error:
        raise LedgerUnusable(
            f"Cannot use the lock directory {directory}: {error.strerror}. "
            f"Make it writable for this user: chmod u+rwx {directory}"
        ) from error
    return known
