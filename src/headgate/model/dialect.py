"""The dialects clients and upstreams speak, and the endpoints of each."""

from enum import StrEnum


class Dialect(StrEnum):
    OPENAI_CHAT = "openai_chat"
    OPENAI_RESPONSES = "openai_responses"
    ANTHROPIC_MESSAGES = "anthropic_messages"


class Endpoint(StrEnum):
    """What is asked of an upstream; the value is the path below the API's `/v1`."""

    CHAT = "chat/completions"
    RESPONSES = "responses"
    MESSAGES = "messages"
    COUNT_TOKENS = "messages/count_tokens"
    EMBEDDINGS = "embeddings"
    COMPLETIONS = "completions"


DIALECT_OF: dict[Endpoint, Dialect] = {
    Endpoint.CHAT: Dialect.OPENAI_CHAT,
    Endpoint.RESPONSES: Dialect.OPENAI_RESPONSES,
    Endpoint.MESSAGES: Dialect.ANTHROPIC_MESSAGES,
    Endpoint.COUNT_TOKENS: Dialect.ANTHROPIC_MESSAGES,
    Endpoint.EMBEDDINGS: Dialect.OPENAI_CHAT,
    Endpoint.COMPLETIONS: Dialect.OPENAI_CHAT,
}


TRANSLATED: tuple[Endpoint, ...] = (Endpoint.RESPONSES, Endpoint.MESSAGES, Endpoint.CHAT)
"""Endpoints that each can stand for the others, the one that can say most first."""


class Kind(StrEnum):
    """A provider's kind: the dialect its endpoint speaks."""

    OPENAI = "openai"
    OPENAI_RESPONSES = "openai_responses"
    ANTHROPIC = "anthropic"


SERVED_BY: dict[Kind, frozenset[Endpoint]] = {
    Kind.OPENAI: frozenset({Endpoint.CHAT, Endpoint.EMBEDDINGS, Endpoint.COMPLETIONS}),
    Kind.OPENAI_RESPONSES: frozenset({Endpoint.RESPONSES, Endpoint.EMBEDDINGS}),
    Kind.ANTHROPIC: frozenset({Endpoint.MESSAGES, Endpoint.COUNT_TOKENS}),
}
