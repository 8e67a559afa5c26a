"""What is known of vendors without asking: where their API is, and whether a cut stream stops the bill."""

import ipaddress
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import msgspec

from headgate.model.dialect import Kind

_OPENAI = "https://api.openai.com/v1"

BASE_URLS: dict[str, dict[Kind, str]] = {
    "openai": {Kind.OPENAI: _OPENAI, Kind.OPENAI_RESPONSES: _OPENAI},
    "anthropic": {Kind.ANTHROPIC: "https://api.anthropic.com/v1"},
    "openrouter": {Kind.OPENAI: "https://openrouter.ai/api/v1"},
    "groq": {Kind.OPENAI: "https://api.groq.com/openai/v1"},
    "mistral": {Kind.OPENAI: "https://api.mistral.ai/v1"},
    # api-docs.deepseek.com, "Your First API Call"
    "deepseek": {
        Kind.OPENAI: "https://api.deepseek.com/v1",
        Kind.ANTHROPIC: "https://api.deepseek.com/anthropic/v1",
    },
    "xai": {Kind.OPENAI: "https://api.x.ai/v1", Kind.OPENAI_RESPONSES: "https://api.x.ai/v1"},
    "together": {Kind.OPENAI: "https://api.together.xyz/v1"},
    "fireworks": {Kind.OPENAI: "https://api.fireworks.ai/inference/v1"},
    # ai.google.dev, "OpenAI compatibility"
    "gemini": {Kind.OPENAI: "https://generativelanguage.googleapis.com/v1beta/openai"},
    # inference-docs.cerebras.ai, "OpenAI Compatibility"
    "cerebras": {Kind.OPENAI: "https://api.cerebras.ai/v1"},
    # platform.kimi.ai/docs, "API overview"
    "moonshot": {Kind.OPENAI: "https://api.moonshot.ai/v1"},
}
"""Documented base URLs by vendor and kind."""


class Vendor(msgspec.Struct, frozen=True):
    """How a vendor is found in the environment, and what to try it with.

    `title` is what people call it. `variables` are those that its own SDK or documentation reads, in the order in
    which it prefers them. `example` is a cheap chat model that it serves, by its own name. `prefixes` begin its keys.
    """

    name: str
    title: str
    variables: tuple[str, ...]
    example: str
    prefixes: tuple[str, ...] = ()


VENDORS = (
    Vendor("openai", "OpenAI", ("OPENAI_API_KEY",), "gpt-5-nano", ("sk-proj-", "sk-svcacct-", "sk-admin-")),
    Vendor("anthropic", "Anthropic", ("ANTHROPIC_API_KEY",), "claude-haiku-4-5", ("sk-ant-",)),
    Vendor("openrouter", "OpenRouter", ("OPENROUTER_API_KEY",), "openai/gpt-oss-20b", ("sk-or-",)),
    # ai.google.dev/gemini-api/docs/api-key: GOOGLE_API_KEY "takes precedence"
    Vendor("gemini", "Google", ("GOOGLE_API_KEY", "GEMINI_API_KEY"), "gemini-2.5-flash-lite", ("AIza",)),
    Vendor("groq", "Groq", ("GROQ_API_KEY",), "openai/gpt-oss-20b", ("gsk_",)),
    Vendor("mistral", "Mistral", ("MISTRAL_API_KEY",), "mistral-small-latest"),
    Vendor("deepseek", "DeepSeek", ("DEEPSEEK_API_KEY",), "deepseek-v4-flash"),
    Vendor("xai", "xAI", ("XAI_API_KEY",), "grok-4-1-fast-non-reasoning", ("xai-",)),
    Vendor("together", "Together", ("TOGETHER_API_KEY",), "meta-llama/Llama-3.3-70B-Instruct-Turbo"),
    Vendor("fireworks", "Fireworks", ("FIREWORKS_API_KEY",), "accounts/fireworks/models/gpt-oss-20b", ("fw_",)),
    Vendor("cerebras", "Cerebras", ("CEREBRAS_API_KEY",), "gpt-oss-120b", ("csk-",)),
    Vendor("moonshot", "Moonshot", ("MOONSHOT_API_KEY",), "kimi-k2.6"),
)
"""Vendors whose credential is looked for. A plain `sk-` begins the keys of several, so it tells nothing."""

HEADGATE_PREFIX = "hg_"
"""Begins Headgate's own keys (ledger/keys.py)."""

_SUFFIX = {Kind.OPENAI: "", Kind.OPENAI_RESPONSES: "-responses", Kind.ANTHROPIC: "-anthropic"}


def providers_of(vendor: Vendor) -> Iterator[tuple[str, Kind]]:
    """Yield the name and kind of each provider that a vendor's credential makes; its name alone for its first kind."""
    for index, kind in enumerate(BASE_URLS[vendor.name]):
        yield vendor.name + (_SUFFIX[kind] if index else ""), kind


def vendor_of_key(key: str) -> Vendor | None:
    """Return the vendor that a key's beginning belongs to, the longest one counting; None where it tells nothing."""
    begun = [(len(prefix), vendor) for vendor in VENDORS for prefix in vendor.prefixes if key.startswith(prefix)]
    return max(begun, key=lambda one: one[0])[1] if begun else None


CUT_STOPS_BILLING: frozenset[str] = frozenset(
    {
        "api.openai.com",
        "api.anthropic.com",
        "api.fireworks.ai",
        "api.together.xyz",
        "api.x.ai",
        "api.deepseek.com",
    }
)
"""Hosts where closing a stream "immediately stops model processing and billing".

Source: openrouter.ai/docs/api-reference/streaming, "Stream Cancellation". Its list says the contrary of Groq,
Google and Mistral; OpenRouter itself depends on who serves a call. None of those is here.
"""

_VERSION = re.compile(r"/v\d+[a-z0-9]*$")
_ENDPOINT = re.compile(r"/(chat/completions|completions|responses|messages|embeddings|models)$")


def default_base_url(name: str, kind: Kind) -> str | None:
    """Return the vendor's URL for a provider called like it (`openai`, `openai-eu`), None for other names."""
    for vendor, urls in BASE_URLS.items():
        if name == vendor or name.startswith(f"{vendor}-"):
            return urls.get(kind)
    return None


def normal_base_url(text: str, kind: Kind) -> str:
    """Return a base URL without a slash at its end and with its version segment.

    `/v1` is added where the path is empty, and for kind anthropic wherever no version ends it, like its SDK.
    Raises ValueError, whose text never holds the URL: a password may stand in it.
    """
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        raise ValueError("is no URL") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must begin with http:// or https:// and name a host")
    if "@" in parts.netloc:
        raise ValueError("must hold no user or password; put the credential into api_key")
    if parts.query or parts.fragment or text.rstrip().endswith(("?", "#")):
        raise ValueError("must hold no query and no fragment")
    if port == 0 or re.search(r"[\s\\\x00-\x1f\x7f]", text.strip()):
        raise ValueError("is no URL")
    path = re.sub(r"/+$", "", parts.path)
    if _ENDPOINT.search(path):
        raise ValueError("must end before the endpoint's path, as in https://api.openai.com/v1")
    if not path or (kind is Kind.ANTHROPIC and not _VERSION.search(path)):
        path += "/v1"
    return f"{parts.scheme}://{parts.netloc.lower()}{path}"


def cut_stops_billing(base_url: str) -> bool:
    """Whether the vendor behind a URL is known to stop billing a stream that is closed."""
    return urlsplit(base_url).hostname in CUT_STOPS_BILLING


def is_loopback(host: str) -> bool:
    """Whether a host to listen on can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
