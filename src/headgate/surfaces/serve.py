"""`headgate serve`: the supervisor with the admin plane beside it, wired from a configuration."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import structlog
import uvloop

from headgate.config.compile import compile_document, configuration
from headgate.config.load import document, locate, read_text
from headgate.config.problems import ConfigError
from headgate.config.settings import NO_OVERRIDES, Compiled, Overrides, Settings
from headgate.config.watch import watch
from headgate.ledger.engine import Ledger, open_ledger
from headgate.ledger.errors import LedgerError
from headgate.ledger.incarnations import lock_directory, sweep
from headgate.ledger.locks import FileLock, make_directory, try_hold
from headgate.runtime.clock import SYSTEM, Clock
from headgate.runtime.control import Fixed, Start
from headgate.runtime.logs import configure_logs
from headgate.runtime.ports import PortTaken, reserve
from headgate.runtime.supervisor import StartFailed, Supervisor, on_signals, python_module
from headgate.sim.server import SimServer
from headgate.surfaces.admin.server import AdminServer

log = structlog.get_logger("headgate.supervisor")

SECOND_NS = 1_000_000_000
WORKER_MODULE = "headgate.surfaces.data.serve"
SWEEP_PERIOD = 1.0
"""Seconds between two looks for dead incarnations."""

Say = Callable[[str], None]


class ServeFailed(Exception):
    """Serving could not begin, or ended badly; the message tells the operator what to do."""


class Configured:
    """The configuration in force, and the text it was read from, so that all workers read the same."""

    def __init__(self, path: Path | None, overrides: Overrides, clock: Clock, env: Mapping[str, str]) -> None:
        self.folder = Path.cwd()
        self.path = locate(path, self.folder)
        self._overrides = overrides
        self._clock = clock
        self._env = env
        self.text: str | None = None
        self.compiled = self.read()
        self.first = self.compiled.settings

    def read(self) -> Compiled:
        """Read it anew, once for all processes; what is in force stays if that fails. Raises ConfigError."""
        at = datetime.fromtimestamp(self._clock.wall() / SECOND_NS, UTC)
        if self.path is None:
            self.compiled = configuration(None, self._env, at, self.folder, self._overrides)
            return self.compiled
        text = read_text(self.path)
        self.compiled = compile_document(document(text, self.path, self._env), self._env, at, self._overrides)
        self.text = text
        return self.compiled

    def start(self, address: str, port: int) -> Callable[[int], Start]:
        """Return what a worker is first told, for each index; as of now, but with what no reload changes."""
        first = self.first
        fixed = Fixed(address, port, first.ledger_url, first.durability, first.state_dir, first.log_level)
        source, folder, text, overrides = str(self.path or ""), str(self.folder), self.text, self._overrides

        def one(index: int) -> Start:
            return Start(index, fixed, source, folder, text, overrides)

        return one


def serve(path: Path | None, overrides: Overrides = NO_OVERRIDES, say: Say = print) -> int:
    """Serve until a signal ends it; return the exit status. `say` prints a line for the operator.

    Raises ConfigError, LedgerError and ServeFailed, whose messages are for people.
    """
    configured = Configured(path, overrides, SYSTEM, os.environ)
    configure_logs(configured.compiled.settings.log_level, as_json=overrides.log_json)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(configured, say))
    return 0


async def _serve(configured: Configured, say: Say) -> None:
    settings = configured.compiled.settings
    async with AsyncExitStack() as stack:
        ledger = open_ledger(settings.ledger_url)
        stack.callback(ledger.close)
        stack.callback(_only_one(ledger, settings).close)
        await asyncio.to_thread(ledger.migrate)
        directory = await asyncio.to_thread(lock_directory, ledger, Path(settings.state_dir))
        await asyncio.to_thread(sweep, ledger, directory, SYSTEM.wall())
        # The address and not the name: Granian takes no names, and all workers must listen on the same.
        address, port = stack.enter_context(_reserved(settings.host, settings.port)).getsockname()[:2]
        if configured.compiled.simulated:
            await stack.enter_async_context(_simulated(configured.compiled, say))
        start = configured.start(address, port)
        supervisor = Supervisor(python_module(WORKER_MODULE), settings.workers, start, SYSTEM, settings.drain_timeout)
        reload = Reloader(configured, supervisor, address, port)
        admin = AdminServer(settings, ledger, supervisor, reload)
        await _listen(stack, admin, settings)
        on_signals(asyncio.get_running_loop(), supervisor.stop, reload.ask)
        beside = [
            asyncio.create_task(task)
            for task in (
                _announce(configured, supervisor, port, admin.port, say),
                reload.follow(),
                _sweep_dead(ledger, directory),
            )
        ]
        try:
            await supervisor.run()
        except StartFailed as error:
            raise ServeFailed(str(error)) from None
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)


class Reloader:
    """Reads the configuration again when its file changes or when asked; what runs outlives a bad one."""

    def __init__(self, configured: Configured, supervisor: Supervisor, address: str, port: int) -> None:
        self._configured = configured
        self._supervisor = supervisor
        self._listens = (address, port)
        self._asked = asyncio.Event()

    @property
    def compiled(self) -> Compiled:
        """The configuration in force."""
        return self._configured.compiled

    def ask(self) -> None:
        """Reload soon; from a signal."""
        self._asked.set()

    def reload(self) -> Compiled:
        """Reload now. Raises ConfigError; then nothing has changed."""
        compiled = self._configured.read()
        for name in FIXED:
            if getattr(compiled.settings, name) != getattr(self._configured.first, name):
                log.warning("this setting takes effect at the next start", setting=name)
        text = self._configured.text
        if text is not None:
            self._supervisor.reload(self._configured.start(*self._listens), text, compiled.settings.drain_timeout)
        return compiled

    async def follow(self) -> None:
        """Reload whenever asked or the file changes, until cancelled."""
        watcher = asyncio.create_task(self._watch_file())
        try:
            while True:
                await self._asked.wait()
                self._asked.clear()
                try:
                    self.reload()
                except ConfigError as error:
                    log.error("configuration refused; the running one stays", error=str(error))  # noqa: TRY400
        finally:
            watcher.cancel()

    async def _watch_file(self) -> None:
        if self._configured.path is None:
            return
        known = self._configured.text.encode() if self._configured.text is not None else None
        async for _ in watch(self._configured.path, known):
            self.ask()


FIXED = (
    "host",
    "port",
    "admin_host",
    "admin_port",
    "admin_token",
    "workers",
    "ledger_url",
    "durability",
    "state_dir",
    "log_level",
)
"""Settings that processes take only when they start."""


def _only_one(ledger: Ledger, settings: Settings) -> FileLock:
    """Hold the ledger for this supervisor: two on one SQLite file would be two gateways without knowing it."""
    state = ledger.url.state_dir or Path(settings.state_dir)
    name = "serve.lock" if ledger.url.is_sqlite else f"serve-{settings.port}.lock"
    try:
        state.parent.mkdir(parents=True, exist_ok=True)
        make_directory(state)
        lock = try_hold(state / name)
    except OSError as error:
        raise ServeFailed(
            f"Cannot lock the ledger {ledger.url.shown}: {error.strerror}: {error.filename}. "
            f"Make it and its folder writable for this user: chmod u+w {state.parent} {state}"
        ) from None
    if lock is None:
        raise ServeFailed(
            f"Another headgate serves the ledger {ledger.url.shown} already. "
            "Stop it, or give this one its own ledger.url."
        )
    return lock


@contextmanager
def _listening(host: str, port: int, option: str) -> Iterator[None]:
    """Say what to do about a port that cannot be had."""
    try:
        yield
    except PortTaken:
        raise ServeFailed(
            f"Port {port} on {host} is in use. Stop what listens there (ss -ltnp), "
            f"or choose another: {option} {port + 1}"
        ) from None
    except OSError as error:
        raise ServeFailed(f"Cannot listen on {host}:{port}: {error.strerror}. Choose another address.") from None


def _reserved(host: str, port: int) -> socket.socket:
    with _listening(host, port, "--port"):
        return reserve(host, port)


async def _listen(stack: AsyncExitStack, admin: AdminServer, settings: Settings) -> None:
    with _listening(settings.admin_host, settings.admin_port, "--admin-port"):
        await stack.enter_async_context(admin.running())


@asynccontextmanager
async def _simulated(compiled: Compiled, say: Say) -> AsyncIterator[None]:
    assert compiled.sim_address is not None
    host, port = compiled.sim_address
    say("No provider found: answers come from the SIMULATED upstream, and are made up.")
    say("Set OPENAI_API_KEY or ANTHROPIC_API_KEY, or write a headgate.yaml, for real ones.")
    sim = SimServer(host=host, port=port)
    try:
        await sim.start()
    except OSError as error:
        raise ServeFailed(
            f"The simulated upstream cannot listen on {host}:{port}: {error.strerror}. If that is a `headgate sim` of "
            "yours, stop it, or name it as a provider in headgate.yaml."
        ) from None
    try:
        yield
    finally:
        await sim.stop()


async def _announce(configured: Configured, supervisor: Supervisor, port: int, admin_port: int, say: Say) -> None:
    await supervisor.ready.wait()
    settings = configured.first
    workers = "1 worker" if settings.workers == 1 else f"{settings.workers} workers"
    admin = f"http://{settings.admin_host}:{admin_port}"
    closed = "" if settings.admin_token else " (closed: no token)"
    say(f"headgate serves http://{settings.host}:{port} ({workers}); admin {admin}{closed}")


async def _sweep_dead(ledger: Ledger, directory: Path) -> None:
    """Mark dead what a killed worker left behind, so that what it held becomes lost and not forgotten."""
    while True:
        await asyncio.sleep(SWEEP_PERIOD)
        try:
            await asyncio.to_thread(sweep, ledger, directory, SYSTEM.wall())
        except LedgerError as error:
            log.warning("dead workers could not be swept; tried again", error=str(error))
