"""Where a demo lives: a fresh folder with its configuration, ledger and key, and the gateway that serves them."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Self

from headgate.config.compile import ledger_url
from headgate.ledger.engine import open_ledger
from headgate.ledger.keys import create_key
from headgate.surfaces.demo.board import DemoFailed
from headgate.surfaces.demo.scenario import ACCOUNT, KEY_NAME

START_PATIENCE = 60.0
"""Seconds that the gateway may take to serve."""
STOP_PATIENCE = 20.0
"""Seconds that it may take to end; then it is killed."""
_SERVES = re.compile(r"headgate serves (http://\S+)")
_PASSED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "SYSTEMROOT", "VIRTUAL_ENV")
_COMMAND = (sys.executable, "-P", "-m", "headgate.surfaces.demo.leash")
_TAIL = 6

Guarded = Callable[[Coroutine[Any, Any, None]], Awaitable[None]]


class Place:
    """A fresh folder. `key` is the secret of the demo's key, `key_id` its id."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "headgate.yaml"
        self.log = folder / "gateway.log"
        self.ledger = open_ledger(ledger_url("sqlite:///headgate.db", folder))
        self.key = self.key_id = ""

    @classmethod
    def fresh(cls) -> Self:
        """Make the folder. Raises DemoFailed."""
        try:
            return cls(Path(tempfile.mkdtemp(prefix="headgate-demo-")).resolve())
        except OSError as error:
            reason = error.strerror or str(error)
            raise DemoFailed(
                f"Cannot make a folder for the demo: {reason}. "
                "Name one that you can write to: TMPDIR=~/tmp headgate demo"
            ) from None

    def prepare(self) -> None:
        """Make the ledger and a key in it. Raises LedgerError."""
        self.ledger.migrate()
        with self.ledger.write() as connection:
            made = create_key(connection, account=ACCOUNT, name=KEY_NAME, now=time.time_ns())
        self.key, self.key_id = made.secret, made.id

    def write(self, config: str) -> None:
        """Write headgate.yaml. Raises DemoFailed."""
        try:
            self.config.write_text(config, encoding="utf-8")
        except OSError as error:
            raise DemoFailed(f"Cannot write {self.config}: {error.strerror}. Set TMPDIR to another folder.") from None

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        self.ledger.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Gateway:
    """`async with Gateway(place, guarded) as gateway:` is `headgate serve` on a free port, at `gateway.url`.

    It sees none of the caller's variables that would change what it does. `guarded` runs its end undisturbed.
    Raises DemoFailed where it does not start.
    """

    def __init__(self, place: Place, guarded: Guarded) -> None:
        self._place = place
        self._guarded = guarded
        self._process: asyncio.subprocess.Process | None = None
        self._drain: asyncio.Task[bytes] | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:  # whatever it is, a cancellation above all: nothing may be left running
            await self._guarded(self._stop())
            raise
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._guarded(self._stop())

    async def _start(self) -> None:
        with self._place.log.open("ab") as log:
            process = self._process = await asyncio.create_subprocess_exec(
                *_COMMAND,
                "serve",
                "--config",
                str(self._place.config),
                stdin=asyncio.subprocess.PIPE,  # nothing is written: its end is that of the demo
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                cwd=self._place.folder,
                env=_environment(self._place.folder),
                start_new_session=True,  # a terminal's Ctrl-C is the demo's to pass on
            )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(START_PATIENCE):
                while line := await process.stdout.readline():
                    if found := _SERVES.search(line.decode(errors="replace")):
                        self.url = found[1]
                        self._drain = asyncio.ensure_future(process.stdout.read())
                        return
        except TimeoutError:
            raise DemoFailed(self._complaint(f"did not serve within {START_PATIENCE:.0f} s")) from None
        raise DemoFailed(self._complaint(f"ended with code {await process.wait()} instead of serving"))

    def _complaint(self, what: str) -> str:
        said = self._place.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL:]
        return "\n".join([f"The gateway {what}. It said (all of it is in {self._place.log}):", *said])

    async def _stop(self) -> None:
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_PATIENCE):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        if self._drain is not None:
            await self._drain


def _environment(home: Path) -> dict[str, str]:
    """What Python and the system need, and no credential, proxy or setting of the user's."""
    kept = {name: value for name, value in os.environ.items() if name in _PASSED or name.startswith("PYTHON")}
    return kept | {"HOME": str(home)}
