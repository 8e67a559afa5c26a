"""OpenAI chat completions. Field order as api.openai.com sends it; types in openai/types/chat."""

from typing import Any

from headgate.model.dialect import Endpoint
from headgate.sim import ask as asks
from headgate.sim.ask import Ask, Json, Refusal, Tool
from headgate.sim.content import Answer, Call, Choice, Finish
from headgate.sim.frames import DONE, X_SIM, Frame, FrameKind, UsageMode, grouped
from headgate.sim.logprobs import logprobs
from headgate.sim.words import count

_FINISH = {Finish.STOP: "stop", Finish.LENGTH: "length", Finish.TOOL: "tool_calls"}
_EFFORT_TOKENS = 16
_EFFORTS = {"none": 0, "minimal": 0}


def read(body: Json) -> Ask:
    """Read a request. Raises Refusal."""
    messages = asks.list_field(body, "messages")
    if not all(isinstance(message, dict) for message in messages):
        raise Refusal("Invalid type for 'messages': expected objects.", param="messages")
    tools = _tools(body)
    options = asks.option(body, "stream_options")
    users = [message for message in messages if message.get("role") == "user"]
    maximum = asks.whole(body, "max_completion_tokens")
    return Ask(
        endpoint=Endpoint.CHAT,
        model=asks.text_field(body, "model"),
        body=body,
        segments=[asks.segment(item) for item in [*asks.objects(body, "tools"), *messages]],
        text=asks.plain_text(users[-1].get("content")) if users else "",
        stream=body.get("stream") is True,
        include_usage=options.get("include_usage") is True,
        n=asks.choices(body),
        max_output=maximum if maximum is not None else asks.whole(body, "max_tokens"),
        tools=tools,
        forced=_forced(body.get("tool_choice")),
        results=_results(messages),
        reasoning=reasoning_tokens(body.get("reasoning_effort")),
        schema=asks.output_schema(body, "response_format", "json_schema"),
        logprobs=(asks.whole(body, "top_logprobs") or 0) if body.get("logprobs") is True else None,
    )


def _results(messages: list[Json]) -> int:
    last = max((at for at, message in enumerate(messages) if message.get("role") == "user"), default=0)
    return sum(message.get("role") == "tool" for message in messages[last:])


def reasoning_tokens(effort: object) -> int:
    """Return the hidden reasoning that an effort costs: 16 tokens for any but none and minimal."""
    return _EFFORTS.get(effort, _EFFORT_TOKENS) if isinstance(effort, str) else 0


def _tools(body: Json) -> list[Tool]:
    found = []
    for offer in asks.objects(body, "tools"):
        function = asks.option(offer, "function")
        if isinstance(function.get("name"), str):
            found.append(Tool(function["name"], asks.option(function, "parameters")))
    return found


def _forced(choice: Any) -> str:
    if choice == "required":
        return "any"
    function = choice.get("function") if isinstance(choice, dict) else None
    return str(function.get("name", "any")) if isinstance(function, dict) else ""


