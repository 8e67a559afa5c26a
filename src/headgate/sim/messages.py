"""Anthropic messages. Field order as api.anthropic.com sends it; types in anthropic/types."""

from typing import Any

import msgspec

from headgate.model.dialect import Endpoint
from headgate.sim import ask as asks
from headgate.sim.ask import Ask, Json, Refusal, Tool
from headgate.sim.cache import Segment
from headgate.sim.content import Answer, Call, Choice, Finish
from headgate.sim.frames import X_SIM, Frame, FrameKind, UsageMode, grouped
from headgate.sim.words import count, digest

_FINISH = {Finish.STOP: "end_turn", Finish.LENGTH: "max_tokens", Finish.TOOL: "tool_use"}
_THINKING_TOKENS = 16
_START_OUTPUT = 1  # message_start reports a first token, message_delta the sum


def read(body: Json) -> Ask:
    """Read a request. Raises Refusal."""
    maximum = asks.whole(body, "max_tokens")
    if maximum is None:
        raise Refusal("max_tokens: Field required", param="max_tokens")
    return _read(body, Endpoint.MESSAGES, maximum)


def read_count(body: Json) -> Ask:
    """Read a request to count tokens. Raises Refusal."""
    return _read(body, Endpoint.COUNT_TOKENS, None)


def _read(body: Json, endpoint: Endpoint, maximum: int | None) -> Ask:
    messages = asks.list_field(body, "messages")
    if not all(isinstance(message, dict) for message in messages):
        raise Refusal("messages: Input should be objects", param="messages")
    thinking = asks.option(body, "thinking")
    thinks = thinking.get("type") in ("enabled", "adaptive")
    shown = thinks and thinking.get("display") != "omitted"
    users = [text for text in map(_user_text, messages) if text]
    return Ask(
        endpoint=endpoint,
        model=asks.text_field(body, "model"),
        body=body,
        segments=_segments(body, messages),
        text=users[-1] if users else "",
        stream=body.get("stream") is True,
        n=1 if endpoint is Endpoint.MESSAGES else 0,
        max_output=maximum,
        tools=_tools(body),
        forced=_forced(body.get("tool_choice")),
        results=_results(messages),
        reasoning=_THINKING_TOKENS if thinks else 0,
        shown=shown,
        schema=asks.output_schema(asks.option(body, "output_config"), "format"),
    )


def _results(messages: list[Json]) -> int:
    """Return how many results of tools follow the last text of the user."""
    last = max((at for at, message in enumerate(messages) if _user_text(message)), default=-1)
    contents = [message.get("content") for message in messages[last + 1 :]]
    blocks = [block for content in contents if isinstance(content, list) for block in content]
    return sum(isinstance(block, dict) and block.get("type") == "tool_result" for block in blocks)


def _user_text(message: Json) -> str:
    return asks.plain_text(message.get("content")) if message.get("role") == "user" else ""


def _segments(body: Json, messages: list[Json]) -> list[Segment]:
    """The prompt in the order in which Anthropic caches it: tools, system, messages; a block each."""
    system = body.get("system")
    found = [asks.segment(tool) for tool in asks.objects(body, "tools")]
    found += map(asks.segment, [system] if isinstance(system, str) else asks.objects(body, "system"))
    for message in messages:
        content = message.get("content")
        for block in content if isinstance(content, list) else [content]:
            inner = asks.segment([message.get("role"), block])
            control = block.get("cache_control") if isinstance(block, dict) else None
            found.append(Segment(inner.data, asks.breakpoint_ttl(control)))
    whole = asks.breakpoint_ttl(body.get("cache_control"))
    if whole and found and not found[-1].ttl:
        found[-1] = Segment(found[-1].data, whole)
    return found


def _tools(body: Json) -> list[Tool]:
    return [
        Tool(tool["name"], tool["input_schema"])
        for tool in asks.objects(body, "tools")
        if isinstance(tool.get("name"), str) and isinstance(tool.get("input_schema"), dict)
    ]


def _forced(choice: Any) -> str:
    if not isinstance(choice, dict):
        return ""
    return {"any": "any", "tool": str(choice.get("name", "any"))}.get(str(choice.get("type")), "")


def count_tokens(answer: Answer, _mode: UsageMode) -> Json:
    """Return the body of count_tokens: all input classes together."""
    return {"input_tokens": answer.input.total, "x_sim": X_SIM}


def usage(answer: Answer, output: int) -> Json:
    """Return Anthropic's usage: `input_tokens` is fresh input alone."""
    return {
        "input_tokens": answer.input.fresh,
        "cache_creation_input_tokens": answer.input.write_5m + answer.input.write_1h,
        "cache_read_input_tokens": answer.input.read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": answer.input.write_5m,
            "ephemeral_1h_input_tokens": answer.input.write_1h,
        },
        "output_tokens": output,
        "service_tier": "standard",
        "inference_geo": "not_available",
    }


