"""Upstreams that do not heed the output maximum: streams are stopped at their hold, the rest is itemised."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.clients import Clients
from tests.e2e.gateway import Gateway
from tests.e2e.limited import books, of_account, prepared
from tests.e2e.processes import poll
from tests.e2e.wire import CHAT, MESSAGES, RESPONSES, asked, billed

from headgate.sim import SimThread
from headgate.sim.record import SimRequest

PROVIDERS = ("openai", "responses", "anthropic")
LEAST = 16
"""What OpenAI's Responses API takes as a maximum at the least."""
FIELD = {CHAT: "max_completion_tokens", RESPONSES: "max_output_tokens", MESSAGES: "max_tokens"}
PAST = "[[sim tokens=3000 gap=1ms fault=past-maximum]]"
AT_ONCE = "[[sim tokens=3000 fault=past-maximum]]"
CAP = 50 * 10**9


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, sim: SimThread) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path_factory.mktemp("capped"), sim)
    prepared(gateway, of_account(CAP))
    with gateway:
        yield gateway


@pytest.fixture(scope="module")
def sdks(own: Gateway) -> Iterator[Clients]:
    with Clients.of(own) as clients:
        yield clients


def most(client: str, tokens: int) -> dict[str, Any]:
    return {FIELD[client]: tokens}


def ended(sim: SimThread, model: str) -> SimRequest:
    """Return the one request of this name, when the upstream knows how it ended."""
    [request] = asked(sim, model)
    poll(lambda: request.outcome is not None)
    return request


def why(client: str, events: list[Any]) -> str:
    """Return why a stream says that it has ended; it must say so once, and last."""
    if client == CHAT:
        [reason] = [choice.finish_reason for event in events for choice in event.choices if choice.finish_reason]
        return str(reason)
    if client == RESPONSES:
        assert events[-1].type == "response.incomplete"
        return str(events[-1].response.incomplete_details.reason)
    assert events[-1].type == "message_stop"
    [reason] = [event.delta.stop_reason for event in events if event.type == "message_delta"]
    return str(reason)


REASON = {CHAT: "length", RESPONSES: "max_output_tokens", MESSAGES: "max_tokens"}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("client", REASON)
def test_a_stream_that_passes_its_hold_is_ended_as_at_its_maximum(
    own: Gateway, sim: SimThread, sdks: Clients, client: str, provider: str
) -> None:
    name = f"past-{client.partition('/')[0]}-{provider}"
    raw = sdks.raw(client, f"{provider}/{name}", PAST, stream=True, **most(client, LEAST))
    assert why(client, list(raw.parse())) == REASON[client]
    request = ended(sim, name)
    assert request.disconnected
    assert LEAST < request.usage.output < 3000
    row = own.call(raw.headers["x-headgate-call"])
    [attempt] = row["attempts"]
    assert (row["outcome"], attempt["failure"], attempt["basis"]) == ("capped", "capped", "estimated")
    assert attempt["cost_nano"] == attempt["hold_nano"] + attempt["over_nano"] >= billed(request)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("client", REASON)
def test_a_whole_answer_beyond_its_maximum_is_itemised(
    own: Gateway, sim: SimThread, sdks: Clients, client: str, provider: str
) -> None:
    name = f"whole-{client.partition('/')[0]}-{provider}"
    before = books(own.ledger_url)
    raw = sdks.raw(client, f"{provider}/{name}", AT_ONCE, **most(client, LEAST))
    assert raw.parse()
    request = ended(sim, name)
    assert request.usage.output == 3000
    [attempt] = own.call(raw.headers["x-headgate-call"])["attempts"]
    assert attempt["cost_nano"] == attempt["reported_nano"] == billed(request)
    assert attempt["over_nano"] == billed(request) - attempt["hold_nano"] > 0
    after = books(own.ledger_url)
    assert (after.costs - before.costs, after.over - before.over) == (billed(request), attempt["over_nano"])


@pytest.mark.parametrize("client", REASON)
def test_a_stream_that_ends_at_its_maximum_is_passed_on_as_it_came(
    own: Gateway, sim: SimThread, sdks: Clients, client: str
) -> None:
    provider = {CHAT: "openai", RESPONSES: "responses", MESSAGES: "anthropic"}[client]
    name = f"heeds-{client.partition('/')[0]}"
    raw = sdks.raw(client, f"{provider}/{name}", "[[sim tokens=3000]]", stream=True, **most(client, 700))
    assert why(client, list(raw.parse())) == REASON[client]
    request = ended(sim, name)
    assert (request.outcome, request.usage.output) == ("completed", 700)
    row = own.call(raw.headers["x-headgate-call"])
    [attempt] = row["attempts"]
    assert (row["outcome"], attempt["over_nano"], attempt["cost_nano"]) == ("ok", 0, billed(request))


def test_nothing_is_held_when_nothing_is_in_flight(own: Gateway) -> None:
    read = books(own.ledger_url)
    assert read.at_rest
    assert sum(spent for spent, _ in read.limits.values()) == read.costs
