"""Thinking, effort and sampling for an upstream of this dialect, by what its model accepts.

Rules of the API beside the model's own (platform.claude.com/docs/en/build-with-claude/extended-thinking): a budget is
at least 1,024 tokens and less than max_tokens; with thinking on, no tool may be forced, temperature is 1, top_k is
not set and top_p is from 0.95 to 1.
"""

from typing import Any, Final

import msgspec
from msgspec import Raw

from headgate.model.content import Block, RedactedThinking, Role, Thinking, ToolResult
from headgate.model.conversation import Effort, Reasoning
from headgate.model.dialect import Dialect
from headgate.model.losses import Lost
from headgate.protocols.anthropic_messages.models import Mode, Off
from headgate.protocols.anthropic_messages.tables import EFFORT_WRITTEN
from headgate.protocols.anthropic_messages.writing import Writing
from headgate.protocols.reasoning import MIN_BUDGET, budget_of, wanted_effort

_SUMMARIZED: Final = "summarized"
_BELOW: Final[dict[Effort, Effort]] = {Effort.MAX: Effort.XHIGH, Effort.XHIGH: Effort.HIGH}
_number: Final = msgspec.json.Decoder(float)


class Thought(msgspec.Struct):
    """What thinking makes of a request: the members for it, and the output maximum in tokens."""

    max_tokens: int
    thinking: dict[str, Any] | None = None
    effort: str | None = None

    @property
    def on(self) -> bool:
        return self.thinking is not None and self.thinking["type"] in ("enabled", "adaptive")


def write_own(writing: Writing, max_tokens: int) -> Thought:
    """Return what a client of this dialect said, as it said it.

    A budget alone is left out and named where thinking that it needs was another provider's and did not go along.
    """
    reasoning = writing.request.reasoning
    if reasoning is None:
        return Thought(max_tokens)
    effort = None if reasoning.effort is None else EFFORT_WRITTEN[reasoning.effort]
    if reasoning.budget is not None and Lost.THINKING in writing.lost and _thoughtless(writing):
        writing.lost.add(Lost.REASONING)
        return Thought(max_tokens, effort=effort)
    thinking: dict[str, Any] = dict(reasoning.extra)
    if reasoning.enabled is not None and "type" not in thinking:
        thinking["type"] = "adaptive" if reasoning.adaptive else "enabled" if reasoning.enabled else "disabled"
    if reasoning.budget is not None:
        thinking["budget_tokens"] = reasoning.budget
    if reasoning.display is not None:
        thinking["display"] = reasoning.display
    return Thought(max_tokens, thinking or None, effort)


def write_foreign(writing: Writing, max_tokens: int, *, forced: bool) -> Thought:
    """Return what a client of another dialect wants, in the words of this model; `forced`: a tool must be used.

    A forced tool is what the client's program waits for, thinking only makes it better: where both cannot be had,
    thinking is left out and named.
    """
    reasoning = writing.request.reasoning
    if reasoning is None:
        return Thought(max_tokens)
    writing.extras({}, reasoning.extra, "reasoning")
    effort = wanted_effort(reasoning, writing.request.max_output)
    mode = writing.model.mode
    if effort is None:
        return _summary_alone(reasoning, writing, max_tokens, forced=forced)
    if effort is Effort.NONE:
        return _turned_off(writing, max_tokens)
    thought = Thought(max_tokens)
    if mode is Mode.ADAPTIVE:
        thought.effort = _effort(effort, writing)
        thought.thinking = {"type": "adaptive"}
    elif mode is Mode.BUDGET:
        _budget(thought, reasoning, effort, writing)
    if thought.thinking is not None and (forced or (mode is Mode.BUDGET and _thoughtless(writing))):
        thought = Thought(max_tokens, effort=thought.effort)
    if thought.thinking is None:
        writing.lost.add(Lost.REASONING)
    elif writing.model.displays and (reasoning.summary is not None or writing.request.dialect is Dialect.OPENAI_CHAT):
        thought.thinking["display"] = _SUMMARIZED  # chat clients know no other thinking than text
    return thought


def _summary_alone(reasoning: Reasoning, writing: Writing, max_tokens: int, *, forced: bool) -> Thought:
    """Return what shows the thinking of a model that thinks unasked."""
    if reasoning.summary is None:
        return Thought(max_tokens)
    if forced or writing.model.mode is not Mode.ADAPTIVE or writing.model.off is Off.UNASKED:
        writing.lost.add(Lost.REASONING_SUMMARY)
        return Thought(max_tokens)
    return Thought(max_tokens, {"type": "adaptive", "display": _SUMMARIZED})


def _turned_off(writing: Writing, max_tokens: int) -> Thought:
    match writing.model.off:
        case Off.UNASKED:
            return Thought(max_tokens)
        case Off.DISABLED | Off.BETWEEN_TOOLS:
            return Thought(max_tokens, {"type": writing.model.off.value})
        case Off.NEVER:
            writing.lost.add(Lost.REASONING)
            return Thought(max_tokens, effort=EFFORT_WRITTEN[Effort.LOW])


