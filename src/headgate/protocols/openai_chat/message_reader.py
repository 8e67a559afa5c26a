"""A client's chat messages as turns."""

from typing import Final

from msgspec import Raw
from msgspec.structs import replace

from headgate.model.content import (
    Audio,
    Block,
    Document,
    Foreign,
    Image,
    Refusal,
    Role,
    Text,
    ToolKind,
    ToolResult,
    ToolUse,
    Turn,
)
from headgate.protocols.head_fields import invalid
from headgate.protocols.members import Members, is_array, is_string, items_of, objects_of, string_of
from headgate.protocols.openai_chat import tables
from headgate.protocols.openai_chat.parts import read_part, take_cache
from headgate.protocols.openai_chat.thinking import read_thinking

_RESULTS: Final = frozenset({"tool", "function"})
_ROLES: Final = ", ".join([*tables.ROLE_READ, *sorted(_RESULTS)])


def read_turns(messages: Raw) -> tuple[Turn, ...]:
    """Return the turns: adjacent tool messages are the results of one user's turn. Raises HeadgateError (400)."""
    reader = _Reader()
    for at, (_, message) in enumerate(objects_of(messages, "messages")):
        reader.read(at, message)
    return reader.turns()


class _Reader:
    def __init__(self) -> None:
        self._turns: list[Turn] = []
        self._results: list[ToolResult] = []
        self._custom: set[str] = set()
        self._called: dict[str, str] = {}

    def turns(self) -> tuple[Turn, ...]:
        self._flush()
        return tuple(self._turns)

    def read(self, at: int, message: Members) -> None:
        word = message.needed("role")
        if word in _RESULTS:
            self._results.append(self._result(word, message))
            return
        role = tables.ROLE_READ.get(word)
        if role is None:
            raise invalid(message.at("role"), f"{message.at('role')} must be one of {_ROLES}")
        self._flush()
        self._turns.append(self._assistant(at, message) if role is Role.ASSISTANT else _turn(role, message))

    def _flush(self) -> None:
        if self._results:
            self._turns.append(Turn(Role.USER, tuple(self._results)))
            self._results = []

    def _result(self, word: str, message: Members) -> ToolResult:
        if word == "function":
            name = message.needed("name")
            call_id = self._called.get(name, f"call_{name}")
        else:
            call_id = message.needed("tool_call_id")
        blocks, plain = _content(message)
        for index, block in enumerate(blocks):
            if not isinstance(block, Text | Image | Document | Foreign):
                path = f"{message.at('content')}.{index}.type"
                raise invalid(path, f"{path} has no place in a {word} message")
        content = tuple(block for block in blocks if isinstance(block, Text | Image | Document | Foreign))
        kind = ToolKind.CUSTOM if call_id in self._custom else ToolKind.FUNCTION
        return ToolResult(call_id, content, kind=kind, plain=plain, cache=take_cache(message), extra=message.rest())

    def _assistant(self, at: int, message: Members) -> Turn:
        blocks: list[Block] = [*read_thinking(message)]
        content, plain = _content(message)
        blocks += _cited(content, message)
        refusal = message.text("refusal")
        if refusal is not None:
            blocks.append(Refusal(refusal))
        audio = message.members("audio")
        if audio is not None:
            blocks.append(Audio(None, audio.needed("id"), audio.text("transcript"), audio.rest()))
        blocks += self._calls(at, message)
        return Turn(Role.ASSISTANT, tuple(blocks), message.text("name"), plain, extra=message.rest())

    def _calls(self, at: int, message: Members) -> list[ToolUse]:
        calls = [self._call(call) for _, call in message.objects("tool_calls") or []]
        legacy = message.members("function_call")
        if legacy is not None:
            name, arguments = legacy.needed("name"), legacy.needed("arguments")
            self._called[name] = call_id = f"call_{at}_{name}"
            calls.append(ToolUse(call_id, name, arguments, extra=legacy.rest("function.")))
        return calls

    def _call(self, call: Members) -> ToolUse:
        call_id, kind = call.needed("id"), call.text("type") or "function"
        if kind == "custom":
            self._custom.add(call_id)
            custom = call.needed_members("custom")
            name, arguments = custom.needed("name"), custom.needed("input")
            extra = {**call.rest(), **custom.rest("custom.")}
            return ToolUse(call_id, name, arguments, ToolKind.CUSTOM, extra=extra)
        if kind != "function":
            raise invalid(call.at("type"), f"{call.at('type')} must be function or custom")
        function = call.needed_members("function")
        name, arguments = function.needed("name"), function.text("arguments") or ""
        cache = take_cache(call)
        return ToolUse(call_id, name, arguments, cache=cache, extra={**call.rest(), **function.rest("function.")})


def _turn(role: Role, message: Members) -> Turn:
    blocks, plain = _content(message)
    return Turn(role, tuple(blocks), message.text("name"), plain, extra=message.rest())


def _content(message: Members) -> tuple[list[Block], bool]:
    """Take the content; the flag says that it came as one string, or not at all."""
    raw = message.raw("content")
    if raw is None:
        return [], True
    path = message.at("content")
    if is_string(raw):
        return [Text(string_of(raw, path), cache=None)], True
    if not is_array(raw):
        raise invalid(path, f"{path} must be a string or an array of parts")
    return [read_part(each, part) for each, part in objects_of(raw, path)], False


def _cited(content: list[Block], message: Members) -> list[Block]:
    """Take the message's annotations as citations of its last text."""
    raw = message.raw("annotations")
    annotations = () if raw is None else tuple(items_of(raw, message.at("annotations")))
    if raw is None or not annotations:
        return content
    for at in range(len(content) - 1, -1, -1):
        block = content[at]
        if isinstance(block, Text):
            content[at] = replace(block, citations=annotations)
            return content
    message.put_back("annotations", raw)
    return content
