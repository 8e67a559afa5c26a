"""What a conversation is made of, whatever dialect it came in.

JSON that nobody here reads (schemas, citations, unknown members) stays `Raw`, so that it leaves as it came.
`extra` holds an object's members that the model has no field for, by the names of the dialect it came in.
"""

from enum import StrEnum

import msgspec
from msgspec import Raw

from headgate.model.dialect import Dialect

NO_EXTRA: dict[str, Raw] = {}


class SourceKind(StrEnum):
    BASE64 = "base64"  # `value` is the data
    URL = "url"
    FILE = "file"  # `value` is the id of a file that lies with the provider
    TEXT = "text"  # `value` is plain text (documents)


class Source(msgspec.Struct, frozen=True):
    """Where the bytes of an image, a document or a sound are. `media_type` is empty where nobody said it."""

    kind: SourceKind
    value: str
    media_type: str = ""


class Cache(msgspec.Struct, frozen=True):
    """A prompt-cache breakpoint after the block, tool or request that carries it. `ttl` is "5m", "1h" or "".

    `mark` is how OpenAI's two dialects have it, where it came so.
    """

    ttl: str = ""
    mark: Raw | None = None


class Text(msgspec.Struct, frozen=True, tag="text"):
    text: str
    citations: tuple[Raw, ...] = ()
    cache: Cache | None = None
    extra: dict[str, Raw] = NO_EXTRA


class Image(msgspec.Struct, frozen=True, tag="image"):
    source: Source
    detail: str | None = None
    cache: Cache | None = None
    extra: dict[str, Raw] = NO_EXTRA


class Document(msgspec.Struct, frozen=True, tag="document"):
    """`title` is its file name where the dialect has one; `citations`: the answer shall cite it."""

    source: Source
    title: str | None = None
    context: str | None = None
    citations: bool = False
    cache: Cache | None = None
    extra: dict[str, Raw] = NO_EXTRA


class Audio(msgspec.Struct, frozen=True, tag="audio"):
    """`id` alone: a sound that the provider made earlier and still has."""

    source: Source | None
    id: str | None = None
    transcript: str | None = None
    extra: dict[str, Raw] = NO_EXTRA


class ToolKind(StrEnum):
    FUNCTION = "function"  # arguments are a JSON object by a schema
    CUSTOM = "custom"  # arguments are free text


class ToolUse(msgspec.Struct, frozen=True, tag="tool_use"):
    """`arguments` is the text the model wrote: JSON for a function, anything for a custom tool, "" for none.

    `item` is the id of the item in Responses, where `id` is its call_id.
    """

    id: str
    name: str
    arguments: str
    kind: ToolKind = ToolKind.FUNCTION
    item: str | None = None
    cache: Cache | None = None
    extra: dict[str, Raw] = NO_EXTRA


class Signer(msgspec.Struct, frozen=True):
    """Who signed a thinking block: the provider's name, and the dialect it was asked in."""

    provider: str
    dialect: Dialect


class Thinking(msgspec.Struct, frozen=True, tag="thinking"):
    """`parts` are its text, several where a summary came in parts; `signature` is the provider's, byte for byte.

    `signer` None: as the client's own dialect carries it, so it is of a provider of that dialect.
    `item` is the id of the item in Responses; `raw_text`: reasoning itself and no summary, where a dialect tells.
    """

    parts: tuple[str, ...]
    signature: str | None = None
    signer: Signer | None = None
    item: str | None = None
    raw_text: bool = False
    extra: dict[str, Raw] = NO_EXTRA


class RedactedThinking(msgspec.Struct, frozen=True, tag="redacted_thinking"):
    data: str
    signer: Signer | None = None
    extra: dict[str, Raw] = NO_EXTRA


class Refusal(msgspec.Struct, frozen=True, tag="refusal"):
    text: str
    extra: dict[str, Raw] = NO_EXTRA


class Foreign(msgspec.Struct, frozen=True, tag="foreign"):
    """A block or item that only one dialect has (server tools and their results, what is not known), whole.

    `name` says what it is in that dialect's words (`server_tool_use`, `web_search_call`).
    """

    dialect: Dialect
    name: str
    raw: Raw


class ToolResult(msgspec.Struct, frozen=True, tag="tool_result"):
    """`id` is that of the ToolUse it answers. `plain`: its content came as one string and not as a list."""

    id: str
    content: tuple["Text | Image | Document | Foreign", ...]
    is_error: bool = False
    kind: ToolKind = ToolKind.FUNCTION
    plain: bool = False
    cache: Cache | None = None
    extra: dict[str, Raw] = NO_EXTRA


Block = Text | Image | Document | Audio | ToolUse | ToolResult | Thinking | RedactedThinking | Refusal | Foreign


class Role(StrEnum):
    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"


class Item(msgspec.Struct, frozen=True):
    """How the client's own dialect had cut a turn; nobody but that dialect's writer reads it.

    An item is a message with `parts`, or without them one block by itself. `members` are those of the item that no
    block holds, each of `parts` those of a content part that its block does not hold. `plain`: it came as one string.
    """

    members: dict[str, Raw]
    parts: tuple[dict[str, Raw], ...] | None = None
    plain: bool = False


class Turn(msgspec.Struct, frozen=True):
    """One message. Tool results are blocks of a USER turn; adjacent items of one role in Responses are one turn.

    `plain`: its content came as one string and not as a list. `name` is that of the participant.
    `top`: the system prompt that stands outside the messages (Anthropic's `system`, Responses' `instructions`).
    `items`: what it was in a dialect that has items and not messages, of all its blocks in their order.
    """

    role: Role
    blocks: tuple[Block, ...]
    name: str | None = None
    plain: bool = False
    top: bool = False
    items: tuple[Item, ...] = ()
    extra: dict[str, Raw] = NO_EXTRA
