"""How large an attempt may get, before it is sent: the size of its hold."""

import re
from math import ceil
from typing import Any, Final

import msgspec

from headgate.model.dialect import Endpoint
from headgate.model.limit import MAX_AMOUNT, MAX_TOKENS, Bound
from headgate.model.request import RequestHead, Visible
from headgate.model.route import Route
from headgate.model.usage import Usage
from headgate.policy.pricing import dearest

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
TOKENS_PER_LISTED_BYTE = 0.5
"""A text given as a list of tokens has two bytes for each at least: a digit and a comma."""
DEAR_IMAGE_TOKENS = 2_833 + 8 * 5_667
"""The most that an image counts on gpt-4o-mini, whose tiles cost 33 times those of others
(https://developers.openai.com/api/docs/guides/images-vision)."""
DEFAULT_MAX_OUTPUT = 4096
LEAST_OUTPUT = 1_024
"""What an output maximum may be lowered to: less is no answer."""
DEFAULT_CONTEXT = 1_048_576
"""The context taken for a model whose own is unknown, where input comes from the vendor's side."""

_NO_OUTPUT = frozenset({Endpoint.EMBEDDINGS, Endpoint.COUNT_TOKENS})
_STORED_INPUT: dict[Endpoint, tuple[str, ...]] = {
    Endpoint.RESPONSES: ("previous_response_id", "conversation", "prompt"),
    Endpoint.MESSAGES: ("thread",),
}
_NOTHING = (b"null", b'""', b'{"type":"create"}', b'{"type": "create"}')
"""A thread that is created brings all of its conversation; one in another spelling is held for as one that does not."""
_TOKEN_LISTS = frozenset({Endpoint.COMPLETIONS, Endpoint.EMBEDDINGS})
_LISTED: Final = re.compile(rb"\[[ \t\r\n]*[\[0-9]")
_LEAST_THOUGHT: Final = 2 * LEAST_OUTPUT - 1
"""The least budget of Anthropic's, and an answer after it."""
_DEAR_IMAGES = "gpt-4o-mini"
_THINKING = ("thinking", "reasoning")


class _Budget(msgspec.Struct, gc=False):
    budget_tokens: Any = None
    max_tokens: Any = None


class _Thinking(msgspec.Struct, gc=False):
    thinking: _Budget | None = None


_budget_decoder: Final = msgspec.json.Decoder(_Budget | None)
_thinking_decoder: Final = msgspec.json.Decoder(_Thinking)


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
    """Return the most output tokens that the request can make: the maximum of one choice × `n`, at most 10**15.

    The client's maximum, else the model's, else 4096. Embeddings and token counts have no output.
    """
    return min(_one_output(head, route) * max(1, head.n), MAX_AMOUNT)


def choice_maximum(head: RequestHead, route: Route) -> int:
    """Return the most output tokens that one choice can make, at most 10**15; as `output_maximum`, whatever `n` is."""
    return min(_one_output(head, route), MAX_AMOUNT)


def left_of_context(most: int, route: Route, seen: Visible) -> int:
    """Return the part of an output maximum that nobody asked for which fits into the context beside the prompt.

    Many upstreams refuse a maximum that does not (vLLM, OpenAI). The prompt counts at what it probably is: a maximum
    that is too large costs nothing where the upstream bears it, one that is too small cuts answers off.
    """
    if route.context is None or seen.unseen:
        return most
    left = route.context - likely_tokens(seen.bytes) - seen.attached_tokens
    return min(most, max(left, LEAST_OUTPUT))


