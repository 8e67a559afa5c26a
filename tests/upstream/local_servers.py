"""Servers on free ports that answer as local inference servers do, and as others do that happen to listen there."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from headgate.model.local import Place

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

# Ollama, openai/openai.go, ToListCompletion; without any model Go writes null.
OLLAMA = {
    "object": "list",
    "data": [
        {"id": "qwen3:8b", "object": "model", "created": 1763000000, "owned_by": "library"},
        {"id": "hf.co/bartowski/Llama-3.2:Q4_K_M", "object": "model", "created": 1763000001, "owned_by": "bartowski"},
        {"id": "nomic-embed-text:latest", "object": "model", "created": 1763000002, "owned_by": "library"},
    ],
}
OLLAMA_EMPTY = {"object": "list", "data": None}
# LM Studio's answer, data before object.
LMSTUDIO = {
    "data": [
        {"id": "google/gemma-4-26b-a4b", "object": "model", "owned_by": "organization_owner"},
        {"id": "text-embedding-nomic-embed-text-v1.5", "object": "model", "owned_by": "organization_owner"},
    ],
    "object": "list",
}
# llama.cpp, tools/server/server-context.cpp: Ollama's form stands beside OpenAI's.
LLAMACPP = {
    "models": [{"name": "qwen.gguf", "model": "qwen.gguf", "type": "model", "capabilities": ["completion"]}],
    "object": "list",
    "data": [
        {
            "id": "/models/qwen.gguf",
            "object": "model",
            "created": 1763000000,
            "owned_by": "llamacpp",
            "meta": {"vocab_type": 2, "n_vocab": 151936, "n_ctx_train": 40960, "n_embd": 4096, "size": 5027777536},
        }
    ],
}
# vLLM, entrypoints/openai/protocol.py: ModelCard and ModelPermission.
VLLM = {
    "object": "list",
    "data": [
        {
            "id": "Qwen/Qwen3-8B",
            "object": "model",
            "created": 1763000000,
            "owned_by": "vllm",
            "root": "Qwen/Qwen3-8B",
            "parent": None,
            "max_model_len": 40960,
            "permission": [{"id": "modelperm-1", "object": "model_permission", "allow_sampling": True, "group": None}],
        }
    ],
}


@contextlib.asynccontextmanager
async def serving(handle: Handle, name: str = "ollama") -> AsyncIterator[Place]:
    """Run a server on a free port until the block is left; yield where it listens, named `name`."""
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await handle(reader, writer)
            await writer.drain()
        except (ConnectionError, asyncio.CancelledError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield Place(name, "127.0.0.1", server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answer(body: bytes, status: str = "200 OK", *headers: str, heard: list[bytes] | None = None) -> Handle:
    """Return a server that answers every request so; what it was asked is appended to `heard`."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        if heard is not None:
            heard.append(asked)
        lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers, "", ""]
        writer.write("\r\n".join(lines).encode() + body)

    return handle


def listing(value: Any, *headers: str) -> Handle:
    """Return a server that answers with a value in JSON."""
    return answer(json.dumps(value).encode(), "200 OK", "content-type: application/json", *headers)


async def silence(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Accept, read, and never answer."""
    await reader.read()
    await asyncio.Event().wait()


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer at a byte now and then, without end."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{")
    while True:
        await asyncio.sleep(0.05)
        writer.write(b" ")
        await writer.drain()


async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with a list that never ends."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    chunk = b'{"id":"x","object":"model"},' * 2_000
    while True:
        writer.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        await writer.drain()


async def garbage(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Speak first, and no HTTP."""
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\0\xff\xfe")


async def reset(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close at once."""
    writer.transport.abort()