def _effort(effort: Effort, writing: Writing) -> str | None:
    """Return the word for the most effort that the model has and the client asked for."""
    while effort not in writing.model.efforts and effort in _BELOW:
        writing.lost.add(Lost.REASONING)
        effort = _BELOW[effort]
    return EFFORT_WRITTEN[effort]


def _budget(thought: Thought, reasoning: Reasoning, effort: Effort, writing: Writing) -> None:
    """Set a budget within the output maximum, which gives way only where nobody but Headgate chose it.

    It never gives way beyond what the model can make: the API refuses such a maximum.
    """
    room = thought.max_tokens
    chosen = writing.request.max_output is not None or writing.target.max_output is not None
    budget = budget_of(effort, room)
    if reasoning.budget is not None and (not chosen or room > MIN_BUDGET):
        budget = max(reasoning.budget, MIN_BUDGET)
        budget = min(budget, room - 1) if chosen else budget
    if budget is None:
        return
    if not chosen:
        most = writing.target.model_max_output
        thought.max_tokens = room + budget if most is None else max(min(room + budget, most), room)
        budget = min(budget, thought.max_tokens - 1)
    thought.thinking = {"type": "enabled", "budget_tokens": budget}


def _thoughtless(writing: Writing) -> bool:
    """Tell that the request answers the tools of an assistant's turn whose thinking does not go along.

    With a budget set, such a turn must begin with its thinking ("Expected `thinking` … but found `tool_use`").
    """
    turns = writing.request.turns
    last = next((at for at in range(len(turns) - 1, -1, -1) if turns[at].role is Role.ASSISTANT), None)
    if last is None:
        return False
    answered = any(isinstance(block, ToolResult) for turn in turns[last + 1 :] for block in turn.blocks)
    return answered and not any(_goes_along(block, writing) for block in turns[last].blocks)


def _goes_along(block: Block, writing: Writing) -> bool:
    if isinstance(block, Thinking):
        return block.signature is not None and writing.may_see(block.signer)
    return isinstance(block, RedactedThinking) and writing.may_see(block.signer)


def write_sampling(writing: Writing, thought: Thought) -> dict[str, Any]:
    """Return temperature, top_p, top_k and stop_sequences; what the model or its thinking does not take is named."""
    sampling = writing.request.sampling
    given = {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k}
    members: dict[str, Any] = {name: raw for name, raw in given.items() if raw is not None}
    stops = list(sampling.stop)
    if not writing.own:
        _fit(members, writing, thought)
        stops = [stop for stop in sampling.stop if stop.strip()]  # the API refuses stops of nothing but white space
        if len(stops) < len(sampling.stop):
            writing.lost.add(Lost.STOP)
        _lose_the_rest(writing)
    if stops:
        members["stop_sequences"] = stops
    return members


def _fit(members: dict[str, Any], writing: Writing, thought: Thought) -> None:
    temperature, top_p = _value(members.get("temperature")), _value(members.get("top_p"))
    if temperature is not None and temperature > 1:
        writing.lost.add(Lost.TEMPERATURE)
        members["temperature"], temperature = Raw(b"1"), 1.0
    takes = writing.model.sampling
    if temperature is not None and temperature != 1 and (thought.on or not takes):
        writing.lost.add(Lost.TEMPERATURE)
        temperature = None
    if temperature is None or not takes:
        members.pop("temperature", None)
    if top_p is not None and top_p != 1 and (not takes or (thought.on and top_p < 0.95) or _taken(members, writing)):
        writing.lost.add(Lost.TOP_P)
        top_p = None
    if top_p is None or not takes or _taken(members, writing):
        members.pop("top_p", None)
    if "top_k" in members and (thought.on or not takes):
        writing.lost.add(Lost.TOP_K)
        del members["top_k"]


def _taken(members: dict[str, Any], writing: Writing) -> bool:
    """Tell that temperature stands where top_p may not stand beside it."""
    return "temperature" in members and not writing.model.both_samplers


def _value(raw: Raw | None) -> float | None:
    try:
        return None if raw is None else _number.decode(raw)
    except ValueError:
        return None


def _lose_the_rest(writing: Writing) -> None:
    """Name what the API has no place for and what is not its default."""
    sampling = writing.request.sampling
    named = {
        Lost.SEED: sampling.seed is not None,
        Lost.FREQUENCY_PENALTY: bool(_value(sampling.frequency_penalty)),
        Lost.PRESENCE_PENALTY: bool(_value(sampling.presence_penalty)),
        Lost.LOGIT_BIAS: sampling.logit_bias is not None and bytes(sampling.logit_bias) != b"{}",
        Lost.LOGPROBS: bool(sampling.logprobs),
        Lost.TOP_LOGPROBS: bool(sampling.top_logprobs),
        Lost.N: sampling.n is not None and sampling.n != 1,
    }
    writing.lost.update(lost for lost, said in named.items() if said)
