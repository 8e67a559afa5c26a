"""A canonical request as the body for a responses upstream, and what it could not carry."""

import hashlib
from typing import Any, Final

import msgspec
from msgspec import Raw

from headgate.model.conversation import Effort, FormatKind, OutputFormat, Reasoning, Request, Sampling
from headgate.model.dialect import Dialect
from headgate.model.losses import Lost
from headgate.protocols import openai_words
from headgate.protocols.canonical import Target, Written
from headgate.protocols.openai_losses import Losses
from headgate.protocols.openai_responses import tables
from headgate.protocols.openai_responses.parts import merge
from headgate.protocols.openai_responses.request_reader import INCLUDE
from headgate.protocols.openai_responses.tools import write_tools
from headgate.protocols.openai_responses.turn_writer import write_turns
from headgate.protocols.reasoning import wanted_effort
from headgate.protocols.tool_names import with_fitting_names

MIN_OUTPUT: Final = 16
"""OpenAI refuses less ("integer below minimum value. Expected a value >= 16"), where other APIs take 1."""

MAX_USER: Final = 64
"""OpenAI refuses a longer `user` ("Expected a string with maximum length 64"), and Claude Code's is longer."""

SHARED: Final = frozenset({"safety_identifier", "prompt_cache_options", "prompt_cache_retention", "moderation"})
"""Members that have one name and one form in both of OpenAI's dialects (the SDK's types of either request)."""

_FORMAT_NAME: Final = "answer"
"""`json_schema` must have a name; Anthropic's has none."""

_encode: Final = msgspec.json.Encoder().encode
_number: Final = msgspec.json.Decoder(float)


def write_request(request: Request, target: Target) -> Written:
    """Return the body. The client's own maximum stands unless the target has one; OpenAI demands none."""
    losses = Losses(request, Dialect.OPENAI_RESPONSES)
    if not losses.own:
        request = with_fitting_names(request)
    body: dict[str, object] = {"model": target.upstream_name, **write_turns(request, target.provider, losses)}
    if request.stream:
        body["stream"] = True
    most = target.max_output
    if most is None and request.max_output is not None:
        most = request.max_output if losses.own else max(request.max_output, MIN_OUTPUT)
        if most != request.max_output:
            losses.lost.add(Lost.MAX_OUTPUT)
    if most is not None:
        body["max_output_tokens"] = most
    include: list[str] = []
    body |= _sampling(request.sampling, losses, include)
    body |= write_tools(request, losses)
    body |= _text(request, losses)
    body |= _reasoning(request, losses, include)
    body |= _about(request, losses)
    if losses.own:
        body |= {name: value for name, value in request.own.items() if name not in body or name == "tools"}
    elif include:
        body[INCLUDE] = include
    merge(body, _extras(request, losses))
    return Written(_encode(body), frozenset(losses.lost), frozenset(losses.unknown), most)


def _sampling(sampling: Sampling, losses: Losses, include: list[str]) -> dict[str, object]:
    said = (
        ("temperature", sampling.temperature),
        ("top_p", sampling.top_p),
        ("top_logprobs", sampling.top_logprobs),
    )
    members: dict[str, object] = {name: value for name, value in said if value is not None}
    if losses.own:
        return members
    if sampling.logprobs:
        include.append(tables.LOGPROBS)
    named = {
        Lost.TOP_K: sampling.top_k is not None,
        Lost.SEED: sampling.seed is not None,
        Lost.FREQUENCY_PENALTY: _is_set(sampling.frequency_penalty),
        Lost.PRESENCE_PENALTY: _is_set(sampling.presence_penalty),
        Lost.LOGIT_BIAS: sampling.logit_bias is not None and bytes(sampling.logit_bias) != b"{}",
        Lost.N: sampling.n is not None and sampling.n != 1,
        Lost.STOP: bool(sampling.stop),
    }
    losses.lost.update(lost for lost, is_said in named.items() if is_said)
    return members


def _is_set(penalty: Raw | None) -> bool:
    try:
        return penalty is not None and _number.decode(penalty) != 0
    except ValueError:
        return True


def _text(request: Request, losses: Losses) -> dict[str, object]:
    text: dict[str, object] = {}
    form = _format(request.output, losses)
    if form is not None:
        text["format"] = form
    if request.verbosity is not None:
        text["verbosity"] = request.verbosity
    return {"text": text} if text else {}


