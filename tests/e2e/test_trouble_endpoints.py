"""Completions, embeddings and token counts in trouble: they fall over, break and are charged as the others are."""

from typing import Any

import openai
import pytest
from tests.e2e.gateway import Gateway
from tests.e2e.setting import chain, upstream_name
from tests.e2e.wire import CHAT, COMPLETIONS, COUNT, EMBEDDINGS, MESSAGES, Heard, ask, asked, billed, body_of, raised

from headgate.sim import SimThread

CHAIN_OF = {COMPLETIONS: CHAT, EMBEDDINGS: CHAT, COUNT: MESSAGES}
"""Whose chains serve an endpoint too."""


def tried(gateway: Gateway, heard: Heard) -> list[dict[str, Any]]:
    tries: list[dict[str, Any]] = gateway.call(heard.call)["attempts"]
    return tries


@pytest.mark.parametrize("fault", ["500", "520", "404", "cut", "html", "empty", "redirect", "error-only"])
@pytest.mark.parametrize("endpoint", CHAIN_OF)
def test_before_content_the_next_route_answers(gateway: Gateway, sim: SimThread, endpoint: str, fault: str) -> None:
    text = f"{endpoint} after {fault}"
    heard = ask(gateway, endpoint, body_of(endpoint, chain("plain", CHAIN_OF[endpoint], fault, stream=False), text))
    assert heard.status == 200, heard.body
    [request] = [one for one in asked(sim, "good") if one.endpoint == endpoint and text.encode() in one.body]
    assert heard.body == request.answer
    first, second = tried(gateway, heard)
    assert first["failure"] is not None
    assert (second["failure"], second["cost_nano"]) == (None, billed(request))


@pytest.mark.parametrize("endpoint", CHAIN_OF)
def test_what_is_the_clients_fault_goes_through_and_nowhere_else(
    gateway: Gateway, sim: SimThread, endpoint: str
) -> None:
    heard = ask(gateway, endpoint, body_of(endpoint, chain("plain", CHAIN_OF[endpoint], "400", stream=False)))
    name = upstream_name(CHAIN_OF[endpoint], "400", stream=False)
    request = next(one for one in reversed(asked(sim, name)) if one.endpoint == endpoint)
    assert (heard.status, heard.body) == (400, request.answer)
    assert [one["failure"] for one in tried(gateway, heard)] == ["request_rejected"]


@pytest.mark.parametrize("fault", ["cut", "cut-mid", "error-mid"])
def test_a_completion_that_breaks_after_content_ends_in_an_error_event(
    gateway: Gateway, sim: SimThread, fault: str
) -> None:
    name = upstream_name(CHAT, fault, stream=True)
    body = body_of(COMPLETIONS, chain("plain", CHAT, fault, stream=True), stream=True)
    heard = ask(gateway, COMPLETIONS, body)
    assert heard.status == 200
    assert heard.whole
    assert isinstance(raised(COMPLETIONS, heard), openai.APIError)
    [attempt] = tried(gateway, heard)
    request = next(one for one in reversed(asked(sim, name)) if one.endpoint == COMPLETIONS)
    assert attempt["cost_nano"] == attempt["hold_nano"] >= billed(request)
    assert gateway.call(heard.call)["outcome"] == "broken"
