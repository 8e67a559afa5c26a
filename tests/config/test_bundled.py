"""Costs worked out by hand against the prices in genai-prices' bundled data.

1 token at 1 USD per million tokens is 1,000 nano-USD; prices in the comments are USD per million tokens.
"""

import subprocess
import sys
from datetime import UTC, datetime

import pytest

from headgate.config.bundled import lookup, models_of, spellings_of
from headgate.model.price import FREE, UNKNOWN, Billing, Prices, Rate
from headgate.model.usage import Basis, Usage
from headgate.policy.pricing import cost_of

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
URLS = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com/v1",
    "openrouter": "https://openrouter.ai/api/v1",
    "groq": "https://api.groq.com/openai/v1",
    "gemini": "https://generativelanguage.googleapis.com/v1beta/openai",
    "mistral": "https://api.mistral.ai/v1",
    "deepseek": "https://api.deepseek.com/v1",
    "xai": "https://api.x.ai/v1",
    "together": "https://api.together.xyz/v1",
    "fireworks": "https://api.fireworks.ai/inference/v1",
    "perplexity": "https://api.perplexity.ai",
}


def prices_of(provider: str, model: str, at: datetime = AT) -> Prices:
    facts = lookup(provider, URLS[provider], model, at)
    assert facts is not None
    return facts.prices


