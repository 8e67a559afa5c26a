"""OpenAI's responses endpoint."""

from headgate.protocols.openai_responses.codec import OpenAIResponses, ResponsesScanner
from headgate.protocols.openai_responses.translator import ResponsesTranslator

__all__ = ["OpenAIResponses", "ResponsesScanner", "ResponsesTranslator"]
