"""Clients that mean harm where requests are translated: crowds of values, odd ids, forged names, odd configurations."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.e2e.failing import DIALECTS
from tests.e2e.gateway import PRICE, Gateway
from tests.e2e.refusals import serves_on
from tests.e2e.scripted import Said, scripted
from tests.e2e.setting import KINDS
from tests.e2e.wire import CHAT, MESSAGES, RESPONSES, ask, body_of

from headgate.protocols.json_object import MAX_NODES
from headgate.sim import SimThread

FOREIGN = [(client, upstream) for client in DIALECTS for upstream in DIALECTS if client != upstream]
SENT = {CHAT: "messages", RESPONSES: "input", MESSAGES: "messages"}
GREEDY = {
    CHAT: "{max_completion_tokens: 20000, n: 2}",
    RESPONSES: "{max_output_tokens: 20000}",
    MESSAGES: "{thinking: {type: enabled, budget_tokens: 1024}}",
}


@pytest.fixture(scope="module")
def greedy(tmp_path_factory: pytest.TempPathFactory, sim: SimThread) -> Iterator[Gateway]:
    lines = ["providers:"]
    for endpoint, kind in KINDS.items():
        more = f"extra_body: {GREEDY[endpoint]}"
        lines.append(f'  {kind}: {{kind: {kind}, base_url: "{sim.url}", price: {PRICE}, {more}}}')
    with Gateway(tmp_path_factory.mktemp("greedy"), sim, "\n".join(lines) + "\n") as running:
        yield running


@pytest.mark.parametrize("crowd", ["objects", "messages", "parts"])
@pytest.mark.parametrize(("client", "upstream"), [*FOREIGN, (RESPONSES, RESPONSES)])
def test_a_crowd_of_values_is_refused(gateway: Gateway, client: str, upstream: str, crowd: str) -> None:
    part = {"type": "input_text" if client == RESPONSES else "text", "text": "a"}
    said: dict[str, Any] = {
        "objects": [{}] * 1_000_000,
        "messages": [{"role": "user", "content": "hi"}] * (MAX_NODES + 1),
        "parts": [{"role": "user", "content": [part] * (MAX_NODES + 1)}],
    }
    heard = ask(gateway, client, body_of(client, f"plain-{KINDS[upstream]}/crowd") | {SENT[client]: said[crowd]})
    assert heard.status == 400
    assert "too many to be read" in heard.json["error"]["message"]
    row = gateway.call(heard.call)
    assert (row["outcome"], row["cost_nano"], row["attempts"]) == ("rejected", 0, [])
    serves_on(gateway)


@pytest.mark.parametrize(("client", "upstream"), FOREIGN)
def test_a_large_conversation_is_translated_whole(gateway: Gateway, sim: SimThread, client: str, upstream: str) -> None:
    words = [{"role": "user", "content": f"word {number} " * 20} for number in range(3_000)]
    model = f"large-{KINDS[client]}"
    heard = ask(gateway, client, body_of(client, f"plain-{KINDS[upstream]}/{model}") | {SENT[client]: words})
    assert heard.status == 200, heard.body[:300]
    sent = next(one for one in list(sim.requests) if one.model == model and one.endpoint == upstream).body
    assert all(f"word {number} ".encode() in sent for number in range(3_000))


@pytest.mark.parametrize("name", ["a\r\nx-evil: 1", "\u2028é", "\x1b[31m", "\x00", "k" * 10_000, "a, b"])
@pytest.mark.parametrize(("client", "upstream"), FOREIGN)
def test_a_members_name_breaks_no_header(gateway: Gateway, client: str, upstream: str, name: str) -> None:
    heard = ask(gateway, client, body_of(client, f"plain-{KINDS[upstream]}/names") | {name: 1})
    assert heard.status == 200
    assert "x-evil" not in heard.headers
    dropped = heard.headers["x-headgate-dropped"]
    assert dropped.isascii()
    assert dropped.isprintable()
    assert all(len(each) <= 80 for each in dropped.split(", "))
    assert gateway.call(heard.call)["dropped"] == dropped


@pytest.mark.parametrize("upstream", DIALECTS)
@pytest.mark.parametrize("client", DIALECTS)
def test_what_a_configuration_adds_is_held_for(greedy: Gateway, client: str, upstream: str) -> None:
    body = body_of(client, f"{KINDS[upstream]}/greedy", "[[sim tokens=9000]]")
    body.pop("max_tokens", None)
    if client == MESSAGES:
        body["max_tokens"] = 6_000
    [attempt] = greedy.call(ask(greedy, client, body).call)["attempts"]
    assert attempt["basis"] == "computed"
    assert 0 < attempt["cost_nano"] <= attempt["hold_nano"]


@pytest.mark.parametrize("odd", ["\x00", "resp_\x00", "resp_\n", "x" * 1_000_000, "'; drop table calls; --"])
def test_an_odd_id_names_no_response(gateway: Gateway, odd: str) -> None:
    body = body_of(RESPONSES, "plain-openai_responses/odd-id") | {"previous_response_id": odd}
    heard = ask(gateway, RESPONSES, body)
    assert heard.status == 200
    assert heard.headers["x-headgate-route"] == "plain-openai_responses/odd-id"


def test_an_id_that_no_store_takes_costs_no_row(tmp_path: Path, sim: SimThread, postgres_url: str) -> None:
    """PostgreSQL's text cannot hold a NUL, SQLite's can."""
    answer = {"id": "resp_\x00", "object": "response", "status": "completed", "output": [], "model": "m"}
    used = {"usage": {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4}}
    with scripted({"nul": Said(answer | used)}) as url:
        config = f'providers:\n  far: {{kind: openai_responses, base_url: "{url}", price: {PRICE}}}\n'
        with Gateway(tmp_path, sim, config, ledger=postgres_url) as gateway:
            for previous in ({}, {"previous_response_id": "resp_\x00"}):
                heard = ask(gateway, RESPONSES, body_of(RESPONSES, "far/m-nul") | previous)
                assert heard.status == 200, heard.body
                assert msgspec.json.decode(heard.body) == answer | used
                assert gateway.call(heard.call)["cost_nano"] == 3 * 2_000 + 8_000
