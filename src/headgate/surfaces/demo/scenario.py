"""What the demo does: the providers it pretends to have, who asks them what, and how each call must end.

Prices are those of the bundled data; the upstream behind them is simulated, so every answer is invented.
"""

from datetime import datetime

import msgspec

from headgate.config.bundled import lookup
from headgate.model.dialect import Endpoint, Kind
from headgate.model.money import format_usd
from headgate.model.price import Prices, Rate

ACCOUNT = "demo"
KEY_NAME = "demo"
REST_S = 60
"""Seconds that the failing provider asks to be left alone."""


class Upstream(msgspec.Struct, frozen=True):
    """A provider of the demo. `vendor` is whose prices its models have; "": nobody knows them."""

    name: str
    kind: Kind
    vendor: str
    models: tuple[str, ...]
    cut_stops_billing: bool = False


GROQ = Upstream("groq", Kind.OPENAI, "groq", ("openai/gpt-oss-120b",))
OPENAI = Upstream("openai", Kind.OPENAI, "openai", ("gpt-5-mini",), cut_stops_billing=True)
RESPONSES = Upstream("openai-responses", Kind.OPENAI_RESPONSES, "openai", ("gpt-5.1",), cut_stops_billing=True)
ANTHROPIC = Upstream(
    "anthropic", Kind.ANTHROPIC, "anthropic", ("claude-opus-4-5", "claude-haiku-4-5"), cut_stops_billing=True
)
LAB = Upstream("lab", Kind.OPENAI, "", ("house-model",))
UPSTREAMS = (GROQ, OPENAI, RESPONSES, ANTHROPIC, LAB)

OSS, MINI, GPT = f"groq/{GROQ.models[0]}", f"openai/{OPENAI.models[0]}", f"openai-responses/{RESPONSES.models[0]}"
OPUS, HAIKU, HOUSE = (*(f"anthropic/{name}" for name in ANTHROPIC.models), f"lab/{LAB.models[0]}")
FAST = "fast"
"""The virtual model with a fallback: first groq, then openai."""

_CLASSES = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")
_FILE = """\
# Written by `headgate demo`. The providers bear real names and real prices, but behind all of them is the simulated
# upstream, which ended with the demo. To have it again: headgate sim --port {port}
server: {{port: 0, admin_port: 0, drain_timeout: 2s}}
ledger: {{url: "sqlite:///headgate.db"}}

providers:
{providers}
models:
  {fast}: {{routes: [{first}, {second}]}}
"""


def config_text(sim_port: int, at: datetime) -> str:
    """Return the demo's headgate.yaml, with the bundled prices of `at` (aware). Raises LookupError."""
    providers = "".join(_provider(upstream, sim_port, at) for upstream in UPSTREAMS)
    return _FILE.format(port=sim_port, providers=providers, fast=FAST, first=OSS, second=MINI)


def prices(at: datetime) -> dict[str, Prices]:
    """Return the bundled prices of every priced model by its upstream name. Raises LookupError."""
    return {name: _price(upstream, name, at) for upstream in UPSTREAMS if upstream.vendor for name in upstream.models}


def _price(upstream: Upstream, model: str, at: datetime) -> Prices:
    facts = lookup(upstream.vendor, "", model, at)
    if facts is None or facts.prices.input is None or facts.prices.output is None:
        raise LookupError(f"the bundled prices know no {upstream.vendor}/{model} any more")
    return facts.prices


def _provider(upstream: Upstream, port: int, at: datetime) -> str:
    lines = [f"  {upstream.name}:", f"    kind: {upstream.kind}", f"    base_url: http://127.0.0.1:{port}/v1"]
    if upstream.cut_stops_billing:
        lines.append("    cut_stops_billing: true  # as the vendor itself does")
    lines.append("    models:")
    for name in upstream.models:
        price = (
            _written(_price(upstream, name, at)) if upstream.vendor else "{}  # no price: its cost is unknown, not zero"
        )
        lines.append(f"      {name}: {price}")
    return "\n".join(lines) + "\n"


def _written(prices_: Prices) -> str:
    rates: list[tuple[str, Rate | None]] = [(name, getattr(prices_, name)) for name in _CLASSES]
    known = ", ".join(f"{name}: {format_usd(rate.base)}" for name, rate in rates if rate is not None)
    return f"{{price: {{{known}}}}}"


class Turn(msgspec.Struct, frozen=True):
    """One call. `text` is what the user says, `steer` what the simulated upstream is told, unseen by anyone else.

    `tool`: the answer calls it, and the next turn brings its result of `result_tokens`. `leave_after`: the client
    leaves after so many content frames. `cached`: whether part of its input must come from the cache.
    `note`: what there is to see. `after`: seconds before it.
    """

    text: str
    steer: str
    stream: bool = True
    tool: str = ""
    result_tokens: int = 0
    leave_after: int = 0
    route: str = ""
    failed: tuple[str, ...] = ()
    unpriced: bool = False
    cached: bool = False
    note: str = ""
    after: float = 1.0