def usage(answer: Answer, output: int | None = None) -> Json:
    """Return OpenAI's usage; `output` is what has been said so far, all of it by default."""
    said = answer.output if output is None else output
    return {
        "prompt_tokens": answer.input.total,
        "completion_tokens": said,
        "total_tokens": answer.input.total + said,
        "prompt_tokens_details": {"cached_tokens": answer.input.read, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": min(answer.reasoning, said),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def unary(answer: Answer, mode: UsageMode) -> Json:
    """Return the whole answer as one body."""
    body: Json = {
        "id": f"chatcmpl-{answer.id}",
        "object": "chat.completion",
        "created": answer.created,
        "model": answer.ask.model,
        "choices": [_whole(answer, index, choice) for index, choice in enumerate(answer.choices)],
    }
    if mode is not UsageMode.NONE:
        body["usage"] = usage(answer)
    return body | {"service_tier": "default", "system_fingerprint": fingerprint(answer), "x_sim": X_SIM}


def fingerprint(answer: Answer) -> str:
    """Return the system_fingerprint of an answer."""
    return f"fp_sim{answer.id[:6]}"


def _whole(answer: Answer, index: int, choice: Choice) -> Json:
    message: Json = {"role": "assistant", "content": "".join(choice.text) if choice.text else None}
    if not choice.calls and message["content"] is None:
        message["content"] = ""
    if answer.shown and choice.reasoning:
        message["reasoning_content"] = "".join(choice.reasoning)
    if choice.calls:
        message["tool_calls"] = [
            _call(call) | {"function": {"name": call.name, "arguments": "".join(call.arguments)}}
            for call in choice.calls
        ]
    message |= {"refusal": None, "annotations": []}
    said = _logprobs(answer, choice.text)
    return {"index": index, "message": message, "logprobs": said, "finish_reason": _FINISH[choice.finish]}


def _logprobs(answer: Answer, tokens: list[str]) -> Json | None:
    if answer.ask.logprobs is None:
        return None
    return {"content": logprobs(tokens, answer.ask.logprobs), "refusal": None}


def _call(call: Call) -> Json:
    return {"id": f"call_{call.id}", "type": "function"}


def stream(answer: Answer, mode: UsageMode) -> list[Frame]:
    """Return the frames: a role and a finish frame per choice, content between, usage if asked, [DONE]."""
    frames = [_role(answer, index, choice) for index, choice in enumerate(answer.choices)]
    for index, choice in enumerate(answer.choices):
        frames += _content(answer, index, choice)
    for index, choice in enumerate(answer.choices):
        frames.append(_chunk(answer, index, {}, FrameKind.CLOSING, finish=_FINISH[choice.finish]))
    frames = place_usage(answer, frames, mode, _envelope(answer, []))
    return [*frames, Frame(DONE, FrameKind.TERMINAL)]


def place_usage(answer: Answer, frames: list[Frame], mode: UsageMode, closing: Json) -> list[Frame]:
    """Put the usage where the mode says; `closing` is the frame without choices that usually carries it."""
    if mode is UsageMode.EVERY:
        return _cumulative(answer, frames)
    if mode is UsageMode.ON_LAST:
        return _on_last(answer, frames)
    if not answer.ask.include_usage or mode is UsageMode.NONE:
        return frames
    waiting = [Frame(_with(frame.payload, "usage", None), frame.kind, None, frame.tokens) for frame in frames]
    return [*waiting, Frame(_with(closing, "usage", usage(answer)), FrameKind.CLOSING)]


def _cumulative(answer: Answer, frames: list[Frame]) -> list[Frame]:
    said = 0
    found = []
    for frame in frames:
        said += frame.tokens
        found.append(Frame(_with(frame.payload, "usage", usage(answer, said)), frame.kind, None, frame.tokens))
    return found


def _on_last(answer: Answer, frames: list[Frame]) -> list[Frame]:
    """Merge each choice's finish into its last content frame; the very last of them carries the usage."""
    kept = [frame for frame in frames if frame.kind is not FrameKind.CLOSING]
    for end in (frame for frame in frames if frame.kind is FrameKind.CLOSING):
        index = _only_choice(end)["index"]
        mine = [frame for frame in kept if _only_choice(frame)["index"] == index]
        if mine:
            _only_choice(mine[-1])["finish_reason"] = _only_choice(end)["finish_reason"]
        else:
            kept.append(end)
    last = kept[-1]
    kept[-1] = Frame(_with(last.payload, "usage", usage(answer)), last.kind, None, last.tokens)
    return kept


def _only_choice(frame: Frame) -> Json:
    payload: Any = frame.payload
    choice: Json = payload["choices"][0]
    return choice


def _with(payload: Any, key: str, value: object) -> Json:
    return {**{name: item for name, item in payload.items() if name != "x_sim"}, key: value, "x_sim": X_SIM}


def _envelope(answer: Answer, choices: list[Json]) -> Json:
    return {
        "id": f"chatcmpl-{answer.id}",
        "object": "chat.completion.chunk",
        "created": answer.created,
        "model": answer.ask.model,
        "service_tier": "default",
        "system_fingerprint": fingerprint(answer),
        "choices": choices,
        "x_sim": X_SIM,
    }


def _chunk(
    answer: Answer, index: int, delta: Json, kind: FrameKind, *, tokens: int = 0, finish: str | None = None
) -> Frame:
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
    return Frame(_envelope(answer, [choice]), kind, None, tokens)


def _role(answer: Answer, index: int, choice: Choice) -> Frame:
    """The role frame; hidden reasoning is over, and charged, when it comes."""
    hidden = 0 if answer.shown else len(choice.reasoning)
    content = None if choice.calls else ""
    delta = {"role": "assistant", "content": content, "refusal": None}
    return _chunk(answer, index, delta, FrameKind.PREAMBLE, tokens=hidden)


def _content(answer: Answer, index: int, choice: Choice) -> list[Frame]:
    frames = []
    shown = choice.reasoning if answer.shown else []
    for field, parts in (("reasoning_content", shown), ("content", choice.text)):
        for run in grouped(parts, answer.frame):
            frame = _chunk(answer, index, {field: "".join(run)}, FrameKind.CONTENT, tokens=len(run))
            if field == "content":
                _only_choice(frame)["logprobs"] = _logprobs(answer, run)
            frames.append(frame)
    for at, call in enumerate(choice.calls):
        frames += _call_frames(answer, index, at, call)
    return frames


def _call_frames(answer: Answer, index: int, at: int, call: Call) -> list[Frame]:
    opening = {"index": at} | _call(call) | {"function": {"name": call.name, "arguments": ""}}
    frames = [_chunk(answer, index, {"tool_calls": [opening]}, FrameKind.CONTENT, tokens=count(call.name))]
    for piece in call.arguments:
        delta = {"tool_calls": [{"index": at, "function": {"arguments": piece}}]}
        frames.append(_chunk(answer, index, delta, FrameKind.CONTENT, tokens=count(piece)))
    return frames
