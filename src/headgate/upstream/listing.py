"""Asks inference servers on this machine which models they have: all side by side, within one bound of time."""

import asyncio
import ipaddress
from collections.abc import Iterable
from datetime import timedelta

import msgspec
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError, RequestTimeoutError
from pyreqwest.response import Response

from headgate.model.local import Listed, Listing, Place, Trouble

WITHIN = 1.0
"""Seconds that all questions together may take."""
MAX_BODY = 1024 * 1024
"""Bytes; a listing that is larger is none."""
MAX_CONTEXT = 1_000_000_000

_OURS = ("headgate", "headgate-sim")
"""How the data plane and the simulated upstream call themselves in `server`, the latter in `owned_by` as well."""


class _Entry(msgspec.Struct):
    id: str
    owned_by: str | None = None
    max_model_len: int | None = None


class _List(msgspec.Struct):
    data: list[msgspec.Raw] | None
    object: str | None = None


_list = msgspec.json.Decoder(_List)
_entry = msgspec.json.Decoder(_Entry)


async def ask(places: Iterable[Place], within: float = WITHIN) -> list[Listing]:
    """Return what listens at `places` and lists models, in their order; what is none of the kind is left out.

    Takes `within` seconds at most, whatever they do. Only addresses are asked, so no name is looked up.
    Raises ValueError for a place on another machine.
    """
    asked = list(dict.fromkeys(places))
    for place in asked:
        if "%" in place.host or not ipaddress.ip_address(place.host).is_loopback:
            raise ValueError(f"{place.host} is not this machine")
    client = (
        ClientBuilder()
        .http1_only()
        .follow_redirects(False)
        .referer(False)
        .no_proxy()
        .timeout(timedelta(seconds=within))
        .build()
    )
    tasks = [asyncio.create_task(_one(client, place)) for place in asked]
    try:
        await asyncio.wait(tasks, timeout=within) if tasks else None
        silent = [Listing(place, trouble=Trouble.SILENT) for place in asked]
        found = [task.result() if task.done() else late for task, late in zip(tasks, silent, strict=True)]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return [listing for listing in found if listing is not None]


async def _one(client: Client, place: Place) -> Listing | None:
    try:
        request = client.get(f"http://{place.shown}/v1/models").header("accept", "application/json")
        async with request.streamed_read_buffer_limit(0).build_streamed() as response:
            return await _read(place, response)
    except RequestTimeoutError:
        return Listing(place, trouble=Trouble.SILENT)
    except (PyreqwestError, ValueError, RecursionError):
        # Nobody there, or no HTTP, or headers that are no text: not a server of the kind.
        return None


async def _read(place: Place, response: Response) -> Listing | None:
    if response.get_header("server") in _OURS:
        return Listing(place, trouble=Trouble.HEADGATE)
    if response.status not in {200, 401}:
        return None
    body = bytearray()
    while (chunk := await response.body_reader.read_chunk()) is not None:
        body += chunk
        if len(body) > MAX_BODY:
            return None
    if response.status == 401:
        return Listing(place, trouble=Trouble.NEEDS_KEY) if _is_object(bytes(body)) else None
    models = models_of(bytes(body))
    if models is None:
        return None
    if any(model.owner in _OURS for model in models):
        return Listing(place, trouble=Trouble.HEADGATE)
    return Listing(place, models)


def models_of(body: bytes) -> tuple[Listed, ...] | None:
    """Return the models of a listing in OpenAI's form, None for what is no listing. Entries without a name are skipped.

    Ollama without models says `"data": null`. vLLM alone tells the context, as `max_model_len`.
    """
    try:
        said = _list.decode(body)
    except msgspec.DecodeError:
        return None
    if not said.data:
        return () if said.object == "list" else None
    models: list[Listed] = []
    for raw in said.data:
        try:
            entry = _entry.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        context = entry.max_model_len
        usable = context if context is not None and 0 < context <= MAX_CONTEXT else None
        models.append(Listed(entry.id, entry.owned_by, usable))
    return tuple(models) or None


def _is_object(body: bytes) -> bool:
    """Whether a refusal speaks JSON, as model servers do and other web servers do not."""
    try:
        return isinstance(msgspec.json.decode(body), dict)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
