"""The answer itself, before any dialect: reasoning, text and tool calls, all from the seed."""

from enum import StrEnum

import msgspec

from headgate.sim.ask import Ask, Tool
from headgate.sim.cache import InputTokens
from headgate.sim.directive import Directive
from headgate.sim.examples import example
from headgate.sim.faults import Fault
from headgate.sim.words import BYTES_PER_TOKEN, Dice, count, digest, pieces, split

_LEAST, _SPREAD = 8, 33  # an answer of the sim's own choice has 8 to 40 tokens
_ARGUMENT_TOKENS = 2


class Finish(StrEnum):
    STOP = "stop"
    LENGTH = "length"
    TOOL = "tool"


class Call(msgspec.Struct, frozen=True):
    """A tool call; `arguments` in the pieces that a stream sends."""

    id: str
    name: str
    arguments: list[str]

    @property
    def tokens(self) -> int:
        return count(self.name) + sum(count(piece) for piece in self.arguments)


class Choice(msgspec.Struct, frozen=True):
    """One alternative of the answer, cut into its tokens. Reasoning comes first, then text, then calls."""

    reasoning: list[str]
    text: list[str]
    calls: list[Call]
    finish: Finish

    @property
    def tokens(self) -> int:
        return len(self.reasoning) + len(self.text) + sum(call.tokens for call in self.calls)


class Answer(msgspec.Struct, frozen=True):
    """All that a dialect needs to write the answer down. `shown`: the client sees the reasoning."""

    ask: Ask
    id: str
    created: int
    input: InputTokens
    choices: list[Choice]
    shown: bool
    frame: int = 1

    @property
    def output(self) -> int:
        return sum(choice.tokens for choice in self.choices)

    @property
    def reasoning(self) -> int:
        return sum(len(choice.reasoning) for choice in self.choices)


_EPOCH = 1_760_000_000  # seconds; an answer's `created` depends on the request alone, so that equal asks are equal


def compose(seed: int, ask: Ask, directive: Directive, input_tokens: InputTokens) -> Answer:
    """Return the answer of this seed to this request. It does not depend on time, order or other requests."""
    key = digest(seed, ask.endpoint, ask.model, *(segment.data for segment in ask.segments))
    dice = Dice(key)
    ident = dice.hex(24)
    created = _EPOCH + dice.below(1_000_000)
    choices = [_choice(Dice(key, index), ask, directive) for index in range(ask.n)]
    shown = ask.shown or directive.reasoning is not None
    return Answer(ask, ident, created, input_tokens, choices, shown, directive.frame)


def _choice(dice: Dice, ask: Ask, directive: Directive) -> Choice:
    room = ask.max_output
    if room is None or directive.fault is Fault.PAST_MAXIMUM:
        room = 1 << 62
    wanted = directive.reasoning if directive.reasoning is not None else ask.reasoning
    reasoning = pieces(dice, min(wanted, room))
    left = room - len(reasoning)
    calls, fits = _calls(dice, ask, directive, left)
    if calls or not fits:
        return Choice(reasoning, [], calls, Finish.TOOL if fits else Finish.LENGTH)
    text = _text(dice, ask, directive, left)
    length = len(text)
    return Choice(reasoning, text[:left], [], Finish.STOP if length <= left and wanted <= room else Finish.LENGTH)


def _text(dice: Dice, ask: Ask, directive: Directive, room: int) -> list[str]:
    """Return the text in its tokens; more of them than `room` where it does not fit."""
    if ask.schema is not None:
        return split(msgspec.json.encode(example(dice, ask.schema)).decode())
    length = directive.tokens if directive.tokens is not None else _LEAST + dice.below(_SPREAD)
    return pieces(dice, min(length, room)) + [""] * (length > room)


def _calls(dice: Dice, ask: Ask, directive: Directive, room: int) -> tuple[list[Call], bool]:
    """Return the calls that fit into `room` tokens, and whether that is all of them."""
    name = ask.forced or (directive.tool if directive.tool and _due(ask, directive) else "")
    if not name or not ask.tools:
        return [], True
    at = next((at for at, tool in enumerate(ask.tools) if tool.name == name), 0)
    calls: list[Call] = []
    for turn in range(max(directive.calls, 1)):
        tool = ask.tools[(at + turn) % len(ask.tools)]
        call = _call(dice, tool)
        if call.tokens > room:
            return calls, False
        room -= call.tokens
        calls.append(call)
    return calls, True


def _due(ask: Ask, directive: Directive) -> bool:
    """Tell whether the directive's tools are still to be called: it wants `turns` rounds of `calls` results."""
    return ask.results <= max(directive.calls, 1) * (max(directive.turns, 1) - 1)


def _call(dice: Dice, tool: Tool) -> Call:
    text = msgspec.json.encode(example(dice, tool.schema)).decode()
    size = _ARGUMENT_TOKENS * BYTES_PER_TOKEN
    parts = [text[at : at + size] for at in range(0, len(text), size)]
    return Call(dice.hex(24), tool.name, parts)
