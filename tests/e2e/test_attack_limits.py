"""A client that wants more than its limits allow, and clients that must not be refused for what others do."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from tests.e2e.gateway import PRICE, SECRETS, Gateway, standard
from tests.e2e.limited import books, put
from tests.e2e.processes import poll
from tests.e2e.wire import CHAT, RESPONSES, ask, asked, body_of, connected, headers_of, until_status

from headgate.model.limit import Limit, Scope, Unit
from headgate.policy.windows import TOTAL
from headgate.sim import SimThread

USD = 10**9
HUGE = 10**15 - 1
LONG_S = "me\u017f\u017fages"


def config(sim: SimThread) -> str:
    """Return providers, one that answers nothing at its first, and chains over them."""
    common = f'base_url: "{sim.url}", api_key: {SECRETS["openai"]}'
    return f"""{standard(sim).rstrip()}
  first: {{kind: openai, {common}, price: {PRICE}}}
  free: {{kind: openai, {common}, price: free}}
  small: {{kind: openai, {common}, price: {PRICE}, models: {{narrow: {{context: 8000}}}}}}
  thinker: {{kind: anthropic, {common}, price: {PRICE}, models: {{claude-sonnet-4-5: {{max_output: 64000}}}}}}
  shaped: {{kind: openai, {common}, price: {PRICE}, extra_body: {{max_tokens: 9000}}}}
models:
  chain: {{routes: [first/cheap-sim-500, openai/dear]}}
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, sim: SimThread) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("attack"), sim, config(sim)) as gateway:
        yield gateway


def limited(own: Gateway, name: str, *limits: Limit) -> str:
    """Return a new key of this name with these limits; their names become the key's."""
    put(own.ledger_url, *(msgspec.structs.replace(one, name=name) for one in limits))
    secret = own.new_key(name)
    until_status(own, secret, 200)
    return secret


def of_key(unit: Unit, cap: int, *, pattern: str = "", clamp: bool = False) -> Limit:
    return Limit(0, Scope.KEY, "", unit, TOTAL, cap, pattern=pattern, clamp=clamp)


@pytest.mark.parametrize("unit", [Unit.REQUESTS, Unit.CONCURRENCY])
def test_a_limit_on_models_counts_calls_that_fall_over_to_one(own: Gateway, sim: SimThread, unit: Unit) -> None:
    name = f"falls-over-{unit}"
    secret = limited(own, name, of_key(Unit.REQUESTS, 100), of_key(unit, 0, pattern="dear"))
    heard = ask(own, CHAT, body_of(CHAT, "chain", name), key=secret)
    assert heard.status != 200
    assert [request for request in asked(sim, "dear") if name.encode() in request.body] == []


@pytest.mark.parametrize("spelled", ["GPT-Sim", "models/gpt-sim", "models/GPT-SIM"])
def test_a_limit_on_models_is_not_escaped_by_another_spelling(own: Gateway, sim: SimThread, spelled: str) -> None:
    secret = limited(own, f"spells-{spelled.replace('/', '-')}", of_key(Unit.REQUESTS, 0, pattern="gpt-s*"))
    assert ask(own, CHAT, body_of(CHAT, "openai/gpt-sim"), key=secret).status == 429
    assert ask(own, CHAT, body_of(CHAT, f"openai/{spelled}"), key=secret).status == 429


