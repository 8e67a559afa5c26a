"""The channel between supervisor and worker: messages go whole or not at all."""

from __future__ import annotations

import asyncio
import socket

import pytest

from headgate.config.settings import NO_OVERRIDES, Overrides
from headgate.runtime.control import Beat, Channel, Drain, Fatal, Fixed, Message, Ready, Reload, Start
from headgate.runtime.metrics import Metrics, RouteSeries

FIXED = Fixed("::1", 4141, "postgresql://u:p@h/n", "fsync", "/state", "debug")
MESSAGES: list[Message] = [
    Start(3, FIXED, "headgate.yaml", "/etc", "a: 1\nb: '\u2028é'\n", Overrides(port=1, log_json=True)),
    Start(0, FIXED, "", "/", "", NO_OVERRIDES, {"OPENAI_API_KEY": "sk-5ecre7\n"}),
    Reload("a: 2\n" * 100_000, {"A": "\u2028é"}),
    Drain(30_000_000_000),
    Ready(1 << 40),
    Beat(Metrics(routes={"openai/gpt": RouteSeries(attempts={"ok": 1}, cost_nano=1 << 60)}, in_flight=2)),
    Fatal("line one\nline two"),
]


async def test_every_message_arrives_as_it_was_sent_and_in_order() -> None:
    ours, theirs = [await Channel.open(sock) for sock in socket.socketpair()]
    for message in MESSAGES:
        ours.send(message)
    assert [await theirs.receive() for _ in MESSAGES] == MESSAGES
    await ours.close()
    assert await theirs.receive() is None
    await theirs.close()


def test_no_variable_is_in_the_repr_of_a_message() -> None:
    shown = repr([message for message in MESSAGES if isinstance(message, Start | Reload)])
    assert "5ecre7" not in shown
    assert "u:p@h" not in shown


@pytest.mark.parametrize("rest", [b"", b'{"type":"Be', b'{"type":"Ready","incarnation":1}'])
async def test_an_end_in_the_middle_of_a_message_is_an_end(rest: bytes) -> None:
    ours, theirs = socket.socketpair()
    channel = await Channel.open(ours)
    theirs.sendall(b'{"type":"Drain","timeout":5}\n' + rest)
    theirs.close()
    assert await channel.receive() == Drain(5)
    assert await channel.receive() is None
    await channel.close()


async def test_what_nobody_takes_any_more_is_dropped() -> None:
    ours, theirs = socket.socketpair()
    channel = await Channel.open(ours)
    theirs.close()
    for _ in range(100):
        channel.send(Reload("x" * 10_000))
        await asyncio.sleep(0)
    assert await channel.receive() is None
    await channel.close()
    channel.send(Drain(1))
