"""What is measured: every ratio comes from interleaved runs, so that a drifting machine moves both sides."""

import asyncio
import statistics
import sys
import time
from dataclasses import dataclass, field
from functools import partial

import uvloop

from bench import answers, load, machine
from bench.peers import Peer

US = 1e6


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


FULL = Scale(3, 6, 4, 500, 10, 300, (20_000, 200_000), 15)
QUICK = Scale(1, 4, 3, 200, 10, 60, (5_000, 20_000), 6)
MEMORY_LIMIT_S = 150.0


@dataclass
class Figures:
    """One list entry per round, by the peer's name. CPU in µs, latencies in µs, memory in bytes."""

    rate: dict[str, list[float]] = field(default_factory=dict)
    cpu_call: dict[str, list[float]] = field(default_factory=dict)
    burst_rate: dict[str, list[float]] = field(default_factory=dict)
    cpu_frame: dict[str, list[float]] = field(default_factory=dict)
    alone: dict[str, list[float]] = field(default_factory=dict)
    held_stream: dict[str, list[float]] = field(default_factory=dict)
    p50: dict[str, list[float]] = field(default_factory=dict)
    p95: dict[str, list[float]] = field(default_factory=dict)
    memory: list[tuple[int, int]] = field(default_factory=list)

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
    """Measure CPU a frame and memory a stream while 300 streams with gaps of 20 ms are held."""
    for _ in range(scale.rounds):
        for peer in peers:
            idle = machine.rss(peer.pid)
            held = load.Held(peer.target, scale.streams, scale.paced_frames)
            uvloop.run(held.run(partial(_window, figures, peer, idle, scale)))
            say(f"{peer.name}: {figures.cpu_frame[peer.name][-1]:.1f} µs a frame")


async def _window(figures: Figures, peer: Peer, idle: int, scale: Scale, held: load.Held) -> None:
    await asyncio.sleep(0.5)
    frames, cpu = held.frames, machine.cpu_s(peer.pid)
    await asyncio.sleep(scale.paced_frames * answers.GAP_S - 1.5)
    frames, cpu = held.frames - frames, machine.cpu_s(peer.pid) - cpu
    _add(figures.cpu_frame, peer, cpu * US / frames)
    _add(figures.alone, peer, held.alone())
    _add(figures.held_stream, peer, (machine.rss(peer.pid) - idle) / scale.streams)


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


def say(text: str) -> None:
    """Tell the person who waits what was measured."""
    print(text, file=sys.stderr, flush=True)


def _add(to: dict[str, list[float]], peer: Peer, value: float) -> None:
    to.setdefault(peer.name, []).append(value)
