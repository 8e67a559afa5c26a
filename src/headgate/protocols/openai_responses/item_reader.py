"""A client's `input` as turns: adjacent items of one role are one turn, which remembers how it was cut.

Forms: openai.types.responses.response_input_item_param. An item of another form or type is Foreign, whole.
"""

from typing import Final

import msgspec
from msgspec import Raw

from headgate.model.content import (
    Block,
    Document,
    Foreign,
    Image,
    Item,
    RedactedThinking,
    Role,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Turn,
)
from headgate.model.dialect import Dialect
from headgate.protocols.head_fields import invalid
from headgate.protocols.members import (
    Members,
    is_array,
    is_null,
    is_string,
    objects_of,
    string_of,
)
from headgate.protocols.openai_responses import tables
from headgate.protocols.openai_responses.namespaces import NAMESPACE, Namespaces, namespace_of
from headgate.protocols.openai_responses.parts import read_part
from headgate.protocols.signatures import unwrap

_ROLES: Final = ", ".join(tables.ROLE_READ)
_UNHEARD: Final = frozenset({"type", "role", "id", "status"})
"""Members of items that say nothing to a model of another provider."""


class _Text(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    text: str


_texts: Final = msgspec.json.Decoder(list[_Text])


def read_turns(items: Raw, namespaces: Namespaces) -> list[Turn]:
    """Return the turns of an `input`. Raises HeadgateError (400)."""
    if is_string(items):
        return [Turn(Role.USER, (Text(string_of(items, "input")),), plain=True)]
    if not is_array(items):
        raise invalid("input", "input must be a string or an array of items")
    reader = _Reader(namespaces)
    for raw, item in objects_of(items, "input"):
        reader.read(raw, item)
    return reader.turns()


class _Reader:
    """Gathers blocks until another role begins."""

    def __init__(self, namespaces: Namespaces) -> None:
        self._namespaces = namespaces
        self._turns: list[Turn] = []
        self._role: Role | None = None
        self._blocks: list[Block] = []
        self._items: list[Item] = []
        self._extra: dict[str, Raw] = {}

    def turns(self) -> list[Turn]:
        self._flush()
        return self._turns

    def read(self, raw: Raw, item: Members) -> None:
        kind = item.text("type")
        if kind is not None:
            item.put_back("type", Raw(msgspec.json.encode(kind)))
        elif item.has("role"):
            kind = "message"
        elif item.has("id"):
            kind = "item_reference"
        else:
            raise invalid(item.at("type"), f"{item.at('type')} is missing: a string is expected")
        if kind == "message":
            self._message(item)
        elif kind == "reasoning":
            self._reasoning(raw, item)
        elif kind in tables.CALL_READ:
            self._call(kind, item)
        elif kind in tables.RESULT_READ and item.has("call_id"):
            self._result(kind, item)
        else:
            self._foreign(kind, raw)

    def _message(self, item: Members) -> None:
        word = item.needed("role")
        role = tables.ROLE_READ.get(word)
        if role is None:
            raise invalid(item.at("role"), f"{item.at('role')} must be one of {_ROLES}")
        item.put_back("role", Raw(msgspec.json.encode(word)))
        content = item.raw("content")
        if content is None:
            raise invalid(item.at("content"), f"{item.at('content')} is missing: a string or an array is expected")
        path = item.at("content")
        if is_string(content):
            self._add(role, [Text(string_of(content, path))], Item(item.rest(), ({},), plain=True))
            return
        if not is_array(content):
            raise invalid(path, f"{path} must be a string or an array of parts")
        parts = [read_part(raw, part) for raw, part in objects_of(content, path)]
        self._add(role, [block for block, _ in parts], Item(item.rest(), tuple(own for _, own in parts)))

    def _reasoning(self, raw: Raw, item: Members) -> None:
        thinking = _thinking(item)
        if thinking is None:
            self._foreign("reasoning", raw)
        else:
            self._add(Role.ASSISTANT, [thinking], Item(item.rest()))

    def _call(self, kind: str, item: Members) -> None:
        call_id, name = item.needed("call_id"), item.needed("name")
        tool = tables.CALL_READ[kind]
        arguments = item.needed(tables.ARGUMENTS[tool])
        identity = item.text("id")
        own = item.rest()
        heard = _heard(own)
        namespace = namespace_of(own)
        if namespace is not None:  # the item goes back by both of its names, elsewhere it has one
            del heard[NAMESPACE]
            own = {**own, "name": Raw(msgspec.json.encode(name))}
            name = self._namespaces.name(namespace, name)
        self._add(Role.ASSISTANT, [ToolUse(call_id, name, arguments, tool, identity, extra=heard)], Item(own))

    def _result(self, kind: str, item: Members) -> None:
        call_id = item.needed("call_id")
        output = item.raw("output")
        path = item.at("output")
        if output is None:
            raise invalid(path, f"{path} is missing: a string or an array is expected")
        content: tuple[Text | Image | Document | Foreign, ...]
        plain = is_string(output)
        if plain:
            content = (Text(string_of(output, path)),)
        elif is_array(output):
            content = tuple(_result_part(raw, part) for raw, part in objects_of(output, path))
        else:
            raise invalid(path, f"{path} must be a string or an array of parts")
        own = item.rest()
        tool = tables.RESULT_READ[kind]
        self._add(Role.USER, [ToolResult(call_id, content, kind=tool, plain=plain, extra=_heard(own))], Item(own))

    def _foreign(self, kind: str, raw: Raw) -> None:
        role = self._role or Role.USER
        if kind in tables.CLIENT_ITEMS:
            role = Role.USER
        elif kind in tables.SERVER_ITEMS or kind == "reasoning":
            role = Role.ASSISTANT
        self._add(role, [Foreign(Dialect.OPENAI_RESPONSES, kind, raw)], Item({}))

    def _add(self, role: Role, blocks: list[Block], item: Item) -> None:
        if role is not self._role:
            self._flush()
            self._role = role
        self._blocks += blocks
        self._items.append(item)
        if item.parts is not None:
            self._extra |= _heard(item.members)

    def _flush(self) -> None:
        if self._role is not None:
            plain = len(self._items) == 1 and self._items[0].plain
            blocks, items = tuple(self._blocks), tuple(self._items)
            self._turns.append(Turn(self._role, blocks, plain=plain, items=items, extra=self._extra))
        self._blocks, self._items, self._extra = [], [], {}


def _heard(members: dict[str, Raw]) -> dict[str, Raw]:
    """Return the members that say something to a model."""
    return {name: value for name, value in members.items() if name not in _UNHEARD and not is_null(value)}


def _result_part(raw: Raw, part: Members) -> Text | Image | Document | Foreign:
    kind = part.text("type")
    if kind == "output_text" or kind is None:
        return Foreign(Dialect.OPENAI_RESPONSES, kind or "", raw)
    part.put_back("type", Raw(msgspec.json.encode(kind)))
    block, _ = read_part(raw, part)
    if isinstance(block, Text | Image | Document):
        return block
    return Foreign(Dialect.OPENAI_RESPONSES, kind, raw)


def _thinking(item: Members) -> Thinking | RedactedThinking | None:
    """Take a reasoning item, None for one of another form.

    Of an item that has both, the summary is what other dialects get: it is what OpenAI means to be shown.
    """
    texts: dict[str, tuple[str, ...]] = {}
    for name, kind in (("summary", "summary_text"), ("content", "reasoning_text")):
        raw = item.raw(name)
        if raw is None:
            continue
        try:
            parts = _texts.decode(raw)
        except (ValueError, RecursionError):
            return None
        if any(part.type != kind for part in parts):
            return None
        if parts and not texts:
            texts[name] = tuple(part.text for part in parts)
        else:
            item.put_back(name, raw)
    raw_text = "content" in texts
    said = next(iter(texts.values()), ())
    sealed, identity = item.text("encrypted_content"), item.text("id")
    signed = None if sealed is None else unwrap(sealed)
    if signed is None:
        return Thinking(said, sealed, item=identity, raw_text=raw_text)
    if identity is not None:
        item.put_back("id", Raw(msgspec.json.encode(identity)))
    if signed.item == tables.REDACTED:
        return RedactedThinking(signed.signature, signed.signer)
    return Thinking(said, signed.signature or None, signed.signer, signed.item, raw_text)
