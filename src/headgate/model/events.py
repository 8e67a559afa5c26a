"""What an upstream's answer says, piece by piece, in no dialect. A unary answer is the same events at once.

Order: Started; then blocks, each Text or Thinking by deltas, ToolStarted with its arguments, or a Whole one, ended by
BlockEnded; Finished once for each choice; UsageSeen anywhere, the last one counts. `block` numbers the blocks of
a choice from 0 in the order they began; blocks may overlap. `choice` is 0 but where n > 1.
"""

from enum import StrEnum

import msgspec
from msgspec import Raw

from headgate.model.content import Foreign, RedactedThinking, ToolKind
from headgate.model.usage import Reported


class Finish(StrEnum):
    """Why an answer ended."""

    STOP = "stop"
    STOP_SEQUENCE = "stop_sequence"
    LENGTH = "length"
    CONTEXT = "context"  # the model's context window is full
    TOOL_USE = "tool_use"
    REFUSAL = "refusal"
    CONTENT_FILTER = "content_filter"
    PAUSE = "pause"  # a server tool runs long: send the answer back to go on
    UNKNOWN = "unknown"


class Started(msgspec.Struct, frozen=True, gc=False, tag="started"):
    """`id` and `model` as the upstream names them, "" where it does not; `created` in s since the Unix epoch, 0."""

    id: str = ""
    model: str = ""
    created: int = 0
    service_tier: str | None = None


class TextDelta(msgspec.Struct, frozen=True, gc=False, tag="text"):
    """The first one of its `block` begins it. `logprobs`: those of this text, in OpenAI chat's form (an array)."""

    block: int
    text: str
    choice: int = 0
    logprobs: Raw | None = None


class CitationSeen(msgspec.Struct, frozen=True, tag="citation"):
    """A citation of the text block; `raw` as the upstream's dialect has it."""

    block: int
    raw: Raw
    choice: int = 0


class RefusalDelta(msgspec.Struct, frozen=True, gc=False, tag="refusal"):
    block: int
    text: str
    choice: int = 0


class ThinkingDelta(msgspec.Struct, frozen=True, gc=False, tag="thinking"):
    """`part` numbers the parts of a summary. `raw_text`: reasoning itself and no summary, where a dialect tells."""

    block: int
    text: str
    choice: int = 0
    part: int = 0
    raw_text: bool = False


class SignatureSeen(msgspec.Struct, frozen=True, gc=False, tag="signature"):
    """The signature (or encrypted content) of a thinking block, whole. `item` is its item's id in Responses."""

    block: int
    signature: str
    choice: int = 0
    item: str | None = None


class ToolStarted(msgspec.Struct, frozen=True, gc=False, tag="tool"):
    block: int
    id: str
    name: str
    choice: int = 0
    kind: ToolKind = ToolKind.FUNCTION
    item: str | None = None


class ToolArguments(msgspec.Struct, frozen=True, gc=False, tag="arguments"):
    """A further piece of the text of a tool's arguments."""

    block: int
    text: str
    choice: int = 0


class Whole(msgspec.Struct, frozen=True, tag="whole"):
    """A block that comes in one piece: redacted thinking, or what only the upstream's dialect has."""

    block: int
    content: RedactedThinking | Foreign
    choice: int = 0


class BlockEnded(msgspec.Struct, frozen=True, gc=False, tag="block_ended"):
    block: int
    choice: int = 0


class UsageSeen(msgspec.Struct, frozen=True, tag="usage"):
    """Usage so far; counts of the whole answer, not of what came since the last one."""

    reported: Reported


class Finished(msgspec.Struct, frozen=True, gc=False, tag="finished"):
    """`sequence` is the stop sequence that ended it; `word` the upstream's own word for the reason."""

    finish: Finish
    choice: int = 0
    sequence: str | None = None
    word: str = ""


class Failed(msgspec.Struct, frozen=True, gc=False, tag="failed"):
    """An error inside an answer; `kind` is the upstream's own word for it, "" where it has none."""

    message: str
    kind: str = ""


class UnknownSeen(msgspec.Struct, frozen=True, tag="unknown"):
    """A frame of a type nobody knows; `raw` is its data. It decides nothing."""

    name: str
    raw: bytes


Event = (
    Started
    | TextDelta
    | CitationSeen
    | RefusalDelta
    | ThinkingDelta
    | SignatureSeen
    | ToolStarted
    | ToolArguments
    | Whole
    | BlockEnded
    | UsageSeen
    | Finished
    | Failed
    | UnknownSeen
)
