"""The codecs by endpoint, and the names that the layers above need."""

from typing import Final

from headgate.model.dialect import DIALECT_OF, Dialect, Endpoint
from headgate.protocols.anthropic_messages import AnthropicMessages, MessagesTranslator
from headgate.protocols.base import Codec, MalformedStream, Piece, PieceKind, StreamScanner
from headgate.protocols.canonical import Translator
from headgate.protocols.openai_chat import ChatTranslator, OpenAIChat
from headgate.protocols.openai_responses import OpenAIResponses, ResponsesTranslator
from headgate.protocols.sse import FrameTooLarge

__all__ = [
    "Codec",
    "FrameTooLarge",
    "MalformedStream",
    "Piece",
    "PieceKind",
    "StreamScanner",
    "codec_for",
    "translator_for",
]

_CODECS: Final[dict[Dialect, Codec]] = {
    Dialect.OPENAI_CHAT: OpenAIChat(),
    Dialect.OPENAI_RESPONSES: OpenAIResponses(),
    Dialect.ANTHROPIC_MESSAGES: AnthropicMessages(),
}
_TRANSLATORS: Final[dict[Dialect, Translator]] = {
    Dialect.OPENAI_CHAT: ChatTranslator(),
    Dialect.OPENAI_RESPONSES: ResponsesTranslator(),
    Dialect.ANTHROPIC_MESSAGES: MessagesTranslator(),
}
_TRANSLATOR_BY_ENDPOINT: Final = {endpoint: _TRANSLATORS[dialect] for endpoint, dialect in DIALECT_OF.items()}
_BY_ENDPOINT: Final = {endpoint: _CODECS[dialect] for endpoint, dialect in DIALECT_OF.items()}


def codec_for(endpoint: Endpoint) -> Codec:
    """Return the codec of an endpoint's dialect; codecs hold no state."""
    return _BY_ENDPOINT[endpoint]


def translator_for(endpoint: Endpoint) -> Translator:
    """Return the canonical side of an endpoint's dialect; it holds no state."""
    return _TRANSLATOR_BY_ENDPOINT[endpoint]
