"""The channel between the supervisor and a worker: a socket pair, one JSON object a line."""

import asyncio
import socket

import msgspec

from headgate.config.settings import Overrides
from headgate.runtime.metrics import Metrics

LINE_LIMIT = 16 * 1024 * 1024
"""Bytes; a configuration travels in one line."""


class Fixed(msgspec.Struct, frozen=True):
    """Settings that hold from the supervisor's start to its end, whatever a reload says: as in Settings.

    All workers, later ones too, must write to one ledger and listen in one place.
    """

    host: str
    port: int
    ledger_url: str
    durability: str
    state_dir: str
    log_level: str


class Start(msgspec.Struct, tag=True, frozen=True):
    """Supervisor → worker, first of all: what to be. Not to be logged: it holds credentials.

    `config` is the text of the file `source`; where that is empty there is no file, and the text is what was found.
    Relative paths in it lie in `folder`. `env` are the variables of the .env, over which the environment's own stand.
    """

    index: int
    fixed: Fixed
    source: str
    folder: str
    config: str
    overrides: Overrides
    env: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"Start({self.index}, {self.source!r})"


class Reload(msgspec.Struct, tag=True, frozen=True):
    """Supervisor → worker: take this configuration, which the supervisor has checked. `env` as in Start."""

    config: str
    env: dict[str, str] = {}

    def __repr__(self) -> str:
        return "Reload()"


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
        self._decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)

    @classmethod
    async def open(cls, sock: socket.socket) -> "Channel":
        sock.setblocking(False)
        return cls(*await asyncio.open_connection(sock=sock, limit=LINE_LIMIT))

    def send(self, message: Message) -> None:
        """Queue a message; one that the other end can no longer take is dropped, since it is dead."""
        if not self._writer.is_closing():
            self._writer.write(msgspec.json.encode(message) + b"\n")

    async def receive(self) -> Message | None:
        """Wait for a message; None when the other process has gone, be it in the middle of one."""
        try:
            line = await self._reader.readuntil(b"\n")
        except (ConnectionError, asyncio.IncompleteReadError):
            return None
        return self._decoder.decode(line)

    async def close(self) -> None:
        """Close this end; the other reads None."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return
