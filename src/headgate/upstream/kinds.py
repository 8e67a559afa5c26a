"""What differs between kinds of provider on the wire: the path and how the credential is sent.

Sources: OpenAI API reference, "Authentication"; Anthropic API reference, "Authentication" and "Versions".
"""

from collections.abc import Callable
from functools import lru_cache
from urllib.parse import urlsplit

from headgate.model.dialect import Endpoint, Kind
from headgate.model.route import Provider

ANTHROPIC_VERSION = "2023-06-01"

FORWARDED: dict[Kind, tuple[str, ...]] = {
    Kind.OPENAI: ("openai-beta",),
    Kind.OPENAI_RESPONSES: ("openai-beta",),
    Kind.ANTHROPIC: ("anthropic-version", "anthropic-beta"),
}
"""The client's headers that go upstream. All others stay here: credentials, cookies and hop headers above all."""

_BASE = (("content-type", "application/json"), ("accept-encoding", "identity"))


def knows_newest_maximum(provider: Provider) -> bool:
    """Tell whether a chat upstream takes `max_completion_tokens`; OpenAI's models of today demand it, others may not.

    Source: OpenAI API reference, chat/completions (`max_tokens` is deprecated and refused by reasoning models).
    """
    return _is_openai(provider.base_url)


@lru_cache(maxsize=1024)
def _is_openai(base_url: str) -> bool:
    host = urlsplit(base_url).hostname or ""
    return host == "openai.com" or host.endswith((".openai.com", ".openai.azure.com"))


def url_of(provider: Provider, endpoint: Endpoint) -> str:
    """Return where an endpoint of a provider is."""
    return f"{provider.base_url}/{endpoint.value}"


def fixed_headers(provider: Provider, user_agent: str) -> tuple[tuple[str, str], ...]:
    """Return the headers that every request to this provider carries, its credential among them."""
    headers = [*_BASE, ("user-agent", user_agent), *provider.headers]
    if provider.api_key:
        if provider.kind is Kind.ANTHROPIC:
            headers.append(("x-api-key", provider.api_key))
        else:
            headers.append(("authorization", f"Bearer {provider.api_key}"))
    return tuple(headers)


def client_headers(kind: Kind, sent: Callable[[str], str | None]) -> list[tuple[str, str]]:
    """Return what is added for this request: the client's own headers of FORWARDED, and defaults the kind needs.

    `sent` returns the client's header by its lower-case name, its lines joined: the betas may stand in several.
    """
    added = [(name, value) for name in FORWARDED[kind] if (value := sent(name)) is not None]
    if kind is Kind.ANTHROPIC and not any(name == "anthropic-version" for name, _ in added):
        added.append(("anthropic-version", ANTHROPIC_VERSION))
    return added