@pytest.mark.parametrize(
    "member", ["Max_Tokens", "MAX_COMPLETION_TOKENS", "max_to\u212aens", "Model", "N", "me\u017f\u017fages"]
)
def test_a_member_that_some_upstreams_take_for_another_is_refused(own: Gateway, member: str) -> None:
    heard = ask(own, CHAT, body_of(CHAT, "openai/gpt-sim", max_tokens=1) | {member: 100_000})
    assert heard.status == 400
    assert "key" in heard.json["error"]["message"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("route", ["openai/huge-sim-no-usage", "free/huge-sim-no-usage"])
@pytest.mark.parametrize("unit", [None, Unit.CONCURRENCY, Unit.REQUESTS])
def test_a_call_of_any_size_is_recorded_and_leaves_nothing_held(
    own: Gateway, route: str, unit: Unit | None, *, stream: bool
) -> None:
    limits = [] if unit is None else [of_key(unit, 100)]
    secret = limited(own, f"huge-{route.partition('/')[0]}-{unit}-{stream}", *limits)
    heard = ask(own, CHAT, body_of(CHAT, route, stream=stream, max_tokens=HUGE), key=secret)
    assert heard.status == 200
    assert own.call(heard.call)["attempts"]
    poll(lambda: books(own.ledger_url).at_rest)


def test_a_client_that_has_left_a_whole_answer_is_no_call_at_once(own: Gateway, sim: SimThread) -> None:
    secret = limited(own, "leaves", of_key(Unit.CONCURRENCY, 1))
    body = msgspec.json.encode(body_of(CHAT, "openai/leaves", "[[sim tokens=5 fault=hold after=1]]"))
    with connected(own) as connection:
        connection.request("POST", f"/v1/{CHAT}", body, headers_of(CHAT, secret))
        poll(lambda: len(asked(sim, "leaves")) == 1)
    try:
        poll(lambda: ask(own, CHAT, body_of(CHAT, "openai/stays"), key=secret).status == 200)
        assert asked(sim, "leaves")[0].outcome is None, "it is read to its end all the same"
    finally:
        sim.release()


def test_the_maximum_that_a_limit_needs_is_said_so_that_the_upstream_heeds_it(own: Gateway, sim: SimThread) -> None:
    secret = limited(own, "unheard", of_key(Unit.USD, USD))
    assert ask(own, CHAT, body_of(CHAT, "openai/unheard"), key=secret).status == 200
    [request] = asked(sim, "unheard")
    sent = msgspec.json.decode(request.body)
    # Mistral refuses the newer name, Ollama and LM Studio ignore it.
    assert sent["max_tokens"] > 0
    assert "max_completion_tokens" not in sent


@pytest.mark.parametrize("endpoint", [CHAT, RESPONSES])
def test_a_maximum_of_the_configuration_is_lowered_to_what_is_held(own: Gateway, sim: SimThread, endpoint: str) -> None:
    name = f"configured-{endpoint.partition('/')[0]}"
    secret = limited(own, name, of_key(Unit.TOKENS, 5_000))
    heard = ask(own, endpoint, body_of(endpoint, f"shaped/{name}"), key=secret)
    assert heard.status == 200
    [request] = asked(sim, name)
    [attempt] = own.call(heard.call)["attempts"]
    sent = msgspec.json.decode(request.body)
    for member in ("max_tokens", "max_completion_tokens"):
        assert sent.get(member, 0) <= attempt["hold_tokens"] <= 5_000


def test_the_maximum_that_a_limit_needs_leaves_room_for_the_prompt(own: Gateway, sim: SimThread) -> None:
    secret = limited(own, "narrow", of_key(Unit.USD, USD))
    heard = ask(own, CHAT, body_of(CHAT, "small/narrow", "five words are not much " * 700), key=secret)
    assert heard.status == 200
    [request] = asked(sim, "narrow")
    # vLLM refuses what with its prompt is more than the context: 16,800 bytes of English are 4,200 tokens.
    assert 1_024 <= msgspec.json.decode(request.body)["max_tokens"] < 8_000 - 4_300


def test_thinking_that_the_gateway_sized_gives_way_to_what_is_left(own: Gateway, sim: SimThread) -> None:
    secret = limited(own, "thinks", of_key(Unit.TOKENS, 9_000))
    body = body_of(CHAT, "thinker/claude-sonnet-4-5", "thinks", reasoning_effort="high")
    heard = ask(own, CHAT, body, key=secret)
    assert heard.status == 200, heard.body
    [request] = [one for one in asked(sim, "claude-sonnet-4-5") if b"thinks" in one.body]
    sent = msgspec.json.decode(request.body)
    assert 2_048 <= sent["max_tokens"] < 9_000
    assert sent["thinking"]["budget_tokens"] <= sent["max_tokens"] - 1_000
