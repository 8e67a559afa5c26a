"""A start without a file: providers from the usual environment variables and from servers on this machine.

Pure: what the environment holds and what the servers list is given; surfaces/first_start.py asks.
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from headgate.config.fields import is_header_safe
from headgate.config.vendors import BASE_URLS, HEADGATE_PREFIX, VENDORS, Vendor, providers_of, vendor_of_key
from headgate.model.catalog import Catalog
from headgate.model.dialect import Kind
from headgate.model.local import LOCAL, Listed, Listing, Place, Trouble

SIM_HOST = "127.0.0.1"
SIM_PORT = 4190
SIM_MODELS = ("sim-small", "sim-large", "sim-embed")
MAX_NAME = 200
MAX_MODELS = 500
"""A listing longer than this is cut; what it leaves out can still be asked for as `provider/upstream-name`."""

NOT_FOLLOWED = ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL")
"""Set for SDKs, and then mostly to Headgate itself."""

OLLAMA_HOST = "OLLAMA_HOST"
_OLLAMA = next(place for place in LOCAL if place.name == "ollama")

# `owned_by` of each server's own listing: ollama openai/openai.go (the namespace of a model, `library` by default);
# llama.cpp tools/server/server-context.cpp; vllm and sglang entrypoints/openai/protocol.py; LM Studio's answer.
_OWNERS = {
    "library": "ollama",
    "llamacpp": "llamacpp",
    "vllm": "vllm",
    "sglang": "sglang",
    "organization_owner": "lmstudio",
    "organization-owner": "lmstudio",
}
_SOLD_BY = frozenset({"openai", "openai-internal", "system", "anthropic", "google"})
"""`owned_by` of models that cost money: whoever lists them is a proxy, and `price: free` would be untrue."""

_VENDORS_OWN = re.compile(r"(?:gpt-\d|chatgpt-|o[134](?:-|$)|claude-|gemini-\d|text-embedding-(?:3|ada)-?)", re.ASCII)
"""Begins names of models that nobody can run at home. LocalAI, for one, calls its own ones `gpt-4`."""


class FoundProvider(msgspec.Struct, frozen=True):
    """A provider that was found, by an environment variable or on this machine."""

    name: str
    kind: Kind
    variable: str | None = None
    place: Place | None = None
    models: tuple[Listed, ...] = ()

    @property
    def shown(self) -> str:
        """Its name and where it came from: `ollama (127.0.0.1:11434, 3 models)`."""
        if self.place is None:
            return f"{self.name} ({self.variable})"
        return f"{self.name} ({self.place.shown}, {_count(len(self.models), 'model')})"


class Found(msgspec.Struct, frozen=True):
    """What a start without a file would use. `sim` is where the simulated upstream is, if nothing else was found."""

    providers: tuple[FoundProvider, ...] = ()
    notes: tuple[str, ...] = ()
    sim: tuple[str, int] = (SIM_HOST, SIM_PORT)

    @property
    def simulated(self) -> bool:
        return not self.providers

    @property
    def shown(self) -> tuple[str, ...]:
        return tuple(provider.shown for provider in self.providers)


def discover(env: Mapping[str, str], listings: Iterable[Listing] = ()) -> Found:
    """Return what `env` and the servers on this machine offer. No value of a variable is in it."""
    notes: list[str] = []
    providers: list[FoundProvider] = []
    for vendor in VENDORS:
        variable = _variable(vendor, env, notes)
        if variable is not None:
            providers += [FoundProvider(name, kind, variable) for name, kind in providers_of(vendor)]
    notes += [
        f"{variable} is set and not followed; name that endpoint in headgate.yaml if you mean it"
        for variable in NOT_FOLLOWED
        if env.get(variable, "").strip()
    ]
    notes += _ollama(env)[1]
    taken = {provider.name for provider in providers}
    for listing in listings:
        provider = _local(listing, taken, notes)
        if provider is not None:
            taken.add(provider.name)
            providers.append(provider)
    return Found(tuple(providers), tuple(notes))


def places(env: Mapping[str, str], usual: Iterable[Place] = LOCAL) -> list[Place]:
    """Return where to ask for local servers: the usual places, Ollama's as OLLAMA_HOST says."""
    ollama = _ollama(env)[0]
    return [ollama or place if place.name == "ollama" else place for place in usual]


def _variable(vendor: Vendor, env: Mapping[str, str], notes: list[str]) -> str | None:
    """Return the variable that holds a vendor's credential; what is wrong with others is noted, never shown."""
    for variable in vendor.variables:
        value = env.get(variable)
        if value is None:
            continue
        fault = _fault(vendor, value.strip())
        if fault is None:
            return variable
        notes.append(f"{variable} {fault}")
    return None


