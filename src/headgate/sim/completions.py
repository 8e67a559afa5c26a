"""OpenAI's older text completions. Types in openai/types/completion.py."""

from headgate.model.dialect import Endpoint
from headgate.sim import ask as asks
from headgate.sim import chat
from headgate.sim.ask import Ask, Json, Refusal
from headgate.sim.content import Answer, Finish
from headgate.sim.frames import DONE, X_SIM, Frame, FrameKind, UsageMode, grouped

_DEFAULT_MAX = 16  # OpenAI's default of max_tokens on this endpoint


def read(body: Json) -> Ask:
    """Read a request; of a list of prompts there must be one. Raises Refusal."""
    prompt = body.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str):
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise Refusal("Invalid type for 'prompt': expected one string.", param="prompt")
    options = asks.option(body, "stream_options")
    return Ask(
        endpoint=Endpoint.COMPLETIONS,
        model=asks.text_field(body, "model"),
        body=body,
        segments=[asks.segment(prompt)],
        text=prompt,
        stream=body.get("stream") is True,
        include_usage=options.get("include_usage") is True,
        n=asks.choices(body),
        max_output=asks.whole(body, "max_tokens") or _DEFAULT_MAX,
    )


def unary(answer: Answer, mode: UsageMode) -> Json:
    """Return the whole answer as one body."""
    choices = [
        _choice(index, "".join(choice.text), _finish(choice.finish)) for index, choice in enumerate(answer.choices)
    ]
    body = _envelope(answer, choices)
    if mode is not UsageMode.NONE:
        body["usage"] = chat.usage(answer)
    return body | {"x_sim": X_SIM}


def stream(answer: Answer, mode: UsageMode) -> list[Frame]:
    """Return the frames: text, a finish frame per choice, usage if asked, [DONE]. There is no preamble."""
    frames = []
    for index, choice in enumerate(answer.choices):
        for run in grouped(choice.text, answer.frame):
            payload = _envelope(answer, [_choice(index, "".join(run), None)]) | {"x_sim": X_SIM}
            frames.append(Frame(payload, FrameKind.CONTENT, None, len(run)))
    for index, choice in enumerate(answer.choices):
        payload = _envelope(answer, [_choice(index, "", _finish(choice.finish))]) | {"x_sim": X_SIM}
        frames.append(Frame(payload, FrameKind.CLOSING))
    frames = chat.place_usage(answer, frames, mode, _envelope(answer, []))
    return [*frames, Frame(DONE, FrameKind.TERMINAL)]


def _finish(finish: Finish) -> str:
    return "length" if finish is Finish.LENGTH else "stop"


def _choice(index: int, text: str, finish: str | None) -> Json:
    return {"text": text, "index": index, "logprobs": None, "finish_reason": finish}


def _envelope(answer: Answer, choices: list[Json]) -> Json:
    return {
        "id": f"cmpl-{answer.id}",
        "object": "text_completion",
        "created": answer.created,
        "model": answer.ask.model,
        "choices": choices,
        "system_fingerprint": chat.fingerprint(answer),
    }