class Lane(msgspec.Struct, frozen=True):
    """One client: a conversation of calls, one after the other. `system` tokens stand before what it says."""

    who: str
    endpoint: Endpoint
    model: str
    turns: tuple[Turn, ...]
    system_tokens: int = 0
    effort: str = ""
    after: float = 0.0


def _steer(ttft: int, gap: int, frame: int, **more: object) -> str:
    words = " ".join(f"{name}={value}" for name, value in more.items())
    return f"[[sim ttft={ttft}ms gap={gap}ms frame={frame}{' ' * bool(words)}{words}]]"


def _session(route: str, asks: list[tuple[str, str, int]], ttft: int, note: str, end: int) -> tuple[Turn, ...]:
    """Return an agent's turns: each calls a tool, whose result makes the next prompt longer; the last one answers."""
    turns = [
        Turn(
            text,
            _steer(ttft + 150 * at, 90, 2, tool=tool),
            tool=tool,
            result_tokens=size,
            route=route,
            cached=at > 0,
            note=note if at == 1 else "",
        )
        for at, (text, tool, size) in enumerate(asks)
    ]
    last = Turn("Now sum up what you have done.", _steer(ttft, 40, 4, tokens=end), route=route, cached=True)
    return (*turns, last)


_FIX = [
    ("The build is red. Find out why.", "run_tests", 900),
    ("Look at the first failure.", "read_file", 2100),
    ("Who calls it?", "search", 1300),
    ("Mend it.", "edit_file", 350),
    ("Run the tests again.", "run_tests", 700),
]
_REVIEW = [
    ("Review the last change.", "read_file", 1600),
    ("Is there a test for it?", "search", 800),
    ("Read that test.", "read_file", 1900),
    ("Write down what is missing.", "edit_file", 300),
]
_NOTES = [("Collect what changed since the last release.", "search", 1500), ("Which of it breaks?", "read_file", 1700)]

_ASKS = (
    Lane(
        "chat",
        Endpoint.MESSAGES,
        HAIKU,
        (Turn("Say in one line what a headgate is.", _steer(420, 8, 4, tokens=60), stream=False, route=HAIKU),),
        after=0.6,
    ),
    Lane(
        "fast",
        Endpoint.CHAT,
        FAST,
        (Turn("Name three rivers.", _steer(180, 4, 4, tokens=90), stream=False, route=OSS),),
        after=1.2,
    ),
    Lane(
        "lab",
        Endpoint.CHAT,
        HOUSE,
        (
            Turn(
                "And three lakes.",
                _steer(250, 30, 4, tokens=120),
                route=HOUSE,
                unpriced=True,
                note="lab/house-model has no price: its cost is unknown, not zero.",
            ),
        ),
        after=1.6,
    ),
    Lane(
        "fast",
        Endpoint.CHAT,
        FAST,
        (
            Turn(
                "Write a short poem on water.",
                f"{_steer(350, 30, 4, tokens=160)} [[sim fault=503 retry_after={REST_S} on=gpt-oss]]",
                route=MINI,
                failed=("groq",),
                note="groq answered 503: the call went on to openai before its client saw a word.",
            ),
        ),
        after=1.6,
    ),
    Lane(
        "leaves",
        Endpoint.MESSAGES,
        HAIKU,
        (
            Turn(
                "Tell me a very long story.",
                _steer(500, 220, 24, tokens=600, fault="hold", after=5),
                route=HAIKU,
                leave_after=5,
                note="A client left its stream: the upstream is stopped, what was streamed is charged.",
            ),
        ),
        after=1.8,
    ),
    Lane(
        "fast",
        Endpoint.CHAT,
        FAST,
        (
            Turn(
                "Name three mountains.",
                _steer(400, 6, 4, tokens=80),
                stream=False,
                route=MINI,
                note=f"groq asked for {REST_S} s of rest: it is not even tried, openai answers at once.",
            ),
        ),
        after=2.0,
    ),
    Lane(
        "chat",
        Endpoint.RESPONSES,
        GPT,
        (Turn("What is 17 times 23?", _steer(700, 10, 4, tokens=40), stream=False, route=GPT),),
        after=1.6,
    ),
)


def scenario() -> tuple[tuple[Lane, ...], ...]:
    """Return groups of lanes: groups run side by side, the lanes of one group one after the other."""
    opus = "Each turn of an agent sends all of it again: what the cache knows costs a tenth."
    mini = "OpenAI caches by itself: prompts of 1,024 tokens and more."
    return (
        (Lane("agent A", Endpoint.MESSAGES, OPUS, _session(OPUS, _FIX, 900, opus, 220), 6000),),
        (Lane("agent B", Endpoint.CHAT, MINI, _session(MINI, _REVIEW, 600, mini, 180), 3200, after=1.0),),
        (Lane("agent C", Endpoint.RESPONSES, GPT, _session(GPT, _NOTES, 900, "", 200), 2400, "low", after=3.0),),
        _ASKS,
    )