def _format(output: OutputFormat | None, losses: Losses) -> object:
    if output is None:
        return None
    word = openai_words.FORMAT_WRITTEN[output.kind]
    if word is None:
        if losses.own:
            return output.raw
        losses.lost.add(Lost.OUTPUT_FORMAT)
        return None
    form: dict[str, object] = {"type": word}
    if output.kind is FormatKind.JSON_SCHEMA:
        name = output.name if output.name is not None or losses.own else _FORMAT_NAME
        said = (
            ("name", name),
            ("description", output.description),
            ("schema", output.schema),
            ("strict", output.strict),
        )
        form.update((member, value) for member, value in said if value is not None)
    return form


def _reasoning(request: Request, losses: Losses, include: list[str]) -> dict[str, object]:
    reasoning = request.reasoning
    if reasoning is None:
        return {}
    if losses.own:
        effort = None if reasoning.effort is None else openai_words.EFFORT_WRITTEN[reasoning.effort]
        said = (("effort", effort), ("summary", reasoning.summary))
        members: dict[str, object] = {name: value for name, value in said if value is not None}
        return {"reasoning": merge(members, reasoning.extra)}
    losses.extras(reasoning.extra, "thinking" if request.dialect is Dialect.ANTHROPIC_MESSAGES else "reasoning")
    if reasoning.effort is None and (reasoning.adaptive or reasoning.enabled is False):
        # A model that always thinks, or never, refuses to be told; how much is its own decision then.
        if reasoning.enabled is False:
            losses.lost.add(Lost.REASONING)
        return {}
    return _foreign_reasoning(reasoning, request.max_output, losses, include)


def _foreign_reasoning(
    reasoning: Reasoning, max_output: int | None, losses: Losses, include: list[str]
) -> dict[str, object]:
    members: dict[str, Any] = {}
    effort = wanted_effort(reasoning, max_output)
    if effort is not None:
        members["effort"] = openai_words.EFFORT_WRITTEN[effort]
    if effort is not Effort.NONE:
        summary = _summary(reasoning, losses)
        if summary is not None:
            members["summary"] = summary
        if members:
            include.append(tables.ENCRYPTED)
    return {"reasoning": members} if members else {}


def _summary(reasoning: Reasoning, losses: Losses) -> str | None:
    """Return how much of its thinking the model shall tell.

    Clients of messages that switch thinking on are shown it unless they say otherwise, chat's are not.
    """
    if reasoning.summary is not None:
        if reasoning.summary in tables.SUMMARIES:
            return reasoning.summary
        losses.lost.add(Lost.REASONING_SUMMARY)
        return None
    if reasoning.display is not None:
        return None if reasoning.display == "omitted" else "auto"
    return "auto" if reasoning.enabled and reasoning.budget is not None else None


def _about(request: Request, losses: Losses) -> dict[str, object]:
    """Return the members that are about the call and not the answer."""
    members: dict[str, object] = {}
    if request.user is not None:
        members["user"] = request.user if losses.own else _user(request.user)
    said = (("prompt_cache_key", request.cache_key), ("metadata", request.metadata))
    members.update((name, value) for name, value in said if value is not None)
    if losses.own:
        own = (("service_tier", request.service_tier), ("store", request.store))
        members.update((name, value) for name, value in own if value is not None)
        return members
    # This API alone stores what it is not told to leave; no client of another dialect expects that.
    members["store"] = bool(request.store)
    if request.service_tier is not None:
        tier = tables.TIER_WRITTEN.get(request.service_tier, request.service_tier)
        if tier in tables.TIERS:
            members["service_tier"] = tier
        else:
            losses.lost.add(Lost.SERVICE_TIER)
    if request.cache is not None:
        losses.lost.add(Lost.CACHE)
    return members


def _user(user: str) -> str:
    """Return who the user is in a form that OpenAI takes: what is too long becomes its SHA-256, which is as stable."""
    return user if len(user) <= MAX_USER else hashlib.sha256(user.encode()).hexdigest()


def _extras(request: Request, losses: Losses) -> dict[str, Raw]:
    extra = request.extra
    if losses.own:
        return {name: value for name, value in extra.items() if not name.startswith(f"{INCLUDE}.")}
    if request.dialect is Dialect.OPENAI_CHAT:
        losses.extras({name: value for name, value in extra.items() if name not in SHARED})
        return {name: value for name, value in extra.items() if name in SHARED}
    return losses.extras(extra)
