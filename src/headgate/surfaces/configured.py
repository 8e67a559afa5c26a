"""The configuration in force: read at the start, read again on demand, the same for all processes."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import structlog

from headgate.config.compile import FOUND, compile_text, with_found
from headgate.config.discover import Found, discover, misplaced, places
from headgate.config.envfile import EnvFile, exposed, read_env_file
from headgate.config.load import locate, read_text
from headgate.config.problems import ConfigError, Problem
from headgate.config.settings import Compiled, Overrides
from headgate.config.starter import text_of
from headgate.config.watch import watch
from headgate.ledger.engine import Ledger
from headgate.ledger.errors import LedgerError, OwnedByStore
from headgate.ledger.owned import adopt
from headgate.model.local import LOCAL, Listing, Place
from headgate.runtime.clock import Clock
from headgate.runtime.control import Fixed, Reload, Start
from headgate.runtime.supervisor import Supervisor
from headgate.upstream.listing import ask

log = structlog.get_logger("headgate.supervisor")

SECOND_NS = 1_000_000_000
RETRY = 2.0
"""Seconds after which a configuration is tried again that could not be written to the ledger."""


async def look(env: Mapping[str, str], usual: Iterable[Place] = LOCAL) -> list[Listing]:
    """Return what the servers on this machine list; takes a second at most, and never fails."""
    return await ask(places(env, usual))


def find(env: Mapping[str, str], usual: Iterable[Place] = LOCAL) -> Found:
    """Return what a start without a file would use; for commands, which have no event loop of their own."""
    return discover(env, asyncio.run(look(env, usual)))


class Read(msgspec.Struct, frozen=True):
    """A configuration as it was read, which is not in force yet. `values` are those of the .env."""

    compiled: Compiled
    text: str
    values: dict[str, str]
    problems: tuple[str, ...]


class Configured:
    """The configuration in force, its text and its variables. `read` it before anything else.

    Without a file the text is made of what `look` has found; `sim` is then where the simulated upstream runs, if
    it does.
    """

    compiled: Compiled

    def __init__(self, path: Path | None, overrides: Overrides, clock: Clock, env: Mapping[str, str]) -> None:
        self.folder = Path.cwd()
        self.path = locate(path, self.folder)
        self.sim: tuple[str, int] | None = None
        self.text = ""
        self._values: dict[str, str] = {}
        self._listings: list[Listing] = []
        self._first: Compiled | None = None
        self._overrides = overrides
        self._clock = clock
        self._env = env

    @property
    def first(self) -> Compiled:
        """As it was at the start."""
        return self._first or self.compiled

    def env_file(self) -> EnvFile:
        """Read the .env beside the configuration."""
        return read_env_file(self.folder if self.path is None else self.path.absolute().parent)

    async def look(self, usual: Iterable[Place] = LOCAL) -> Found:
        """Ask the servers on this machine, and return what was found."""
        env = self.env_file().under(self._env)
        self._listings = await look(env, usual)
        return discover(env, self._listings)

    def read(self) -> Compiled:
        """Read it anew and put it in force; what is in force stays if that fails. Raises ConfigError."""
        return self.adopt(self.parse())

    def parse(self) -> Read:
        """Read it anew, once for all processes. Raises ConfigError."""
        at = datetime.fromtimestamp(self._clock.wall() / SECOND_NS, UTC)
        file = self.env_file()
        env = file.under(self._env)
        found = None if self.path is not None else self._found(env)
        text = read_text(self.path) if self.path is not None else text_of(found or Found())
        compiled = compile_text(text, self.path, self.folder, env, at, self._overrides)
        return Read(compiled if found is None else with_found(compiled, found), text, file.values, tuple(file.problems))

    def adopt(self, read: Read) -> Compiled:
        """Put in force what was read, here; workers and ledger are told by others."""
        self.compiled, self.text, self._values = read.compiled, read.text, read.values
        self._first = self._first or self.compiled
        for problem in read.problems:
            log.warning(".env was not read whole", problem=problem)
        for problem in misplaced(self.compiled.catalog):
            log.warning("a key is not where it belongs", problem=problem)
        return self.compiled

    def _found(self, env: Mapping[str, str]) -> Found:
        found = discover(env, self._listings)
        if not found.simulated:
            return found
        if self.sim is None:
            message = "no provider is found any more; set its variable again, or start Headgate anew"
            raise ConfigError([Problem(FOUND, None, "", message)])
        return Found(notes=found.notes, sim=self.sim)

    def warn_of_exposure(self) -> None:
        """Log how the .env lies open to others."""
        for warning in exposed(self.env_file().path):
            log.warning(".env lies open", warning=warning)

    def start(self, address: str, port: int) -> Callable[[int], Start]:
        """Return what a worker is first told, for each index; as of now, but with what no reload changes."""
        first = self.first.settings
        fixed = Fixed(address, port, first.ledger_url, first.durability, first.state_dir, first.log_level)
        source = "" if self.path is None else str(self.path)
        folder, text, overrides, values = str(self.folder), self.text, self._overrides, self._values

        def one(index: int) -> Start:
            return Start(index, fixed, source, folder, text, overrides, values)

        return one

    def reloaded(self) -> Reload:
        """Return what running workers are told after `read`."""
        return Reload(self.text, self._values)


def put_in_force(ledger: Ledger, compiled: Compiled, now: int) -> None:
    """Write what the file owns into the ledger. Raises ConfigError for what is the store's, LedgerError."""
    try:
        changed = adopt(ledger, compiled.owned, now)
    except OwnedByStore as error:
        source = str(compiled.config_path or FOUND)
        raise ConfigError([Problem(source, None, "", conflict) for conflict in error.conflicts]) from None
    if changed:
        log.info("accounts, keys and limits of the configuration are in force")


