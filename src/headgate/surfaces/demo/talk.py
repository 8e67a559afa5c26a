"""Conversations in the three dialects: what a client sends, and what it takes from an answer. No I/O."""

from typing import Any

import msgspec

from headgate.model.dialect import Endpoint

Json = dict[str, Any]

MAX_OUTPUT = 1500
"""Tokens; every client names its maximum, so that what a call may cost is bounded."""

_PATHS = ("gate/sluice.py", "gate/meter.py", "tests/test_sluice.py", "gate/level.py", "gate/lock.py")
_LINE = "{path}:{number}: level = channel.read({number}); assert level <= share[{number}], f'over by {{level}}'\n"
_TOOLS = {
    "run_tests": ("Run the project's tests and return what they print.", {"folder": {"type": "string"}}),
    "read_file": ("Return the text of a file.", {"path": {"type": "string"}, "line": {"type": "integer"}}),
    "search": ("Find a text in all files.", {"text": {"type": "string"}}),
    "edit_file": ("Replace a text in a file.", {"path": {"type": "string"}, "old": {"type": "string"}}),
}


class Asked(msgspec.Struct):
    """A tool that an answer calls; `arguments` is JSON."""

    id: str
    name: str
    arguments: str = ""


class Said(msgspec.Struct):
    """What an answer says. `items` are the Responses API's own, to be sent back as they came."""

    text: str = ""
    tools: list[Asked] = []
    items: list[Json] = []


def filler(tokens: int, topic: str) -> str:
    """Return a text of about so many tokens (at four bytes each), the same for the same topic."""
    lines, size = [f"# {topic}\n"], 0
    while size < tokens * 4:
        number = len(lines)
        lines.append(_LINE.format(path=_PATHS[(number * 7 + len(topic)) % len(_PATHS)], number=number))
        size += len(lines[-1])
    return "".join(lines)


class Talk:
    """One conversation. `body` is the next request; call `say` before it and `hear` after it."""

    def __init__(self, endpoint: Endpoint, model: str, system: str, effort: str = "") -> None:
        self.endpoint = endpoint
        self._model = model
        self._system = system
        self._effort = effort
        self._history: list[Json] = []

    def say(self, text: str, results: list[tuple[str, str]]) -> None:
        """Add the results of tools, as (id of the call, text), and what the user says."""
        match self.endpoint:
            case Endpoint.MESSAGES:
                blocks: list[Json] = [
                    {"type": "tool_result", "tool_use_id": one, "content": out} for one, out in results
                ]
                self._history.append({"role": "user", "content": [*blocks, {"type": "text", "text": text}]})
            case Endpoint.RESPONSES:
                self._history += [
                    {"type": "function_call_output", "call_id": one, "output": out} for one, out in results
                ]
                self._history.append({"role": "user", "content": text})
            case _:
                self._history += [{"role": "tool", "tool_call_id": one, "content": out} for one, out in results]
                self._history.append({"role": "user", "content": text})

    def hear(self, said: Said) -> None:
        """Add an answer."""
        match self.endpoint:
            case Endpoint.MESSAGES:
                blocks: list[Json] = [{"type": "text", "text": said.text}] if said.text else []
                for tool in said.tools:
                    given = msgspec.json.decode(tool.arguments or "{}")
                    blocks.append({"type": "tool_use", "id": tool.id, "name": tool.name, "input": given})
                self._history.append({"role": "assistant", "content": blocks})
            case Endpoint.RESPONSES:
                self._history += said.items
            case _:
                answer: Json = {"role": "assistant", "content": said.text or None}
                if said.tools:
                    answer["tool_calls"] = [
                        {"id": one.id, "type": "function", "function": {"name": one.name, "arguments": one.arguments}}
                        for one in said.tools
                    ]
                self._history.append(answer)

    def body(self, *, stream: bool) -> bytes:
        """Return the request as JSON, with tools and system prompt where this is an agent's session."""
        body: Json = {"model": self._model} | ({"stream": True} if stream else {})
        match self.endpoint:
            case Endpoint.MESSAGES:
                body |= {"max_tokens": MAX_OUTPUT, **self._agent_of_anthropic(), "messages": self._marked()}
            case Endpoint.RESPONSES:
                body |= {"max_output_tokens": MAX_OUTPUT, "input": self._history}
                if self._effort:
                    body["reasoning"] = {"effort": self._effort}
                if self._system:
                    body |= {"instructions": self._system, "tools": [_flat(name) for name in _TOOLS]}
            case _:
                system = [{"role": "system", "content": self._system}] if self._system else []
                body |= {"max_completion_tokens": MAX_OUTPUT, "messages": [*system, *self._history]}
                if self._system:
                    body["tools"] = [{"type": "function", "function": _function(name)} for name in _TOOLS]
        return msgspec.json.encode(body)

    def _agent_of_anthropic(self) -> Json:
        if not self._system:
            return {}
        tools = [
            {"name": name, "description": told, "input_schema": _schema(name)} for name, (told, _) in _TOOLS.items()
        ]
        return {"system": [{"type": "text", "text": self._system, **_CACHED}], "tools": tools}

    def _marked(self) -> list[Json]:
        """The history with a cache breakpoint on its last block, as agents set it."""
        if not self._system:
            return self._history
        *before, last = self._history
        *blocks, end = last["content"]
        return [*before, {**last, "content": [*blocks, {**end, **_CACHED}]}]


