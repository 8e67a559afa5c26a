"""OpenAI's chat/completions, and completions and embeddings, which share its form of usage and errors."""

from headgate.protocols.openai_chat.codec import ChatScanner, OpenAIChat
from headgate.protocols.openai_chat.translator import ChatTranslator

__all__ = ["ChatScanner", "ChatTranslator", "OpenAIChat"]
