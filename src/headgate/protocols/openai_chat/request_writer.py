"""A canonical request as the body for a chat upstream, and what it could not carry."""

import hashlib
from typing import Final

import msgspec
from msgspec import Raw

from headgate.model.conversation import FormatKind, OutputFormat, Reasoning, Request, Sampling
from headgate.model.dialect import Dialect
from headgate.model.losses import Lost
from headgate.protocols import openai_words
from headgate.protocols.canonical import Target, Written
from headgate.protocols.openai_chat import tables
from headgate.protocols.openai_chat.message_writer import write_messages
from headgate.protocols.openai_chat.parts import CACHE, cache_member, merge
from headgate.protocols.openai_chat.tools import write_tools
from headgate.protocols.openai_losses import Losses
from headgate.protocols.reasoning import wanted_effort
from headgate.protocols.tool_names import with_fitting_names

MAX_USER: Final = 64
"""OpenAI refuses a longer `user` ("Expected a string with maximum length 64"), and Claude Code's is longer."""

SHARED: Final = frozenset({"safety_identifier", "prompt_cache_options", "prompt_cache_retention", "moderation"})
"""Members that have one name and one form in both of OpenAI's dialects (the SDK's types of either request)."""

_FORMAT_NAME: Final = "answer"
"""`json_schema` must have a name; Anthropic's has none."""

_encode: Final = msgspec.json.Encoder().encode
_SAMPLING: Final = (
    "temperature", "top_p", "seed", "frequency_penalty", "presence_penalty", "logit_bias", "logprobs", "top_logprobs",
    "n",
)  # fmt: skip
"""Members that carry one name in the canonical request and here."""


def write_request(request: Request, target: Target) -> Written:
    """Return the body. The client's own maximum stands unless the target has one; OpenAI demands none."""
    losses = Losses(request, Dialect.OPENAI_CHAT)
    if not losses.own:
        request = with_fitting_names(request)
    body: dict[str, object] = {
        "model": target.upstream_name,
        "messages": write_messages(request, target.provider, losses),
    }
    if request.stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    most = target.max_output if target.max_output is not None else request.max_output
    if most is not None:
        body["max_tokens" if target.max_tokens else "max_completion_tokens"] = most
    body |= _sampling(request.sampling, losses)
    body |= write_tools(request, losses)
    body |= _output(request.output, losses)
    body |= _reasoning(request, losses)
    body |= _about(request, losses)
    merge(body, _extras(request, losses))
    return Written(_encode(body), frozenset(losses.lost), frozenset(losses.unknown), most)


def _sampling(sampling: Sampling, losses: Losses) -> dict[str, object]:
    members = {name: value for name in _SAMPLING if (value := getattr(sampling, name)) is not None}
    if sampling.top_logprobs and sampling.logprobs is None and not losses.own:
        members["logprobs"] = True  # OpenAI demands it beside top_logprobs
    if sampling.stop:
        members["stop"] = sampling.stop
    if sampling.top_k is not None:
        if losses.own:
            members["top_k"] = sampling.top_k
        else:
            losses.lost.add(Lost.TOP_K)  # OpenAI refuses it
    return members


def _output(output: OutputFormat | None, losses: Losses) -> dict[str, object]:
    if output is None:
        return {}
    word = openai_words.FORMAT_WRITTEN[output.kind]
    if word is None:
        if losses.own and output.raw is not None:
            return {"response_format": output.raw}
        losses.lost.add(Lost.OUTPUT_FORMAT)
        return {}
    written: dict[str, object] = {"type": word}
    if output.kind is FormatKind.JSON_SCHEMA:
        form: dict[str, object] = {}
        name = output.name if output.name is not None or losses.own else _FORMAT_NAME
        said = (
            ("name", name),
            ("description", output.description),
            ("schema", output.schema),
            ("strict", output.strict),
        )
        form.update((member, value) for member, value in said if value is not None)
        written["json_schema"] = form
    return {"response_format": written}


def _reasoning(request: Request, losses: Losses) -> dict[str, object]:
    """Return `reasoning_effort`, or the client's own `reasoning` object where it said more than an effort."""
    reasoning = request.reasoning
    if reasoning is None:
        return {}
    if losses.own:
        return _own_reasoning(reasoning)
    if reasoning.summary is not None:
        losses.lost.add(Lost.REASONING_SUMMARY)
    if reasoning.display is not None:
        losses.lost.add(Lost.REASONING_DISPLAY)
    losses.extras(reasoning.extra, "thinking" if request.dialect is Dialect.ANTHROPIC_MESSAGES else "reasoning")
    if reasoning.effort is None and (reasoning.adaptive or reasoning.enabled is False):
        # A model that always thinks, or never, refuses to be told; how much is its own decision then.
        if reasoning.enabled is False:
            losses.lost.add(Lost.REASONING)
        return {}
    effort = wanted_effort(reasoning, request.max_output)
    return {} if effort is None else {"reasoning_effort": openai_words.EFFORT_WRITTEN[effort]}


def _own_reasoning(reasoning: Reasoning) -> dict[str, object]:
    effort = None if reasoning.effort is None else openai_words.EFFORT_WRITTEN[reasoning.effort]
    said = (("max_tokens", reasoning.budget), ("enabled", reasoning.enabled), ("summary", reasoning.summary))
    members: dict[str, object] = {name: value for name, value in said if value is not None}
    merge(members, reasoning.extra)
    if members:
        return {"reasoning": members if effort is None else {"effort": effort, **members}}
    return {} if effort is None else {"reasoning_effort": effort}


def _about(request: Request, losses: Losses) -> dict[str, object]:
    """Return the members that are about the call and not the answer."""
    members: dict[str, object] = {}
    if request.verbosity is not None:
        members["verbosity"] = request.verbosity
    if request.user is not None:
        members["user"] = request.user if losses.own else _user(request.user)
    if request.cache_key is not None:
        members["prompt_cache_key"] = request.cache_key
    if request.service_tier is not None:
        tier = (
            request.service_tier if losses.own else tables.TIER_WRITTEN.get(request.service_tier, request.service_tier)
        )
        if losses.own or tier in tables.TIERS:
            members["service_tier"] = tier
        else:
            losses.lost.add(Lost.SERVICE_TIER)
    if losses.own:
        said = (("metadata", request.metadata), ("store", request.store))
        members.update((name, value) for name, value in said if value is not None)
        if request.cache is not None:
            members[CACHE] = cache_member(request.cache)
        return members
    if request.metadata:
        # OpenAI: "The 'metadata' parameter is only allowed when 'store' is enabled".
        losses.lost.add(Lost.METADATA)
    if request.store:
        losses.lost.add(Lost.STORE)
    if request.cache is not None:
        losses.lost.add(Lost.CACHE)
    return members


def _user(user: str) -> str:
    """Return who the user is in a form that OpenAI takes: what is too long becomes its SHA-256, which is as stable."""
    return user if len(user) <= MAX_USER else hashlib.sha256(user.encode()).hexdigest()


def _extras(request: Request, losses: Losses) -> dict[str, Raw]:
    if request.dialect is Dialect.OPENAI_RESPONSES:
        shared = {name: value for name, value in request.extra.items() if name in SHARED}
        losses.extras({name: value for name, value in request.extra.items() if name not in SHARED})
        return shared
    return losses.extras(request.extra)
