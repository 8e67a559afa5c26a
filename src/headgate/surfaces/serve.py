"""`headgate serve`: the supervisor with the admin plane beside it, wired from a configuration."""

import asyncio
import os
import shlex
import socket
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import structlog
import uvloop

from headgate.config.settings import NO_OVERRIDES, Compiled, Overrides, Settings
from headgate.ledger.engine import Ledger, open_ledger
from headgate.ledger.errors import LedgerError
from headgate.ledger.incarnations import lock_directory, sweep
from headgate.ledger.keys import NewKey
from headgate.ledger.locks import FileLock, make_directory, try_hold
from headgate.runtime.clock import SYSTEM
from headgate.runtime.logs import configure_logs
from headgate.runtime.ports import PortTaken, reserve
from headgate.runtime.reaper import Reaper
from headgate.runtime.supervisor import StartFailed, Supervisor, on_signals
from headgate.runtime.watchman import Watchman
from headgate.surfaces.admin.server import AdminServer
from headgate.surfaces.configured import Configured, Reloader
from headgate.surfaces.first_start import (
    FIRST,
    KEYLESS,
    Say,
    base_url,
    first_key,
    keyless,
    say_found,
    simulated,
    welcome,
)

log = structlog.get_logger("headgate.supervisor")

WORKER = (sys.executable, "-P", "-m", "headgate.surfaces.data.serve")
"""`-P`: what lies in the working folder is not imported, however it is called."""
EARLY_LEVEL = "info"
"""The least that is logged before the configuration says."""
MAX_PORT = 65_535
NO_FILE_HINT = "or start in another folder, or: headgate init -c ~/headgate.yaml; headgate serve -c ~/headgate.yaml"


class ServeFailed(Exception):
    """Serving could not begin, or ended badly; the message tells the operator what to do."""


def serve(
    path: Path | None, overrides: Overrides = NO_OVERRIDES, say: Say = print, *, is_terminal: bool = False
) -> int:
    """Serve until a signal ends it; return the exit status. `say` prints a line for the operator.

    `is_terminal`: a person reads what is said, so the first key may be shown even where there is a file.
    Raises ConfigError, LedgerError and ServeFailed, whose messages are for people.
    """
    configured = Configured(path, overrides, SYSTEM, os.environ)
    greeting = Greeting(say, is_terminal=is_terminal or configured.path is None)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(configured, greeting, as_json=overrides.log_json))
    return 0


