"""OpenAI's responses endpoint."""

from headgate.protocols.openai_responses.codec import OpenAIResponses, ResponsesScanner

__all__ = ["OpenAIResponses", "ResponsesScanner"]
