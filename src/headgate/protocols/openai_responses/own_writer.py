"""Turns of a responses client as the items they came as.

Identity holds item by item: what a block does not hold is in `Turn.items`. A turn that was changed on its way, so that
its items do not fit its blocks, is written as another dialect's is.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

from msgspec import Raw

from headgate.model.content import (
    Audio,
    Block,
    Document,
    Foreign,
    Image,
    Item,
    RedactedThinking,
    Refusal,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Turn,
)
from headgate.model.dialect import Dialect
from headgate.model.losses import Lost
from headgate.protocols.openai_losses import Losses
from headgate.protocols.openai_responses import tables
from headgate.protocols.openai_responses.parts import own_part
from headgate.protocols.signatures import goes_to

_OWN = Dialect.OPENAI_RESPONSES
_ITEMS = Thinking | RedactedThinking | ToolUse | ToolResult | Foreign
_PARTS = Text | Image | Document | Audio | Refusal | Foreign


def fits(turn: Turn) -> bool:
    """Tell whether a turn's items are those of its blocks."""
    blocks = iter(turn.blocks)
    for item in turn.items:
        if item.parts is None:
            if not isinstance(next(blocks, None), _ITEMS):
                return False
            continue
        taken = list(islice(blocks, len(item.parts)))
        if len(taken) < len(item.parts) or not all(_is_part(block) for block in taken):
            return False
        if item.plain and not (len(taken) == 1 and isinstance(taken[0], Text)):
            return False
    return bool(turn.items) and next(blocks, None) is None


def _is_part(block: Block) -> bool:
    return isinstance(block, _PARTS) and not (isinstance(block, Audio) and block.source is None)


def write_own(turn: Turn, provider: str, losses: Losses) -> Iterator[object]:
    """Yield the items of a turn that fits; thinking that another provider signed is left out and named."""
    blocks = iter(turn.blocks)
    for item in turn.items:
        if item.parts is None:
            written = _single(next(blocks), item.members, provider, losses)
            if written is not None:
                yield written
        else:
            yield _message(list(islice(blocks, len(item.parts))), item, item.parts)


def _message(blocks: Sequence[Block], item: Item, parts: Sequence[dict[str, Raw]]) -> dict[str, object]:
    content: object
    if item.plain and isinstance(block := blocks[0], Text):
        content = block.text
    else:
        content = [own_part(block, own) for block, own in zip(blocks, parts, strict=True)]
    return {**item.members, "content": content}


def _single(block: Block, members: dict[str, Raw], provider: str, losses: Losses) -> object:
    match block:
        case Foreign():
            return block.raw
        case Thinking() | RedactedThinking():
            if not goes_to(block.signer, _OWN, provider, _OWN):
                losses.lost.add(Lost.THINKING if isinstance(block, Thinking) else Lost.REDACTED_THINKING)
                return None
            return reasoning_item(block, members)
        case ToolUse():
            return call_item(block, members)
        case ToolResult():
            content = block.content
            if block.plain and len(content) == 1 and isinstance(text := content[0], Text):
                output: object = text.text
            else:
                output = [own_part(part, _type_of(part)) for part in content]
            return {**members, "call_id": block.id, "output": output}
        case _:
            raise TypeError(f"no item is a {type(block).__name__}")


def _type_of(part: Block) -> dict[str, Raw]:
    return {"type": Raw(b'"input_text"')} if isinstance(part, Text) else {}


def reasoning_item(block: Thinking | RedactedThinking, members: dict[str, Raw]) -> dict[str, object]:
    """Return a reasoning item; what `members` says of its texts stands where the block says nothing."""
    item: dict[str, object] = {**members}
    if isinstance(block, RedactedThinking):
        item["encrypted_content"] = block.data
        return item
    if block.item is not None:
        item["id"] = block.item
    if block.parts:
        name, kind = ("content", "reasoning_text") if block.raw_text else ("summary", "summary_text")
        item[name] = [{"type": kind, "text": part} for part in block.parts]
    if block.signature == tables.UNSIGNED_TEXT and block.signer is not None:
        item.pop("encrypted_content", None)
    elif block.signature is not None:
        item["encrypted_content"] = block.signature
    return item


def call_item(block: ToolUse, members: dict[str, Raw]) -> dict[str, object]:
    """Return a call of a function or a custom tool; one in a namespace has its name among `members`."""
    item: dict[str, object] = {
        **members,
        "call_id": block.id,
        "name": members.get("name", block.name),
        tables.ARGUMENTS[block.kind]: block.arguments,
    }
    if block.item is not None:
        item["id"] = block.item
    return item
