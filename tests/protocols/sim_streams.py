"""Streams of the simulated upstream, one frame an item, and what their frames say, read without any of our parsers."""

import json
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from jiter import from_json

from headgate.model.dialect import Endpoint
from headgate.sim import chat, completions, messages, responses
from headgate.sim.cache import InputTokens
from headgate.sim.content import Answer, compose
from headgate.sim.directive import Directive
from headgate.sim.frames import UsageMode, encode

Json = dict[str, Any]

SCHEMA: Final = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
PROMPT: Final[dict[Endpoint, Json]] = {
    Endpoint.CHAT: {"messages": [{"role": "user", "content": "Hi."}]},
    Endpoint.COMPLETIONS: {"prompt": "Hi.", "max_tokens": 100},
    Endpoint.MESSAGES: {"messages": [{"role": "user", "content": "Hi."}], "max_tokens": 1000},
    Endpoint.RESPONSES: {"input": "Hi."},
}
TOOLS: Final[dict[Endpoint, Json]] = {
    Endpoint.CHAT: {"tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}]},
    Endpoint.MESSAGES: {"tools": [{"name": "f", "input_schema": SCHEMA}]},
    Endpoint.RESPONSES: {"tools": [{"type": "function", "name": "f", "parameters": SCHEMA}]},
}
_SIM: Final[dict[Endpoint, Any]] = {
    Endpoint.CHAT: chat,
    Endpoint.COMPLETIONS: completions,
    Endpoint.MESSAGES: messages,
    Endpoint.RESPONSES: responses,
}
DIRECTIVE: Final = {
    "text": Directive(tokens=7),
    "thinking": Directive(tokens=5, reasoning=4),
    "tools": Directive(reasoning=2, tool="f", calls=2),
    "two": Directive(tokens=4),
}
KINDS: Final = [
    *((endpoint, kind) for endpoint in TOOLS for kind in ("text", "thinking", "tools")),
    (Endpoint.COMPLETIONS, "text"),
    (Endpoint.CHAT, "two"),
    (Endpoint.COMPLETIONS, "two"),
]


class Recorded(NamedTuple):
    """A stream of the sim: the client's request and the frames that answer it."""

    endpoint: Endpoint
    body: bytes
    frames: list[bytes]
    answer: Answer


class Said(NamedTuple):
    """What frames or a message say: texts, thoughts, and tool calls with the arguments that their JSON holds so far."""

    texts: list[str]
    thoughts: list[str]
    calls: list[tuple[str, Any]]


def recorded(
    endpoint: Endpoint, kind: str, *, include_usage: bool = True, mode: UsageMode = UsageMode.USUAL
) -> Recorded:
    body: Json = {"model": "m", "stream": True, **PROMPT[endpoint]}
    if kind == "two":
        body["n"] = 2
    if kind == "tools":
        body |= TOOLS[endpoint]
    if include_usage and endpoint in (Endpoint.CHAT, Endpoint.COMPLETIONS):
        body["stream_options"] = {"include_usage": True}
    answer = compose(7, _SIM[endpoint].read(body), DIRECTIVE[kind], InputTokens(11))
    frames = [encode(each) for each in _SIM[endpoint].stream(answer, mode)]
    return Recorded(endpoint, json.dumps(body).encode(), frames, answer)


def arguments_of(text: str) -> Any:
    """Return what the beginning of a JSON text says."""
    return from_json(text.encode(), partial_mode=True) if text else {}


def data_of(frames: Iterable[bytes]) -> list[Json]:
    """Return the JSON of frames that are whole; [DONE] and comments are none."""
    return [json.loads(line[6:]) for line in b"".join(frames).split(b"\n") if line.startswith(b"data: {")]


def said_in(endpoint: Endpoint, frames: Iterable[bytes], choice: int = 0) -> Said:
    """Return what the deltas of a stream say."""
    if endpoint is Endpoint.MESSAGES:
        return _said_in_messages(data_of(frames))
    if endpoint is Endpoint.RESPONSES:
        return _said_in_responses(data_of(frames))
    text = thought = ""
    calls: dict[int, tuple[str, str]] = {}
    for each in data_of(frames):
        for found in each["choices"]:
            if found["index"] != choice:
                continue
            delta = found.get("delta") or {"content": found.get("text")}
            text += delta.get("content") or ""
            thought += delta.get("reasoning_content") or ""
            for call in delta.get("tool_calls") or ():
                name, arguments = calls.get(call["index"], ("", ""))
                function = call["function"]
                calls[call["index"]] = (name + function.get("name", ""), arguments + function["arguments"])
    return _said([text], [thought], calls)


def _said_in_messages(events: list[Json]) -> Said:
    texts: dict[int, str] = {}
    thoughts: dict[int, str] = {}
    calls: dict[int, tuple[str, str]] = {}
    for event in events:
        if event["type"] == "content_block_start" and event["content_block"]["type"] == "tool_use":
            calls[event["index"]] = (event["content_block"]["name"], "")
        if event["type"] != "content_block_delta":
            continue
        index, delta = event["index"], event["delta"]
        if delta["type"] == "text_delta":
            texts[index] = texts.get(index, "") + delta["text"]
        elif delta["type"] == "thinking_delta":
            thoughts[index] = thoughts.get(index, "") + delta["thinking"]
        elif delta["type"] == "input_json_delta":
            calls[index] = (calls[index][0], calls[index][1] + delta["partial_json"])
    return _said(texts.values(), thoughts.values(), calls)


def _said_in_responses(events: list[Json]) -> Said:
    texts: dict[int, str] = {}
    thoughts: dict[int, str] = {}
    calls: dict[int, tuple[str, str]] = {}
    for event in events:
        index = event.get("output_index", 0)
        match event["type"]:
            case "response.output_item.added" if event["item"]["type"] == "function_call":
                calls[index] = (event["item"]["name"], "")
            case "response.output_text.delta":
                texts[index] = texts.get(index, "") + event["delta"]
            case "response.reasoning_summary_text.delta":
                thoughts[index] = thoughts.get(index, "") + event["delta"]
            case "response.function_call_arguments.delta":
                calls[index] = (calls[index][0], calls[index][1] + event["delta"])
    return _said(texts.values(), thoughts.values(), calls)


def _said(texts: Iterable[str], thoughts: Iterable[str], calls: dict[int, tuple[str, str]]) -> Said:
    return Said(
        [text for text in texts if text],
        [thought for thought in thoughts if thought],
        [(name, arguments_of(arguments)) for name, arguments in calls.values()],
    )
