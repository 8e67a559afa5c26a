"""How an answer is steered: the `[[sim …]]` directive, the model's name, and the queue of the control API."""

import re

import msgspec

from headgate.sim.faults import Fault

_DIRECTIVE = re.compile(r"\[\[sim\b([^\]]*)\]\]")
_MODEL = re.compile(r"(?:^|[-:/+])sim-(" + "|".join(sorted(map(str, Fault), key=len, reverse=True)) + r")$")
_DURATION = re.compile(r"^(\d+(?:\.\d+)?)(ms|s|us)?$")
_UNIT_NS = {"us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_BIG_FRAME = 20_000_000


class Directive(msgspec.Struct, frozen=True, gc=False):
    """What one answer shall be like. `None` means: as the sim chooses from its seed.

    tokens: output tokens beside reasoning and tool calls; ttft, gap: ns before the first content frame and
    between content frames; frame: tokens per content frame; reasoning: tokens of it; tool: name of the tool
    to call ("any": the first); calls: how many; turns: how often, before text follows; after: content frames
    before the fault; retry_after: the header's value ("none": left out); size: bytes of a big frame; to: Location
    of a redirect; on: obeyed only where the model's name holds this.
    """

    tokens: int | None = None
    ttft: int = 0
    gap: int = 0
    frame: int = 1
    reasoning: int | None = None
    tool: str | None = None
    calls: int = 1
    turns: int = 1
    fault: Fault | None = None
    after: int = 1
    retry_after: str = "1"
    size: int = _BIG_FRAME
    to: str = "http://redirect.invalid/v1/elsewhere"
    on: str = ""


NONE = Directive()

_NUMBERS = {"tokens", "frame", "reasoning", "calls", "turns", "after", "size"}
_DURATIONS = {"ttft", "gap"}
_TEXTS = {"tool", "retry_after", "to", "on"}
_LIMIT = 10_000_000_000


def parse_options(options: dict[str, str]) -> Directive:
    """Return the directive of key-value pairs. Raises ValueError that names the wrong key or value."""
    return msgspec.convert({key: _value(key, text) for key, text in options.items()}, Directive)


def _value(key: str, text: str) -> object:
    if key in _TEXTS:
        return text
    if key in _DURATIONS:
        return _duration(key, text)
    if key in _NUMBERS:
        if not text.isdecimal() or int(text) > _LIMIT or (key == "frame" and int(text) == 0):
            raise ValueError(f"sim: {key}={text!r} is not a number of {key}")
        return int(text)
    if key == "fault":
        if text not in set(Fault):
            raise ValueError(f"sim: unknown fault {text!r}; one of {', '.join(Fault)}")
        return Fault(text)
    known = ", ".join(sorted(_NUMBERS | _DURATIONS | _TEXTS | {"fault"}))
    raise ValueError(f"sim: unknown option {key!r}; one of {known}")


def _duration(key: str, text: str) -> int:
    match = _DURATION.match(text)
    if match is None:
        raise ValueError(f"sim: {key}={text!r} is no duration (50ms, 2s)")
    return int(float(match[1]) * _UNIT_NS[match[2] or "ms"])


def in_text(text: str, model: str) -> Directive | None:
    """Return the last directive of a text that applies to this model. Raises ValueError for a wrong one."""
    found = None
    for match in _DIRECTIVE.finditer(text):
        options = {}
        for word in match[1].split():
            key, separator, value = word.partition("=")
            if not separator:
                raise ValueError(f"sim: {word!r} is not key=value")
            options[key] = value
        directive = parse_options(options)
        if directive.on in model:
            found = directive
    return found


def in_model(model: str) -> Fault | None:
    """Return the fault that a model's name asks for: `sim-429`, `gpt-5-mini-sim-cut`."""
    match = _MODEL.search(model)
    return Fault(match[1]) if match else None


class Queued(msgspec.Struct):
    """A directive waiting for requests: `model` is part of its name, `endpoint` its path below /v1."""

    directive: Directive
    times: int = 1
    model: str = ""
    endpoint: str = ""


class FaultQueue:
    """Directives set from outside; the first that matches is used up first and wins over all others."""

    def __init__(self) -> None:
        self.waiting: list[Queued] = []

    def add(self, queued: Queued) -> None:
        self.waiting.append(queued)

    def clear(self) -> None:
        self.waiting.clear()

    def take(self, model: str, endpoint: str) -> Directive | None:
        for queued in self.waiting:
            if queued.model in model and queued.endpoint in ("", endpoint):
                queued.times -= 1
                if queued.times <= 0:
                    self.waiting.remove(queued)
                return queued.directive
        return None


def decide(queue: FaultQueue, text: str, model: str, endpoint: str) -> Directive:
    """Return what steers this request: queue, else directive in the text, and a fault in the model's name.

    Raises ValueError for a directive that cannot be read.
    """
    queued = queue.take(model, endpoint)
    if queued is not None:
        return queued
    directive = in_text(text, model) or NONE
    if directive.fault is None and (fault := in_model(model)) is not None:
        return msgspec.structs.replace(directive, fault=fault)
    return directive
