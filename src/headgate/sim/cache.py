"""Prompt caches as the vendors run them, in memory; the clock is passed in."""

from collections.abc import Callable, Sequence
from hashlib import blake2b

import msgspec

from headgate.sim.words import BYTES_PER_TOKEN, count

NS = 1_000_000_000
TTL_5M = 300
TTL_1H = 3600
MINIMUM = 1024
"""Tokens a prefix needs to be cached (OpenAI; Anthropic's Sonnet and Opus)."""
STEP = 128
"""OpenAI's cache grows in steps of this many tokens."""
LOOK_BACK = 20
"""Blocks before a breakpoint in which Anthropic looks for an earlier entry."""
_SWEEP = 4096


class Segment(msgspec.Struct, frozen=True, gc=False):
    """A block of a prompt: its bytes, and the seconds its cache breakpoint asks for (0: no breakpoint)."""

    data: bytes
    ttl: int = 0

    @property
    def tokens(self) -> int:
        return count(self.data)


class InputTokens(msgspec.Struct, frozen=True, gc=False):
    """Input tokens by class, disjoint."""

    fresh: int
    read: int = 0
    write_5m: int = 0
    write_1h: int = 0

    @property
    def total(self) -> int:
        return self.fresh + self.read + self.write_5m + self.write_1h


class PromptCache:
    """Prefixes seen lately. `clock` returns ns; entries live `ttl` seconds after their last use."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._entries: dict[bytes, tuple[int, int]] = {}  # key -> (expires ns, ttl s)
        self._swept = 0

    def clear(self) -> None:
        self._entries.clear()

    def automatic(self, scope: str, segments: Sequence[Segment]) -> InputTokens:
        """OpenAI: read the longest known prefix of 1,024 tokens or more, in steps of 128; remember this one."""
        data = b"".join(segment.data for segment in segments)
        total = count(data)
        state = blake2b(scope.encode() + b"\0auto", digest_size=16)
        read = seen = 0
        keys = []
        for tokens in range(MINIMUM, len(data) // BYTES_PER_TOKEN + 1, STEP):
            state.update(data[seen * BYTES_PER_TOKEN : tokens * BYTES_PER_TOKEN])
            seen = tokens
            key = state.digest()
            if self._live(key):
                read = tokens
            keys.append(key)
        for key in keys:
            self._remember(key, TTL_5M)
        return InputTokens(total - read, read)

    def breakpoints(self, scope: str, segments: Sequence[Segment]) -> InputTokens:
        """Anthropic: read to the last known entry, write to the breakpoints after it, the rest fresh.

        With A the end of what is read, B the last 1-hour breakpoint and C the last breakpoint of all:
        A is read, B - A written for an hour, C - B for five minutes, the rest fresh (Anthropic's docs, "mixing
        different TTLs").
        """
        keys, ends = self._prefixes(scope, segments)
        marks = [at for at, segment in enumerate(segments) if segment.ttl and ends[at] >= MINIMUM]
        read = self._longest(keys, ends, marks)
        hour = max((ends[at] for at in marks if segments[at].ttl == TTL_1H), default=0)
        last = max((ends[at] for at in marks), default=0)
        for at in marks:
            self._remember(keys[at], segments[at].ttl)
        write_1h = max(hour - read, 0)
        write_5m = max(last - max(read, hour), 0)
        total = ends[-1] if ends else 0
        return InputTokens(total - read - write_1h - write_5m, read, write_5m, write_1h)

    def _prefixes(self, scope: str, segments: Sequence[Segment]) -> tuple[list[bytes], list[int]]:
        state = blake2b(scope.encode() + b"\0marked", digest_size=16)
        keys, ends, tokens = [], [], 0
        for segment in segments:
            state.update(len(segment.data).to_bytes(8, "big") + segment.data)
            tokens += segment.tokens
            keys.append(state.digest())
            ends.append(tokens)
        return keys, ends

    def _longest(self, keys: list[bytes], ends: list[int], marks: list[int]) -> int:
        for mark in reversed(marks):
            for at in range(mark, max(mark - LOOK_BACK, -1), -1):
                if self._live(keys[at]):
                    return ends[at]
        return 0

    def _live(self, key: bytes) -> bool:
        """Whether the entry lives; its use renews it."""
        entry = self._entries.get(key)
        now = self._clock()
        if entry is None or entry[0] <= now:
            return False
        self._entries[key] = (now + entry[1] * NS, entry[1])
        return True

    def _remember(self, key: bytes, ttl: int) -> None:
        now = self._clock()
        known = self._entries.get(key)
        if known is not None and known[0] > now:
            ttl = max(ttl, known[1])
        self._entries[key] = (now + ttl * NS, ttl)
        self._swept += 1
        if self._swept >= _SWEEP:
            self._swept = 0
            self._entries = {kept: entry for kept, entry in self._entries.items() if entry[0] > now}
