"""How large an attempt may get, before it is sent: the size of its hold."""

from math import ceil

import msgspec

from headgate.model.dialect import Endpoint
from headgate.model.request import RequestHead
from headgate.model.route import Route
from headgate.model.usage import Usage
from headgate.policy.pricing import worst_case

TOKENS_PER_BYTE = 0.5
"""Safe default: one token per two bytes of the request's JSON body.

English and code lie near 0.25–0.35, dense scripts near 0.3 (three bytes a character), digits and base64
near 0.5–0.7 of their own bytes but inside a body of quotes, keys and escapes.
"""
LIKELY_TOKENS_PER_BYTE = 0.27
"""English and code with JSON's quotes and keys around them: a little more than a token per four bytes of text."""
BASE_TOKENS = 16
"""What a chat template adds around a conversation."""
TOOLS_TOKENS = 600
"""What a vendor's own prompt for tools adds. Anthropic names up to 530 tokens (Claude 3 Opus, `auto`):
https://docs.anthropic.com/en/docs/tool-use-pricing-and-tokens"""
DEFAULT_MAX_OUTPUT = 4096
DEFAULT_CONTEXT = 1_048_576
"""The context taken for a model whose own is unknown, where input comes from the vendor's side."""

_NO_OUTPUT = frozenset({Endpoint.EMBEDDINGS, Endpoint.COUNT_TOKENS})
_STORED_INPUT: dict[Endpoint, tuple[str, ...]] = {
    Endpoint.RESPONSES: ("previous_response_id", "conversation", "prompt"),
    Endpoint.MESSAGES: ("thread",),
}
_NOTHING = (b"null", b'""', b'{"type":"create"}', b'{"type": "create"}')
"""A thread that is created brings all of its conversation; one in another spelling is held for as one that does not."""


class Hold(msgspec.Struct, frozen=True, gc=False):
    """What an attempt may use and cost at most: tokens, and nano-USD (None: unpriced)."""

    input: int
    output: int
    nano: int | None


def input_tokens(body_bytes: int, *, tools: bool = False, tokens_per_byte: float = TOKENS_PER_BYTE) -> int:
    """Return an upper estimate of the input tokens of a request body of `body_bytes` bytes."""
    return ceil(body_bytes * tokens_per_byte) + BASE_TOKENS + (TOOLS_TOKENS if tools else 0)


def likely_tokens(body_bytes: int) -> int:
    """Return how many input tokens a request body of `body_bytes` bytes probably has; no bound in any direction."""
    return ceil(body_bytes * LIKELY_TOKENS_PER_BYTE)


def output_maximum(head: RequestHead, route: Route) -> int:
    """Return the most output tokens that the request can make: the maximum of one choice × `n`.

    The client's maximum, else the model's, else 4096. Embeddings and token counts have no output.
    """
    if head.endpoint in _NO_OUTPUT:
        return 0
    maximum = head.max_output
    if maximum is None:
        maximum = DEFAULT_MAX_OUTPUT if route.max_output is None else route.max_output
    return max(0, maximum) * max(1, head.n)


def hold(head: RequestHead, route: Route, *, tokens_per_byte: float = TOKENS_PER_BYTE) -> Hold:
    """Return the hold of one attempt of this request on this route.

    Input that Headgate cannot see (a stored response, conversation or prompt) counts as the whole context.
    """
    if head.endpoint is Endpoint.COUNT_TOKENS:
        # Anthropic bills nothing for it: https://docs.anthropic.com/en/docs/build-with-claude/token-counting
        return Hold(0, 0, 0)
    tokens = input_tokens(len(head.body), tools=head.has_tools, tokens_per_byte=tokens_per_byte)
    if _has_stored_input(head):
        tokens = max(tokens, DEFAULT_CONTEXT if route.context is None else route.context)
    output = output_maximum(head, route)
    nano = worst_case(tokens, output, route.prices, route.provider.billing, audio=_may_hold_audio(head))
    return Hold(tokens, output, nano)


def partial_usage(
    held: Hold, streamed_bytes: int, seen: Usage | None, *, tokens_per_byte: float = TOKENS_PER_BYTE
) -> Usage:
    """Return the usage of a stream that ended without its final one: input + what was streamed.

    `streamed_bytes` are the bytes of content received. `seen` is usage that came on the way (Anthropic's
    `message_start`): its input classes are the truth, its output a lower bound.
    """
    streamed = min(ceil(streamed_bytes * tokens_per_byte), held.output)
    if seen is None or seen.total_input == 0:
        output = streamed if seen is None else max(seen.output, streamed)
        return Usage(input=held.input, output=output)
    return msgspec.structs.replace(seen, output=max(seen.output, streamed))


def _has_stored_input(head: RequestHead) -> bool:
    names = _STORED_INPUT.get(head.endpoint, ())
    return any(name in head.fields and bytes(head.fields[name]) not in _NOTHING for name in names)


def _may_hold_audio(head: RequestHead) -> bool:
    return "audio" in head.fields or "modalities" in head.fields or b"input_audio" in head.body
