from decimal import Decimal

import pytest

from headgate.model.usage import Usage
from headgate.protocols.counts import MAX_COUNT, count, decode_exact, openai_usage, reported_cost


@pytest.mark.parametrize("value", [-1, 1.0, Decimal(1), "5", None, True, [], {}, MAX_COUNT + 1])
def test_what_cannot_be_a_count_is_none(value: object) -> None:
    assert count(value) is None


def test_cached_and_audio_tokens_are_taken_out_of_the_prompt() -> None:
    usage = openai_usage(
        100, 50, 150, {"cached_tokens": 30, "audio_tokens": 20, "cache_write_tokens": 10}, {"reasoning_tokens": 40}
    )
    assert usage == Usage(input=40, cache_read=30, cache_write_5m=10, input_audio=20, output=50, reasoning=40)


def test_audio_output_is_taken_out_of_the_completion() -> None:
    assert openai_usage(1, 50, 51, {}, {"audio_tokens": 45}) == Usage(input=1, output=5, output_audio=45)


def test_reasoning_beside_the_completion_is_added_where_the_total_says_so() -> None:
    xai = openai_usage(663, 50, 837, {"cached_tokens": 654}, {"reasoning_tokens": 124})
    assert xai == Usage(input=9, cache_read=654, output=174, reasoning=124)
    gemini = openai_usage(20, 198, 623, {}, {})
    assert gemini == Usage(input=20, output=603, reasoning=405)


def test_reasoning_larger_than_the_completion_without_a_total_stands_beside_it() -> None:
    assert openai_usage(5, 10, None, {}, {"reasoning_tokens": 30}) == Usage(input=5, output=40, reasoning=30)


def test_reasoning_is_clamped_where_the_total_contradicts_it() -> None:
    assert openai_usage(5, 10, 15, {}, {"reasoning_tokens": 30}) == Usage(input=5, output=10, reasoning=10)


def test_cached_tokens_beside_the_prompt_are_not_lost() -> None:
    beside = Usage(input=10, cache_read=500, output=5)
    assert openai_usage(10, 5, 15, {"cached_tokens": 500}, {}) == beside
    assert openai_usage(10, 5, 515, {"cached_tokens": 500}, {}) == beside
    assert openai_usage(510, 5, 515, {"cached_tokens": 500}, {}) == beside


def test_more_audio_than_prompt_is_clamped() -> None:
    assert openai_usage(10, 5, 15, {"audio_tokens": 99}, {"audio_tokens": 99}) == Usage(input_audio=10, output_audio=5)


@pytest.mark.parametrize(
    ("prompt", "output", "total"), [(None, 5, 5), (5, None, None), (5, None, 3), (0, 0, 0), (0, 0, None)]
)
def test_usage_that_cannot_be_relied_on_is_none(prompt: int | None, output: int | None, total: int | None) -> None:
    assert openai_usage(prompt, output, total, {}, {}) is None


def test_a_missing_completion_follows_from_the_total() -> None:
    assert openai_usage(8, None, 8, {}, {}) == Usage(input=8)


@pytest.mark.parametrize(
    ("body", "nano"),
    [
        (b'{"cost":0.00014}', 140_000),
        (b'{"cost":1.4e-4}', 140_000),
        (b'{"cost":0.1}', 100_000_000),
        (b'{"cost":2}', 2_000_000_000),
        (b'{"cost":0}', 0),
        (b'{"cost":0.0000000005}', 1),
        (b'{"cost":0.95,"cost_details":{"upstream_inference_cost":19}}', 950_000_000),
        (b'{"cost":0.05,"is_byok":true,"cost_details":{"upstream_inference_cost":1.5}}', 1_550_000_000),
        (b'{"cost":0.05,"is_byok":true}', None),
        (b'{"cost_in_usd_ticks":37756000}', 3_775_600),
        (b'{"cost_in_usd_ticks":0}', None),
        (b'{"cost":-1}', None),
        (b'{"cost":"1"}', None),
        (b'{"cost":true}', None),
        (b'{"cost":1e300}', None),
        (b'{"cost":{"total_cost":1}}', None),
        (b"{}", None),
    ],
)
def test_costs_are_exact_or_unknown(body: bytes, nano: int | None) -> None:
    assert reported_cost(decode_exact(body)) == nano


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"a":1e99999999999999999999}', b"[" * 100_000, b"\xff"])
def test_odd_json_counts_as_nothing(body: bytes) -> None:
    assert decode_exact(body) == {}
