"""What an answer says, whatever bytes say it: so that peers which write answers anew can be checked too."""

import json
from typing import Any, NamedTuple

USAGE = ("prompt_tokens", "completion_tokens", "total_tokens")


class Said(NamedTuple):
    """Text, reason of the end, usage (in the order of USAGE) and whether a stream came to its terminal frame."""

    text: str
    finish: str | None
    usage: tuple[int, ...] | None
    ended: bool


def of_unary(body: bytes) -> Said:
    """Return what a chat completion says. Raises ValueError if it is none."""
    try:
        answer = json.loads(body)
        choice = answer["choices"][0]
        return Said(choice["message"]["content"], choice["finish_reason"], _usage(answer), ended=True)
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"no chat completion: {body[:200]!r}") from error


def of_stream(body: bytes) -> Said:
    """Return what the whole frames of a stream say; a last part of a frame is left out. Raises ValueError."""
    text: list[str] = []
    finish, usage, ended = None, None, False
    frames = body.replace(b"\r\n", b"\n").split(b"\n\n")[:-1]
    for data in (line[5:].strip() for frame in frames for line in frame.split(b"\n") if line.startswith(b"data:")):
        if data == b"[DONE]":
            ended = True
            continue
        try:
            chunk = json.loads(data)
            for choice in chunk["choices"]:
                text.append(choice["delta"].get("content") or "")
                finish = choice.get("finish_reason") or finish
            usage = _usage(chunk) or usage
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no chunk: {data[:200]!r}") from error
    return Said("".join(text), finish, usage, ended)


def text_of_events(body: bytes) -> str:
    """Return the text that the whole frames of a Messages or Responses stream say. Raises ValueError."""
    text: list[str] = []
    for frame in body.split(b"\n\n")[:-1]:
        data = frame.rpartition(b"data: ")[2]
        try:
            event = json.loads(data)
            if event["type"] == "content_block_delta":
                text.append(event["delta"]["text"])
            elif event["type"] == "response.output_text.delta":
                text.append(event["delta"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"no event: {data[:200]!r}") from error
    return "".join(text)


def _usage(answer: dict[str, Any]) -> tuple[int, ...] | None:
    usage = answer.get("usage")
    return tuple(int(usage[part]) for part in USAGE) if usage else None
