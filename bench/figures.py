"""What is measured: every ratio comes from interleaved runs, so that a drifting machine moves both sides."""

import asyncio
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import uvloop

from bench import answers, load, machine
from bench.peers import Peer
from bench.progress import say

US = 1e6
SETTLE_S = 1.5
"""Of a window over streams with gaps: all have begun."""

HELD = 0.98
"""Share of the frames asked for that a peer must deliver to count as keeping up."""

IDLE = 0.05
"""Share of a core below which a peer has nothing left to do."""


@dataclass(frozen=True)
class Scale:
    """How much is measured. Seconds are of load, per peer and round."""

    rounds: int
    unary_s: float
    burst_s: float
    paced_frames: int
    latency_rounds: int
    latency_calls: int
    memory_calls: tuple[int, int]
    profile_s: int
    streams: int = 300
    translated_streams: int = 100
    few_streams: int = 20
    """As many as the slowest peer delivers in time."""


FULL = Scale(3, 6, 4, 500, 10, 300, (20_000, 200_000), 15)
QUICK = Scale(1, 4, 3, 250, 10, 60, (5_000, 20_000), 6)
MEMORY_LIMIT_S = 150.0
BEGIN_LIMIT_S = 60.0


@dataclass
class Figures:
    """One list entry per round, by the peer's name. CPU in µs, latencies in µs, memory in bytes."""

    rate: dict[str, list[float]] = field(default_factory=dict)
    cpu_call: dict[str, list[float]] = field(default_factory=dict)
    burst_rate: dict[str, list[float]] = field(default_factory=dict)
    cpu_frame: dict[str, list[float]] = field(default_factory=dict)
    delivered: dict[str, list[float]] = field(default_factory=dict)
    """Share of the frames asked for, many streams."""
    cpu_frame_few: dict[str, list[float]] = field(default_factory=dict)
    delivered_few: dict[str, list[float]] = field(default_factory=dict)
    alone: dict[str, list[float]] = field(default_factory=dict)
    idle: dict[str, list[float]] = field(default_factory=dict)
    held_stream: dict[str, list[float]] = field(default_factory=dict)
    p50: dict[str, list[float]] = field(default_factory=dict)
    p95: dict[str, list[float]] = field(default_factory=dict)
    memory: list[tuple[int, int]] = field(default_factory=list)
    translated: dict[str, list[float]] = field(default_factory=dict)
    """CPU a frame of a chat upstream, by the dialect of the client; `chat` is forwarded as it came."""

    def middle(self, of: dict[str, list[float]], name: str) -> float:
        """Return the median of a peer's rounds."""
        return statistics.median(of[name])

    def ratio(self, of: dict[str, list[float]], name: str, base: str = "nginx") -> float:
        """Return the median over the rounds of peer / base of the same round."""
        return statistics.median(a / b for a, b in zip(of[name], of[base], strict=True))


def mock_alone(figures: Figures, mock: Peer, core: int, scale: Scale) -> None:
    """Measure the mock from the gateway's core: it must be several times faster than what it feeds."""
    calls = load.wrk(core, mock.target, "unary", scale.burst_s)
    streams = load.wrk(core, mock.target, "burst", scale.burst_s, stream=True)
    figures.rate["mock"] = [calls.calls / calls.seconds]
    figures.burst_rate["mock"] = [streams.calls / streams.seconds]


def saturated(figures: Figures, peers: list[Peer], core: int, scale: Scale) -> None:
    """Measure calls/s and CPU a call, and streams/s back to back, with 32 clients."""
    for peer in peers:
        load.wrk(core, peer.target, "unary", 2)
    for _ in range(scale.rounds):
        for peer in peers:
            before = machine.cpu_s(peer.pid)
            done = load.wrk(core, peer.target, "unary", scale.unary_s)
            _add(figures.cpu_call, peer, (machine.cpu_s(peer.pid) - before) * US / done.calls)
            _add(figures.rate, peer, done.calls / done.seconds)
            rate, cost = figures.rate[peer.name][-1], figures.cpu_call[peer.name][-1]
            say(f"{peer.name}: {rate:.0f} calls/s, {cost:.1f} µs a call")
    for peer in peers:
        done = load.wrk(core, peer.target, "burst", scale.burst_s, stream=True)
        _add(figures.burst_rate, peer, done.calls / done.seconds)
        say(f"{peer.name}: {done.calls / done.seconds:.0f} streams/s of {answers.BURST_FRAMES} frames")


def paced(figures: Figures, peers: list[Peer], scale: Scale) -> None:
    """Measure CPU a frame, frames delivered and memory a stream while 300 streams with gaps of 20 ms are held."""
    for _ in range(scale.rounds):
        for peer in peers:
            idle = machine.rss(peer.pid)
            cost, delivered, alone = _flow(peer, scale.streams, scale, partial(_memory, figures, peer, idle))
            _add(figures.cpu_frame, peer, cost)
            _add(figures.delivered, peer, delivered)
            _add(figures.alone, peer, alone)
            say(f"{peer.name}: {cost:.1f} µs a frame, {delivered:.0%} delivered")


def paced_few(figures: Figures, peers: list[Peer], scale: Scale) -> None:
    """Measure CPU a frame of few streams with gaps of 20 ms: a load that all peers can hold."""
    for _ in range(scale.rounds):
        for peer in peers:
            cost, delivered, _ = _flow(peer, scale.few_streams, scale, lambda _: None)
            _add(figures.cpu_frame_few, peer, cost)
            _add(figures.delivered_few, peer, delivered)
            say(f"{peer.name}: {cost:.1f} µs a frame, {delivered:.0%} delivered")


