"""What limits cost a call, and what wrong keys cost the gateway and its other clients: on one gateway, one core.

Keys of the same gateway take turns within each round: one without limits, one with two of them, and one that is wrong.
"""

import http.client
import secrets
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import msgspec

from bench import load, machine, peers
from bench.progress import say

US = 1e6
CAP_USD = 1_000_000
REFUSED = "wrong key"
KINDS = ("relay", "limits off", "limits on", REFUSED)


class Scale(msgspec.Struct, frozen=True):
    """Rounds, and seconds of load for each kind and round."""

    rounds: int
    seconds: float


class Limited(msgspec.Struct):
    """One entry a round. CPU in µs a call, by kind; rates in calls/s.

    `batches`: wrong keys that were refused while nobody else called, and the ledger's batches meanwhile.
    """

    cpu: dict[str, list[float]] = msgspec.field(default_factory=dict)
    alone: list[float] = msgspec.field(default_factory=list)
    flooded: list[float] = msgspec.field(default_factory=list)
    flood: list[float] = msgspec.field(default_factory=list)
    batches: tuple[int, int] = (0, 0)

    def ratio(self, kind: str, base: str) -> float:
        """Return the median over the rounds of one kind's CPU a call / another's."""
        return median(one / other for one, other in zip(self.cpu[kind], self.cpu[base], strict=True))

    @property
    def kept(self) -> float:
        """The share of its rate that a good client keeps, median of the rounds."""
        return median(with_flood / without for with_flood, without in zip(self.flooded, self.alone, strict=True))


def owned(key: str, free: str) -> str:
    """Return the part of a file with two keys: one under a limit of its own and its account's, one without limits."""
    return f"""
accounts: [limited, free]
keys:
  - {{name: limited, account: limited, secret: "{key}"}}
  - {{name: free, account: free, secret: "{free}"}}
limits:
  - {{account: limited, usd: {CAP_USD}, per: month}}
  - {{key: limited, account: limited, usd: {CAP_USD}, per: 24h}}
"""


def new_secret() -> str:
    """Return a key as Headgate makes them."""
    return f"hg_{secrets.token_urlsafe(32)}"


def measure(gateway: int, core: int, upstream: int, scale: Scale) -> Limited:
    """Measure all of it in front of a running mock. Raises BadAnswers, Unfit."""
    found = Limited()
    keys = {"limits on": new_secret(), "limits off": new_secret(), REFUSED: new_secret()}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="headgate-bench-")))
        relay = stack.enter_context(peers.relay(gateway, upstream, folder))
        text = owned(keys["limits on"], keys["limits off"])
        peer = stack.enter_context(peers.headgate(gateway, upstream, folder, owned=text, key=keys["limits off"]))
        targets = {"relay": relay.target} | {kind: peer.target._replace(key=key) for kind, key in keys.items()}
        check(targets[REFUSED])
        for kind, target in targets.items():
            load.wrk(core, target, "unary", 2, refused=kind == REFUSED)
        for _ in range(scale.rounds):
            for kind in KINDS:
                spent = _relay_cpu(relay) if kind == "relay" else _workers_cpu(peer)
                done = load.wrk(core, targets[kind], "unary", scale.seconds, refused=kind == REFUSED)
                found.cpu.setdefault(kind, []).append(spent() * US / done.calls)
                say(f"{kind}: {found.cpu[kind][-1]:.1f} µs a call, {done.calls / done.seconds:.0f} a second")
        before = _batches(folder)
        refused = load.wrk(core, targets[REFUSED], "unary", scale.seconds, refused=True).calls
        found.batches = refused, _batches(folder) - before
        for _ in range(scale.rounds):
            _flooded(found, core, targets, scale.seconds)
    return found


def _flooded(found: Limited, core: int, targets: dict[str, load.Target], seconds: float) -> None:
    """Measure a good client's rate by itself, and beside as many connections that send wrong keys."""
    alone = load.wrk(core, targets["limits off"], "unary", seconds)
    with ThreadPoolExecutor(1) as pool:
        flood = pool.submit(load.wrk, core, targets[REFUSED], "unary", seconds, refused=True)
        good = load.wrk(core, targets["limits off"], "unary", seconds)
        wrong = flood.result()
    found.alone.append(alone.calls / alone.seconds)
    found.flooded.append(good.calls / good.seconds)
    found.flood.append(wrong.calls / wrong.seconds)
    say(f"good client: {found.alone[-1]:.0f} a second, beside {found.flood[-1]:.0f} wrong {found.flooded[-1]:.0f}")


def check(target: load.Target) -> None:
    """Raise BadAnswers unless this key is refused as wrong."""
    with closing(http.client.HTTPConnection("127.0.0.1", target.port, timeout=10)) as connection:
        connection.request("POST", "/v1/chat/completions", b"{}", {"authorization": f"Bearer {target.key}"})
        answer = connection.getresponse()
        said = answer.read()
    if answer.status != http.HTTPStatus.UNAUTHORIZED or b"invalid_api_key" not in said:
        raise load.BadAnswers(f"a wrong key: {answer.status} {said[:400]!r}")


def _workers_cpu(peer: peers.Peer) -> Callable[[], float]:
    """Begin to count the CPU seconds of a gateway without its supervisor; return what tells them."""
    workers = [pid for pid in machine.tree(peer.pid) if pid != peer.pid]
    return _since(lambda: sum(map(machine.cpu_s, workers)))


def _relay_cpu(peer: peers.Peer) -> Callable[[], float]:
    return _since(lambda: machine.cpu_s(peer.pid))


def _since(now: Callable[[], float]) -> Callable[[], float]:
    begun = now()
    return lambda: now() - begun


def _batches(folder: Path) -> int:
    """Return how many batches the ledger in this folder has committed."""
    with closing(sqlite3.connect(f"file:{folder}/headgate.db?mode=ro", uri=True)) as connection:
        (counted,) = connection.execute("SELECT sum(counter) FROM incarnations").fetchone()
    return int(counted)
