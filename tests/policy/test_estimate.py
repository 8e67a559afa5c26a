"""The size of a hold."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.model.dialect import DIALECT_OF, SERVED_BY, Endpoint, Kind
from headgate.model.limit import MAX_AMOUNT
from headgate.model.price import UNKNOWN, Billing, Prices, Rate
from headgate.model.request import RequestHead, Visible
from headgate.model.route import Provider, Route
from headgate.model.usage import Usage
from headgate.policy.estimate import (
    BASE_TOKENS,
    DEAR_IMAGE_TOKENS,
    DEFAULT_CONTEXT,
    DEFAULT_MAX_OUTPUT,
    LEAST_OUTPUT,
    TOOLS_TOKENS,
    Hold,
    bound,
    hold,
    input_tokens,
    left_of_context,
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
    name: str = "m",
) -> Route:
    provider = Provider("p", Kind.OPENAI, "http://x/v1", None, SERVED_BY[Kind.OPENAI], billing=billing)
    return Route(provider, name, "m", prices, context=context, max_output=max_output)


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


RATE = 0.3
SEEN = Visible(10_000)


def test_a_bounds_input_is_its_estimate_and_at_most_a_token_a_byte() -> None:
    got = bound(head(tools=True), route(), seen=SEEN, tokens_per_byte=RATE)
    assert (got.input, got.input_most) == (
        3_000 + BASE_TOKENS + TOOLS_TOKENS,
        10_000 + BASE_TOKENS + TOOLS_TOKENS,
    )


def test_attachments_count_by_their_own_rules_and_no_more_than_the_context() -> None:
    seen = Visible(1_000, attached_tokens=5_000, images=1)
    got = bound(head(), route(), seen=seen, tokens_per_byte=RATE)
    assert (got.input, got.input_most) == (300 + 5_000 + BASE_TOKENS, 1_000 + 5_000 + BASE_TOKENS)
    small = bound(head(), route(context=2_000), seen=seen, tokens_per_byte=RATE)
    assert (small.input, small.input_most) == (300 + 2_000 + BASE_TOKENS, 1_000 + 2_000 + BASE_TOKENS)


def test_an_image_counts_for_more_where_tiles_are_dear() -> None:
    seen = Visible(0, attached_tokens=1_601, images=2)
    got = bound(head(), route(name="gpt-4o-mini-2024-07-18"), seen=seen, tokens_per_byte=RATE)
    assert got.input >= 2 * DEAR_IMAGE_TOKENS == 2 * 48_169


def test_what_cannot_be_seen_is_the_whole_context() -> None:
    unseen = Visible(1_000, unseen=True)
    got = bound(head(), route(context=50_000), seen=unseen, tokens_per_byte=RATE)
    assert (got.input, got.input_most) == (50_000, 50_000)
    assert bound(head(), route(), seen=unseen, tokens_per_byte=RATE).input == DEFAULT_CONTEXT
    stored = head(b'{"previous_response_id":"r"}', endpoint=Endpoint.RESPONSES)
    assert bound(stored, route(context=50_000), seen=SEEN, tokens_per_byte=RATE).input == 50_000
    assert bound(stored, route(context=5_000), seen=SEEN, tokens_per_byte=RATE).input_most == 10_000 + BASE_TOKENS


@pytest.mark.parametrize(("endpoint", "name"), [(Endpoint.EMBEDDINGS, "input"), (Endpoint.COMPLETIONS, "prompt")])
@pytest.mark.parametrize("value", ["[1,2,3]", "[[1,2],[3]]", "[ 7]"])
def test_a_list_of_tokens_is_denser_than_text(endpoint: Endpoint, name: str, value: str) -> None:
    listed = head(f'{{"{name}":{value}}}'.encode(), endpoint=endpoint)
    assert bound(listed, route(), seen=SEEN, tokens_per_byte=RATE).input == 5_000 + BASE_TOKENS
    texts = head(f'{{"{name}":["1","2"]}}'.encode(), endpoint=endpoint)
    assert bound(texts, route(), seen=SEEN, tokens_per_byte=RATE).input == 3_000 + BASE_TOKENS


def test_only_a_maximum_that_the_client_did_not_name_may_be_lowered() -> None:
    named = bound(head(max_output=3_000), route(max_output=8_000), seen=SEEN, tokens_per_byte=RATE)
    assert (named.output, named.least, named.lowerable) == (3_000, LEAST_OUTPUT, False)
    unnamed = bound(head(), route(max_output=8_000), seen=SEEN, tokens_per_byte=RATE)
    assert (unnamed.output, unnamed.least, unnamed.lowerable) == (8_000, LEAST_OUTPUT, True)
    told = bound(head(max_output=3_000), route(), seen=SEEN, tokens_per_byte=RATE, lowerable=True)
    assert (told.output, told.lowerable) == (3_000, True)


@pytest.mark.parametrize("most", [0, 1, 1_023])
def test_a_maximum_below_the_least_is_not_raised(most: int) -> None:
    got = bound(head(max_output=most), route(), seen=SEEN, tokens_per_byte=RATE)
    assert (got.output, got.least) == (most, most)


@pytest.mark.parametrize(
    ("body", "least"),
    [
        ('{"thinking":{"type":"enabled","budget_tokens":5000}}', 5_001),
        ('{"reasoning":{"max_tokens":6000}}', 6_001),
        ('{"thinking":{"type":"adaptive"}}', LEAST_OUTPUT),
        ('{"thinking":{"type":"enabled","budget_tokens":99999}}', 8_000),
        ('{"thinking":{"type":"enabled","budget_tokens":"x"},"reasoning":5}', LEAST_OUTPUT),
        ('{"thinking":null}', LEAST_OUTPUT),
    ],
)
def test_a_maximum_stays_above_the_tokens_fixed_for_thinking(body: str, least: int) -> None:
    thinking = head(body.encode(), endpoint=Endpoint.MESSAGES, max_output=8_000)
    assert bound(thinking, route(), seen=SEEN, tokens_per_byte=RATE).least == least


@pytest.mark.parametrize(("budget", "least"), [(5000, 2_048), (1024, 1_025)])
def test_thinking_that_a_translation_has_written_gives_way_but_for_the_least(budget: int, least: int) -> None:
    body = b'{"model":"m","thinking":{"type":"enabled","budget_tokens":%d},"messages":[]}' % budget
    written = msgspec.structs.replace(head(body, endpoint=Endpoint.MESSAGES, max_output=8_000), fields={})
    assert bound(written, route(), seen=SEEN, tokens_per_byte=RATE).least == least


@pytest.mark.parametrize(
    ("context", "seen", "most"),
    [
        (None, Visible(10**7), 4_096),
        (8_000, Visible(1_000), 4_096),
        (8_000, Visible(20_000), 8_000 - 5_400),
        (8_000, Visible(1_000, 5_000), 8_000 - 270 - 5_000),
        (8_000, Visible(10**6), LEAST_OUTPUT),
        (8_000, Visible(20_000, unseen=True), 4_096),
    ],
)
def test_a_maximum_that_nobody_asked_for_fits_beside_the_prompt(context: int | None, seen: Visible, most: int) -> None:
    small = msgspec.structs.replace(route(), context=context)
    assert left_of_context(4_096, small, seen) == most
    assert left_of_context(10, small, seen) == 10


def test_rates_are_the_dearest_that_the_largest_input_can_reach() -> None:
    tiered = msgspec.structs.replace(PRICES, input=Rate(1_000_000, ((5_000, 9_000_000),)))
    got = bound(head(max_output=5), route(tiered), seen=SEEN, tokens_per_byte=RATE)
    assert got.input < 5_000 < got.input_most
    assert (got.input_rate, got.output_rate) == (9_000_000, 10_000_000)
    small = bound(head(max_output=5), route(tiered), seen=Visible(100), tokens_per_byte=RATE)
    assert small.input_rate == 2_000_000
    loud = bound(head(max_output=5), route(), seen=Visible(100, audio=True), tokens_per_byte=RATE)
    assert (loud.input_rate, loud.output_rate) == (50_000_000, 90_000_000)


def test_a_subscription_costs_nothing_and_an_unpriced_route_has_no_rates() -> None:
    asked = Prices(request=7)
    free = bound(head(), route(asked, billing=Billing.SUBSCRIPTION), seen=SEEN, tokens_per_byte=RATE)
    assert (free.input_rate, free.output_rate, free.request, free.priced) == (0, 0, 0, True)
    unpriced = bound(head(), route(asked), seen=SEEN, tokens_per_byte=RATE)
    assert (unpriced.input_rate, unpriced.output_rate, unpriced.request, unpriced.priced) == (None, None, 7, False)


def test_embeddings_need_no_price_of_output_and_counting_none_at_all() -> None:
    silent = msgspec.structs.replace(PRICES, output=None)
    got = bound(head(endpoint=Endpoint.EMBEDDINGS), route(silent), seen=SEEN, tokens_per_byte=RATE)
    assert (got.output, got.least, got.priced) == (0, 0, True)
    counting = bound(head(endpoint=Endpoint.COUNT_TOKENS), route(UNKNOWN), seen=SEEN, tokens_per_byte=RATE)
    assert (counting.input_most, counting.nano(counting.input_most, counting.output)) == (0, 0)


@given(
    st.integers(0, 10**15),
    st.integers(1, 10**15),
    st.integers(0, 2**26),
    st.integers(0, 10**7),
    st.booleans(),
    st.floats(0.2, 1),
)
def test_no_size_breaks_the_bound(most: int, n: int, size: int, attached: int, unseen: bool, rate: float) -> None:
    seen = Visible(size, attached, 1, unseen=unseen)
    got = bound(head(max_output=most, n=n), route(), seen=seen, tokens_per_byte=rate)
    assert 0 <= got.input <= got.input_most
    assert 0 <= got.least <= got.output == most
    assert got.n == n
    assert got.nano(got.input, got.least) <= got.nano(got.input_most, got.output)
    held = hold(head(max_output=most, n=n), route())
    assert held.output <= MAX_AMOUNT
    assert held.nano is not None
    assert held.nano < 2**63
