"""Inference servers on this machine: where they usually are, and what one said when it was asked for its models."""

from enum import StrEnum

import msgspec


class Place(msgspec.Struct, frozen=True):
    """Where a server of the name `name` usually listens; `host` is an IP address of this machine."""

    name: str
    host: str
    port: int

    @property
    def shown(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class Trouble(StrEnum):
    """Why a server that answers like one of ours is not taken."""

    SILENT = "did not answer in time"
    NEEDS_KEY = "asks for a key"
    HEADGATE = "is Headgate itself"


class Listed(msgspec.Struct, frozen=True):
    """One entry of a listing. `owner` is its `owned_by`; `context` in tokens, where the server says it."""

    name: str
    owner: str | None = None
    context: int | None = None


class Listing(msgspec.Struct, frozen=True):
    """What the server at a place lists, or why it does not count."""

    place: Place
    models: tuple[Listed, ...] = ()
    trouble: Trouble | None = None


LOCAL = (
    Place("ollama", "127.0.0.1", 11_434),
    Place("lmstudio", "127.0.0.1", 1_234),
    Place("llamacpp", "127.0.0.1", 8_080),
    Place("vllm", "127.0.0.1", 8_000),
)
"""Their defaults: docs.ollama.com/faq, lmstudio.ai/docs (server), llama.cpp tools/server/README.md, docs.vllm.ai."""
