"""The channel between the supervisor and a worker: a socket pair, one JSON object a line."""

import asyncio
import socket

import msgspec

from headgate.config.settings import Overrides
from headgate.runtime.metrics import Metrics

LINE_LIMIT = 16 * 1024 * 1024
"""Bytes; a configuration travels in one line."""


class Start(msgspec.Struct, tag=True, frozen=True):
    """Supervisor → worker, first of all: what to be.

    `config` is the text of the file `source`; None when there is no file, and what is found in the
    environment counts, its relative paths in `folder`.
    """

    index: int
    host: str
    port: int
    source: str
    folder: str
    config: str | None
    overrides: Overrides
    log_level: str


class Reload(msgspec.Struct, tag=True, frozen=True):
    """Supervisor → worker: take this configuration, which the supervisor has checked."""

    config: str


class Drain(msgspec.Struct, tag=True, frozen=True):
    """Supervisor → worker: take no new calls, end the running ones within `timeout` ns, flush, exit."""

    timeout: int


class Ready(msgspec.Struct, tag=True, frozen=True):
    """Worker → supervisor: it serves."""

    incarnation: int


class Beat(msgspec.Struct, tag=True, frozen=True):
    """Worker → supervisor, once a second: it lives, and its counters since it began."""

    metrics: Metrics


class Fatal(msgspec.Struct, tag=True, frozen=True):
    """Worker → supervisor: it cannot serve; why, in a sentence for the operator."""

    message: str


Message = Start | Reload | Drain | Ready | Beat | Fatal


class Channel:
    """One end of the pair. Reading ends with None when the other process has gone."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder = msgspec.json.Decoder(Message)

    @classmethod
    async def open(cls, sock: socket.socket) -> "Channel":
        sock.setblocking(False)
        return cls(*await asyncio.open_connection(sock=sock, limit=LINE_LIMIT))

    def send(self, message: Message) -> None:
        """Queue a message; one that the other end can no longer take is dropped, since it is dead."""
        if not self._writer.is_closing():
            self._writer.write(msgspec.json.encode(message) + b"\n")

    async def receive(self) -> Message | None:
        try:
            line = await self._reader.readline()
        except ConnectionError:
            return None
        return self._decoder.decode(line) if line else None

    async def close(self) -> None:
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return
