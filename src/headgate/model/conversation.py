"""The canonical request: what a client asks for, in no dialect. Made only where something needs it."""

from enum import StrEnum

import msgspec
from msgspec import Raw

from headgate.model.content import NO_EXTRA, Cache, ToolKind, Turn
from headgate.model.dialect import Dialect


class Tool(msgspec.Struct, frozen=True):
    """A tool that the client runs itself. `schema` is the JSON Schema of its arguments, `format` of a custom tool's.

    `origin`: the namespace that it stands in and its name there (Responses); `name` is one for all upstreams.
    """

    name: str
    description: str | None = None
    schema: Raw | None = None
    strict: bool | None = None
    kind: ToolKind = ToolKind.FUNCTION
    format: Raw | None = None
    cache: Cache | None = None
    extra: dict[str, Raw] = NO_EXTRA
    origin: tuple[str, str] | None = None


class ServerTool(msgspec.Struct, frozen=True):
    """A tool that the provider runs (web search, code execution), whole, as its own dialect has it."""

    dialect: Dialect
    name: str
    raw: Raw


class ChoiceMode(StrEnum):
    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"  # some tool
    NAMED = "named"  # the tool `name`
    FOREIGN = "foreign"  # what only one dialect has, in `raw`


class ToolChoice(msgspec.Struct, frozen=True):
    """`allowed` restricts the choice to these of the tools (OpenAI's allowed_tools); None: all of them."""

    mode: ChoiceMode
    name: str | None = None
    kind: ToolKind = ToolKind.FUNCTION
    allowed: tuple[str, ...] | None = None
    raw: Raw | None = None


class FormatKind(StrEnum):
    TEXT = "text"
    JSON_OBJECT = "json_object"
    JSON_SCHEMA = "json_schema"
    FOREIGN = "foreign"


class OutputFormat(msgspec.Struct, frozen=True):
    kind: FormatKind
    name: str | None = None
    description: str | None = None
    schema: Raw | None = None
    strict: bool | None = None
    raw: Raw | None = None


class Effort(StrEnum):
    """How much a model shall think, from nothing to the most."""

    NONE = "none"
    MINIMAL = "minimal"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"
    MAX = "max"


class Reasoning(msgspec.Struct, frozen=True):
    """What the client said of thinking; each member None where it said nothing.

    `enabled`: thinking was switched on or off in so many words; `budget` in tokens; `adaptive`: the model decides;
    `summary` is OpenAI's word (auto, concise, detailed), `display` Anthropic's.
    """

    enabled: bool | None = None
    effort: Effort | None = None
    budget: int | None = None
    adaptive: bool = False
    summary: str | None = None
    display: str | None = None
    extra: dict[str, Raw] = NO_EXTRA


class Sampling(msgspec.Struct, frozen=True):
    """Numbers stay as the client wrote them. `logit_bias` is the object as it came."""

    temperature: Raw | None = None
    top_p: Raw | None = None
    top_k: Raw | None = None
    seed: Raw | None = None
    frequency_penalty: Raw | None = None
    presence_penalty: Raw | None = None
    logit_bias: Raw | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    n: int | None = None
    stop: tuple[str, ...] = ()


class Request(msgspec.Struct, frozen=True):
    """One request, whole. What the client left out is None or empty, so that an encoder leaves it out too.

    `dialect` is the client's; `extra` holds its top-level members that nothing here stands for (state of Responses,
    modalities, prediction, …), by their names in that dialect. `max_output` in tokens. `cache` is a breakpoint that
    the request itself carries. `own` are members that say nothing to another dialect (defaults, what every answer holds
    anyway); only the writer of the client's own dialect reads them.
    """

    dialect: Dialect
    model: str
    stream: bool
    turns: tuple[Turn, ...]
    include_usage: bool = False
    tools: tuple[Tool | ServerTool, ...] = ()
    choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    output: OutputFormat | None = None
    verbosity: str | None = None
    reasoning: Reasoning | None = None
    sampling: Sampling = Sampling()
    max_output: int | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None
    service_tier: str | None = None
    store: bool | None = None
    cache_key: str | None = None
    cache: Cache | None = None
    extra: dict[str, Raw] = NO_EXTRA
    own: dict[str, Raw] = NO_EXTRA
