"""Local servers asked for their models, over real sockets; and others that happen to listen there."""

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any

import pytest
from tests.e2e.processes import free_port
from tests.upstream.local_servers import (
    LLAMACPP,
    LMSTUDIO,
    OLLAMA,
    OLLAMA_EMPTY,
    VLLM,
    Handle,
    answer,
    drip,
    flood,
    garbage,
    listing,
    reset,
    serving,
    silence,
)

from headgate.model.local import Listed, Listing, Place, Trouble
from headgate.sim.server import SimServer
from headgate.upstream.listing import MAX_BODY, ask, models_of

SHORT = 0.3
"""Seconds for servers that never answer, of which nothing else is to be learnt."""
LONG = 30.0


async def asked(handle: Handle, within: float = LONG) -> Listing | None:
    async with serving(handle) as place:
        found = await ask([place], within)
    return found[0] if found else None


@pytest.mark.parametrize(
    ("said", "models"),
    [
        (OLLAMA, [("qwen3:8b", "library"), ("hf.co/bartowski/Llama-3.2:Q4_K_M", "bartowski")]),
        (LMSTUDIO, [("google/gemma-4-26b-a4b", "organization_owner")]),
        (LLAMACPP, [("/models/qwen.gguf", "llamacpp")]),
        (VLLM, [("Qwen/Qwen3-8B", "vllm")]),
    ],
    ids=["ollama", "lmstudio", "llamacpp", "vllm"],
)
async def test_each_servers_own_listing_is_read(said: dict[str, Any], models: list[tuple[str, str]]) -> None:
    found = await asked(listing(said))
    assert found is not None
    assert found.trouble is None
    assert [(model.name, model.owner) for model in found.models][: len(models)] == models
    assert len(found.models) == len(said["data"])


async def test_the_context_that_vllm_tells_is_kept() -> None:
    found = await asked(listing(VLLM))
    assert found is not None
    assert found.models == (Listed("Qwen/Qwen3-8B", "vllm", 40_960),)


async def test_a_server_without_models_lists_none() -> None:
    found = await asked(listing(OLLAMA_EMPTY))
    assert found is not None
    assert (found.models, found.trouble) == ((), None)


async def test_where_nobody_listens_nothing_is_found() -> None:
    assert await ask([Place("ollama", "127.0.0.1", free_port())], LONG) == []
    assert await ask([], LONG) == []


async def test_only_the_models_are_asked_for_and_no_credential_is_sent() -> None:
    heard: list[bytes] = []
    await asked(answer(b"{}", heard=heard))
    head = heard[0].lower()
    assert head.startswith(b"get /v1/models http/1.1\r\n")
    assert b"authorization" not in head
    assert b"cookie" not in head


HTML = b"<!doctype html><html><body>It works!</body></html>"
LIST = json.dumps(OLLAMA).encode()


@pytest.mark.parametrize(
    "handle",
    [
        answer(HTML, "200 OK", "content-type: text/html"),
        answer(HTML, "404 Not Found"),
        answer(LIST, "404 Not Found"),
        answer(LIST, "500 Internal Server Error"),
        answer(HTML, "401 Unauthorized", 'www-authenticate: Basic realm="router"'),
        answer(b"", "200 OK"),
        answer(b"[" * 200_000, "200 OK"),
        answer(b'{"object":"list","data":[{"id":"\xff\xfe"}]}'),
        answer(b'{"object":"list","data":"none"}'),
        answer(b'{"data":[]}'),
        answer(b'{"data":[1,2,{"name":"x"}]}'),
        answer(b'{"error":{"message":"Loading model","code":503}}', "503 Service Unavailable"),
        answer(LIST + b" " * MAX_BODY),
        answer(LIST, "200 OK", "content-encoding: gzip"),
        answer(LIST, "200 \xff\xfe", "server: \xff\xfe"),
        flood,
        garbage,
        reset,
    ],
    ids=[
        "html",
        "html-404",
        "list-404",
        "list-500",
        "html-401",
        "empty",
        "deep",
        "no-utf8",
        "data-text",
        "data-empty",
        "data-odd",
        "loading",
        "huge",
        "compressed",
        "odd-head",
        "flood",
        "garbage",
        "reset",
    ],
)
async def test_what_lists_no_models_is_no_server_of_the_kind(handle: Handle) -> None:
    found = await asked(handle)
    assert found is None


@pytest.mark.parametrize("handle", [silence, drip], ids=["silent", "drip"])
async def test_who_does_not_answer_in_time_is_told_apart(handle: Handle) -> None:
    found = await asked(handle, SHORT)
    assert found is not None
    assert found.trouble is Trouble.SILENT


async def test_a_redirect_is_not_followed() -> None:
    heard: list[bytes] = []
    async with serving(answer(LIST, heard=heard)) as other:
        there = f"location: http://{other.shown}/v1/models"
        assert await asked(answer(b"", "302 Found", there)) is None
    assert heard == []


async def test_a_server_that_asks_for_a_key_is_told_apart() -> None:
    found = await asked(answer(b'{"error":"Unauthorized"}', "401 Unauthorized"))
    assert found is not None
    assert found.trouble is Trouble.NEEDS_KEY


async def test_headgate_and_its_simulated_upstream_are_known() -> None:
    for status in ("200 OK", "401 Unauthorized"):
        found = await asked(answer(LIST, status, "server: headgate"))
        assert found is not None
        assert found.trouble is Trouble.HEADGATE
    async with SimServer(port=0) as sim:
        found = (await ask([Place("vllm", "127.0.0.1", sim.port)], LONG))[0]
    assert found.trouble is Trouble.HEADGATE


async def test_all_are_asked_side_by_side_and_the_slow_do_not_hide_the_quick() -> None:
    """Each waits for the others to be asked before it answers: one after the other nobody would ever answer."""
    all_here = asyncio.Barrier(3)

    async def together(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await all_here.wait()
        await listing(OLLAMA)(reader, writer)

    async with AsyncExitStack() as stack:
        places = [await stack.enter_async_context(serving(together)) for _ in range(3)]
        assert [found.place for found in await ask(places, LONG)] == places
        quiet = await stack.enter_async_context(serving(silence))
        quick = await stack.enter_async_context(serving(listing(VLLM), "vllm"))
        found = await ask([quiet, quick], SHORT)
    assert [(one.place.name, one.trouble) for one in found] == [("ollama", Trouble.SILENT), ("vllm", None)]


async def test_nothing_beyond_this_machine_is_asked() -> None:
    for host in ("192.0.2.1", "0.0.0.0", "example.com", "::1%@example.com#"):
        with pytest.raises(ValueError, match=r"machine|address"):
            await ask([Place("ollama", host, 11_434)], SHORT)


async def test_being_cancelled_ends_all_questions() -> None:
    heard = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        heard.set()
        await silence(reader, writer)

    async with serving(hang) as place:
        asking = asyncio.create_task(ask([place], LONG))
        await heard.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


def test_entries_of_another_shape_are_skipped() -> None:
    body = b'{"object":"list","data":[{"id":7},null,{"id":"a","max_model_len":-1},{"id":"b","owned_by":null}]}'
    assert models_of(body) == (Listed("a"), Listed("b"))
