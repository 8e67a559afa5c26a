"""A client of the admin plane over a real socket, and the parts that it is built from."""

import asyncio
import http.client
import socket
from typing import Any

import msgspec

from headgate.config.problems import ConfigError
from headgate.config.settings import Compiled, Settings
from headgate.model.catalog import EMPTY, Catalog

TOKEN = "an-admin-token-for-tests-0123456789"


class Answer(msgspec.Struct):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])


class Client:
    """Asks with the right token unless told another (None: none)."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes | dict[str, Any] | None = None,
        *,
        token: str | None = TOKEN,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        sent = {} if token is None else {"Authorization": f"Bearer {token}"}
        content = msgspec.json.encode(body) if isinstance(body, dict) else body

        def exchange() -> Answer:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            try:
                connection.request(method, path, content, sent | (headers or {}))
                got = connection.getresponse()
                return Answer(got.status, {name.lower(): value for name, value in got.getheaders()}, got.read())
            finally:
                connection.close()

        return await asyncio.to_thread(exchange)

    async def get(self, path: str, **options: Any) -> Answer:
        return await self.ask("GET", path, **options)

    async def raw(self, request: bytes) -> bytes:
        """Send bytes as they are; return all that comes until the server closes."""

        def exchange() -> bytes:
            with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
                got = b""
                try:
                    connection.sendall(request)
                    while part := connection.recv(65536):
                        got += part
                except ConnectionError:
                    pass
                return got

        return await asyncio.to_thread(exchange)


def make_settings(ledger_url: str, **changes: Any) -> Settings:
    values: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": 0,
        "admin_host": "127.0.0.1",
        "admin_port": 0,
        "admin_token": TOKEN,
        "workers": 1,
        "auth_required": True,
        "max_body": 1 << 20,
        "body_timeout": 10**10,
        "drain_timeout": 10**9,
        "deadline": 10**11,
        "log_level": "error",
        "ledger_url": ledger_url,
        "durability": "call",
        "state_dir": "state",
        "dead_after": 60_000_000_000,
        "config_path": "/etc/headgate.yaml",
    }
    return Settings(**(values | changes))


class Configuration:
    """A configuration in memory; `trouble` is raised by the next reload."""

    def __init__(self, settings: Settings, catalog: Catalog = EMPTY) -> None:
        self.compiled = Compiled(settings, catalog, "f" * 64)
        self.trouble: ConfigError | OSError | None = None
        self.reloads = 0

    async def reload(self) -> Compiled:
        if self.trouble is not None:
            raise self.trouble
        self.reloads += 1
        self.compiled = Compiled(self.compiled.settings, self.compiled.catalog, "e" * 64)
        return self.compiled
