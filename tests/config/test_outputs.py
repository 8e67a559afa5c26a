"""The most output tokens of Claude models."""

import pytest

from headgate.config.outputs import known_max_output


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("claude-3-haiku-20240307", 4_096),
        ("claude-3-5-sonnet-20241022", 8_192),
        ("claude-3-7-sonnet-latest", 64_000),
        ("claude-opus-4-20250514", 32_000),
        ("claude-opus-4-0", 32_000),
        ("claude-opus-4-1-20250805", 32_000),
        ("claude-sonnet-4-20250514", 64_000),
        ("claude-sonnet-4-5", 64_000),
        ("claude-sonnet-4-5-20250929", 64_000),
        ("claude-haiku-4-5", 64_000),
        ("claude-opus-4-5-20251101", 64_000),
        ("claude-opus-4-6", 128_000),
        ("claude-sonnet-4-6", 128_000),
        ("claude-opus-5-5", 128_000),
        ("anthropic/claude-sonnet-4.5", 64_000),
        ("anthropic.claude-opus-4-1-20250805-v1:0", 32_000),
        ("anthropic/claude-opus-4.6", 128_000),
        ("gpt-5", None),
        ("my-claude", None),
    ],
)
def test_each_model_has_the_maximum_that_its_vendor_names(name: str, most: int | None) -> None:
    assert known_max_output(name) == most