class Reloader:
    """Reads the configuration again when its file changes or when asked; what runs outlives a bad one.

    One reload at a time, so that ledger and workers are told in the order in which files were read.
    """

    def __init__(
        self, configured: Configured, supervisor: Supervisor, ledger: Ledger, clock: Clock, listens: tuple[str, int]
    ) -> None:
        """`listens`: address and port of the data plane."""
        self._configured = configured
        self._supervisor = supervisor
        self._ledger = ledger
        self._clock = clock
        self._listens = listens
        self._asked = asyncio.Event()
        self._one = asyncio.Lock()

    @property
    def compiled(self) -> Compiled:
        """The configuration in force."""
        return self._configured.compiled

    def ask(self) -> None:
        """Reload soon; from a signal."""
        self._asked.set()

    async def begin(self) -> None:
        """Put in force in the ledger what was read at the start. Raises ConfigError, LedgerError."""
        async with self._one:
            await self._put_in_force(self._configured.compiled)

    async def reload(self) -> Compiled:
        """Reload now; servers on this machine count as last seen.

        The ledger is told first: where it refuses, nothing has changed. Raises ConfigError, LedgerError.
        """
        async with self._one:
            read = self._configured.parse()
            await self._put_in_force(read.compiled)
            compiled = self._configured.adopt(read)
            for name in FIXED:
                if getattr(compiled.settings, name) != getattr(self._configured.first.settings, name):
                    log.warning("this setting takes effect at the next start", setting=name)
            start = self._configured.start(*self._listens)
            self._supervisor.reload(start, self._configured.reloaded(), compiled.settings.drain_timeout)
            return compiled

    async def _put_in_force(self, compiled: Compiled) -> None:
        await asyncio.to_thread(put_in_force, self._ledger, compiled, self._clock.wall())

    async def follow(self) -> None:
        """Reload whenever asked or the file changes, until cancelled."""
        watcher = asyncio.create_task(self._watch_file())
        try:
            while True:
                await self._asked.wait()
                self._asked.clear()
                if self._configured.path is None:
                    await self._configured.look()
                try:
                    await self.reload()
                except ConfigError as error:
                    log.error("configuration refused; the running one stays", error=str(error))  # noqa: TRY400
                except LedgerError as error:
                    log.error("configuration not in force yet; it is tried again", error=str(error))  # noqa: TRY400
                    asyncio.get_running_loop().call_later(RETRY, self.ask)
        finally:
            watcher.cancel()

    async def _watch_file(self) -> None:
        if self._configured.path is None:
            return
        async for _ in watch(self._configured.path, self._configured.text.encode()):
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
    "dead_after",
    "log_level",
)
"""Settings that processes take only when they start."""
