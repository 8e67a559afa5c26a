"""Losses in the words of the client that suffered them, safe to stand in a header."""

import re
from collections.abc import Iterable
from typing import Final

from headgate.model.dialect import Dialect
from headgate.model.losses import Lost

_MAX_NAMES: Final = 40
_MAX_NAME: Final = 80
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.\-]")
"""Members' names are the client's own: none may break a header, steer a terminal or hide another name."""

_CHAT: Final[dict[Lost, str]] = {
    Lost.CACHE: "cache_control",
    Lost.CACHE_KEY: "prompt_cache_key",
    Lost.OUTPUT_FORMAT: "response_format",
    Lost.REASONING: "reasoning_effort",
    Lost.TOOL: "tools",
    Lost.TOOL_STRICT: "tools.function.strict",
    Lost.PARALLEL_TOOLS: "parallel_tool_calls",
    Lost.SERVER_TOOL: "tools",
    Lost.CUSTOM_TOOL: "tools.custom",
    Lost.SYSTEM_POSITION: "messages.role",
    Lost.NAME: "messages.name",
    Lost.IMAGE: "messages.content.image_url",
    Lost.IMAGE_DETAIL: "messages.content.image_url.detail",
    Lost.DOCUMENT: "messages.content.file",
    Lost.DOCUMENT_TITLE: "messages.content.file.filename",
    Lost.AUDIO: "messages.content.input_audio",
    Lost.REFUSAL: "messages.refusal",
    Lost.THINKING: "messages.reasoning_content",
    Lost.REDACTED_THINKING: "messages.reasoning_details",
    Lost.CITATIONS: "messages.annotations",
    Lost.TOOL_ARGUMENTS: "messages.tool_calls.function.arguments",
    Lost.TOOL_RESULT_CONTENT: "messages.content",
    Lost.FOREIGN: "messages.content",
}
_RESPONSES: Final[dict[Lost, str]] = {
    Lost.CACHE: "input.content.prompt_cache_breakpoint",
    Lost.MAX_OUTPUT: "max_output_tokens",
    Lost.CACHE_KEY: "prompt_cache_key",
    Lost.VERBOSITY: "text.verbosity",
    Lost.OUTPUT_FORMAT: "text.format",
    Lost.REASONING: "reasoning.effort",
    Lost.REASONING_SUMMARY: "reasoning.summary",
    Lost.TOOL: "tools",
    Lost.TOOL_STRICT: "tools.strict",
    Lost.PARALLEL_TOOLS: "parallel_tool_calls",
    Lost.SERVER_TOOL: "tools",
    Lost.CUSTOM_TOOL: "tools.custom",
    Lost.SYSTEM_POSITION: "input.role",
    Lost.IMAGE: "input.content.input_image",
    Lost.IMAGE_DETAIL: "input.content.input_image.detail",
    Lost.DOCUMENT: "input.content.input_file",
    Lost.DOCUMENT_TITLE: "input.content.input_file.filename",
    Lost.AUDIO: "input.content.input_audio",
    Lost.REFUSAL: "input.content.refusal",
    Lost.THINKING: "input.reasoning",
    Lost.REDACTED_THINKING: "input.reasoning.encrypted_content",
    Lost.CITATIONS: "input.content.annotations",
    Lost.TOOL_ARGUMENTS: "input.function_call.arguments",
    Lost.TOOL_RESULT_CONTENT: "input.function_call_output.output",
    Lost.FOREIGN: "input",
}
_MESSAGES: Final[dict[Lost, str]] = {
    Lost.STOP: "stop_sequences",
    Lost.USER: "metadata.user_id",
    Lost.CACHE: "cache_control",
    Lost.OUTPUT_FORMAT: "output_config.format",
    Lost.REASONING: "thinking",
    Lost.REASONING_DISPLAY: "thinking.display",
    Lost.TOOL: "tools",
    Lost.TOOL_STRICT: "tools.strict",
    Lost.PARALLEL_TOOLS: "tool_choice.disable_parallel_tool_use",
    Lost.SERVER_TOOL: "tools",
    Lost.SYSTEM_POSITION: "messages.role",
    Lost.IMAGE: "messages.content.image",
    Lost.DOCUMENT: "messages.content.document",
    Lost.DOCUMENT_TITLE: "messages.content.document.title",
    Lost.DOCUMENT_CONTEXT: "messages.content.document.context",
    Lost.DOCUMENT_CITATIONS: "messages.content.document.citations",
    Lost.CITATIONS: "messages.content.citations",
    Lost.THINKING: "messages.content.thinking",
    Lost.REDACTED_THINKING: "messages.content.redacted_thinking",
    Lost.TOOL_ARGUMENTS: "messages.content.tool_use.input",
    Lost.TOOL_RESULT_CONTENT: "messages.content.tool_result.content",
    Lost.TOOL_RESULT_ERROR: "messages.content.tool_result.is_error",
    Lost.FOREIGN: "messages.content",
}
IN_WORDS_OF: Final[dict[Dialect, dict[Lost, str]]] = {
    Dialect.OPENAI_CHAT: _CHAT,
    Dialect.OPENAI_RESPONSES: _RESPONSES,
    Dialect.ANTHROPIC_MESSAGES: _MESSAGES,
}
"""Where a dialect's word for what was lost is not the canonical one."""


def dropped(lost: Iterable[Lost], unknown: Iterable[str], dialect: Dialect) -> str | None:
    """Return what was lost as one line, sorted and separated by ", ", in a client's words; None for nothing.

    At most 40 names; how many more there are stands at the end.
    """
    words = IN_WORDS_OF[dialect]
    names = sorted({words.get(each, each.value) for each in lost} | {_safe(each) for each in unknown})
    if not names:
        return None
    more = len(names) - _MAX_NAMES
    return ", ".join(names[:_MAX_NAMES]) + (f", and {more} more" if more > 0 else "")


def _safe(name: str) -> str:
    return _UNSAFE.sub("?", name[:_MAX_NAME])
