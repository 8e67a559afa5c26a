"""A client's chat request as a canonical one.

Members: openai.types.chat.completion_create_params. Those of compatible servers that have a canonical place are read
too: `top_k` (vLLM, OpenRouter), `reasoning` (openrouter.ai/docs, Reasoning Tokens), `cache_control`.
"""

from typing import Final

import msgspec
from msgspec import Raw

from headgate.model.conversation import (
    Effort,
    FormatKind,
    OutputFormat,
    Reasoning,
    Request,
    Sampling,
)
from headgate.model.dialect import Dialect
from headgate.model.request import RequestHead
from headgate.protocols import openai_words
from headgate.protocols.head_fields import invalid
from headgate.protocols.members import Members, is_object, is_string, string_of
from headgate.protocols.openai_chat.message_reader import read_turns
from headgate.protocols.openai_chat.parts import take_cache
from headgate.protocols.openai_chat.tools import read_choice, read_tools

_OWNED: Final = ("model", "stream", "max_tokens", "max_completion_tokens")
"""What the head of the request holds already."""

_metadata: Final = msgspec.json.Decoder(dict[str, str])


def read_request(head: RequestHead) -> Request:
    """Return the canonical request. Raises HeadgateError (400) naming the field at fault.

    Functions of old become tools, a call of one at a time as they know no other.
    """
    members = Members(head.fields)
    for name in _OWNED:
        members.raw(name)
    messages = members.raw("messages")
    if messages is None:
        raise invalid("messages", "messages is missing: an array of messages is expected")
    only_functions = "functions" in head.fields and "tools" not in head.fields
    parallel = members.flag("parallel_tool_calls")
    options = members.members("stream_options")
    if options is not None:
        options.raw("include_usage")
    output, unread = _read_output(members)
    return Request(
        dialect=Dialect.OPENAI_CHAT,
        model=head.model,
        stream=head.stream,
        turns=read_turns(messages),
        include_usage=head.include_usage,
        tools=tuple(read_tools(members)),
        choice=read_choice(members),
        parallel_tools=False if parallel is None and only_functions else parallel,
        output=output,
        verbosity=members.text("verbosity"),
        reasoning=_read_reasoning(members),
        sampling=_read_sampling(members),
        max_output=head.max_output,
        user=members.text("user"),
        metadata=_read_metadata(members),
        service_tier=members.text("service_tier"),
        store=members.flag("store"),
        cache_key=members.text("prompt_cache_key"),
        cache=take_cache(members),
        extra={**members.rest(), **unread, **({} if options is None else options.rest("stream_options."))},
    )


def _read_sampling(members: Members) -> Sampling:
    return Sampling(
        temperature=members.number("temperature"),
        top_p=members.number("top_p"),
        top_k=members.number("top_k"),
        seed=members.number("seed"),
        frequency_penalty=members.number("frequency_penalty"),
        presence_penalty=members.number("presence_penalty"),
        logit_bias=members.json_object("logit_bias"),
        logprobs=members.flag("logprobs"),
        top_logprobs=members.whole("top_logprobs"),
        n=members.whole("n", 1),
        stop=_read_stop(members),
    )


def _read_stop(members: Members) -> tuple[str, ...]:
    raw = members.raw("stop")
    if raw is None:
        return ()
    if is_string(raw):
        return (string_of(raw, "stop"),)
    members.put_back("stop", raw)
    return tuple(string_of(each, f"stop.{at}") for at, each in enumerate(members.items("stop") or []))


def _read_metadata(members: Members) -> dict[str, str] | None:
    """Take the metadata; values that are no strings stay, since some upstreams take them."""
    raw = members.json_object("metadata")
    if raw is None:
        return None
    try:
        return _metadata.decode(raw)
    except (ValueError, RecursionError):
        members.put_back("metadata", raw)
        return None


def _read_effort(members: Members, name: str) -> Effort | None:
    """Take an effort; a word that only one vendor knows stays."""
    raw = members.raw(name)
    if raw is None:
        return None
    effort = openai_words.EFFORT_READ.get(string_of(raw, members.at(name)))
    if effort is None:
        members.put_back(name, raw)
    return effort


def _read_reasoning(members: Members) -> Reasoning | None:
    effort = _read_effort(members, "reasoning_effort")
    raw = members.raw("reasoning")
    if raw is None or not is_object(raw):
        if raw is not None:
            members.put_back("reasoning", raw)
        return None if effort is None else Reasoning(effort=effort)
    members.put_back("reasoning", raw)
    said = members.needed_members("reasoning")
    return Reasoning(
        enabled=said.flag("enabled"),
        effort=_read_effort(said, "effort") or effort,
        budget=said.whole("max_tokens"),
        summary=said.text("summary"),
        extra=said.rest(),
    )


def _read_output(members: Members) -> tuple[OutputFormat | None, dict[str, Raw]]:
    """Take response_format; what is not known in it comes beside it, by its path."""
    raw = members.json_object("response_format")
    if raw is None:
        return None, {}
    members.put_back("response_format", raw)
    said = members.needed_members("response_format")
    kind = openai_words.FORMAT_READ.get(said.needed("type"))
    if kind is None:
        return OutputFormat(FormatKind.FOREIGN, raw=raw), {}
    if kind is not FormatKind.JSON_SCHEMA:
        return OutputFormat(kind), said.rest("response_format.")
    form = said.needed_members("json_schema")
    output = OutputFormat(
        kind, form.text("name"), form.text("description"), form.json_object("schema"), form.flag("strict")
    )
    return output, {**said.rest("response_format."), **form.rest("response_format.json_schema.")}
