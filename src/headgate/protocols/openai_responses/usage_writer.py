"""Usage in the terms of a responses client: cached and written tokens are part of the input, reasoning of the output.

Members: openai.types.responses.response_usage.
"""

from headgate.model.usage import Usage


def usage_object(usage: Usage) -> dict[str, object]:
    """Return the `usage` member of a response."""
    return {
        "input_tokens": usage.total_input,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read + usage.cache_read_audio,
            "cache_write_tokens": usage.cache_write_5m + usage.cache_write_1h,
        },
        "output_tokens": usage.total_output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total_input + usage.total_output,
    }