def _final_usage(answer: Answer) -> Json:
    keep = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
    return {key: value for key, value in usage(answer, answer.output).items() if key in keep} | _details(answer)


def _details(answer: Answer) -> Json:
    return {"output_tokens_details": {"thinking_tokens": answer.reasoning}} if answer.reasoning else {}


def unary(answer: Answer, mode: UsageMode) -> Json:
    """Return the whole answer as one body."""
    choice = answer.choices[0]
    body = _message(answer, _blocks(answer, choice), _FINISH[choice.finish])
    if mode is not UsageMode.NONE:
        body["usage"] = usage(answer, answer.output) | _details(answer)
    return body | {"x_sim": X_SIM}


def _message(answer: Answer, content: list[Json], stop: str | None) -> Json:
    return {
        "model": answer.ask.model,
        "id": f"msg_{answer.id}",
        "type": "message",
        "role": "assistant",
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
    }


def _blocks(answer: Answer, choice: Choice) -> list[Json]:
    blocks: list[Json] = []
    if choice.reasoning:
        thinking = "".join(choice.reasoning) if answer.shown else ""
        blocks.append({"type": "thinking", "thinking": thinking, "signature": signature(answer)})
    if choice.text:
        blocks.append({"type": "text", "text": "".join(choice.text)})
    return blocks + [_tool_use(call) | {"input": msgspec.json.decode("".join(call.arguments))} for call in choice.calls]


def signature(answer: Answer) -> str:
    """Return the signature of a thinking block; a client must send it back as it came."""
    return digest("signature", answer.id).hex() + "/+=="


def _tool_use(call: Call) -> Json:
    return {"type": "tool_use", "id": f"toolu_{call.id}", "name": call.name, "input": {}}


def stream(answer: Answer, mode: UsageMode) -> list[Frame]:
    """Return the frames: message_start, a ping, blocks, message_delta, message_stop."""
    choice = answer.choices[0]
    start = _message(answer, [], None)
    delta: Json = {"delta": {"stop_reason": _FINISH[choice.finish], "stop_sequence": None}}
    if mode is not UsageMode.NONE:
        start["usage"] = usage(answer, min(_START_OUTPUT, answer.output))
        delta["usage"] = _final_usage(answer)
    frames = [_frame("message_start", {"message": start}, FrameKind.PREAMBLE)]
    for block in _block_frames(answer, choice):
        frames.append(block)
        if len(frames) == 2:
            frames.append(_frame("ping", {}, FrameKind.PREAMBLE))
    frames.append(_frame("message_delta", delta, FrameKind.CLOSING))
    return [*frames, _frame("message_stop", {}, FrameKind.TERMINAL)]


def _frame(event: str, payload: Json, kind: FrameKind, tokens: int = 0) -> Frame:
    extra = {} if event == "ping" else {"x_sim": X_SIM}
    return Frame({"type": event, **payload, **extra}, kind, event, tokens)


def _block_frames(answer: Answer, choice: Choice) -> list[Frame]:
    blocks: list[tuple[Json, list[tuple[Json, int]]]] = []
    if choice.reasoning:
        blocks.append(_thinking(answer, choice))
    if choice.text:
        deltas = [
            ({"type": "text_delta", "text": "".join(run)}, len(run)) for run in grouped(choice.text, answer.frame)
        ]
        blocks.append(({"type": "text", "text": ""}, deltas))
    for call in choice.calls:
        first: tuple[Json, int] = ({"type": "input_json_delta", "partial_json": ""}, count(call.name))
        rest = [({"type": "input_json_delta", "partial_json": piece}, count(piece)) for piece in call.arguments]
        blocks.append((_tool_use(call), [first, *rest]))
    frames = []
    for index, (start, deltas) in enumerate(blocks):
        opening = FrameKind.PREAMBLE if index == 0 else FrameKind.CONTENT
        frames.append(_frame("content_block_start", {"index": index, "content_block": start}, opening))
        for delta, tokens in deltas:
            payload = {"index": index, "delta": delta}
            frames.append(_frame("content_block_delta", payload, FrameKind.CONTENT, tokens))
        frames.append(_frame("content_block_stop", {"index": index}, FrameKind.CLOSING))
    return frames


def _thinking(answer: Answer, choice: Choice) -> tuple[Json, list[tuple[Json, int]]]:
    deltas: list[tuple[Json, int]] = []
    hidden = 0 if answer.shown else len(choice.reasoning)
    if answer.shown:
        deltas = [
            ({"type": "thinking_delta", "thinking": "".join(run)}, len(run))
            for run in grouped(choice.reasoning, answer.frame)
        ]
    deltas.append(({"type": "signature_delta", "signature": signature(answer)}, hidden))
    return {"type": "thinking", "thinking": "", "signature": ""}, deltas
