"""OpenAI embeddings. Types in openai/types/create_embedding_response.py."""

import base64
import struct

from headgate.model.dialect import Endpoint
from headgate.sim import ask as asks
from headgate.sim.ask import Ask, Json, Refusal
from headgate.sim.content import Answer
from headgate.sim.frames import X_SIM, UsageMode
from headgate.sim.words import digest

_DIMENSIONS = 64
_MOST = 8192


def read(body: Json) -> Ask:
    """Read a request: a string, strings, token ids, or lists of token ids. Raises Refusal."""
    inputs = body.get("input")
    if isinstance(inputs, str) or (isinstance(inputs, list) and inputs and isinstance(inputs[0], int)):
        inputs = [inputs]
    if not isinstance(inputs, list) or not inputs:
        raise Refusal("Missing required parameter: 'input'.", param="input")
    if (asks.whole(body, "dimensions") or 1) > _MOST:
        raise Refusal(f"Invalid value for 'dimensions': at most {_MOST}.", param="dimensions")
    return Ask(
        endpoint=Endpoint.EMBEDDINGS,
        model=asks.text_field(body, "model"),
        body=body,
        segments=[asks.segment(item) for item in inputs],
        text=inputs[-1] if isinstance(inputs[-1], str) else "",
        n=0,
    )


def unary(answer: Answer, mode: UsageMode) -> Json:
    """Return one vector an input; its numbers are multiples of 1/128, exact in 32 bits."""
    body = answer.ask.body
    size = asks.whole(body, "dimensions") or _DIMENSIONS
    packed = body.get("encoding_format") == "base64"
    vectors = [_vector(answer.ask.model, segment.data, size) for segment in answer.ask.segments]
    data = [
        {"object": "embedding", "index": index, "embedding": _pack(vector) if packed else vector}
        for index, vector in enumerate(vectors)
    ]
    reply: Json = {"object": "list", "data": data, "model": answer.ask.model}
    if mode is not UsageMode.NONE:
        total = answer.input.total
        reply["usage"] = {"prompt_tokens": total, "total_tokens": total}
    return reply | {"x_sim": X_SIM}


def _vector(model: str, data: bytes, size: int) -> list[float]:
    noise = b"".join(digest(model, data, block) for block in range(size // 32 + 1))
    return [(byte - 128) / 128 for byte in noise[:size]]


def _pack(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