BY_HAND = [
    # in 3, out 15, read 0.3, 5m write 3.75, 1h write 6:
    # 1200×3000 + 10000×300 + 2000×3750 + 500×6000 + 800×15000
    # = 3,600,000 + 3,000,000 + 7,500,000 + 3,000,000 + 12,000,000; saved 10000×(3000-300)
    (
        "anthropic",
        "claude-sonnet-4-5",
        Usage(input=1200, cache_read=10_000, cache_write_5m=2000, cache_write_1h=500, output=800),
        29_100_000,
        27_000_000,
    ),
    # exactly at the tier's 200,000: 190000×3000 + 10000×300 + 1000×15000
    (
        "anthropic",
        "claude-sonnet-4-5",
        Usage(input=190_000, cache_read=10_000, output=1000),
        588_000_000,
        27_000_000,
    ),
    # one above, all at in 6, out 22.5, read 0.6: 190001×6000 + 10000×600 + 1000×22500
    (
        "anthropic",
        "claude-sonnet-4-5",
        Usage(input=190_001, cache_read=10_000, output=1000),
        1_168_506_000,
        54_000_000,
    ),
    # writes count towards the tier: 190000×6000 + 5000×7500 + 5001×12000 + 1×22500
    # = 1,140,000,000 + 37,500,000 + 60,012,000 + 22,500
    (
        "anthropic",
        "claude-sonnet-4-5",
        Usage(input=190_000, cache_write_5m=5000, cache_write_1h=5001, output=1),
        1_237_534_500,
        0,
    ),
    # in 1, out 5, 1h write 2: 333×1000 + 10×2000 + 77×5000
    ("anthropic", "claude-haiku-4-5", Usage(input=333, cache_write_1h=10, output=77), 738_000, 0),
    # in 15, out 75, read 1.5, 5m write 18.75: 10×15000 + 5000×1500 + 1000×18750 + 100×75000
    (
        "anthropic",
        "claude-opus-4-1",
        Usage(input=10, cache_read=5000, cache_write_5m=1000, output=100),
        33_900_000,
        67_500_000,
    ),
    # in 0.1, out 0.5 up to 100,000 tokens: 100000×100 + 3×500
    ("anthropic", "claude-haiku-5-5", Usage(input=100_000, output=3), 10_001_500, 0),
    # above it in 0.5, out 2.5: 100001×500 + 3×2500
    ("anthropic", "claude-haiku-5-5", Usage(input=100_001, output=3), 50_008_000, 0),
    # in 8 and no cache price in the data: 5m write 8×1.25 = 10, 1h write 8×2 = 16: 10×10000 + 10×16000
    ("anthropic", "claude-2", Usage(cache_write_5m=10, cache_write_1h=10), 260_000, 0),
    # in 0.25, out 2, read 0.025: 1001×250 + 2048×25 + 517×2000; saved 2048×225
    ("openai", "gpt-5-mini", Usage(input=1001, cache_read=2048, output=517), 1_335_450, 460_800),
    # in 0.15, out 0.6, read 0.075: 150 + 75 + 600; saved 75
    ("openai", "gpt-4o-mini", Usage(input=1, cache_read=1, output=1), 825, 75),
    # in 2.5, out 10: 999×2500 + 1×10000
    ("openai", "gpt-4o", Usage(input=999, output=1), 2_507_500, 0),
    # at 272,000: in 4, write 5, out 20: 270000×4000 + 2000×5000 + 10×20000
    ("openai", "gpt-5.6", Usage(input=270_000, cache_write_5m=2000, output=10), 1_090_200_000, 0),
    # one above: in 8, write 10, out 30: 270001×8000 + 2000×10000 + 10×30000
    ("openai", "gpt-5.6", Usage(input=270_001, cache_write_5m=2000, output=10), 2_180_308_000, 0),
    # in 0.02, no output price and no output: 7×20
    ("openai", "text-embedding-3-small", Usage(input=7), 140, 0),
    # in 1.25, out 10 up to 200,000: 200000×1250 + 10000
    ("gemini", "gemini-2.5-pro", Usage(input=200_000, output=1), 250_010_000, 0),
    # above: in 2.5, out 15: 200001×2500 + 15000
    ("gemini", "gemini-2.5-pro", Usage(input=200_001, output=1), 500_017_500, 0),
    # in 0.3, audio 1, cached audio 0.1, out 2.5: 100×300 + 50×1000 + 20×100 + 10×2500; saved 20×900
    (
        "gemini",
        "gemini-2.5-flash",
        Usage(input=100, input_audio=50, cache_read_audio=20, output=10),
        107_000,
        18_000,
    ),
    # in 0.59, out 0.79, no cache price, so cached at 0.59: 1234×590 + 66×590 + 56×790
    ("groq", "llama-3.3-70b-versatile", Usage(input=1234, cache_read=66, output=56), 811_240, 0),
    # in 0.15, out 0.6: 3×150 + 5×600
    ("mistral", "mistral-small-latest", Usage(input=3, output=5), 3_450, 0),
    # by time of day in 0.135 or 0.27, read 0.035 or 0.07, out 0.55 or 1.1; the dearer:
    # 1000×270 + 3000×70 + 200×1100; saved 3000×200
    ("deepseek", "deepseek-chat", Usage(input=1000, cache_read=3000, output=200), 700_000, 600_000),
    # in 2, out 6 up to 199,999: 199999×2000 + 2×6000
    ("xai", "grok-4.5", Usage(input=199_999, output=2), 400_010_000, 0),
    # above: in 4, out 12: 200000×4000 + 2×12000
    ("xai", "grok-4.5", Usage(input=200_000, output=2), 800_024_000, 0),
    # 14 per thousand requests, in 3, out 15: 14,000,000 + 10×3000 + 20×15000
    ("perplexity", "sonar-pro", Usage(input=10, output=20), 14_330_000, 0),
]


@pytest.mark.parametrize(("provider", "model", "usage", "nano", "saved"), BY_HAND)
def test_cost_is_what_was_worked_out_by_hand(provider: str, model: str, usage: Usage, nano: int, saved: int) -> None:
    cost = cost_of(usage, prices_of(provider, model), Billing.METERED, None)
    assert (cost.nano, cost.basis, cost.savings_nano) == (nano, Basis.COMPUTED, saved)


def test_the_table_covers_twelve_models_of_five_providers() -> None:
    assert len({(provider, model) for provider, model, *_ in BY_HAND}) >= 12
    assert len({provider for provider, *_ in BY_HAND}) >= 5


def test_an_unknown_model_has_no_facts_and_a_free_one_costs_nothing() -> None:
    assert lookup("openai", URLS["openai"], "model-of-nobody", AT) is None
    usage = Usage(input=5, cache_read=5, cache_write_1h=5, output=5, output_audio=5)
    assert cost_of(usage, UNKNOWN, Billing.METERED, None).nano is None
    assert cost_of(usage, FREE, Billing.METERED, None).nano == 0