_CACHED = {"cache_control": {"type": "ephemeral"}}


def _schema(name: str) -> Json:
    fields = _TOOLS[name][1]
    return {"type": "object", "properties": fields, "required": list(fields)}


def _function(name: str) -> Json:
    return {"name": name, "description": _TOOLS[name][0], "parameters": _schema(name)}


def _flat(name: str) -> Json:
    return {"type": "function", **_function(name)}


def whole(endpoint: Endpoint, body: Json) -> Said:
    """Return what an answer that is no stream says."""
    match endpoint:
        case Endpoint.MESSAGES:
            return Said("".join(block.get("text", "") for block in body["content"]))
        case Endpoint.RESPONSES:
            return Said(items=body["output"], tools=_calls(body["output"]))
        case _:
            return Said(body["choices"][0]["message"]["content"] or "")


def _calls(items: list[Json]) -> list[Asked]:
    return [Asked(one["call_id"], one["name"], one["arguments"]) for one in items if one["type"] == "function_call"]


class Hearing:
    """Puts a streamed answer together, frame by frame. `content` counts the frames that carry some."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.said = Said(tools=[], items=[])
        self.content = 0
        self.ended = False
        self.error = ""
        self._endpoint = endpoint
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        *frames, self._rest = (self._rest + data).split(b"\n\n")
        for frame in frames:
            for line in frame.split(b"\n"):
                text = line.removeprefix(b"data:").strip() if line.startswith(b"data:") else b""
                if text == b"[DONE]":
                    self.ended = True
                elif text:
                    self._take(msgspec.json.decode(text))

    def _take(self, frame: Json) -> None:
        if frame.get("error"):
            self.error = str(frame["error"].get("message", "an error event"))
        match self._endpoint:
            case Endpoint.MESSAGES:
                self._take_messages(frame)
            case Endpoint.RESPONSES:
                self._take_responses(frame)
            case _:
                self._take_chat(frame)

    def _take_messages(self, frame: Json) -> None:
        kind, said = frame["type"], self.said
        self.ended = self.ended or kind == "message_stop"
        if kind == "content_block_start" and frame["content_block"]["type"] == "tool_use":
            said.tools.append(Asked(frame["content_block"]["id"], frame["content_block"]["name"]))
        elif kind == "content_block_delta":
            self.content += 1
            said.text += frame["delta"].get("text", "")
            if "partial_json" in frame["delta"]:
                said.tools[-1].arguments += frame["delta"]["partial_json"]

    def _take_responses(self, frame: Json) -> None:
        self.content += frame["type"].endswith(".delta")
        if frame["type"] in ("response.completed", "response.incomplete"):
            self.ended = True
            self.said.items = frame["response"]["output"]
            self.said.tools = _calls(self.said.items)

    def _take_chat(self, frame: Json) -> None:
        for choice in frame.get("choices", ()):
            delta, said = choice["delta"], self.said
            text = delta.get("content") or ""
            said.text += text
            for part in delta.get("tool_calls") or ():
                if part.get("id"):
                    said.tools.append(Asked(part["id"], part["function"]["name"]))
                said.tools[-1].arguments += part["function"].get("arguments") or ""
            self.content += bool(text or delta.get("tool_calls"))
