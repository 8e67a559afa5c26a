"""The head of a request: what must be known to route, hold and forward it without understanding its prompt."""

import msgspec

from headgate.model.dialect import Dialect, Endpoint


class RequestHead(msgspec.Struct, frozen=True, gc=False):
    """Facts of one request. `body` is what the client sent, decompressed, byte for byte.

    `fields` are the top-level values as raw JSON, in the order they came.
    `max_output` is the output maximum that the client asked for, in tokens; `n` the number of choices.
    `include_usage`: the client itself asked for the usage frame of an OpenAI stream.
    """

    endpoint: Endpoint
    dialect: Dialect
    model: str
    stream: bool
    body: bytes
    fields: dict[str, msgspec.Raw]
    include_usage: bool = False
    max_output: int | None = None
    n: int = 1
    has_tools: bool = False
    reasoning: bool = False


class Visible(msgspec.Struct, frozen=True, gc=False):
    """What input a request brings with it.

    `bytes` are those that the model reads as text, JSON around them included. `attached_tokens` is the most that its
    images and sounds count, `images` how many images there are, `audio` whether there is sound. `unseen`: it also
    brings what cannot be sized here.
    """

    bytes: int
    attached_tokens: int = 0
    images: int = 0
    audio: bool = False
    unseen: bool = False
