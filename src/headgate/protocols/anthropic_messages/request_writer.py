"""A canonical request as the body of a messages request for an upstream."""

from typing import Any, Final

import msgspec
from msgspec import Raw

from headgate.model.conversation import FormatKind, OutputFormat, Request
from headgate.model.losses import Lost
from headgate.protocols.anthropic_messages.block_writer import cache_mark
from headgate.protocols.anthropic_messages.tables import FORMAT_WRITTEN, TIER_ASKED
from headgate.protocols.anthropic_messages.thinking_writer import Thought, write_foreign, write_own, write_sampling
from headgate.protocols.anthropic_messages.tool_writer import is_forced, write_tools
from headgate.protocols.anthropic_messages.turn_writer import write_turns
from headgate.protocols.anthropic_messages.writing import Writing
from headgate.protocols.canonical import Target, Written
from headgate.protocols.json_object import members_of, splice

_MAX_USER: Final = 256
"""Characters of metadata.user_id (platform.claude.com/docs/en/api/messages)."""
_encode: Final = msgspec.json.Encoder().encode


def write_request(request: Request, target: Target) -> Written:
    """Return the body and what it could not carry. Raises HeadgateError (400) for a tool name the API does not take.

    A request of this dialect leaves as it came, but for the model's name, `target.max_output`, and thinking that
    another provider signed.
    """
    writing = Writing(request, target)
    turns = write_turns(request.turns, writing)
    tools = write_tools(writing)
    thought = _thought(writing, forced=is_forced(tools))
    body: dict[str, Any] = {"model": target.upstream_name, "max_tokens": thought.max_tokens}
    if request.stream:
        body["stream"] = True
    body |= turns
    body |= tools
    if thought.thinking is not None:
        body["thinking"] = thought.thinking
    config = _output_config(writing, thought)
    if config:
        body["output_config"] = config
    body |= write_sampling(writing, thought)
    body |= _about(writing)
    cache_mark(body, request.cache)
    owned = ("output_config", "metadata") if writing.own else ()
    writing.extras(body, {name: raw for name, raw in request.extra.items() if name not in owned}, "")
    return Written(_encode(body), frozenset(writing.lost), frozenset(writing.unknown), thought.max_tokens)


def _thought(writing: Writing, *, forced: bool) -> Thought:
    request, target = writing.request, writing.target
    max_tokens = target.max_output
    if max_tokens is None:
        max_tokens = target.default_max_output if request.max_output is None else request.max_output
    if writing.own:
        return write_own(writing, max_tokens)
    return write_foreign(writing, max_tokens, forced=forced)


def _output_config(writing: Writing, thought: Thought) -> dict[str, Any]:
    config: dict[str, Any] = {}
    if writing.own:
        config |= members_of(bytes(writing.request.extra.get("output_config", b"{}"))) or {}
    if thought.effort is not None:
        config["effort"] = thought.effort
    output = writing.request.output
    if output is not None:
        written = _format(output, writing)
        if written is not None:
            config["format"] = written
    return config


def _format(output: OutputFormat, writing: Writing) -> dict[str, Any] | Raw | None:
    if writing.own and output.kind is FormatKind.FOREIGN:
        return output.raw
    if output.kind is FormatKind.TEXT:
        return None
    if not FORMAT_WRITTEN[output.kind] or output.schema is None or not (writing.own or writing.model.schemas):
        writing.lost.add(Lost.OUTPUT_FORMAT)
        return None
    return {"type": "json_schema", "schema": output.schema if writing.own else _labelled(output, output.schema)}


def _labelled(output: OutputFormat, schema: Raw) -> Raw:
    """Return the schema with the format's name and description, which have no place of their own, inside it."""
    members = members_of(bytes(schema))
    if members is None:
        return schema
    labels: dict[str, bytes | None] = {}
    if output.name is not None and "title" not in members and "$ref" not in members:
        labels["title"] = _encode(output.name)
    if output.description is not None and "description" not in members and "$ref" not in members:
        labels["description"] = _encode(output.description)
    return Raw(splice(bytes(schema), members, labels)) if labels else schema


def _about(writing: Writing) -> dict[str, Any]:
    """Return the members that are not about the answer's words."""
    request = writing.request
    members: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    if writing.own:
        metadata |= members_of(bytes(request.extra.get("metadata", b"{}"))) or {}
    if request.user is not None:
        if writing.own or len(request.user) <= _MAX_USER:
            metadata["user_id"] = request.user
        else:
            writing.lost.add(Lost.USER)
    if metadata:
        members["metadata"] = metadata
    if request.service_tier is not None:
        tier = request.service_tier if writing.own else TIER_ASKED.get(request.service_tier)
        if tier is None:
            writing.lost.add(Lost.SERVICE_TIER)
        else:
            members["service_tier"] = tier
    named = {
        Lost.METADATA: bool(request.metadata),
        Lost.STORE: bool(request.store),
        Lost.CACHE_KEY: request.cache_key is not None,
        Lost.VERBOSITY: request.verbosity is not None,
    }
    writing.lost.update(lost for lost, said in named.items() if said)
    return members