def _fault(vendor: Vendor, key: str) -> str | None:
    if not key:
        return "is empty; not used"
    if not is_header_safe(key):
        return "holds what no HTTP header can carry; not used. Copy the key again"
    if key.startswith(HEADGATE_PREFIX):
        return f"holds a key of Headgate's own; not used. Start Headgate where it holds {vendor.title}'s key"
    owner = vendor_of_key(key)
    if owner is not None and owner is not vendor:
        return f"holds a key of {owner.title}'s; not used. Set {owner.variables[0]} instead"
    return None


def misplaced(catalog: Catalog) -> list[str]:
    """Return which providers of a configuration would show a vendor a key that is another's, or Headgate's own."""
    found = []
    for name, entry in catalog.providers.items():
        key = entry.provider.api_key or ""
        vendor = next((one for one in VENDORS if entry.provider.base_url in BASE_URLS[one.name].values()), None)
        owner = vendor_of_key(key)
        whose = "Headgate" if key.startswith(HEADGATE_PREFIX) else owner.title if owner is not None else None
        if vendor is not None and whose is not None and owner is not vendor:
            found.append(f"providers.{name}: its api_key is one of {whose}'s, and {vendor.title} would be shown it")
    return found


def _local(listing: Listing, taken: set[str], notes: list[str]) -> FoundProvider | None:
    place = listing.place
    match listing.trouble:
        case Trouble.HEADGATE:
            notes.append(f"{place.shown} is a Headgate or its simulated upstream; not used as a provider")
        case Trouble.NEEDS_KEY:
            notes.append(f"{place.shown} asks for a key; name it in headgate.yaml, with its api_key")
        case Trouble.SILENT:
            notes.append(f"{place.shown} accepted the connection and did not answer; not used")
        case None:
            return _lister(listing, taken, notes)
    return None


def _lister(listing: Listing, taken: set[str], notes: list[str]) -> FoundProvider | None:
    place = listing.place
    name = _name(listing)
    sold = next((model.owner for model in listing.models if model.owner in _SOLD_BY), None)
    if sold is not None:
        notes.append(f"{place.shown} lists models of '{sold}', so it may cost; name it in headgate.yaml with its price")
        return None
    listed = [model for model in listing.models if not _VENDORS_OWN.match(model.name)]
    if len(listed) < len(listing.models):
        notes.append(
            f"{place.shown} lists models by vendors' own names, such as gpt-4; they are not used, or calls meant for "
            "the vendor could go there. Name it in headgate.yaml if you mean it"
        )
    models = tuple(_nameable(listed))
    if not models:
        notes.append(f"{name} ({place.shown}) lists no model that can be named; not used")
        return None
    left_out = len({model.name for model in listed}) - len(models)
    if left_out:
        notes.append(f"{name} ({place.shown}): {_count(left_out, 'model')} left out, too many or with unusable names")
    if name in taken:
        name = f"{name}-{place.port}"
    return FoundProvider(name, Kind.OPENAI, place=place, models=models)


def _name(listing: Listing) -> str:
    """Return who a server is by what it lists, else whose usual port it listens on."""
    owners = (_OWNERS.get(model.owner or "") for model in listing.models)
    return next((owner for owner in owners if owner is not None), listing.place.name)


def _nameable(models: Iterable[Listed]) -> Iterator[Listed]:
    seen: set[str] = set()
    for model in models:
        name = model.name
        usable = 0 < len(name) <= MAX_NAME and name.isprintable() and name == name.strip()
        if usable and name not in seen and len(seen) < MAX_MODELS:
            seen.add(name)
            yield model


def _ollama(env: Mapping[str, str]) -> tuple[Place | None, list[str]]:
    """Return Ollama's place where OLLAMA_HOST names one on this machine (as ollama's envconfig reads it), and notes."""
    text = env.get(OLLAMA_HOST, "").strip()
    if not text:
        return None, []
    scheme, mark, rest = text.partition("://")
    if not mark:
        scheme, rest = "http", text
    host, port = _host_and_port(rest.partition("/")[0], 80 if mark else _OLLAMA.port)
    address = _address(host)
    if scheme == "http" and address is not None:
        return Place("ollama", address, port), []
    return None, [f"{OLLAMA_HOST} names no plain HTTP server on this machine; name it in headgate.yaml if you mean it"]


def _host_and_port(text: str, default: int) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or (":" in host and not host.endswith("]")):
        host, port = text, ""
    number = int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else default
    return host.strip("[]"), number if 0 < number <= 65_535 else default


def _address(host: str) -> str | None:
    """Return the loopback address that reaches a host; what listens on all addresses is reached by 127.0.0.1.

    None for one with a scope too: behind its `%` may stand anything, and it would stand in a URL.
    """
    if "%" in host:
        return None
    if host in {"", "localhost", "0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        return _OLLAMA.host
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return str(address) if address.is_loopback else None


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