async def _serve(configured: Configured, greeting: "Greeting", *, as_json: bool) -> None:
    async with AsyncExitStack() as stack:
        configure_logs(EARLY_LEVEL, as_json=as_json)
        await _configure(stack, configured, greeting.say)
        settings = configured.compiled.settings
        configure_logs(settings.log_level, as_json=as_json)
        ledger = open_ledger(settings.ledger_url)
        stack.callback(ledger.close)
        stack.callback(_only_one(ledger, settings).close)
        await asyncio.to_thread(ledger.migrate)
        directory = await asyncio.to_thread(lock_directory, ledger, Path(settings.state_dir))
        await asyncio.to_thread(sweep, ledger, directory, SYSTEM.wall())
        # The address and not the name: Granian takes no names, and all workers must listen on the same.
        address, port = stack.enter_context(_reserved(settings)).getsockname()[:2]
        start = configured.start(address, port)
        watchman = Watchman() if ledger.url.is_sqlite else None
        supervisor = Supervisor(WORKER, settings.workers, start, SYSTEM, settings.drain_timeout, watchman)
        reload = Reloader(configured, supervisor, ledger, SYSTEM, (address, port))
        admin = AdminServer(settings, ledger, supervisor, reload)
        await _listen(stack, admin, settings)
        await reload.begin()
        on_signals(asyncio.get_running_loop(), supervisor.stop, reload.ask)
        stack.callback(greeting.end)
        # Only now, when no signal interrupts any more: a key that was made must be shown.
        await asyncio.to_thread(greeting.prepare, ledger, configured.compiled, base_url(settings, port))
        beside = [
            asyncio.create_task(task)
            for task in (
                _announce(configured, supervisor, port, admin.port, greeting),
                reload.follow(),
                Reaper(ledger, directory, settings.dead_after, SYSTEM).run(),
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


async def _configure(stack: AsyncExitStack, configured: Configured, say: Say) -> None:
    """Read the configuration; without a file look for providers, and run the simulated upstream where there is none."""
    if configured.path is None:
        found = await configured.look()
        if found.simulated:
            configured.sim = await stack.enter_async_context(simulated(say, found.sim[1]))
    configured.read()
    if configured.path is None:
        say_found(configured.compiled, say)
    await asyncio.to_thread(configured.warn_of_exposure)


class Greeting:
    """What is said once Headgate serves: the first key, where there was none, and how to use it.

    `is_terminal`: a person reads it. A secret must not land in a service's log.
    """

    def __init__(self, say: Say, *, is_terminal: bool) -> None:
        self.say = say
        self._may_show = is_terminal
        self._lines: list[str] = []
        self._key: NewKey | None = None

    def prepare(self, ledger: Ledger, compiled: Compiled, url: str) -> None:
        """Make the first key if there is none and it may be shown. Raises LedgerError."""
        if not compiled.settings.auth_required:
            self._lines = keyless(compiled, url) if self._may_show else [KEYLESS]
        elif self._may_show:
            self._key = first_key(ledger, SYSTEM.wall())
            self._lines = [] if self._key is None else welcome(compiled, url, self._key.secret)
        elif not ledger.reader().keys(SYSTEM.wall()):
            self._lines = ["There is no key yet; make one: headgate keys create NAME"]

    def show(self) -> None:
        """Say it, once."""
        lines, self._lines, self._key = self._lines, [], None
        for line in lines:
            self.say(line)

    def end(self) -> None:
        """A key that was made and never shown, since the start failed, is shown all the same: it works later."""
        if self._key is not None:
            self.say(f"The first key, of account '{FIRST}', was made (it is not shown again): {self._key.secret}")
            self._key = None


def _only_one(ledger: Ledger, settings: Settings) -> FileLock:
    """Hold the ledger for this supervisor: two on one SQLite file would be two gateways without knowing it."""
    state = ledger.url.state_dir or Path(settings.state_dir)
    name = "serve.lock" if ledger.url.is_sqlite else f"serve-{settings.port}.lock"
    try:
        state.parent.mkdir(parents=True, exist_ok=True)
        make_directory(state)
        lock = try_hold(state / name)
    except (OSError, LedgerError) as error:
        # Where a lock directory cannot be made, the reason stands behind the ledger's error.
        cause = error if isinstance(error, OSError) else error.__cause__
        reason = f"{cause.strerror}: {cause.filename}" if isinstance(cause, OSError) else str(error)
        raise ServeFailed(
            f"Cannot lock the ledger {ledger.url.shown}: {reason}. "
            f"Make it and its folder writable for this user: chmod u+w {shlex.join([str(state.parent), str(state)])}; "
            + (NO_FILE_HINT if settings.config_path is None else "or name another ledger.url")
        ) from None
    if lock is None:
        raise ServeFailed(
            f"Another headgate serves the ledger {ledger.url.shown} already. "
            "Stop it, or give this one its own ledger.url."
        )
    return lock


@contextmanager
def _listening(host: str, port: int, option: str, other: int) -> Iterator[None]:
    """Say what to do about a port that cannot be had; `other` is the port of the other plane."""
    try:
        yield
    except PortTaken:
        raise ServeFailed(
            f"Port {port} on {host} is in use. Stop what listens there (ss -ltnp), "
            f"or choose another: {option} {_next(port, other)}"
        ) from None
    except OSError as error:
        raise ServeFailed(f"Cannot listen on {host}:{port}: {error.strerror}. Choose another address.") from None


def _next(port: int, other: int) -> int:
    """Return a port to propose; 0 takes any free one."""
    proposed = port + 1 if port + 1 != other else port + 2
    return proposed if proposed <= MAX_PORT else 0


def _reserved(settings: Settings) -> socket.socket:
    with _listening(settings.host, settings.port, "--port", settings.admin_port):
        return reserve(settings.host, settings.port)


async def _listen(stack: AsyncExitStack, admin: AdminServer, settings: Settings) -> None:
    with _listening(settings.admin_host, settings.admin_port, "--admin-port", settings.port):
        await stack.enter_async_context(admin.running())


async def _announce(
    configured: Configured, supervisor: Supervisor, port: int, admin_port: int, greeting: Greeting
) -> None:
    await supervisor.ready.wait()
    settings = configured.first.settings
    workers = "1 worker" if settings.workers == 1 else f"{settings.workers} workers"
    admin = f"http://{settings.admin_host}:{admin_port}"
    closed = "" if settings.admin_token else " (closed: no token)"
    greeting.say(f"headgate serves http://{settings.host}:{port} ({workers}); admin {admin}{closed}")
    greeting.show()
