"""Usage in the terms of a chat client: cached tokens are part of the prompt, reasoning of the completion.

Members: openai.types.completion_usage.
"""

from headgate.model.usage import Usage


def usage_object(usage: Usage) -> dict[str, object]:
    """Return the `usage` member of an answer or of the last chunk."""
    prompt_details = {
        "cached_tokens": usage.cache_read + usage.cache_read_audio,
        "audio_tokens": usage.input_audio,
    }
    written = usage.cache_write_5m + usage.cache_write_1h
    if written:
        prompt_details["cache_write_tokens"] = written
    return {
        "prompt_tokens": usage.total_input,
        "completion_tokens": usage.total_output,
        "total_tokens": usage.total_input + usage.total_output,
        "prompt_tokens_details": prompt_details,
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": usage.output_audio,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
