"""A client's responses request as a canonical one.

Members: openai.types.responses.response_create_params.
"""

from typing import Final

import msgspec
from msgspec import Raw

from headgate.model.content import Role, Text, Turn
from headgate.model.conversation import Effort, FormatKind, OutputFormat, Reasoning, Request, Sampling
from headgate.model.dialect import Dialect
from headgate.model.request import RequestHead
from headgate.protocols import openai_words
from headgate.protocols.head_fields import given, invalid
from headgate.protocols.members import Members, is_null, items_of, string_of
from headgate.protocols.openai_responses import tables
from headgate.protocols.openai_responses.item_reader import read_turns
from headgate.protocols.openai_responses.namespaces import Namespaces
from headgate.protocols.openai_responses.tools import read_choice, read_tools

INCLUDE: Final = "include"

_EMPTY: Final = frozenset({b"{}", b"[]"})
_DEFAULTS: Final = {"background": b"false", "stream": b"false", "truncation": b'"disabled"'}
_PROMPTS: Final = ("previous_response_id", "conversation", "prompt")
_INCLUDED: Final = frozenset({tables.ENCRYPTED, tables.LOGPROBS})
_KEPT: Final = frozenset({INCLUDE, "tools"})
"""Members that were read and stay, for this dialect alone."""
_TRUE: Final = Raw(b"true")

_metadata: Final = msgspec.json.Decoder(dict[str, str])


class _StreamOptions(msgspec.Struct, forbid_unknown_fields=True):
    include_obfuscation: bool | None = None


_stream_options: Final = msgspec.json.Decoder(_StreamOptions)


def read_request(head: RequestHead) -> Request:
    """Return the canonical request. Raises HeadgateError (400) naming the field at fault.

    What `include` asks for beyond what every dialect has its way to say is in `extra`, as `include.` and its name.
    """
    members = Members(head.fields)
    members.raw("model")
    if head.stream:
        members.raw("stream")
    members.raw("max_output_tokens")
    tools = read_tools(members)
    turns = _read_turns(members, head, Namespaces(tools))
    included = _included(members)
    output, verbosity, unread = _read_text(members)
    request = Request(
        dialect=Dialect.OPENAI_RESPONSES,
        model=head.model,
        stream=head.stream,
        turns=turns,
        tools=tools,
        choice=read_choice(members, tools),
        parallel_tools=members.flag("parallel_tool_calls"),
        output=output,
        verbosity=verbosity,
        reasoning=_read_reasoning(members),
        sampling=Sampling(
            temperature=members.number("temperature"),
            top_p=members.number("top_p"),
            logprobs=True if tables.LOGPROBS in included else None,
            top_logprobs=members.whole("top_logprobs"),
        ),
        max_output=head.max_output,
        user=members.text("user"),
        metadata=_read_metadata(members),
        service_tier=members.text("service_tier"),
        store=members.flag("store"),
        cache_key=members.text("prompt_cache_key"),
    )
    asked = {f"{INCLUDE}.{name}": _TRUE for name in included if name not in _INCLUDED}
    return _with_rest(request, members, {**unread, **asked})


def _with_rest(request: Request, members: Members, extra: dict[str, Raw]) -> Request:
    """Return the request with what nobody took: what says nothing to another dialect apart from what does."""
    own: dict[str, Raw] = {}
    for name, value in members.rest().items():
        (own if name in _KEPT or _says_nothing(name, value) else extra)[name] = value
    return msgspec.structs.replace(request, extra=extra, own=own)


def _says_nothing(name: str, value: Raw) -> bool:
    if is_null(value) or (text := bytes(value)) in _EMPTY or _DEFAULTS.get(name) == text:
        return True
    if name != "stream_options":
        return False
    try:
        return not _stream_options.decode(value).include_obfuscation
    except ValueError:
        return False


def _read_turns(members: Members, head: RequestHead, namespaces: Namespaces) -> tuple[Turn, ...]:
    turns: list[Turn] = []
    instructions = members.text("instructions")
    if instructions is not None:
        turns.append(Turn(Role.SYSTEM, (Text(instructions),), plain=True, top=True))
    items = members.raw("input")
    if items is None:
        if not any(given(head.fields, name) for name in _PROMPTS):
            raise invalid("input", "input is missing: a string or an array of items is expected")
    else:
        read = read_turns(items, namespaces)
        turns += read
        if not read:
            members.put_back("input", items)
    return tuple(turns)


def _included(members: Members) -> list[str]:
    """Return what `include` asks for; the member stays."""
    raw = members.raw(INCLUDE)
    if raw is None:
        return []
    members.put_back(INCLUDE, raw)
    return [string_of(each, f"{INCLUDE}.{at}") for at, each in enumerate(items_of(raw, INCLUDE))]


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


def _read_reasoning(members: Members) -> Reasoning | None:
    said = members.members("reasoning")
    if said is None:
        return None
    word = said.text("effort")
    effort: Effort | None = None
    if word is not None:
        effort = openai_words.EFFORT_READ.get(word)
        if effort is None:
            said.put_back("effort", Raw(msgspec.json.encode(word)))
    return Reasoning(effort=effort, summary=said.text("summary"), extra=said.rest())


def _read_text(members: Members) -> tuple[OutputFormat | None, str | None, dict[str, Raw]]:
    """Take `text`; what is not known in it comes beside it, by its path. One that says nothing stays."""
    raw = members.json_object("text")
    if raw is None:
        return None, None, {}
    members.put_back("text", raw)
    said = members.needed_members("text")
    output, unread = _read_format(said)
    verbosity = said.text("verbosity")
    rest = said.rest("text.")
    if output is None and verbosity is None:
        members.put_back("text", raw)
        return None, None, {}
    return output, verbosity, {**rest, **unread}


def _read_format(text: Members) -> tuple[OutputFormat | None, dict[str, Raw]]:
    raw = text.json_object("format")
    if raw is None:
        return None, {}
    text.put_back("format", raw)
    form = text.needed_members("format")
    kind = openai_words.FORMAT_READ.get(form.needed("type"))
    if kind is None:
        return OutputFormat(FormatKind.FOREIGN, raw=raw), {}
    if kind is not FormatKind.JSON_SCHEMA:
        return OutputFormat(kind), form.rest("text.format.")
    output = OutputFormat(
        kind, form.text("name"), form.text("description"), form.json_object("schema"), form.flag("strict")
    )
    return output, form.rest("text.format.")