def test_a_model_priced_by_the_minute_has_unknown_prices_for_tokens() -> None:
    assert prices_of("openai", "whisper-1") == UNKNOWN


def test_a_price_counts_from_its_date() -> None:
    # claude-opus-4-6 lost its tier above 200,000 tokens on a date in 2026.
    usage = Usage(input=200_001)
    before = prices_of("anthropic", "claude-opus-4-6", datetime(2026, 2, 10, tzinfo=UTC))
    after = prices_of("anthropic", "claude-opus-4-6")
    assert cost_of(usage, before, Billing.METERED, None).nano == 2_000_010_000  # 200001 × 10,000
    assert cost_of(usage, after, Billing.METERED, None).nano == 1_000_005_000  # 200001 × 5,000


def test_dated_and_foreign_spellings_find_the_model() -> None:
    dated = lookup("anthropic", URLS["anthropic"], "claude-sonnet-4-5-20250929", AT)
    resold = lookup("openrouter", URLS["openrouter"], "anthropic/claude-sonnet-4.5", AT)
    assert dated is not None
    assert resold is not None
    assert dated.model == resold.model == "claude-sonnet-4-5"
    assert dated.context == 200_000


@pytest.mark.parametrize("provider", sorted(URLS))
def test_the_usual_vendors_are_known_and_all_their_models_have_facts(provider: str) -> None:
    names = models_of(provider, URLS[provider])
    assert names
    assert len(names) == len(set(names))
    assert all(lookup(provider, URLS[provider], name, AT) is not None for name in names)


@pytest.mark.parametrize("provider", ["anthropic", "openai", "fireworks", "openrouter"])
def test_spellings_lead_to_listed_names_with_the_same_prices(provider: str) -> None:
    spellings = spellings_of(provider, URLS[provider])
    names = set(models_of(provider, URLS[provider]))
    assert spellings
    assert not names & set(spellings)
    for spelling, name in spellings.items():
        assert name in names
        assert prices_of(provider, spelling) == prices_of(provider, name)


@pytest.mark.parametrize(
    "base_url",
    [
        "http://127.0.0.1:4199/v1",
        "https://api.openai.com.example.org/v1",
        "https://example.org/api.openai.com/v1",
        "https://example.org/x.googleapis.com",
        "https://example.org/foo.openai.azure.com",
        "https://",
        "http://[",
    ],
)
@pytest.mark.parametrize("provider", ["openai", "gemini", "azure"])
def test_a_stranger_never_gets_a_vendors_prices(provider: str, base_url: str) -> None:
    assert lookup(provider, base_url, "gpt-5-mini", AT) is None
    assert lookup(provider, base_url, "gemini-2.5-pro", AT) is None
    assert models_of(provider, base_url) == []
    assert spellings_of(provider, base_url) == {}


@pytest.mark.parametrize(
    ("base_url", "model"),
    [
        ("https://api.openai.com", "gpt-5-mini"),
        ("https://api.openai.com:443/v1", "gpt-5-mini"),
        ("https://acme.openai.azure.com/openai/v1", "gpt-4o"),
        ("https://api.moonshot.ai/v1", "kimi-k2"),
        ("https://router.huggingface.co/groq/openai/v1", "Qwen/Qwen3-32B"),
    ],
)
def test_the_url_names_the_vendor_whatever_the_provider_is_called(base_url: str, model: str) -> None:
    assert lookup("anything", base_url, model, AT) is not None


def test_without_a_url_the_name_decides() -> None:
    assert lookup("xai", "", "grok-4.5", AT) == lookup("x", URLS["xai"], "grok-4.5", AT)
    assert lookup("nobody", "", "grok-4.5", AT) is None


def test_a_cached_audio_token_without_a_price_takes_the_dearer_class() -> None:
    # gpt-audio: in 2.5, audio in 32, no cache price at all
    assert prices_of("openai", "gpt-audio").cache_read_audio == Rate(32_000_000_000)


def test_the_bundled_data_is_not_imported_before_it_is_needed() -> None:
    code = "import sys, headgate.config.bundled, headgate.config.prices; sys.exit('genai_prices' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
