"""Anthropic's messages endpoint, and messages/count_tokens."""

from headgate.protocols.anthropic_messages.codec import ERROR_TYPES, AnthropicMessages, MessagesScanner
from headgate.protocols.anthropic_messages.translator import MessagesTranslator

__all__ = ["ERROR_TYPES", "AnthropicMessages", "MessagesScanner", "MessagesTranslator"]
