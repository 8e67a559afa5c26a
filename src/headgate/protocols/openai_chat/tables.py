"""What the words of chat/completions mean, both ways. Every table of an enumeration holds all of it.

Words: the OpenAI SDK's types (openai.types.chat); those of servers that speak the dialect are named where they stand.
"""

from typing import Final

from headgate.model.content import Role, ToolKind
from headgate.model.events import Finish

ROLE_READ: Final = {
    "system": Role.SYSTEM,
    "developer": Role.DEVELOPER,
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
}
"""Roles that are turns; `tool` and `function` are results inside a user's turn."""

ROLE_WRITTEN: Final[dict[Role, str]] = {role: word for word, role in ROLE_READ.items()}

FOREIGN_ROLE_WRITTEN: Final[dict[Role, str]] = {
    Role.SYSTEM: "system",
    Role.DEVELOPER: "system",
    Role.USER: "user",
    Role.ASSISTANT: "assistant",
}
"""For other dialects' requests: every server knows `system`, and OpenAI reads it as `developer` where that is due."""

FINISH_READ: Final = {
    "stop": Finish.STOP,
    "length": Finish.LENGTH,
    "tool_calls": Finish.TOOL_USE,
    "function_call": Finish.TOOL_USE,
    "content_filter": Finish.CONTENT_FILTER,
    # Hugging Face's text-generation-inference (its OpenAPI, FinishReason)
    "eos_token": Finish.STOP,
    "stop_sequence": Finish.STOP_SEQUENCE,
    # Mistral (its OpenAPI, ChatCompletionChoice)
    "model_length": Finish.CONTEXT,
    # proxies that leave Anthropic's and Gemini's own words
    "end_turn": Finish.STOP,
    "max_tokens": Finish.LENGTH,
    "MAX_TOKENS": Finish.LENGTH,
    "tool_use": Finish.TOOL_USE,
    "refusal": Finish.REFUSAL,
    "safety": Finish.CONTENT_FILTER,
    "SAFETY": Finish.CONTENT_FILTER,
}
"""Every other word is Finish.UNKNOWN."""

FINISH_WRITTEN: Final[dict[Finish, str]] = {
    Finish.STOP: "stop",
    Finish.STOP_SEQUENCE: "stop",
    Finish.LENGTH: "length",
    Finish.CONTEXT: "length",
    Finish.TOOL_USE: "tool_calls",
    Finish.REFUSAL: "content_filter",
    Finish.CONTENT_FILTER: "content_filter",
    # The answer is not whole, and no other word says so.
    Finish.PAUSE: "length",
    Finish.UNKNOWN: "stop",
}

TOOL_KIND_WRITTEN: Final[dict[ToolKind, str]] = {ToolKind.FUNCTION: "function", ToolKind.CUSTOM: "custom"}

AUDIO_MEDIA_TYPE: Final = {"wav": "audio/wav", "mp3": "audio/mpeg"}
"""Formats of `input_audio`; every other one is `audio/` and the format itself."""

AUDIO_FORMAT: Final = {
    **{media_type: name for name, media_type in AUDIO_MEDIA_TYPE.items()},
    "audio/mp3": "mp3",
    "audio/x-wav": "wav",
}

TIER_WRITTEN: Final = {"standard_only": "default", "standard": "default"}
"""Anthropic's words for service tiers in OpenAI's."""

TIERS: Final = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})
