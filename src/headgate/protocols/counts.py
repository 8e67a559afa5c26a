"""Token counts and costs as upstreams report them, turned into disjoint classes. Odd input never raises."""

from decimal import Decimal
from typing import Annotated, Any, Final

import msgspec

from headgate.model.limit import MAX_TOKENS
from headgate.model.money import MAX_NANO_USD, divide_half_up, parse_usd
from headgate.model.usage import Usage

MAX_COUNT: Final = MAX_TOKENS
_TICKS_PER_NANO_USD: Final = 10

_decoder: Final = msgspec.json.Decoder(float_hook=Decimal)


class _Details(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    cached_tokens: "_Count" = 0
    audio_tokens: "_Count" = 0
    reasoning_tokens: "_Count" = 0
    accepted_prediction_tokens: "_Count" = 0
    rejected_prediction_tokens: "_Count" = 0


_Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNT)]


class _Plain(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """OpenAI's own form of a chat's usage, which most answers have; with any other member it is not read as such."""

    prompt_tokens: _Count
    total_tokens: _Count
    completion_tokens: _Count = 0
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None


_plain_decoder: Final = msgspec.json.Decoder(_Plain)
_NO_DETAILS: Final = _Details()


def plain_usage(usage: msgspec.Raw) -> Usage | None:
    """Return the classes of a chat's usage in OpenAI's own form, None for any departure from it.

    The quick way of what `openai_usage` decides in full: a third of its time.
    """
    try:
        said = _plain_decoder.decode(usage)
    except ValueError:
        return None
    prompt, output = said.prompt_tokens, said.completion_tokens
    ins, outs = said.prompt_tokens_details or _NO_DETAILS, said.completion_tokens_details or _NO_DETAILS
    if (
        said.total_tokens != prompt + output
        or prompt + output == 0
        or ins.cached_tokens + ins.audio_tokens > prompt
        or outs.reasoning_tokens + outs.audio_tokens > output
    ):
        return None
    return Usage(
        input=prompt - ins.cached_tokens - ins.audio_tokens,
        cache_read=ins.cached_tokens,
        output=output - outs.audio_tokens,
        reasoning=outs.reasoning_tokens,
        input_audio=ins.audio_tokens,
        output_audio=outs.audio_tokens,
    )


def decode_exact(body: bytes | msgspec.Raw) -> dict[str, Any]:
    """Return a JSON object with its fractions as Decimal; an empty one for everything else."""
    try:
        value = _decoder.decode(body)
    except (ValueError, ArithmeticError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def count(value: object) -> int | None:
    """Return a token count; None for what cannot be one (negative, beyond 10**12, not an integer)."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_COUNT:
        return value
    return None


def counts(value: object) -> dict[str, int]:
    """Return those members of a details object that are counts."""
    if not isinstance(value, dict):
        return {}
    return {name: number for name, each in value.items() if (number := count(each)) is not None}


def openai_usage(
    prompt: int | None,
    output: int | None,
    total: int | None,
    prompt_details: dict[str, int],
    output_details: dict[str, int],
    written_long: int = 0,
) -> Usage | None:
    """Return the classes of a usage object whose cached tokens are part of the prompt (OpenAI's convention).

    Who departs from it shows in the total: what it has beyond prompt + output is reasoning that xAI and
    Gemini count apart (Vertex AI's guide to Grok: 663 + 50, reasoning 124, total 837), or the cached tokens
    if it equals those. More cached tokens than prompt tokens can only stand beside it. None where the prompt
    is not known, or where nothing at all was counted. `written_long` are the cache writes of the longer-lived kind.
    """
    if prompt is None:
        return None
    if output is None:
        if total is None or total < prompt:
            return None
        output = total - prompt
    cached = prompt_details.get("cached_tokens", 0)
    written = max(prompt_details.get("cache_write_tokens", 0), written_long)
    reasoning = output_details.get("reasoning_tokens", 0)
    extra = max(0, (total or 0) - prompt - output)
    beside = extra > 0 and extra == cached + written and extra != reasoning
    if beside or cached + written > prompt:
        prompt += cached + written
        extra = max(0, (total or 0) - prompt - output)
    if total is None and reasoning > output:
        extra = reasoning
    output += extra
    reasoning = min(reasoning or extra, output)
    if prompt + output == 0:
        return None
    audio_in = min(prompt_details.get("audio_tokens", 0), prompt - cached - written)
    audio_out = min(output_details.get("audio_tokens", 0), output - reasoning)
    written_long = min(written_long, written)
    return Usage(
        input=prompt - cached - written - audio_in,
        cache_read=cached,
        cache_write_5m=written - written_long,
        cache_write_1h=written_long,
        output=output - audio_out,
        reasoning=reasoning,
        input_audio=audio_in,
        output_audio=audio_out,
    )


def reported_cost(usage: dict[str, Any]) -> int | None:
    """Return the upstream's own cost in nano-USD, None where it names none.

    OpenRouter: `cost` in USD; with the caller's own provider key (`is_byok`) that is its fee only and
    `cost_details.upstream_inference_cost` comes on top (openrouter.ai/docs/use-cases/usage-accounting).
    xAI: `cost_in_usd_ticks`, 10**10 to the USD (docs.x.ai/developers/cost-tracking); resellers send 0 there,
    which is no cost.
    """
    cost = _usd(usage.get("cost"))
    if cost is not None:
        if usage.get("is_byok") is not True:
            return cost
        details = usage.get("cost_details")
        upstream = _usd(details.get("upstream_inference_cost")) if isinstance(details, dict) else None
        return None if upstream is None or cost + upstream > MAX_NANO_USD else cost + upstream
    ticks = count(usage.get("cost_in_usd_ticks"))
    return divide_half_up(ticks, _TICKS_PER_NANO_USD) if ticks else None


def _usd(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    try:
        nano = parse_usd(value)
    except ValueError:
        return None
    return nano if nano >= 0 else None
