"""What calls are charged where nothing is metered by the token, what a key is told of it, and the last deadline."""

from collections.abc import Iterator

import pytest
from tests.e2e.gateway import PRICE, Gateway
from tests.e2e.wire import CHAT, MESSAGES, RESPONSES, ask, asked, billed, body_of, headers_of, send, until_status

from headgate.model.money import format_usd
from headgate.sim import SimThread

CONFIG = """
server: {{port: 0, admin_port: 0, deadline: 2s}}
providers:
  priced: {{kind: openai, base_url: "{url}", price: {price}}}
  free: {{kind: openai, base_url: "{url}", price: free}}
  unpriced: {{kind: openai, base_url: "{url}"}}
  flat: {{kind: openai, base_url: "{url}", price: {price}, billing: subscription}}
  hasty: {{kind: openai, base_url: "{url}", price: {price}, timeouts: {{first_token: 100ms}}}}
models:
  late: {{routes: [hasty/late-sim-hang-first, priced/late-sim-hang-first, priced/late-behind]}}
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, sim: SimThread) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("charged"), config=CONFIG.format(url=sim.url, price=PRICE)) as running:
        yield running


@pytest.mark.parametrize(
    ("provider", "basis", "cost"),
    [("free", "computed", "0"), ("flat", "subscription", "0"), ("unpriced", "unknown", None)],
)
@pytest.mark.parametrize("stream", [False, True])
def test_an_unknown_price_is_not_zero_and_a_paid_for_one_is(
    own: Gateway, sim: SimThread, provider: str, basis: str, cost: str | None, *, stream: bool
) -> None:
    name = f"charged-{provider}-{stream}"
    heard = ask(own, CHAT, body_of(CHAT, f"{provider}/{name}", stream=stream))
    [request] = asked(sim, name)
    assert heard.body == request.answer
    row = own.call(heard.call)
    assert (row["outcome"], row["basis"], row["cost_nano"]) == ("ok", basis, None if cost is None else 0)
    assert (row["input"], row["output"]) == (request.usage.input, request.usage.output)
    if not stream:
        assert heard.headers["x-headgate-cost-basis"] == basis
        assert heard.headers.get("x-headgate-cost-usd") == cost


def test_a_key_is_told_what_it_has_used_and_nobody_else(own: Gateway, sim: SimThread) -> None:
    mine, other = own.new_key("mine"), own.new_key("other")
    until_status(own, mine, 200)
    until_status(own, other, 200)
    for model in ("priced/told-a", "priced/told-a", "priced/told-b", "unpriced/told-c"):
        assert ask(own, CHAT, body_of(CHAT, model), key=mine).status == 200
    told = send(own, "GET", "/v1/usage?since=1h", headers=headers_of(CHAT, mine)).json
    requests = {name: asked(sim, name) for name in ("told-a", "told-b", "told-c")}
    tokens = sum(one.usage.input + one.usage.output for some in requests.values() for one in some)
    cost = billed(*requests["told-a"], *requests["told-b"])
    assert told["all_time"] == {"calls": 4, "tokens": tokens, "cost_usd": format_usd(cost)}
    by_model = {one["model"]: (one["calls"], one["cost_usd"], one["unpriced_calls"]) for one in told["models"]}
    assert by_model == {
        "told-a": (2, format_usd(billed(*requests["told-a"])), 0),
        "told-b": (1, format_usd(billed(*requests["told-b"])), 0),
        "told-c": (1, "0", 1),
    }
    nothing = send(own, "GET", "/v1/usage", headers=headers_of(CHAT, other)).json
    assert (nothing["all_time"]["calls"], nothing["models"]) == (0, [])
    for endpoint in (CHAT, RESPONSES, MESSAGES):
        refused = send(own, "GET", "/v1/usage?since=soon", headers=headers_of(endpoint, mine))
        assert (refused.status, "since" in refused.json["error"]["message"]) == (400, True)


def test_one_deadline_spans_all_attempts(own: Gateway, sim: SimThread) -> None:
    heard = ask(own, CHAT, body_of(CHAT, "late", stream=True))
    assert heard.status == 504
    row = own.call(heard.call)
    assert [one["failure"] for one in row["attempts"]] == ["first_token_timeout", "deadline"]
    assert asked(sim, "late-behind") == []
    assert row["cost_nano"] == sum(one["hold_nano"] for one in row["attempts"]) > 0
