"""Usage in this dialect's terms: cached tokens stand beside `input_tokens`, not in it.

Members as in the anthropic SDK's Usage and MessageDeltaUsage; audio tokens, which it has no name for, count as text.
"""

from typing import Any, Final

from headgate.model.usage import Usage

NOTHING: Final = Usage()


def usage_of(usage: Usage, tier: str | None = None) -> dict[str, Any]:
    """Return the usage of a message or of a message_delta event; `tier` in this dialect's words.

    The split of cache writes by their lifetime is there where there are any: a stream's start does not know them yet.
    """
    written: dict[str, Any] = {
        "input_tokens": usage.input + usage.input_audio,
        "cache_creation_input_tokens": usage.cache_write_5m + usage.cache_write_1h,
        "cache_read_input_tokens": usage.cache_read + usage.cache_read_audio,
        "output_tokens": usage.output + usage.output_audio,
    }
    if written["cache_creation_input_tokens"]:
        written["cache_creation"] = {
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        }
    if usage.reasoning:
        written["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    if tier is not None:
        written["service_tier"] = tier
    return written
