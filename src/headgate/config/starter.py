"""The text of a configuration made of what was found: what a start without a file runs, and `headgate init` writes.

Credentials stay `${NAME}`: no value of a variable is ever in it.
"""

import json
from collections.abc import Iterable, Iterator

from headgate.config.discover import SIM_MODELS, Found, FoundProvider
from headgate.config.vendors import VENDORS, Vendor
from headgate.model.dialect import Kind
from headgate.model.local import Listed

_HEAD = """\
# Headgate's configuration, as `headgate init` wrote it. Every key is described in docs/configuration.md.
# After a change: `headgate check`. A running Headgate reads this file again when it changes.
# ${NAME} stands for an environment variable, or for a line of the file .env beside this one.

server:
  host: 127.0.0.1
  port: 4141
  admin_port: 4142
  # Opens the admin plane: at least 16 characters.
  # admin_token: "${HEADGATE_ADMIN_TOKEN}"

ledger:
  url: "sqlite:///headgate.db"
  # On PostgreSQL, for several machines:
  # url: "postgresql://headgate:${LEDGER_PASSWORD}@db.example.com/headgate"

"""

_MODELS = """
# A virtual model: a name of your own for a chain of routes. The next route answers when one fails before its
# first word. Call it as "model": "fast".
# models:
#   fast:
#     routes:
"""

_PRICE = """\
# Prices of known vendors are bundled. What no list knows needs its own, in USD per million tokens:
#   contract:
#     kind: openai
#     base_url: "https://llm.example.com/v1"
#     api_key: "${CONTRACT_KEY}"
#     price: {input: 1.20, output: 4.80, cache_read: 0.12}
"""

_SIMULATED = """\
  # No provider was found. This is the simulated upstream, whose answers are made up. It runs by itself
  # in a start without this file; with this file start it beside: headgate sim
"""

_REAL = """\
  # A real provider, once its key is in the environment or in .env:
  # openai:
  #   kind: openai
  #   api_key: "${OPENAI_API_KEY}"

"""

_LIMITS = """
# Caps that hold, over all workers and machines. Without one a key may spend what it likes.
# limits:
#   - {account: default, usd: 50, per: month}
#   - {key: default, usd: 2, per: 24h}
#   - {session: each, usd: 5, per: total}
#   - {account: default, concurrency: 20}
"""


def text_of(found: Found) -> str:
    """Return the configuration as YAML; it loads without any problem where the environment is as it was found."""
    if found.simulated:
        lines = [_SIMULATED, *_simulated(*found.sim), _REAL]
    else:
        lines = [line for provider in found.providers for line in _provider(provider)]
    chain = "".join(f"#       - {quoted(route)}\n" for route in _chain(found))
    return "".join([_HEAD, "providers:\n", *lines, _PRICE, _MODELS, chain, _LIMITS])


def quoted(text: str) -> str:
    """Return printable `text` as a YAML value that means just this: quoted, its dollar signs doubled."""
    return _plain(text.replace("$", "$$"))


def _plain(text: str) -> str:
    """Return printable `text` as a key, in which no variable is looked for. YAML reads JSON's escapes of it alike."""
    return json.dumps(text, ensure_ascii=False)


def _provider(provider: FoundProvider) -> Iterator[str]:
    vendor = vendor_of(provider)
    if vendor is not None and provider.variable is not None:
        yield f"  # {vendor.title}, by {provider.variable}.\n"
        yield f"  {provider.name}:\n    kind: {provider.kind.value}\n"
        yield f'    api_key: "${{{provider.variable}}}"\n\n'
    elif provider.place is not None:
        yield f"  # Answered on {provider.place.shown} with these models.\n"
        yield f"  {provider.name}:\n    kind: {provider.kind.value}\n"
        yield f'    base_url: "http://{provider.place.shown}/v1"\n    price: free\n    models:\n'
        if any(model.context is not None for model in provider.models):
            yield from (f"      {_plain(model.name)}: {_facts(model)}\n" for model in provider.models)
        else:
            yield from (f"      - {quoted(model.name)}\n" for model in provider.models)
        yield "\n"


def _facts(model: Listed) -> str:
    return "{}" if model.context is None else f"{{context: {model.context}}}"


def _simulated(host: str, port: int) -> Iterator[str]:
    models = ", ".join(SIM_MODELS)
    kinds = {"sim": Kind.OPENAI, "sim-responses": Kind.OPENAI_RESPONSES, "sim-anthropic": Kind.ANTHROPIC}
    for name, kind in kinds.items():
        yield f"  {name}:\n    kind: {kind.value}\n"
        yield f'    base_url: "http://{host}:{port}/v1"\n    price: free\n    models: [{models}]\n\n'


def _chain(found: Found) -> list[str]:
    """Return two routes that show what a chain looks like, of one dialect and of what was found where there are two."""
    if found.simulated:
        return ["sim/sim-small", "sim/sim-large"]
    routes = [route for provider in found.providers if (route := example_route(provider)) is not None]
    chat = [route for route, kind in routes if kind is Kind.OPENAI] or [route for route, _ in routes]
    return chat[:3]


def example_route(provider: FoundProvider) -> tuple[str, Kind] | None:
    """Return a route to try a provider with, and its kind: a cheap chat model, or the first that it lists."""
    vendor = vendor_of(provider)
    name = vendor.example if vendor is not None else chat_model(model.name for model in provider.models)
    return None if name is None else (f"{provider.name}/{name}", provider.kind)


def vendor_of(provider: FoundProvider) -> Vendor | None:
    """Return the vendor behind a provider that was found by a variable."""
    if provider.variable is None:
        return None
    return next((vendor for vendor in VENDORS if provider.variable in vendor.variables), None)


_NO_CHAT = ("embed", "rerank", "bge-", "minilm", "whisper", "tts")


def chat_model(names: Iterable[str]) -> str | None:
    """Return the first name that does not look like one of an embedding model or the like, else the first."""
    listed = list(names)
    chat = (name for name in listed if not any(word in name.lower() for word in _NO_CHAT))
    return next(chat, listed[0] if listed else None)
