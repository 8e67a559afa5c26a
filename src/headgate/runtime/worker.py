"""One worker: built from what the supervisor sends, serving until it is told to drain."""

import asyncio
import gc
import os
import secrets
import socket
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import structlog
from msgspec.structs import asdict, replace

from headgate import __version__
from headgate.config.compile import compile_text
from headgate.config.problems import ConfigError
from headgate.config.settings import Compiled
from headgate.ledger.connect import Durability
from headgate.ledger.engine import Ledger, open_ledger
from headgate.ledger.errors import LedgerError, LedgerUnusable
from headgate.ledger.incarnations import lock_directory
from headgate.ledger.writer import Writer
from headgate.model.failure import Failure, FailureKind
from headgate.model.route import Provider
from headgate.policy.applicable import Limits
from headgate.runtime.clock import SYSTEM, Clock
from headgate.runtime.control import Beat, Channel, Drain, Fatal, Ready, Reload, Start
from headgate.runtime.gate import Gate, Terms
from headgate.runtime.logs import configure_logs
from headgate.runtime.ports import accepting
from headgate.upstream.http import HttpClient

log = structlog.get_logger("headgate.worker")

SECOND_NS = 1_000_000_000
SWEEP = 0.05
"""Seconds between two looks at what has taken too long: the precision of all timeouts."""
TERMS_POLL = 0.25
"""Seconds until a key or limit that was changed elsewhere is known here, at the latest."""
BEAT = 1.0
FLUSH_NS = 5 * SECOND_NS
"""What the writer has to commit what is queued at the end."""
STOP_GRACE = 1.0
"""Seconds that connections have to end in, once no call runs."""
SWITCH_INTERVAL = 0.0005
"""Seconds; the writer's thread must not wait Python's usual 5 ms for its turn."""
USER_AGENT = f"headgate/{__version__}"


class Listener(Protocol):
    """The data plane's server on the shared port."""

    async def serve(self) -> None:
        """Serve until `stop`."""

    def stop(self) -> None: ...


Listen = Callable[[Gate, Ledger, str, int], Listener]


class Worker:
    """The parts of one worker process and their lifetimes."""

    def __init__(self, start: Start, channel: Channel, listen: Listen, clock: Clock) -> None:
        self._start = start
        self._channel = channel
        self._clock = clock
        compiled = compiled_of(start, clock)
        self._drain_timeout = compiled.settings.drain_timeout
        self._ledger = open_ledger(compiled.settings.ledger_url)
        directory = lock_directory(self._ledger, Path(compiled.settings.state_dir))
        self._writer = Writer(
            self._ledger,
            Durability(compiled.settings.durability),
            directory,
            on_epoch=self._terms_changed,
            on_failure=self._writer_died,
            in_flight=lambda: len(self.gate.active),
        )
        clients = {name: connect(entry.provider) for name, entry in compiled.catalog.providers.items()}
        terms = Terms(compiled.settings, compiled.catalog, compiled.fingerprint, clients)
        self.gate = Gate(terms, self._writer, clock, secrets.token_hex(4), connect, self._find_route)
        self._listener = listen(self.gate, self._ledger, start.fixed.host, start.fixed.port)
        self._stop = asyncio.Event()
        self._refresh = asyncio.Event()
        # Its own thread: calls wait for new limits, whatever else is being read for clients.
        self._reading = ThreadPoolExecutor(1, "headgate-terms")

    async def _find_route(self, account: str, response_id: str) -> str | None:
        return await asyncio.to_thread(self._ledger.reader().route_of_response, account, response_id)

    async def run(self) -> None:
        """Serve until drained. Raises LedgerError where the ledger cannot be used."""
        await self._read_terms()
        self._writer.start(asyncio.get_running_loop(), epoch=self.gate.limits.epoch)
        serving = asyncio.create_task(self._listener.serve())
        background = [
            asyncio.create_task(task)
            for task in (self._sweep(), self._poll_terms(), self._beat(), self._obey(), self._stopped())
        ]
        await accepting(self._start.fixed.host, self._start.fixed.port, serving)
        settle_down()
        self._channel.send(Ready(self._writer.incarnation))
        try:
            await asyncio.wait({serving, *background}, return_when=asyncio.FIRST_COMPLETED)
            for task in (serving, *background):
                if task.done():
                    task.result()
            await self._drain()
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            self._listener.stop()
            # A connection whose client neither sends nor reads must not hold up the ledger and the end.
            await asyncio.wait({serving}, timeout=STOP_GRACE)
            await self._flush()
            self._reading.shutdown(wait=False)

    async def _stopped(self) -> None:
        await self._stop.wait()

    async def _drain(self) -> None:
        """Take no new calls, give the running ones their time, then end them."""
        idle = self.gate.drain()
        if await _within(idle, self._drain_timeout):
            return
        for call in list(self.gate.active):
            call.end(Failure(FailureKind.DEADLINE, "the gateway shut down"))
        await _within(idle, FLUSH_NS)

    async def _flush(self) -> None:
        if not await self._writer.close(FLUSH_NS / SECOND_NS):
            log.critical("the ledger did not take all rows before the end", pending=self._writer.pending)
        await asyncio.to_thread(self._ledger.close)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            now = self._clock.mono()
            for call in list(self.gate.active):
                call.expire(now)

    async def _read_terms(self) -> None:
        loop = asyncio.get_running_loop()
        read = self._ledger.reader().terms
        epoch, identities, limits = await loop.run_in_executor(self._reading, read, self._clock.wall())
        self.gate.renew(identities, Limits(limits, epoch))

    async def _poll_terms(self) -> None:
        """Reload keys and limits when the ledger's epoch has moved; what cannot be read stays as it is."""
        reader, loop = self._ledger.reader(), asyncio.get_running_loop()
        batches = self._writer.committed_batches
        behind = False
        while True:
            try:
                async with asyncio.timeout(TERMS_POLL):
                    await self._refresh.wait()
            except TimeoutError:
                pass
            if self._writer.committed_batches != batches and not self._refresh.is_set() and not behind:
                batches = self._writer.committed_batches  # each batch has read the epoch
                continue
            self._refresh.clear()
            try:
                if await loop.run_in_executor(self._reading, reader.epoch) != self.gate.limits.epoch:
                    await self._read_terms()
                behind = False
            except LedgerUnusable as error:
                behind = True  # batches tell of each change once
                log.warning("keys and limits could not be read; the known ones stay", error=str(error))

    def _terms_changed(self, _epoch: int) -> None:
        self._refresh.set()

    def _writer_died(self, error: BaseException) -> None:
        log.critical("the writer died; this worker ends and is replaced", error=repr(error))
        self._stop.set()

    async def _beat(self) -> None:
        metrics = self.gate.metrics
        while True:
            await asyncio.sleep(BEAT)
            metrics.in_flight = len(self.gate.active)
            metrics.uncommitted = self._writer.pending
            self._channel.send(Beat(metrics))

    async def _obey(self) -> None:
        """Do what the supervisor says; a supervisor that is gone means the end, or the port would stay taken."""
        while (message := await self._channel.receive()) is not None:
            match message:
                case Drain():
                    self._drain_timeout = message.timeout
                    self._stop.set()
                    return
                case Reload():
                    self._reload(message)
                case _:
                    log.error("the supervisor sent what only workers send")
        self._drain_timeout = 0
        self._stop.set()

    def _reload(self, message: Reload) -> None:
        try:
            compiled = compiled_of(self._start, self._clock, message)
        except ConfigError as error:
            log.error("the supervisor's configuration was refused here", error=str(error))  # noqa: TRY400  no fault of ours
            return
        self._drain_timeout = compiled.settings.drain_timeout
        self.gate.adopt(compiled.settings, compiled.catalog, compiled.fingerprint)
        log.info("configuration reloaded", fingerprint=compiled.fingerprint[:12])


