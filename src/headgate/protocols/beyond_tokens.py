"""What makes a vendor do or bill work that the prices of tokens do not measure.

Sources: the request types of the SDKs openai 3.52 (types/responses/tool_param.py, service_tier.py) and anthropic 2.11
(types/beta/message_create_params.py, beta_tool_union_param.py). Prices: developers.openai.com/api/docs/pricing and
platform.claude.com/docs/en/about-claude/pricing: a web search has a price of its own, code runs by the hour; fast
modes, priority tiers and a region other than the global one have rates of their own. What is not known to cost tokens
alone is named.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import msgspec
from msgspec import Raw

from headgate.model.dialect import Endpoint
from headgate.model.errors import HeadgateError
from headgate.model.request import RequestHead
from headgate.protocols import head_fields
from headgate.protocols.offered_tools import Offered, fields_of, offered

Check = Callable[[str, dict[str, Raw]], str | None]

_MAX_SHOWN: Final = 60
_OFF: Final = (b"null", b"false")
_PRICED_TIERS: Final = frozenset({"auto", "default", "flex", "standard_only"})
"""`auto` is what a request without a tier gets: the project's own setting, which its operator knows. `flex` is cheaper.
Anthropic's `auto` uses capacity that is paid for already."""
_CLIENTS: Final[dict[Endpoint, frozenset[str]]] = {
    Endpoint.CHAT: frozenset({"function", "custom"}),
    Endpoint.RESPONSES: frozenset(
        {"function", "custom", "namespace", "local_shell", "apply_patch", "computer", "computer_use_preview"}
    ),
    Endpoint.MESSAGES: frozenset({"custom"}),
}
"""Types of tools that the client runs; a tool without a type is one of them."""
_DATED: Final = re.compile(
    r"(?:computer|bash|text_editor|memory|computer_toolset|browser_toolset|web_fetch|tool_search_tool_(?:bm25|regex))_\d{8}"
    r"|tool_search_tool_(?:bm25|regex)"
)
"""Anthropic's tools that clients run, and those of its own that cost tokens alone (web fetch: "no additional charges
beyond standard token costs", platform.claude.com/docs/en/agents-and-tools/tool-use/web-fetch-tool)."""
_SEARCHES: Final = re.compile(r".*(?::online|-search-preview(?:-[0-9-]{10})?|-search-api(?:-[0-9-]{10})?)", re.DOTALL)
"""Models that search unasked: OpenAI's, and any on OpenRouter (openrouter.ai/docs/features/web-search)."""
_CLEARS: Final = "clear_"
"""Edits that only leave out; `compact_…` is billed in `usage.iterations`, which the other counts do not include
(platform.claude.com/docs/en/build-with-claude/compaction)."""


class _Typed(msgspec.Struct, gc=False):
    type: str | None = None


class _Edits(msgspec.Struct, gc=False):
    edits: list[_Typed] | None = None


_edits: Final = msgspec.json.Decoder(_Edits)
_typed: Final = msgspec.json.Decoder(_Typed | None)


def beyond_tokens(head: RequestHead) -> str | None:
    """Name the first member that tokens do not measure (`background`, `tools: web_search`), None where there is none.

    The name is for people; what comes from the request in it is cut to 60 characters.
    """
    checks = CHECKS.get(head.endpoint)
    if checks is None:
        return None
    fields = fields_of(head)
    if not checks.keys().isdisjoint(fields):
        for member, check in checks.items():
            if member in fields and (named := check(member, fields)) is not None:
                return named
    return _tools(head, fields)


@lru_cache(maxsize=1024)
def searches(upstream_name: str) -> str | None:
    """Name a model that searches by itself, None for any other."""
    return f"model: {_shown(upstream_name)}" if _SEARCHES.fullmatch(upstream_name) else None


def _tools(head: RequestHead, fields: dict[str, Raw]) -> str | None:
    if head.endpoint is Endpoint.COMPLETIONS or (head.endpoint is Endpoint.CHAT and "tools" not in fields):
        return None
    clients = _CLIENTS[head.endpoint]
    try:
        for tool in offered(head, fields):
            if not (tool.type is None or tool.type in clients or _is_known(head.endpoint, tool.type, tool)):
                return f"tools: {_shown(tool.type)}"
    except (HeadgateError, ValueError, RecursionError):
        return "tools"
    return None


def _is_known(endpoint: Endpoint, kind: str, tool: Offered) -> bool:
    """Tell that a tool runs at the client by its settings, or costs tokens alone."""
    if endpoint is Endpoint.MESSAGES:
        return _DATED.fullmatch(kind) is not None
    if endpoint is Endpoint.RESPONSES:
        if kind == "shell":
            environment = _typed.decode(tool.environment)
            return environment is not None and environment.type == "local"
        return kind == "tool_search" and tool.execution == "client"
    return False


def _if_on(member: str, fields: dict[str, Raw]) -> str | None:
    """An empty object is on, too: it asks for the member's defaults."""
    return None if bytes(fields[member]) in _OFF else member


def _if_given(member: str, fields: dict[str, Raw]) -> str | None:
    return member if head_fields.given(fields, member) else None


def _unless(*plain: str) -> Check:
    words = frozenset(plain)

    def check(member: str, fields: dict[str, Raw]) -> str | None:
        if bytes(fields[member]) == b"null":
            return None
        said = head_fields.text_of(fields, member)
        if said in words:
            return None
        return member if said is None else f"{member}: {_shown(said)}"

    return check


def _context(member: str, fields: dict[str, Raw]) -> str | None:
    if not head_fields.given(fields, member):
        return None
    try:
        edits = _edits.decode(fields[member]).edits or ()
    except ValueError:
        return member
    for edit in edits:
        if edit.type is None or not edit.type.startswith(_CLEARS):
            return f"{member}: {_shown(edit.type or 'null')}"
    return None


def _shown(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…"


_tier: Final = _unless(*_PRICED_TIERS)

CHECKS: Final[dict[Endpoint, dict[str, Check]]] = {
    Endpoint.CHAT: {
        "web_search_options": _if_on,
        "service_tier": _tier,
        # OpenRouter: searches (openrouter.ai/docs/features/web-search), and models that are tried in place of this one.
        "plugins": _if_given,
        "models": _if_given,
        "preset": _if_given,
        # xAI's searches.
        "search_parameters": _if_given,
        # llama.cpp's own maximum, which goes before `max_tokens`.
        "n_predict": _if_given,
    },
    Endpoint.COMPLETIONS: {"service_tier": _tier, "plugins": _if_given, "models": _if_given, "n_predict": _if_given},
    Endpoint.RESPONSES: {
        "background": _if_on,
        "service_tier": _tier,
        "context_management": _if_given,
        "plugins": _if_given,
        "models": _if_given,
    },
    Endpoint.MESSAGES: {
        "mcp_servers": _if_given,
        "container": _if_given,
        "service_tier": _tier,
        "speed": _unless("standard"),
        "inference_geo": _unless("global"),
        "fallbacks": _if_given,
        "compaction": _if_on,
        "context_management": _context,
    },
}
"""Members to look at, by endpoint; embeddings and token counts have none."""
