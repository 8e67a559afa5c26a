"""The codecs by endpoint, and the names that the layers above need."""

from typing import Final

from headgate.model.dialect import DIALECT_OF, Dialect, Endpoint
from headgate.protocols.anthropic_messages import AnthropicMessages
from headgate.protocols.base import Codec, MalformedStream, Piece, PieceKind, StreamScanner
from headgate.protocols.openai_chat import OpenAIChat
from headgate.protocols.openai_responses import OpenAIResponses
from headgate.protocols.sse import FrameTooLarge

__all__ = ["Codec", "FrameTooLarge", "MalformedStream", "Piece", "PieceKind", "StreamScanner", "codec_for"]

_CODECS: Final[dict[Dialect, Codec]] = {
    Dialect.OPENAI_CHAT: OpenAIChat(),
    Dialect.OPENAI_RESPONSES: OpenAIResponses(),
    Dialect.ANTHROPIC_MESSAGES: AnthropicMessages(),
}
_BY_ENDPOINT: Final = {endpoint: _CODECS[dialect] for endpoint, dialect in DIALECT_OF.items()}


def codec_for(endpoint: Endpoint) -> Codec:
    """Return the codec of an endpoint's dialect; codecs hold no state."""
    return _BY_ENDPOINT[endpoint]
