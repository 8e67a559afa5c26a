"""Hostile bytes to every decoder of every dialect: a value or a typed error, never anything else, never a hang."""

import signal
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from itertools import count
from pathlib import Path
from random import Random
from time import monotonic
from typing import Final

import psutil  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.goldens.files import HERE
from tests.goldens.fuzzing import DECODERS, TYPED, decode, signature
from tests.goldens.matrix import NAMES, compact, stream_to

SEEDS: Final = HERE / "seeds"
"""Inputs that once failed, each named `DECODER.DIALECT.HASH`; `make soak` adds what it finds."""

SOAK_SECONDS: Final = 600
HANG_SECONDS: Final = 30
"""Far more than any input takes, so that only one that never ends is told by it."""


@contextmanager
def no_hang() -> Iterator[None]:
    def give_up(*_: object) -> None:
        raise TimeoutError("an input took too long")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, HANG_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("seed", sorted(SEEDS.iterdir()), ids=lambda path: path.name)
def test_what_once_failed_fails_no_more(seed: Path) -> None:
    decoder, name, _ = seed.name.split(".")
    with no_hang():
        decode(decoder, name, seed.read_bytes())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("decoder", DECODERS)
def test_hostile_bytes_give_a_value_or_a_typed_error(decoder: str, name: str) -> None:
    random = Random(f"{decoder} {name}")
    with no_hang():
        for _ in range(150):
            decode(decoder, name, DECODERS[decoder][1](random, name))


@settings(deadline=None)
@given(st.sampled_from(sorted(DECODERS)), st.sampled_from(NAMES), st.binary(max_size=200))
def test_any_bytes_give_a_value_or_a_typed_error(decoder: str, name: str, body: bytes) -> None:
    decode(decoder, name, body)


@settings(deadline=None)
@given(st.sampled_from(NAMES), st.binary(max_size=100))
def test_any_signature_gives_a_value_or_a_typed_error(name: str, body: bytes) -> None:
    try:
        signature(name, body)
    except TYPED:
        return


@pytest.mark.parametrize("client", NAMES)
def test_a_frame_of_many_megabytes_takes_a_few_times_its_size(client: str) -> None:
    text = "x" * (8 << 20)
    frame = {"id": "c", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": "stop"}]}
    body = b"data: " + compact(frame) + b"\n\ndata: [DONE]\n\n"
    tracemalloc.start()
    try:
        given = stream_to(client, "chat", [body[at : at + 65_536] for at in range(0, len(body), 65_536)])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert text.encode() in given.body
    assert peak < 20 * len(body)


@pytest.mark.soak
def test_ten_minutes_of_hostile_bytes() -> None:
    """Every decoder in turn, with another chance in every run; what fails is kept."""
    end = monotonic() + SOAK_SECONDS
    ways = [(decoder, name) for decoder in DECODERS for name in NAMES]
    chance = Random()
    settled = 0
    for done in count():
        if monotonic() > end:
            break
        decoder, name = ways[done % len(ways)]
        body = DECODERS[decoder][1](chance, name)
        try:
            with no_hang():
                decode(decoder, name, body)
        except BaseException:  # whatever it is, its input is kept
            kept = SEEDS / f"{decoder}.{name}.{sha256(body).hexdigest()[:12]}"
            kept.write_bytes(body)
            raise
        if done == 5_000:
            settled = psutil.Process().memory_info().rss
    assert done > 5_000
    assert psutil.Process().memory_info().rss < settled + (256 << 20)