def bound(
    head: RequestHead, route: Route, *, seen: Visible, tokens_per_byte: float, lowerable: bool | None = None
) -> Bound:
    """Return how large one attempt of this request on this route can get.

    `head` and `seen` are of the body that goes upstream. `lowerable` where the head does not know whether the client
    itself asked for its maximum. Input that Headgate cannot see counts as the whole context; attachments count no more
    than that. Rates are the dearest that up to `input_most` tokens of input can reach; None: unpriced.
    """
    if head.endpoint is Endpoint.COUNT_TOKENS:
        # Anthropic bills nothing for it: https://docs.anthropic.com/en/docs/build-with-claude/token-counting
        return Bound(0, 0, 0, 0, 1, 0, 0)
    context = DEFAULT_CONTEXT if route.context is None else route.context
    if head.endpoint in _TOKEN_LISTS and _is_token_list(head):
        tokens_per_byte = max(tokens_per_byte, TOKENS_PER_LISTED_BYTE)
    attached = seen.attached_tokens
    if seen.images and _DEAR_IMAGES in route.upstream_name:
        attached += seen.images * DEAR_IMAGE_TOKENS
    attached = min(attached, context)
    around = input_tokens(0, tools=head.has_tools) + attached
    tokens = ceil(seen.bytes * tokens_per_byte) + around
    most = max(tokens, seen.bytes + around)
    if seen.unseen or _has_stored_input(head):
        tokens, most = max(tokens, context), max(most, context)
    output = _one_output(head, route)
    input_rate, output_rate, request = dearest(
        most, route.prices, route.provider.billing, has_output=output > 0, audio=_may_hold_audio(head, seen)
    )
    return Bound(
        tokens,
        most,
        output,
        min(output, max(LEAST_OUTPUT, _thinking_budget(head) + 1)),
        max(1, head.n),
        input_rate,
        output_rate,
        request,
        head.max_output is None if lowerable is None else lowerable,
    )


def hold(head: RequestHead, route: Route, *, tokens_per_byte: float = TOKENS_PER_BYTE) -> Hold:
    """Return the hold of one attempt of this request on this route, all of its body taken as text."""
    seen = Visible(len(head.body), audio=head.body.find(b"input_audio") >= 0)
    held = bound(head, route, seen=seen, tokens_per_byte=tokens_per_byte)
    output = min(held.output * held.n, MAX_TOKENS)
    nano = min(held.nano(held.input, held.output), MAX_AMOUNT) if held.priced else None
    return Hold(min(held.input, MAX_TOKENS), output, nano)


def partial_usage(
    held: Hold, streamed_bytes: int, seen: Usage | None, *, tokens_per_byte: float = TOKENS_PER_BYTE
) -> Usage:
    """Return the usage of a stream that ended without its final one: input + what was streamed.

    `streamed_bytes`: of the text received, at most. `seen` is usage that came on the way (Anthropic's `message_start`):
    its input classes are the truth, its output a lower bound.
    """
    streamed = min(ceil(streamed_bytes * tokens_per_byte), held.output)
    if seen is None or seen.total_input == 0:
        output = streamed if seen is None else max(seen.output, streamed)
        return Usage(input=held.input, output=output)
    return msgspec.structs.replace(seen, output=max(seen.output, streamed))


def _one_output(head: RequestHead, route: Route) -> int:
    if head.endpoint in _NO_OUTPUT:
        return 0
    maximum = head.max_output
    if maximum is None:
        maximum = DEFAULT_MAX_OUTPUT if route.max_output is None else route.max_output
    return max(0, maximum)


def _thinking_budget(head: RequestHead) -> int:
    """Return the tokens of thinking that a request fixes, 0 for none: its output maximum must be larger.

    Anthropic's `thinking.budget_tokens` "must be ≥1024 and less than `max_tokens`" (anthropic 2.11,
    types/thinking_config_enabled_param.py); OpenRouter's `reasoning.max_tokens` likewise.
    """
    fields = head.fields
    try:
        if not fields:  # a translated request's, whose budget is a share of its maximum
            if head.body.find(b'"budget_tokens"') < 0:
                return 0
            return min(_fixed(_thinking_decoder.decode(head.body).thinking), _LEAST_THOUGHT)
        if fields.keys().isdisjoint(_THINKING):
            return 0
        return max(_fixed(_budget_decoder.decode(fields[name])) for name in _THINKING if name in fields)
    except (ValueError, RecursionError):
        return 0


def _fixed(budget: _Budget | None) -> int:
    if budget is None:
        return 0
    return max((said for said in (budget.budget_tokens, budget.max_tokens) if type(said) is int), default=0)


def _has_stored_input(head: RequestHead) -> bool:
    names = _STORED_INPUT.get(head.endpoint)
    if names is None:
        return False
    return any(name in head.fields and bytes(head.fields[name]) not in _NOTHING for name in names)


def _is_token_list(head: RequestHead) -> bool:
    raw = head.fields.get("prompt" if head.endpoint is Endpoint.COMPLETIONS else "input")
    return raw is not None and _LISTED.match(raw) is not None


def _may_hold_audio(head: RequestHead, seen: Visible) -> bool:
    return seen.audio or "audio" in head.fields or "modalities" in head.fields