def translated(figures: Figures, peer: Peer, scale: Scale) -> None:
    """Measure CPU a frame for clients of each dialect on a chat upstream, in turn within each round."""
    for _ in range(scale.rounds):
        for client in answers.CLIENTS:
            cost, delivered, _ = _flow(peer, scale.translated_streams, scale, lambda _: None, client)
            figures.translated.setdefault(client, []).append(cost)
            say(f"{peer.name}, {client} client: {cost:.1f} µs a frame, {delivered:.0%} delivered")


def _flow(
    peer: Peer, streams: int, scale: Scale, after: Callable[[load.Held], None], client: str = "chat"
) -> tuple[float, float, float]:
    """Return µs of CPU a frame delivered, the share delivered in time, and reads a frame, of streams with gaps.

    Streams of a peer that does not keep up are let go of after the window, what has come of them is compared.
    """
    seen: list[tuple[float, float, float]] = []

    async def window(held: load.Held) -> bool:
        await asyncio.sleep(SETTLE_S)
        frames, cpu, begun = held.frames, machine.cpu_s(peer.pid), time.perf_counter()
        await asyncio.sleep(scale.paced_frames * answers.GAP_S - SETTLE_S - 1)
        frames, cpu = held.frames - frames, machine.cpu_s(peer.pid) - cpu
        delivered = frames / (streams * (time.perf_counter() - begun) / answers.GAP_S)
        seen.append((cpu * US / max(1, frames), min(1.0, delivered), held.alone()))
        after(held)
        return delivered >= HELD

    uvloop.run(load.Held(peer.target, streams, "paced", scale.paced_frames, client).run(window))
    quiet(peer)
    return seen[0]


def _memory(figures: Figures, peer: Peer, idle: int, held: load.Held) -> None:
    _add(figures.held_stream, peer, (machine.rss(peer.pid) - idle) / held.streams)


def fresh(figures: Figures, peers: list[Peer], scale: Scale) -> None:
    """Measure memory idle and with 300 streams held, a frame a second on each: before all else, as memory is kept."""
    for peer in peers:
        load.latencies(peer.target, scale.latency_calls)
        idle = machine.rss(peer.pid)
        _add(figures.idle, peer, idle)
        held = load.Held(peer.target, scale.streams, "held", answers.HELD_FRAMES)
        uvloop.run(held.run(partial(_all_begun, figures, peer, idle)))
        quiet(peer)
        say(
            f"{peer.name}: {idle / 2**20:.0f} MiB idle, {figures.held_stream[peer.name][-1] / 1e6:.3f} MB a held stream"
        )


async def _all_begun(figures: Figures, peer: Peer, idle: int, held: load.Held) -> bool:
    until = time.monotonic() + BEGIN_LIMIT_S
    while not held.flowing:
        if time.monotonic() > until:
            raise load.BadAnswers(f"{peer.name}: {held.streams} streams did not begin in {BEGIN_LIMIT_S:.0f} s")
        await asyncio.sleep(0.1)
    await asyncio.sleep(answers.HELD_GAP_S)
    _memory(figures, peer, idle, held)
    return False


def quiet(peer: Peer) -> None:
    """Wait, for a minute at most, until a peer that clients have left does nothing any more."""
    until = time.monotonic() + BEGIN_LIMIT_S
    while time.monotonic() < until:
        before, begun = machine.cpu_s(peer.pid), time.perf_counter()
        time.sleep(0.5)
        if machine.cpu_s(peer.pid) - before < IDLE * (time.perf_counter() - begun):
            return


def latency(figures: Figures, peers: list[Peer], scale: Scale) -> None:
    """Measure p50 and p95 of one client, peers in turn within each round."""
    for peer in peers:
        load.latencies(peer.target, scale.latency_calls)
    for _ in range(scale.latency_rounds):
        for peer in peers:
            cuts = statistics.quantiles(load.latencies(peer.target, scale.latency_calls), n=20)
            _add(figures.p50, peer, cuts[9] / 1e3)
            _add(figures.p95, peer, cuts[18] / 1e3)
    for peer in peers:
        say(f"{peer.name}: p50 {figures.middle(figures.p50, peer.name):.0f} µs")


def memory(figures: Figures, peer: Peer, core: int, scale: Scale) -> int:
    """Measure resident memory after so many calls, on a peer that has served none before; return all calls seen."""
    calls = 0
    until = time.monotonic() + MEMORY_LIMIT_S
    for goal in scale.memory_calls:
        while calls < goal and time.monotonic() < until:
            done = load.wrk(core, peer.target, "unary", 2)
            rest = (goal - calls - done.calls) * done.seconds / done.calls
            calls += done.calls
            if rest >= 1:
                calls += load.wrk(core, peer.target, "unary", min(rest, until - time.monotonic() + 1)).calls
        figures.memory.append((calls, machine.rss(peer.pid)))
        say(f"{peer.name}: {machine.rss(peer.pid) / 2**20:.1f} MiB after {calls} calls")
    return calls


def _add(to: dict[str, list[float]], peer: Peer, value: float) -> None:
    to.setdefault(peer.name, []).append(value)
