"""OpenAI Responses. Field order as api.openai.com sends it; types in openai/types/responses."""

from typing import Any

from headgate.model.dialect import Endpoint
from headgate.sim import ask as asks
from headgate.sim.ask import Ask, Json, Refusal, Tool
from headgate.sim.chat import reasoning_tokens
from headgate.sim.content import Answer, Call, Choice, Finish
from headgate.sim.frames import X_SIM, Frame, FrameKind, UsageMode, grouped
from headgate.sim.logprobs import logprobs
from headgate.sim.words import count, digest


def read(body: Json) -> Ask:
    """Read a request. Raises Refusal."""
    given = body.get("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) and given else given
    if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
        raise Refusal("Missing required parameter: 'input'.", param="input")
    reasoning = asks.option(body, "reasoning")
    users = [item for item in items if item.get("role") == "user"]
    instructions = body.get("instructions")
    head = [*asks.objects(body, "tools"), *([instructions] if instructions else [])]
    return Ask(
        endpoint=Endpoint.RESPONSES,
        model=asks.text_field(body, "model"),
        body=body,
        segments=[asks.segment(item) for item in [*head, *items]],
        text=asks.plain_text(users[-1].get("content")) if users else "",
        stream=body.get("stream") is True,
        max_output=asks.whole(body, "max_output_tokens"),
        tools=[
            Tool(tool["name"], asks.option(tool, "parameters"))
            for tool in asks.objects(body, "tools")
            if tool.get("type") == "function" and isinstance(tool.get("name"), str)
        ],
        forced=_forced(body.get("tool_choice")),
        results=_results(items),
        reasoning=reasoning_tokens(reasoning.get("effort")),
        shown=bool(reasoning.get("summary")),
        schema=asks.output_schema(asks.option(body, "text"), "format"),
        logprobs=asks.whole(body, "top_logprobs") or 0 if "message.output_text.logprobs" in _included(body) else None,
    )


def _results(items: list[Json]) -> int:
    last = max((at for at, item in enumerate(items) if item.get("role") == "user"), default=0)
    return sum(item.get("type") == "function_call_output" for item in items[last:])


def _forced(choice: Any) -> str:
    if choice == "required":
        return "any"
    return str(choice.get("name", "")) if isinstance(choice, dict) else ""


def usage(answer: Answer) -> Json:
    """Return the Responses API's usage: cached tokens are part of the input."""
    return {
        "input_tokens": answer.input.total,
        "input_tokens_details": {"cached_tokens": answer.input.read, "cache_write_tokens": 0},
        "output_tokens": answer.output,
        "output_tokens_details": {"reasoning_tokens": answer.reasoning},
        "total_tokens": answer.input.total + answer.output,
    }


def unary(answer: Answer, mode: UsageMode) -> Json:
    """Return the whole answer as one body."""
    return _ended(answer, mode) | {"x_sim": X_SIM}


def _ended(answer: Answer, mode: UsageMode) -> Json:
    status = _status(answer)
    body = response(answer, status, _items(answer, answer.choices[0], status))
    if mode is not UsageMode.NONE:
        body["usage"] = usage(answer)
    return body


def _status(answer: Answer) -> str:
    return "incomplete" if answer.choices[0].finish is Finish.LENGTH else "completed"


def response(answer: Answer, status: str, output: list[Json], error: Json | None = None) -> Json:
    """Return the response object; what the client chose is echoed, the rest holds the vendor's defaults."""
    body = answer.ask.body
    reasoning = body.get("reasoning") or {}
    limit = {"reason": "max_output_tokens"} if status == "incomplete" else None
    return {
        "id": f"resp_{answer.id}",
        "object": "response",
        "created_at": answer.created,
        "status": status,
        "background": False,
        "completed_at": answer.created + 1 if status == "completed" else None,
        "error": error,
        "incomplete_details": limit,
        "instructions": body.get("instructions"),
        "max_output_tokens": answer.ask.max_output,
        "max_tool_calls": None,
        "model": answer.ask.model,
        "output": output,
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "previous_response_id": body.get("previous_response_id"),
        "prompt_cache_key": body.get("prompt_cache_key"),
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "safety_identifier": None,
        "service_tier": "default",
        "store": body.get("store", True),
        "temperature": body.get("temperature", 1.0),
        "text": body.get("text") or {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools") or [],
        "top_logprobs": 0,
        "top_p": body.get("top_p", 1.0),
        "truncation": body.get("truncation", "disabled"),
        "usage": None,
        "user": None,
        "metadata": body.get("metadata") or {},
    }


def _items(answer: Answer, choice: Choice, status: str) -> list[Json]:
    items: list[Json] = []
    if choice.reasoning:
        items.append(_reasoning_item(answer, choice))
    if choice.text or not choice.calls:
        items.append(_message_item(answer, status, [_part(answer, choice.text)]))
    return items + [_call_item(call, "completed", "".join(call.arguments)) for call in choice.calls]


def _reasoning_item(answer: Answer, choice: Choice, *, done: bool = True) -> Json:
    summary = [_summary("".join(choice.reasoning))] if answer.shown and done else []
    item: Json = {"id": f"rs_{answer.id}", "type": "reasoning", "summary": summary}
    if "reasoning.encrypted_content" in _included(answer.ask.body):
        item["encrypted_content"] = digest("encrypted", answer.id).hex()
    return item


def _included(body: Json) -> list[Any]:
    asked = body.get("include")
    return asked if isinstance(asked, list) else []


def _summary(text: str) -> Json:
    return {"type": "summary_text", "text": text}


def _message_item(answer: Answer, status: str, content: list[Json]) -> Json:
    return {
        "id": f"msg_{answer.id}",
        "type": "message",
        "status": status,
        "content": content,
        "role": "assistant",
    }


def _part(answer: Answer, text: list[str]) -> Json:
    return {"type": "output_text", "annotations": [], "logprobs": _logprobs(answer, text), "text": "".join(text)}


def _logprobs(answer: Answer, text: list[str]) -> list[Json]:
    return [] if answer.ask.logprobs is None else logprobs(text, answer.ask.logprobs)


def _call_item(call: Call, status: str, arguments: str) -> Json:
    return {
        "id": f"fc_{call.id}",
        "type": "function_call",
        "status": status,
        "arguments": arguments,
        "call_id": f"call_{call.id}",
        "name": call.name,
    }


class _Stream:
    """Collects frames and numbers them."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    def add(self, event: str, payload: Json, kind: FrameKind = FrameKind.CLOSING, tokens: int = 0) -> None:
        number = len(self.frames)
        body = {"type": event, "sequence_number": number, **payload, "x_sim": X_SIM}
        self.frames.append(Frame(body, kind, event, tokens))


def stream(answer: Answer, mode: UsageMode) -> list[Frame]:
    """Return the frames: created, in_progress, items with their parts and deltas, completed or incomplete."""
    out = _Stream()
    begun = response(answer, "in_progress", [])
    for event in ("response.created", "response.in_progress"):
        out.add(event, {"response": begun}, FrameKind.PREAMBLE)
    choice = answer.choices[0]
    index = 0
    if choice.reasoning:
        _stream_reasoning(out, answer, choice)
        index += 1
    if choice.text or not choice.calls:
        _stream_text(out, answer, choice, index)
        index += 1
    for at, call in enumerate(choice.calls):
        _stream_call(out, call, index + at)
    status = _status(answer)
    out.add(f"response.{status}", {"response": _ended(answer, mode)}, FrameKind.TERMINAL)
    return out.frames


def _stream_reasoning(out: _Stream, answer: Answer, choice: Choice) -> None:
    place = {"item_id": f"rs_{answer.id}", "output_index": 0, "summary_index": 0}
    item = _reasoning_item(answer, choice, done=False)
    hidden = 0 if answer.shown else len(choice.reasoning)
    added = {"output_index": 0, "item": item}
    out.add("response.output_item.added", added, FrameKind.PREAMBLE, hidden)
    if answer.shown:
        text = "".join(choice.reasoning)
        prefix = "response.reasoning_summary"
        out.add(f"{prefix}_part.added", place | {"part": _summary("")}, FrameKind.PREAMBLE)
        for run in grouped(choice.reasoning, answer.frame):
            out.add(f"{prefix}_text.delta", place | {"delta": "".join(run)}, FrameKind.CONTENT, len(run))
        out.add(f"{prefix}_text.done", place | {"text": text})
        out.add(f"{prefix}_part.done", place | {"part": _summary(text)})
    out.add("response.output_item.done", {"output_index": 0, "item": _reasoning_item(answer, choice)})


def _stream_text(out: _Stream, answer: Answer, choice: Choice, index: int) -> None:
    place = {"item_id": f"msg_{answer.id}", "output_index": index, "content_index": 0}
    item = _message_item(answer, "in_progress", [])
    out.add("response.output_item.added", {"output_index": index, "item": item}, FrameKind.PREAMBLE)
    out.add("response.content_part.added", place | {"part": _part(answer, [])}, FrameKind.PREAMBLE)
    for run in grouped(choice.text, answer.frame):
        delta = place | {"delta": "".join(run), "logprobs": _logprobs(answer, run)}
        out.add("response.output_text.delta", delta, FrameKind.CONTENT, len(run))
    text = "".join(choice.text)
    out.add("response.output_text.done", place | {"text": text, "logprobs": _logprobs(answer, choice.text)})
    out.add("response.content_part.done", place | {"part": _part(answer, choice.text)})
    item = _message_item(answer, _status(answer), [_part(answer, choice.text)])
    out.add("response.output_item.done", {"output_index": index, "item": item})


def _stream_call(out: _Stream, call: Call, index: int) -> None:
    place = {"item_id": f"fc_{call.id}", "output_index": index}
    added = {"output_index": index, "item": _call_item(call, "in_progress", "")}
    out.add("response.output_item.added", added, FrameKind.PREAMBLE, count(call.name))
    for piece in call.arguments:
        delta = place | {"delta": piece}
        out.add("response.function_call_arguments.delta", delta, FrameKind.CONTENT, count(piece))
    arguments = "".join(call.arguments)
    out.add("response.function_call_arguments.done", place | {"name": call.name, "arguments": arguments})
    item = _call_item(call, "completed", arguments)
    out.add("response.output_item.done", {"output_index": index, "item": item})
