"""The size of a hold."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.model.dialect import DIALECT_OF, SERVED_BY, Endpoint, Kind
from headgate.model.price import UNKNOWN, Billing, Prices, Rate
from headgate.model.request import RequestHead
from headgate.model.route import Provider, Route
from headgate.model.usage import Usage
from headgate.policy.estimate import (
    BASE_TOKENS,
    DEFAULT_CONTEXT,
    DEFAULT_MAX_OUTPUT,
    TOOLS_TOKENS,
    Hold,
    hold,
    input_tokens,
    output_maximum,
    partial_usage,
)

PRICES = Prices(
    input=Rate(1_000_000),
    output=Rate(10_000_000),
    cache_read=Rate(100_000),
    cache_write_5m=Rate(2_000_000),
    cache_write_1h=Rate(2_000_000),
    input_audio=Rate(50_000_000),
    cache_read_audio=Rate(50_000_000),
    output_audio=Rate(90_000_000),
)
"""1 nano-USD a token of fresh input, 2 of cache writes, 10 of output."""


def route(
    prices: Prices = PRICES,
    *,
    billing: Billing = Billing.METERED,
    context: int | None = None,
    max_output: int | None = None,
) -> Route:
    provider = Provider("p", Kind.OPENAI, "http://x/v1", None, SERVED_BY[Kind.OPENAI], billing=billing)
    return Route(provider, "m", "m", prices, context=context, max_output=max_output)


def head(
    body: bytes = b"{}",
    *,
    endpoint: Endpoint = Endpoint.CHAT,
    max_output: int | None = None,
    n: int = 1,
    tools: bool = False,
) -> RequestHead:
    fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    return RequestHead(
        endpoint,
        DIALECT_OF[endpoint],
        "m",
        stream=False,
        body=body,
        fields=fields,
        max_output=max_output,
        n=n,
        has_tools=tools,
    )


def test_input_is_half_a_token_a_byte_and_the_overheads() -> None:
    assert input_tokens(1001) == 501 + BASE_TOKENS
    assert input_tokens(1001, tools=True) == 501 + BASE_TOKENS + TOOLS_TOKENS
    assert input_tokens(1001, tokens_per_byte=1) == 1001 + BASE_TOKENS


@given(st.integers(0, 2**25), st.integers(0, 2**25))
def test_a_larger_body_never_has_fewer_tokens(one: int, other: int) -> None:
    assert (input_tokens(one) <= input_tokens(other)) or one > other


def test_the_clients_maximum_comes_first_then_the_models_then_4096() -> None:
    assert output_maximum(head(max_output=7), route(max_output=100)) == 7
    assert output_maximum(head(), route(max_output=100)) == 100
    assert output_maximum(head(), route()) == DEFAULT_MAX_OUTPUT == 4096


def test_each_choice_may_use_the_maximum() -> None:
    assert output_maximum(head(max_output=7, n=3), route()) == 21


@pytest.mark.parametrize("endpoint", [Endpoint.EMBEDDINGS, Endpoint.COUNT_TOKENS])
def test_what_makes_no_output_holds_none(endpoint: Endpoint) -> None:
    assert output_maximum(head(endpoint=endpoint, max_output=9), route()) == 0


def test_a_hold_is_input_at_its_dearest_class_and_the_output_maximum() -> None:
    held = hold(head(b'{"a":1}', max_output=5), route())
    assert held == Hold(4 + BASE_TOKENS, 5, (4 + BASE_TOKENS) * 2 + 5 * 10)


def test_a_request_that_may_hold_audio_is_held_at_audios_price() -> None:
    held = hold(head(b'{"modalities":["text","audio"]}', max_output=1), route())
    assert held.nano == held.input * 50 + 90


def test_an_unpriced_route_has_tokens_but_no_amount_and_a_subscription_costs_nothing() -> None:
    assert hold(head(max_output=1), route(UNKNOWN)).nano is None
    assert hold(head(max_output=1), route(UNKNOWN, billing=Billing.SUBSCRIPTION)).nano == 0


def test_counting_tokens_is_free() -> None:
    assert hold(head(endpoint=Endpoint.COUNT_TOKENS), route(UNKNOWN)) == Hold(0, 0, 0)


@pytest.mark.parametrize("name", ["previous_response_id", "conversation", "prompt"])
def test_input_kept_by_the_vendor_counts_as_the_whole_context(name: str) -> None:
    body = b'{"%s":"x"}' % name.encode()
    stored = head(body, endpoint=Endpoint.RESPONSES)
    assert hold(stored, route(context=1000)).input == 1000
    assert hold(stored, route()).input == DEFAULT_CONTEXT
    absent = head(b'{"%s":null}' % name.encode(), endpoint=Endpoint.RESPONSES)
    assert hold(absent, route(context=1000)).input < 1000
    elsewhere = head(body, endpoint=Endpoint.COMPLETIONS)
    assert hold(elsewhere, route(context=1000)).input < 1000


def test_a_cut_stream_used_its_input_and_what_was_streamed() -> None:
    held = Hold(100, 50, 1)
    assert partial_usage(held, 41, None) == Usage(input=100, output=21)
    assert partial_usage(held, 10_000, None) == Usage(input=100, output=50)


def test_usage_seen_on_the_way_is_the_truth_of_the_input_and_a_bound_of_the_output() -> None:
    seen = Usage(input=10, cache_read=90, output=1)
    assert partial_usage(Hold(100, 50, 1), 8, seen) == Usage(input=10, cache_read=90, output=4)
    assert partial_usage(Hold(100, 50, 1), 0, seen) == seen
    assert partial_usage(Hold(100, 50, 1), 0, Usage(output=7)) == Usage(input=100, output=7)
