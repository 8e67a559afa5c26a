"""The vendors' SDKs, asked in one way whatever their dialect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Self

import anthropic
import openai
from tests.e2e.gateway import Gateway
from tests.e2e.wire import CHAT, RESPONSES

CLASSES = (openai.APIError, anthropic.APIError)


@dataclass(frozen=True)
class Clients:
    """`raw` answers have the headers; `retries` as the SDKs count them."""

    oai: openai.OpenAI
    ant: anthropic.Anthropic

    @classmethod
    @contextmanager
    def of(cls, gateway: Gateway, key: str | None = None, retries: int = 0) -> Iterator[Self]:
        with ExitStack() as stack:
            given: Any = {"api_key": key or gateway.key, "max_retries": retries}
            oai = stack.enter_context(openai.OpenAI(base_url=f"{gateway.url}/v1", **given))
            yield cls(oai, stack.enter_context(anthropic.Anthropic(base_url=gateway.url, **given)))

    def raw(self, client: str, model: str, text: str = "hello", *, stream: bool = False, **more: Any) -> Any:
        """Return the SDK's raw answer; `parse` it. Raises what the SDK raises."""
        words = [{"role": "user", "content": text}]
        given: dict[str, Any] = {"model": model, "stream": stream}
        create: Any
        if client == CHAT:
            create = self.oai.chat.completions.with_raw_response.create
            given["messages"] = words
        elif client == RESPONSES:
            create = self.oai.responses.with_raw_response.create
            given["input"] = text
        else:
            create = self.ant.messages.with_raw_response.create
            given |= {"messages": words, "max_tokens": 500}
        return create(**given | more)

    def ask(self, client: str, model: str, text: str = "hello", *, stream: bool = False, **more: Any) -> Any:
        """Return the answer, a stream's as the list of its events. Raises what the SDK raises."""
        said = self.raw(client, model, text, stream=stream, **more).parse()
        return list(said) if stream else said

    def finished(self, client: str, model: str) -> Any:
        """Return the whole answer as the SDK's own helper gathers it from a stream."""
        words: Any = [{"role": "user", "content": "hello"}]
        if client == CHAT:
            with self.oai.chat.completions.stream(model=model, messages=words) as chunks:
                return chunks.get_final_completion()
        if client == RESPONSES:
            with self.oai.responses.stream(model=model, input="hello") as events:
                return events.get_final_response()
        with self.ant.messages.stream(model=model, messages=words, max_tokens=500) as message:
            return message.get_final_message()


def says_more(client: str, event: Any) -> bool:
    """Tell that an event of a stream holds text."""
    if client == CHAT:
        return any(choice.delta.content for choice in event.choices)
    if client == RESPONSES:
        return bool(event.type == "response.output_text.delta")
    return bool(event.type == "content_block_delta")


def ends(client: str, event: Any) -> bool:
    """Tell that an event says that the answer is whole."""
    if client == CHAT:
        return any(choice.finish_reason for choice in event.choices)
    if client == RESPONSES:
        return event.type in ("response.completed", "response.incomplete")
    return event.type == "message_stop" or bool(event.type == "message_delta" and event.delta.stop_reason)
