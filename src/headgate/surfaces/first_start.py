"""What a person meets first: what was found, the simulated upstream, the first key and how to use it."""

import json
import shlex
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from headgate.config.settings import Compiled, Settings
from headgate.config.starter import chat_model
from headgate.config.vendors import VENDORS, is_loopback
from headgate.ledger.engine import Ledger
from headgate.ledger.keys import NewKey, bump_epoch, create_key, list_keys
from headgate.model.catalog import Catalog, CatalogProvider
from headgate.model.dialect import Endpoint, Kind
from headgate.policy.select import resolve
from headgate.sim.server import SimServer

FIRST = "default"
"""The name of the first account and of its key."""
KEYLESS = "No key is needed: server.auth is off."
SIM_HOST = "127.0.0.1"

Say = Callable[[str], None]

_ENDPOINT = {
    Kind.OPENAI: Endpoint.CHAT,
    Kind.OPENAI_RESPONSES: Endpoint.RESPONSES,
    Kind.ANTHROPIC: Endpoint.MESSAGES,
}
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  how to reach what listens on all addresses


@asynccontextmanager
async def simulated(say: Say, port: int) -> AsyncIterator[tuple[str, int]]:
    """Run the simulated upstream and say so; yield where it listens: on `port`, or on a free one if that is taken."""
    sim = SimServer(host=SIM_HOST, port=port)
    try:
        await sim.start()
    except OSError:
        sim = SimServer(host=SIM_HOST, port=0)
        await sim.start()
    try:
        say(f"No provider found: answers come from the SIMULATED upstream on {sim.url}, and are made up.")
        say("For real ones set OPENAI_API_KEY or ANTHROPIC_API_KEY, here or in .env, or run Ollama; then start again.")
        yield SIM_HOST, sim.port
    finally:
        await sim.stop()


def say_found(compiled: Compiled, say: Say) -> None:
    """Say what a start without a file uses, and how to keep it."""
    if compiled.found:
        say(f"No headgate.yaml here; found: {', '.join(compiled.found)}")
    for note in compiled.notes:
        say(f"note: {note}")
    say("To keep this as a file that you can change: headgate init")


def first_key(ledger: Ledger, now: int) -> NewKey | None:
    """Create the first account and its key; None where the ledger has a key, be it revoked.

    `now` in ns since the epoch. Raises LedgerError.
    """
    if ledger.reader().keys(now):
        return None
    with ledger.write() as connection:
        # It locks the epoch's row: of two gateways that start at once the second waits here, and then sees the key.
        bump_epoch(connection)
        if list_keys(connection, now=now):
            return None
        return create_key(connection, account=FIRST, name=FIRST, now=now)


def base_url(settings: Settings, port: int) -> str:
    """Return the data plane's URL as this machine reaches it, without /v1."""
    host = _ANY.get(settings.host, settings.host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def welcome(compiled: Compiled, url: str, secret: str) -> list[str]:
    """Return the lines that give the first key away, with what to do with it."""
    lines = [f"Your key, of account '{FIRST}' (it is not shown again): {secret}"]
    asked = example(compiled.catalog)
    if asked is not None:
        lines += ["Try it:", f"  {curl(url, *asked, secret)}"]
    return [
        *lines,
        "For SDKs and tools, in another shell than Headgate's:",
        f"  export OPENAI_BASE_URL={url}/v1 OPENAI_API_KEY={secret}",
        f"  export ANTHROPIC_BASE_URL={url} ANTHROPIC_API_KEY={secret}",
        "What was called, and what it cost: headgate calls, headgate usage",
    ]


def keyless(compiled: Compiled, url: str) -> list[str]:
    """Return the lines that say how to call a gateway that asks for no key."""
    asked = example(compiled.catalog)
    return [KEYLESS] if asked is None else [KEYLESS, "Try it:", f"  {curl(url, *asked, None)}"]


def curl(url: str, endpoint: Endpoint, model: str, secret: str | None) -> str:
    """Return a shell command that calls a model by one endpoint."""
    said = {"messages": [{"role": "user", "content": "Say hello."}]}
    body: dict[str, object] = {"model": model}
    match endpoint:
        case Endpoint.RESPONSES:
            body |= {"input": "Say hello."}
        case Endpoint.MESSAGES:
            body |= {"max_tokens": 256, **said}
        case _:
            body |= said
    key = [] if secret is None else ["-H", shlex.quote(f"authorization: Bearer {secret}")]
    # In ASCII: what a terminal's encoding lacks would be spelled out in a way that is no JSON.
    text = json.dumps(body, separators=(",", ":"))
    words = ["curl", "-s", f"{url}/v1/{endpoint.value}", *key, "-H", "'content-type: application/json'"]
    return " ".join([*words, "-d", shlex.quote(text)])


def example(catalog: Catalog) -> tuple[Endpoint, str] | None:
    """Return a model that is served and how to ask for it: one on this machine before one that costs; None for none."""
    providers = sorted(catalog.providers.values(), key=lambda entry: not _is_local(entry))
    for entry in providers:
        name = _example_of(entry)
        if name is None:
            continue
        known = resolve(catalog, name)
        plain = known is not None and known.routes[0].provider is entry.provider
        return _ENDPOINT[entry.provider.kind], name if plain else f"{entry.provider.name}/{name}"
    return None


def _is_local(entry: CatalogProvider) -> bool:
    return is_loopback(urlsplit(entry.provider.base_url).hostname or "")


def _example_of(entry: CatalogProvider) -> str | None:
    """Return a cheap model of a vendor, or the first that a server of one's own lists."""
    own = entry.provider.name
    cheap = (vendor.example for vendor in VENDORS if own == vendor.name or own.startswith(f"{vendor.name}-"))
    return next((name for name in cheap if name in entry.routes), None) or chat_model(entry.routes)
