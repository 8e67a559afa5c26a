"""What the words of responses mean, both ways. Every table of an enumeration holds all of it.

Words: the OpenAI SDK's types (openai.types.responses).
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

ROLE_WRITTEN: Final[dict[Role, str]] = {role: word for word, role in ROLE_READ.items()}

TEXT_TYPE: Final[dict[Role, str]] = {
    Role.SYSTEM: "input_text",
    Role.DEVELOPER: "input_text",
    Role.USER: "input_text",
    Role.ASSISTANT: "output_text",
}
"""Types of text parts in messages."""

TEXT_TYPES: Final = frozenset(TEXT_TYPE.values())

CLIENT_ITEMS: Final = frozenset(
    {
        "computer_call_output",
        "local_shell_call_output",
        "shell_call_output",
        "apply_patch_call_output",
        "mcp_approval_response",
        "tool_search_output",
    }
)
"""Items that only one dialect has and that are the client's words; all others of these are the model's."""

SERVER_ITEMS: Final = frozenset(
    {
        "file_search_call",
        "web_search_call",
        "computer_call",
        "code_interpreter_call",
        "image_generation_call",
        "local_shell_call",
        "shell_call",
        "apply_patch_call",
        "mcp_list_tools",
        "mcp_approval_request",
        "mcp_call",
        "tool_search_call",
        "compaction",
        "program",
        "program_output",
    }
)
"""Items of the model that no other dialect has. What is on neither list stays in the turn where it stands."""

STATE_ITEMS: Final = frozenset({"item_reference", "compaction", "compaction_trigger", "context_compaction"})
"""Items that stand for a conversation which only the provider can read."""

INCOMPLETE_READ: Final = {
    "max_output_tokens": Finish.LENGTH,
    "content_filter": Finish.CONTENT_FILTER,
    "max_messages": Finish.PAUSE,
    "steered": Finish.PAUSE,
}
"""Reasons of an answer that is not whole; every other one is Finish.UNKNOWN."""

INCOMPLETE_WRITTEN: Final[dict[Finish, str | None]] = {
    Finish.STOP: None,
    Finish.STOP_SEQUENCE: None,
    Finish.LENGTH: "max_output_tokens",
    Finish.CONTEXT: "max_output_tokens",
    Finish.TOOL_USE: None,
    Finish.REFUSAL: "content_filter",
    Finish.CONTENT_FILTER: "content_filter",
    # The answer is not whole, and no other word says so.
    Finish.PAUSE: "max_output_tokens",
    Finish.UNKNOWN: None,
}
"""Why an answer is incomplete; None: it is complete."""

TOOL_TYPE: Final[dict[ToolKind, str]] = {ToolKind.FUNCTION: "function", ToolKind.CUSTOM: "custom"}

CALL_TYPE: Final[dict[ToolKind, str]] = {ToolKind.FUNCTION: "function_call", ToolKind.CUSTOM: "custom_tool_call"}

CALL_READ: Final = {word: kind for kind, word in CALL_TYPE.items()}

ARGUMENTS: Final[dict[ToolKind, str]] = {ToolKind.FUNCTION: "arguments", ToolKind.CUSTOM: "input"}
"""The member that holds a call's arguments."""

RESULT_TYPE: Final[dict[ToolKind, str]] = {
    ToolKind.FUNCTION: "function_call_output",
    ToolKind.CUSTOM: "custom_tool_call_output",
}

RESULT_READ: Final = {word: kind for kind, word in RESULT_TYPE.items()}

AUDIO_MEDIA_TYPE: Final = {"wav": "audio/wav", "mp3": "audio/mpeg"}
"""Formats of `input_audio`; every other one is `audio/` and the format itself."""

AUDIO_FORMAT: Final = {media_type: name for name, media_type in AUDIO_MEDIA_TYPE.items()}

TIER_WRITTEN: Final = {"standard_only": "default", "standard": "default"}
"""Anthropic's words for service tiers in OpenAI's."""

TIERS: Final = frozenset({"auto", "default", "flex", "scale", "priority", "fast", "ultrafast"})

SUMMARIES: Final = frozenset({"auto", "concise", "detailed"})

ENCRYPTED: Final = "reasoning.encrypted_content"
LOGPROBS: Final = "message.output_text.logprobs"
"""What `include` asks for and every dialect has its way to say."""

UNSIGNED_TEXT: Final = "reasoning_text"
"""Signature of a reasoning item that holds its text and nothing encrypted (gpt-oss on vLLM), so that it comes back."""

REDACTED: Final = "redacted_thinking"
"""Stands for the item's id in a wrapped signature of redacted thinking, which has none."""
