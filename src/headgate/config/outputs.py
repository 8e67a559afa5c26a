"""The most output tokens of Claude models, which the bundled data does not have.

Source: Anthropic's pages on its models (platform.claude.com/docs, "Models overview" and each model's own page).
"""

import re

_MOST: tuple[tuple[re.Pattern[str], int], ...] = tuple(
    (re.compile(pattern), tokens)
    for pattern, tokens in (
        (r"claude-3-(?:opus|sonnet|haiku)", 4_096),
        (r"claude-3-5-", 8_192),
        (r"claude-3-7-", 64_000),
        (r"claude-opus-4(?:-0|-1)?(?![-.]?\d(?!\d))", 32_000),
        (r"claude-(?:sonnet|haiku)-4(?:-0|-5)?(?![-.]?\d(?!\d))", 64_000),
        (r"claude-opus-4-5(?!\d)", 64_000),
        (r"claude-(?:opus|sonnet|fable|mythos)-(?:4-[6-9]|[5-9])", 128_000),
    )
)


def known_max_output(upstream_name: str) -> int | None:
    """Return the most output tokens of a Claude model by any vendor's spelling, None for every other name."""
    name = upstream_name.lower().replace(".", "-")
    return next((tokens for pattern, tokens in _MOST if pattern.search(name)), None)
