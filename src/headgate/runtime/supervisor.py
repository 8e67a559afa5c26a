"""The supervisor: starts workers, replaces dead ones, passes on reload and drain, hosts the admin plane."""

import asyncio
import contextlib
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from headgate.runtime.clock import Clock
from headgate.runtime.control import Beat, Channel, Drain, Fatal, Ready, Reload, Start
from headgate.runtime.metrics import Metrics, total
from headgate.runtime.respawn import Backoff
from headgate.runtime.watchman import TICK_NS, Watchman

log = structlog.get_logger("headgate.supervisor")

SECOND_NS = 1_000_000_000
KILL_GRACE_NS = 15 * SECOND_NS
"""Beyond the drain timeout, for the ends of calls and the flush of the ledger (worker.py); then a worker is killed."""
REAP_GRACE_NS = 5 * SECOND_NS
"""What a worker that has closed its channel has to exit."""
HOPELESS = 5
"""Workers in a row that died before they served: the start itself is at fault."""


class StartFailed(Exception):
    """No worker could serve; the message says why."""


class WorkerProcess:
    """One worker as its supervisor sees it."""

    def __init__(self, index: int, process: subprocess.Popen[bytes], channel: Channel, born: int) -> None:
        self.index = index
        self.process = process
        self.channel = channel
        self.served_since: int | None = None
        self.born = born
        self.metrics = Metrics()
        self.incarnation: int | None = None


