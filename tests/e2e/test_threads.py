"""Anthropic's message threads: with the upstream that holds them, and with those that cannot."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest
from tests.e2e.gateway import PRICE, Gateway
from tests.e2e.wire import asked

from headgate.sim import SimThread

DEEP = 200_000
HELLO: Any = {"role": "user", "content": "hello"}


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[SimThread]:
    with SimThread(seed=2) as running:
        yield running


@pytest.fixture(scope="module")
def threaded(tmp_path_factory: pytest.TempPathFactory, sim: SimThread, elsewhere: SimThread) -> Iterator[Gateway]:
    config = f"""
providers:
  chat: {{kind: openai, base_url: "{sim.url}", price: {PRICE}}}
  claude: {{kind: anthropic, base_url: "{sim.url}", price: {PRICE}}}
  other: {{kind: anthropic, base_url: "{elsewhere.url}", price: {PRICE}}}
models:
  either: {{routes: [claude/either, other/either]}}
  fallback: {{routes: [claude/fallback, chat/fallback]}}
"""
    folder: Path = tmp_path_factory.mktemp("threaded")
    with Gateway(folder, sim, config) as gateway:
        yield gateway


@pytest.fixture
def ant(threaded: Gateway) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=threaded.url, api_key=threaded.key, max_retries=0) as client:
        yield client


def thread_of(client: anthropic.Anthropic, model: str) -> Any:
    return client.beta.messages.thread(model=model, max_tokens=60, system="Be brief.", messages=[HELLO])


def sent(sim: SimThread, model: str) -> list[Any]:
    """Return the kind of thread and the number of messages of each request that the sim has answered."""
    bodies = [json.loads(request.body) for request in asked(sim, model)]
    return [((body.get("thread") or {}).get("type"), len(body["messages"])) for body in bodies]


@pytest.mark.parametrize("stream", [False, True])
def test_a_thread_lives_with_its_upstream(sim: SimThread, ant: anthropic.Anthropic, stream: bool) -> None:
    thread = thread_of(ant, f"claude/lives-{stream}")
    for turn in ([], [HELLO], [HELLO]):
        if stream:
            with thread.stream(*turn) as events:
                assert events.get_final_message().content
        else:
            assert thread.send(*turn).content
    assert sent(sim, f"lives-{stream}") == [("create", 1), ("continue", 1), ("continue", 1)]


@pytest.mark.parametrize("stream", [False, True])
def test_a_thread_goes_on_where_it_was_made(ant: anthropic.Anthropic, threaded: Gateway, stream: bool) -> None:
    made = ant.beta.messages.create(
        model="other/made", max_tokens=60, messages=[HELLO], thread={"type": "create"},
        betas=["message-threads-2026-08-12"],
    )  # fmt: skip
    raw: Any = ant.beta.messages.with_raw_response.create(
        model="other/made", max_tokens=60, messages=[HELLO], stream=stream,
        thread={"type": "continue", "previous_message_id": made.id}, betas=["message-threads-2026-08-12"],
    )  # fmt: skip
    parsed = raw.parse()
    if stream:
        assert list(parsed)
    assert threaded.read(lambda reader: reader.route_of_response("tests", made.id)) == "other/made"
    held = threaded.call(raw.headers["x-headgate-call"])["attempts"][0]["hold_nano"]
    assert held >= DEEP * 2_000, "input that nobody sees counts as the whole context"


def test_a_thread_is_pinned_to_the_route_that_holds_it(ant: anthropic.Anthropic, elsewhere: SimThread) -> None:
    made = ant.beta.messages.create(
        model="other/either", max_tokens=60, messages=[HELLO], thread={"type": "create"},
        betas=["message-threads-2026-08-12"],
    )  # fmt: skip
    raw = ant.beta.messages.with_raw_response.create(
        model="either", max_tokens=60, messages=[HELLO],
        thread={"type": "continue", "previous_message_id": made.id}, betas=["message-threads-2026-08-12"],
    )  # fmt: skip
    assert raw.headers["x-headgate-route"] == "other/either"
    assert sent(elsewhere, "either") == [("create", 1), ("continue", 1)]


def test_a_thread_that_the_upstream_forgot_is_sent_whole_again(
    sim: SimThread, ant: anthropic.Anthropic, threaded: Gateway
) -> None:
    thread = thread_of(ant, "fallback")
    thread.send()
    httpx2.delete(f"{sim.url}/_sim/threads").raise_for_status()
    assert thread.send(HELLO).content
    assert sent(sim, "fallback") == [("create", 1), ("create", 3)]
    raw = ant.messages.with_raw_response.create(model="fallback", max_tokens=9, messages=[HELLO])
    assert raw.headers["x-headgate-route"] == "claude/fallback", "the route is as healthy as it was"


@pytest.mark.parametrize("stream", [False, True])
def test_a_thread_on_a_foreign_upstream_is_never_half_a_conversation(
    sim: SimThread, ant: anthropic.Anthropic, stream: bool
) -> None:
    thread = thread_of(ant, f"chat/foreign-{stream}")
    for turn in ([], [HELLO], [HELLO]):
        if stream:
            with thread.stream(*turn) as events:
                assert events.get_final_message().content
        else:
            assert thread.send(*turn).content
    # One message more each: chat has its system prompt among them.
    assert sent(sim, f"foreign-{stream}") == [(None, 2), (None, 4), (None, 6)]


def test_a_foreign_upstream_is_not_asked_to_continue_what_it_does_not_hold(
    ant: anthropic.Anthropic, sim: SimThread
) -> None:
    with pytest.raises(anthropic.NotFoundError) as lost:
        ant.beta.messages.create(
            model="chat/unheld", max_tokens=60, messages=[HELLO],
            thread={"type": "continue", "previous_message_id": "msg_1"}, betas=["message-threads-2026-08-12"],
        )  # fmt: skip
    assert "whole conversation" in lost.value.message
    assert not asked(sim, "unheld")


@pytest.mark.parametrize("thread", [{"type": "continue"}, {"type": "resume"}, 7, "create", True, ["create"]])
def test_a_thread_in_an_odd_form_is_nothing_that_may_be_left_out(
    ant: anthropic.Anthropic, sim: SimThread, thread: Any
) -> None:
    with pytest.raises(anthropic.NotFoundError):
        ant.messages.create(model="chat/odd", max_tokens=60, messages=[HELLO], extra_body={"thread": thread})
    assert not asked(sim, "odd")


def test_a_thread_that_is_created_on_a_foreign_upstream_is_named(ant: anthropic.Anthropic) -> None:
    raw = ant.messages.with_raw_response.create(
        model="chat/created", max_tokens=60, messages=[HELLO], extra_body={"thread": {"type": "create"}}
    )
    assert raw.headers["x-headgate-dropped"] == "thread"
