"""A real gateway: `headgate serve` as a process of its own, with its configuration, ledger and a key."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from headgate.ledger.engine import open_ledger
from headgate.ledger.keys import create_key
from headgate.ledger.views import Reader
from headgate.sim import SimThread

SCRIPT = Path(sys.executable).with_name("headgate")
ADMIN_TOKEN = "admin-token-of-the-tests"
SECRET_MARK = "5ecre7"
"""Ends every provider's credential, which the sim may see and nobody else."""
SECRETS = {name: f"sk-upstream-{name}-{SECRET_MARK}" for name in ("openai", "anthropic")}
ALONE = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "HEADGATE_ADMIN_TOKEN", "HTTP_PROXY", "http_proxy", "ALL_PROXY")
"""Variables that would change what a gateway does."""

PATIENCE = 60.0
"""Seconds after which a gateway that does not start, stop or record counts as broken."""
PRICE = "{input: 2, output: 8, cache_read: 0.5, cache_write_5m: 2.5, cache_write_1h: 4}"
"""USD per million tokens of every model in the standard configuration."""

_SERVES = re.compile(r"headgate serves (http://\S+) \(\d+ workers?\); admin (http://\S+)")

RUNNING: "set[Gateway]" = set()
"""Those whose standard error is shown when a test fails."""


def standard(sim: SimThread) -> str:
    """Return providers of all three kinds on one simulated upstream."""
    openai, anthropic = SECRETS["openai"], SECRETS["anthropic"]
    return f"""
providers:
  openai: {{kind: openai, base_url: "{sim.url}", api_key: {openai}, price: {PRICE}, models: [gpt-sim]}}
  responses: {{kind: openai_responses, base_url: "{sim.url}", api_key: {openai}, price: {PRICE}, models: [gpt-sim]}}
  anthropic: {{kind: anthropic, base_url: "{sim.url}", api_key: {anthropic}, price: {PRICE}, models: [claude-sim]}}
"""


class Gateway:
    """`with Gateway(tmp_path, sim) as gateway:`, or `start` and `stop`.

    `config` is YAML; the sections `server` (ports that are free, `workers`) and `ledger` (SQLite in `folder`, or
    `ledger`) are added where it has none. Without it `standard(sim)` is used. `key` is the secret of a key
    `tests` of account `tests`, made before the first start.
    """

    def __init__(
        self,
        folder: Path,
        sim: SimThread | None = None,
        config: str | None = None,
        *,
        workers: int = 1,
        env: Mapping[str, str] | None = None,
        ledger: str | None = None,
    ) -> None:
        self.folder = folder
        self.sim = sim
        self.file = folder / "headgate.yaml"
        self.log = folder / "stderr.log"
        self.ledger_url = ledger or f"sqlite:///{folder / 'headgate.db'}"
        self.url = self.admin_url = self.key = self.key_id = ""
        self._process: subprocess.Popen[str] | None = None
        self._env = {name: value for name, value in os.environ.items() if name not in ALONE}
        self._env |= {"HEADGATE_ADMIN_TOKEN": ADMIN_TOKEN, **(env or {})}
        self._workers = workers
        self.write(config if config is not None else standard(sim) if sim is not None else "")

    def write(self, config: str) -> None:
        """Write the configuration; a running gateway reloads it."""
        parts = [config]
        if not re.search(r"^server:", config, re.MULTILINE):
            parts.append(f"server: {{port: 0, admin_port: 0, workers: {self._workers}}}\n")
        if not re.search(r"^ledger:", config, re.MULTILINE):
            parts.append(f'ledger: {{url: "{self.ledger_url}"}}\n')
        new = self.file.with_suffix(".new")
        new.write_text("".join(parts))
        new.replace(self.file)

    @property
    def process(self) -> "subprocess.Popen[str]":
        """The supervisor."""
        assert self._process is not None, "the gateway was never started"
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def stderr(self) -> str:
        """All that this gateway and its workers have logged, over all starts."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def start(self) -> Self:
        """Start and wait until it announces that it serves. Raises RuntimeError with its log."""
        if not self.key:
            self.key = self.new_key("tests")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [SCRIPT, "serve", "--config", self.file, "--json"],
                cwd=self.folder,
                env=self._env,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        RUNNING.add(self)
        assert self.process.stdout is not None
        timer = threading.Timer(PATIENCE, self.process.kill)
        timer.start()
        try:
            said = ""
            for line in self.process.stdout:
                said += line
                if found := _SERVES.search(line):
                    self.url, self.admin_url = found[1], found[2]
                    return self
        finally:
            timer.cancel()
        raise RuntimeError(f"the gateway did not start ({self.process.wait()}):\n{said}{self.stderr}")

    def stop(self) -> int:
        """Ask it to stop, wait for its end, return its exit status. A stopped one is left alone."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Wait for its end and return its exit status; one that does not end is killed. Raises TimeoutExpired."""
        RUNNING.discard(self)
        process = self.process
        try:
            return process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            if process.stdout is not None:
                process.stdout.close()

    def kill(self) -> None:
        """Kill the supervisor alone with SIGKILL, and wait for its end."""
        self.process.kill()
        self.wait()

    def restart(self) -> Self:
        """Stop if it runs, and start again on the same folder and ledger; the ports may be others."""
        self.stop()
        return self.start()

    def new_key(self, name: str, **options: Any) -> str:
        """Create a key of account `tests` in the ledger and return its secret; `options` as `create_key` has them."""
        ledger = open_ledger(self.ledger_url)
        try:
            ledger.migrate()
            with ledger.write() as connection:
                made = create_key(connection, account="tests", name=name, now=time.time_ns(), **options)
        finally:
            ledger.close()
        self.key_id = self.key_id or made.id
        return made.secret

    def read(self, question: Callable[[Reader], Any]) -> Any:
        """Ask the ledger: `gateway.read(lambda reader: reader.calls())`."""
        ledger = open_ledger(self.ledger_url)
        try:
            return question(ledger.reader())
        finally:
            ledger.close()

    def call(self, call_id: str) -> dict[str, Any]:
        """Return the row of a call with its attempts, which must be there."""
        found = self.read(lambda reader: reader.call(call_id))
        assert found is not None, f"no row for {call_id}"
        return dict(found)

    def until(self, question: Callable[[Reader], Any]) -> Any:
        """Ask the ledger until the answer is true, and return it. Raises TimeoutError."""
        ledger = open_ledger(self.ledger_url)
        deadline = time.monotonic() + PATIENCE
        try:
            while time.monotonic() < deadline:
                if answer := question(ledger.reader()):
                    return answer
        finally:
            ledger.close()
        raise TimeoutError("the ledger never said so")

    def cli(self, *args: str) -> str:
        """Run a command of `headgate` on this configuration and return its output. Raises CalledProcessError."""
        command = [str(SCRIPT), *args, "--config", str(self.file)]
        done = subprocess.run(command, cwd=self.folder, env=self._env, capture_output=True, text=True, check=True)
        return done.stdout

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