class Supervisor:
    """Keeps `count` workers alive, each started by `command` with the number of its control socket appended.

    `start` builds the first message for a worker. All times come from `clock`. Where there is a `watchman`, workers
    that serve and then fall silent are killed.
    """

    def __init__(
        self,
        command: Sequence[str],
        count: int,
        start: Callable[[int], Start],
        clock: Clock,
        drain_timeout: int,
        watchman: Watchman | None = None,
    ) -> None:
        self._watchman = watchman
        self._command = tuple(command)
        self._count = count
        self._start = start
        self._clock = clock
        self._drain_timeout = drain_timeout
        self._workers: dict[int, WorkerProcess] = {}
        self._retired = Metrics()
        self._tasks: set[asyncio.Task[None]] = set()
        self._early_deaths = 0
        self._failure: str | None = None
        self.draining = False
        self.ready = asyncio.Event()
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Serve until `stop` is called and all workers have gone. Raises StartFailed."""
        keepers = [asyncio.create_task(self._keep(index)) for index in range(self._count)]
        watching = asyncio.create_task(self._kill_silent())
        try:
            await asyncio.gather(*keepers)
        finally:
            for task in (*keepers, watching):
                task.cancel()
            await asyncio.gather(*keepers, watching, return_exceptions=True)
        if self._failure is not None:
            raise StartFailed(self._failure)

    def stop(self) -> None:
        """Drain all workers and let `run` return."""
        if self.draining:
            return
        self.draining = True
        self._stop.set()
        for worker in self._workers.values():
            worker.channel.send(Drain(self._drain_timeout))

    def reload(self, start: Callable[[int], Start], said: Reload, drain_timeout: int) -> None:
        """Give all workers, present and future, this configuration, already checked."""
        self._start = start
        self._drain_timeout = drain_timeout
        for worker in self._workers.values():
            worker.channel.send(said)

    def metrics(self) -> Metrics:
        """Return the counters of all workers, past ones included."""
        return total([self._retired, *(worker.metrics for worker in self._workers.values())])

    def workers(self) -> list[dict[str, Any]]:
        """Describe each live worker: index, pid, incarnation, whether it serves."""
        return [
            {
                "index": worker.index,
                "pid": worker.process.pid,
                "incarnation": worker.incarnation,
                "ready": worker.served_since is not None,
            }
            for worker in sorted(self._workers.values(), key=lambda one: one.index)
        ]

    async def _keep(self, index: int) -> None:
        backoff = Backoff()
        while True:
            if self.draining:
                return
            life = await self._live(index)
            if not self.draining:
                backoff = backoff.after(life)
                self._judge(life)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), backoff.pause_ns / SECOND_NS)

    async def _live(self, index: int) -> int:
        """Start a worker and wait for its end; return for how many ns it has served."""
        try:
            worker = await self._spawn(index)
        except OSError as error:
            log.error("a worker could not be started", index=index, error=str(error))  # noqa: TRY400  no bug of ours
            return 0
        await self._attend(worker)
        if not self.draining:
            log.warning("worker died", index=index, pid=worker.process.pid, code=worker.process.returncode)
        return 0 if worker.served_since is None else self._clock.mono() - worker.served_since

    def _judge(self, life: int) -> None:
        """Give up where no worker has ever served."""
        self._early_deaths = 0 if life else self._early_deaths + 1
        if self._early_deaths >= HOPELESS and not self.ready.is_set():
            self._failure = "no worker could start; the lines above say why"
            self.stop()

    async def _spawn(self, index: int) -> WorkerProcess:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = await asyncio.to_thread(
                    subprocess.Popen,
                    [*self._command, str(theirs.fileno())],
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,  # a terminal's Ctrl-C is the supervisor's to pass on
                )
        except OSError:
            ours.close()
            raise
        channel = await Channel.open(ours)
        worker = WorkerProcess(index, process, channel, self._clock.mono())
        self._workers[index] = worker
        channel.send(self._start(index))
        if self.draining:
            channel.send(Drain(self._drain_timeout))
        return worker

    async def _attend(self, worker: WorkerProcess) -> None:
        """Listen to a worker until it is gone, then reap it."""
        killer = asyncio.create_task(self._kill_when_late(worker))
        try:
            while (message := await worker.channel.receive()) is not None:
                if self._watchman is not None:
                    self._watchman.heard(worker.process.pid)
                match message:
                    case Ready():
                        worker.served_since = self._clock.mono()
                        worker.incarnation = message.incarnation
                        self._early_deaths = 0
                        if sum(one["ready"] for one in self.workers()) == self._count:
                            self.ready.set()
                    case Beat():
                        worker.metrics = message.metrics
                    case Fatal() if self.ready.is_set():
                        # The others serve on; what is wrong (a store that is away) may pass.
                        log.error("worker could not start", index=worker.index, error=message.message)
                    case Fatal():
                        self._failure = message.message
                        self.stop()
                    case _:
                        log.error("a worker sent what only the supervisor sends", index=worker.index)
        finally:
            killer.cancel()
            await worker.channel.close()
            await asyncio.to_thread(self._reap, worker)
            self._workers.pop(worker.index, None)
            self._retired.add(_without_gauges(worker.metrics))

    async def _kill_silent(self) -> None:
        """Kill workers that serve and say nothing: one that is stopped may hold what all others wait for."""
        while self._watchman is not None:
            await asyncio.sleep(TICK_NS / SECOND_NS)
            if self.draining:
                return
            served = {one.process.pid: one for one in self._workers.values() if one.served_since is not None}
            for pid in self._watchman.tick(self._clock.mono(), served):
                log.error("worker is silent; killed", index=served[pid].index, pid=pid)
                served[pid].process.kill()

    async def _kill_when_late(self, worker: WorkerProcess) -> None:
        await self._stop.wait()
        await asyncio.sleep((self._drain_timeout + KILL_GRACE_NS) / SECOND_NS)
        log.error("worker did not stop in time; killed", index=worker.index, pid=worker.process.pid)
        worker.process.kill()

    def _reap(self, worker: WorkerProcess) -> None:
        """A worker whose channel has closed is dead or dying: give it the grace, then kill it."""
        try:
            worker.process.wait(REAP_GRACE_NS / SECOND_NS)
        except subprocess.TimeoutExpired:
            worker.process.kill()
            worker.process.wait()


def _without_gauges(metrics: Metrics) -> Metrics:
    """The counters of a worker that is gone: nothing of it is in flight any more."""
    metrics.in_flight = 0
    metrics.uncommitted = 0
    return metrics


def on_signals(loop: asyncio.AbstractEventLoop, stop: Callable[[], None], reload: Callable[[], None]) -> None:
    """Install the supervisor's signals: TERM and INT drain, HUP reloads."""
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, reload)