async def _within(event: asyncio.Event, timeout_ns: int) -> bool:
    try:
        async with asyncio.timeout(timeout_ns / SECOND_NS):
            await event.wait()
    except TimeoutError:
        return False
    return True


def connect(provider: Provider) -> HttpClient:
    """Return a provider's client; its connections are opened as they are needed."""
    return HttpClient(provider, USER_AGENT)


def compiled_of(start: Start, clock: Clock, said: Reload | None = None) -> Compiled:
    """Return the configuration that a worker is to run, with what no reload changes. Raises ConfigError."""
    at = datetime.fromtimestamp(clock.wall() / SECOND_NS, UTC)
    text, values = (start.config, start.env) if said is None else (said.config, said.env)
    path = Path(start.source) if start.source else None
    env = {**values, **os.environ}
    compiled = compile_text(text, path, Path(start.folder), env, at, start.overrides)
    settings = replace(compiled.settings, **asdict(start.fixed))
    return replace(compiled, settings=settings)


def share_the_core() -> None:
    """Let the threads of this worker not preempt each other: each wakes the next, and all wait for one interpreter.

    Measured at 32 clients on one core: 0.86 involuntary switches a call become 0.01, and a call a fifth cheaper.
    """
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def settle_down() -> None:
    """What was built at the start lives on: keep the collector away from it, and let it run seldom."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


async def live(control: socket.socket, listen: Listen) -> int:
    """Be a worker on this control socket; return the exit status."""
    share_the_core()
    channel = await Channel.open(control)
    try:
        start = await channel.receive()
        if not isinstance(start, Start):
            return 1
        configure_logs(start.fixed.log_level, as_json=start.overrides.log_json)
        await Worker(start, channel, listen, SYSTEM).run()
    except (ConfigError, LedgerError) as error:
        channel.send(Fatal(str(error)))
        return 1
    finally:
        await channel.close()
    return 0


def main(listen: Listen, run: Callable[[Coroutine[Any, Any, int]], int]) -> int:
    """Run a worker whose control socket's number is the last argument. `run` runs a coroutine to its end."""
    control = socket.socket(fileno=int(sys.argv[-1]))
    return run(live(control, listen))
