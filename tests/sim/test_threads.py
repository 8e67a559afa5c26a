"""Message threads: held, continued, forgotten."""

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from headgate.sim import SimThread

BETA: Any = {"anthropic-beta": "message-threads-2026-08-12"}
HELLO: Any = {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "hello"}]}
MORE: Any = {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "and then?"}]}


@pytest.fixture
def sim() -> Iterator[SimThread]:
    with SimThread(seed=1) as running:
        yield running


@pytest.fixture
def ant(sim: SimThread) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=sim.url, api_key="k", max_retries=0) as client:
        yield client


def asks(client: anthropic.Anthropic, body: Any, thread: Any, **headers: str) -> Any:
    return client.messages.create(**body, extra_body={"thread": thread}, extra_headers=headers)


def test_a_thread_that_is_continued_has_all_of_its_conversation(sim: SimThread, ant: anthropic.Anthropic) -> None:
    first = asks(ant, HELLO, {"type": "create"}, **BETA)
    second = asks(ant, MORE, {"type": "continue", "previous_message_id": first.id}, **BETA)
    said: Any = [*HELLO["messages"], {"role": "assistant", "content": first.content}, *MORE["messages"]]
    whole = ant.messages.create(**MORE | {"messages": said})
    assert second.usage.input_tokens == pytest.approx(whole.usage.input_tokens, abs=10)
    assert second.usage.input_tokens > ant.messages.create(**MORE).usage.input_tokens
    third = asks(ant, MORE, {"type": "continue", "previous_message_id": second.id}, **BETA)
    assert third.usage.input_tokens > second.usage.input_tokens


def test_a_thread_that_is_not_held_is_not_found(sim: SimThread, ant: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as lost:
        asks(ant, MORE, {"type": "continue", "previous_message_id": "msg_1"}, **BETA)
    body: Any = lost.value.body
    assert body["error"]["details"] == {"error_code": "thread_not_found"}


@pytest.mark.parametrize("thread", [{"type": "other"}, 7])
def test_a_thread_of_no_known_type_is_refused(ant: anthropic.Anthropic, thread: Any) -> None:
    with pytest.raises(anthropic.BadRequestError):
        asks(ant, MORE, thread, **BETA)


def test_threads_need_their_beta(ant: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match="Extra inputs"):
        asks(ant, HELLO, {"type": "create"})
