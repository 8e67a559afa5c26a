"""What a start without a file makes of the environment and of what local servers list, and the text of it."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from headgate.config.bundled import lookup
from headgate.config.compile import configuration
from headgate.config.discover import MAX_MODELS, Found, discover, misplaced, places
from headgate.config.settings import Compiled
from headgate.config.starter import chat_model, quoted, text_of
from headgate.config.vendors import BASE_URLS, VENDORS
from headgate.ledger.keys import SECRET_PREFIX
from headgate.model.dialect import Kind
from headgate.model.local import LOCAL, Listed, Listing, Place, Trouble
from headgate.policy.select import resolve

AT = datetime(2026, 11, 21, tzinfo=UTC)
OLLAMA = Place("ollama", "127.0.0.1", 11_434)
VLLM = Place("vllm", "127.0.0.1", 8_000)
LLAMACPP = Place("llamacpp", "127.0.0.1", 8_080)
EVERY_KEY = {vendor.variables[0]: "sk-5ecre7" for vendor in VENDORS}


def compiled(found: Found, env: dict[str, str], folder: Path) -> Compiled:
    return configuration(None, env, AT, folder, found=found)


def named(found: Found) -> list[str]:
    return [provider.name for provider in found.providers]


def test_every_vendors_variable_makes_its_providers(tmp_path: Path) -> None:
    found = discover(EVERY_KEY)
    ready = compiled(found, EVERY_KEY, tmp_path)
    assert list(ready.catalog.providers) == named(found)
    assert {"openai", "openai-responses", "anthropic", "gemini", "xai-responses", "deepseek-anthropic"} <= set(
        named(found)
    )
    for entry in ready.catalog.providers.values():
        assert entry.provider.api_key == "sk-5ecre7"
        assert entry.provider.base_url in {url for urls in BASE_URLS.values() for url in urls.values()}
    assert found.notes == ()
    assert ready.found[0] == "openai (OPENAI_API_KEY)"
    assert not ready.simulated
    assert ready.settings.ledger_url == f"sqlite:///{tmp_path}/headgate.db"


@pytest.mark.parametrize("vendor", VENDORS, ids=[vendor.name for vendor in VENDORS])
def test_the_model_to_try_a_vendor_with_is_priced_cheap_and_served(vendor: object, tmp_path: Path) -> None:
    known = next(one for one in VENDORS if one is vendor)
    env = {known.variables[0]: "key"}
    entry = compiled(discover(env), env, tmp_path).catalog.providers[known.name]
    assert known.example in entry.routes
    facts = lookup(known.name, entry.provider.base_url, known.example, AT)
    assert facts is not None
    assert facts.prices.input is not None
    assert facts.prices.output is not None
    assert facts.prices.input.base + facts.prices.output.base <= 6_000_000_000  # nano-USD per million tokens


def test_no_value_of_a_variable_is_in_anything_that_is_told() -> None:
    env = {
        **EVERY_KEY,
        "OPENAI_API_KEY": "sk-ant-5ecre7",
        "XAI_API_KEY": "5ecre7\u00e9",
        "OPENAI_BASE_URL": "http://5ecre7",
    }
    found = discover(env)
    assert "5ecre7" not in repr(found) + text_of(found)
    assert len(found.notes) == 3


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        (
            "OPENAI_API_KEY",
            "sk-ant-api03-x",
            "OPENAI_API_KEY holds a key of Anthropic's; not used. Set ANTHROPIC_API_KEY instead",
        ),
        ("OPENAI_API_KEY", "sk-or-v1-x", "Set OPENROUTER_API_KEY"),
        ("ANTHROPIC_API_KEY", "sk-proj-x", "Set OPENAI_API_KEY"),
        ("OPENROUTER_API_KEY", "gsk_x", "Set GROQ_API_KEY"),
        ("GROQ_API_KEY", "xai-x", "Set XAI_API_KEY"),
        ("XAI_API_KEY", "AIzaSyx", "Set GOOGLE_API_KEY"),
        ("ANTHROPIC_API_KEY", f"{SECRET_PREFIX}x", "a key of Headgate's own"),
        ("OPENAI_API_KEY", " \n", "is empty"),
        ("OPENAI_API_KEY", "", "is empty"),
        ("OPENAI_API_KEY", "sk-\u0441x", "no HTTP header can carry"),
        ("OPENAI_API_KEY", "sk-a\nb", "no HTTP header can carry"),
    ],
)
def test_a_key_that_cannot_be_the_vendors_is_not_used_and_said(variable: str, value: str, said: str) -> None:
    found = discover({variable: value})
    assert found.simulated
    assert len(found.notes) == 1
    assert said in found.notes[0]


def test_a_plain_key_tells_nothing_and_is_used() -> None:
    assert named(discover({"DEEPSEEK_API_KEY": "sk-0123", "MISTRAL_API_KEY": "abc"}))[0] == "mistral"


def test_of_two_variables_the_usable_one_counts() -> None:
    both = discover({"GOOGLE_API_KEY": "AIza1", "GEMINI_API_KEY": "AIza2"})
    assert both.providers[0].variable == "GOOGLE_API_KEY"
    second = discover({"GOOGLE_API_KEY": "", "GEMINI_API_KEY": "AIza2"})
    assert second.providers[0].variable == "GEMINI_API_KEY"
    assert "GOOGLE_API_KEY is empty" in second.notes[0]


def test_base_urls_of_sdks_are_not_followed_and_said_once() -> None:
    env = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "http://127.0.0.1:4141/v1", "ANTHROPIC_BASE_URL": ""}
    found = discover(env)
    assert [note for note in found.notes if "OPENAI_BASE_URL" in note] == list(found.notes)
    assert "base_url" not in text_of(found).partition("\n# Prices")[0]


def test_local_servers_become_free_providers_with_their_models(tmp_path: Path) -> None:
    listings = [
        Listing(OLLAMA, (Listed("qwen3:8b", "library"), Listed("nomic-embed-text", "library"))),
        Listing(VLLM, (Listed("Qwen/Qwen3-8B", "vllm", 40_960), Listed("lora", "vllm"))),
    ]
    found = discover({}, listings)
    assert found.shown == ("ollama (127.0.0.1:11434, 2 models)", "vllm (127.0.0.1:8000, 2 models)")
    ready = compiled(found, {}, tmp_path)
    assert list(ready.catalog.providers["ollama"].routes) == ["qwen3:8b", "nomic-embed-text"]
    vllm = ready.catalog.providers["vllm"]
    assert vllm.provider.base_url == "http://127.0.0.1:8000/v1"
    assert vllm.routes["Qwen/Qwen3-8B"][0].context == 40_960
    assert vllm.prices.input is not None
    assert vllm.prices.input.base == 0


def test_who_it_is_the_listing_says_before_the_port() -> None:
    found = discover(
        {},
        [
            Listing(VLLM, (Listed("a", "vllm"),)),
            Listing(LLAMACPP, (Listed("b", "vllm"),)),
            Listing(OLLAMA, (Listed("c", "somebody"), Listed("d", "library"))),
            Listing(Place("lmstudio", "127.0.0.1", 1234), (Listed("e"),)),
        ],
    )
    assert named(found) == ["vllm", "vllm-8080", "ollama", "lmstudio"]


def test_what_is_listed_and_cannot_be_used_is_said() -> None:
    found = discover(
        {},
        [
            Listing(OLLAMA),
            Listing(VLLM, (Listed("gpt-5", "openai"),)),
            Listing(LLAMACPP, trouble=Trouble.HEADGATE),
            Listing(VLLM, trouble=Trouble.NEEDS_KEY),
            Listing(VLLM, trouble=Trouble.SILENT),
        ],
    )
    assert found.simulated
    words = ("lists no model", "may cost", "Headgate", "asks for a key", "did not answer")
    assert [word for word, note in zip(words, found.notes, strict=True) if word not in note] == []


def test_who_listens_on_a_usual_port_gets_no_calls_that_are_meant_for_a_vendor(tmp_path: Path) -> None:
    env = {"OPENAI_API_KEY": "sk-5ecre7", "ANTHROPIC_API_KEY": "sk-ant-5ecre7"}
    theirs = (
        "gpt-5-nano",
        "gpt-5-nano-2025-08-07",
        "claude-haiku-4-5",
        "gemini-2.5-pro",
        "o3",
        "text-embedding-3-small",
    )
    ours = ("gpt-oss:20b", "gpt-j-6b", "openai/gpt-oss-20b", "qwen3:8b", "olmo-2", "gemma3:4b")
    found = discover(env, [Listing(OLLAMA, tuple(Listed(name, "library") for name in (*theirs, *ours)))])
    catalog = compiled(found, env, tmp_path).catalog
    assert list(catalog.providers["ollama"].routes) == list(ours)
    assert "meant for the vendor" in found.notes[0]
    asked = (resolve(catalog, name) for name in theirs)
    assert not any(route.provider.name == "ollama" for one in asked if one is not None for route in one.routes)


ODD = [
    "a b",
    'quote"',
    "back\\slash",
    "$HOME",
    "${OPENAI_API_KEY}",
    "true",
    "null",
    "<<",
    "# x",
    "é😀",
    "a: b",
    "- c",
    "{x}",
]


@pytest.mark.parametrize("context", [None, 4_096])
def test_odd_names_mean_themselves_and_unusable_ones_are_left_out(context: int | None, tmp_path: Path) -> None:
    bad = ["", " x", "a\nb", "\x1b[31m", "\ud800", "\u2028", "y" * 300]
    listed = tuple(Listed(name, "library", context) for name in [*ODD, *ODD, *bad])
    found = discover({}, [Listing(OLLAMA, listed)])
    assert list(compiled(found, {}, tmp_path).catalog.providers["ollama"].routes) == ODD
    assert f"{len(bad)} models left out" in found.notes[0]


def test_a_listing_without_end_is_cut() -> None:
    found = discover({}, [Listing(OLLAMA, tuple(Listed(f"m{number}") for number in range(MAX_MODELS + 7)))])
    assert len(found.providers[0].models) == MAX_MODELS
    assert "7 models left out" in found.notes[0]


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ("", ("127.0.0.1", 11_434)),
        ("127.0.0.1:11500", ("127.0.0.1", 11_500)),
        ("localhost", ("127.0.0.1", 11_434)),
        ("0.0.0.0", ("127.0.0.1", 11_434)),
        (":11500", ("127.0.0.1", 11_500)),
        ("[::]:11500", ("127.0.0.1", 11_500)),
        ("[::1]", ("::1", 11_434)),
        ("::1", ("::1", 11_434)),
        ("http://127.0.0.1", ("127.0.0.1", 80)),
        ("http://localhost:11500/", ("127.0.0.1", 11_500)),
        ("127.0.0.1:99999", ("127.0.0.1", 11_434)),
        ("127.0.0.1:x", ("127.0.0.1", 11_434)),
    ],
)
def test_ollama_is_asked_where_its_variable_says(value: str, where: tuple[str, int]) -> None:
    asked = places({"OLLAMA_HOST": value})
    assert (asked[0].host, asked[0].port) == where
    assert asked[1:] == list(LOCAL[1:])
    assert discover({"OLLAMA_HOST": value}).notes == ()


SCOPED = ("[::1%eth0]:11434", "::1%@evil.example#", '[::1%"\n    api_key: x]:1')
"""An address with a scope may hold anything behind its `%`, and so make another URL or other YAML."""


@pytest.mark.parametrize(
    "value", ["10.0.0.5:11434", "https://127.0.0.1", "box.example.com", "ollama.com", "unix:///x", *SCOPED]
)
def test_no_other_machine_is_asked(value: str) -> None:
    assert places({"OLLAMA_HOST": value}) == list(LOCAL)
    assert "OLLAMA_HOST" in discover({"OLLAMA_HOST": value}).notes[0]


def test_nothing_found_means_the_simulated_upstream(tmp_path: Path) -> None:
    found = discover({})
    ready = compiled(Found(sim=("127.0.0.1", 4199)), {}, tmp_path)
    assert (found.simulated, found.sim) == (True, ("127.0.0.1", 4190))
    assert ready.simulated
    assert ready.found == ()
    assert {entry.provider.kind for entry in ready.catalog.providers.values()} == set(Kind)
    assert {entry.provider.base_url for entry in ready.catalog.providers.values()} == {"http://127.0.0.1:4199/v1"}


def test_a_file_in_the_folder_goes_before_what_is_found(tmp_path: Path) -> None:
    (tmp_path / "headgate.yaml").write_text("providers: {groq: {kind: openai}}")
    ready = compiled(discover({"OPENAI_API_KEY": "a"}), {}, tmp_path)
    assert set(ready.catalog.providers) == {"groq"}
    assert ready.found == ()


@pytest.mark.parametrize("env", [{}, {"OPENAI_API_KEY": "a", "ANTHROPIC_API_KEY": "b"}, {"ANTHROPIC_API_KEY": "b"}])
def test_the_examples_in_the_comments_can_be_taken_as_they_are(env: dict[str, str], tmp_path: Path) -> None:
    text = text_of(discover(env))
    postgres = re.search(r"^  # (url: .*)$", text, re.MULTILINE)
    assert postgres is not None
    text = re.sub(r"^  url: .*\n", "", text, flags=re.MULTILINE)
    bare = re.sub(r"^( *)# ( *(?:[a-z_-]+:|- \").*)$", r"\1\2", text, flags=re.MULTILINE)
    assert not re.search(r"^ *# *[a-z_]+:", bare, re.MULTILINE)
    (tmp_path / "headgate.yaml").write_text(bare)
    more = {"HEADGATE_ADMIN_TOKEN": "x" * 16, "LEDGER_PASSWORD": "p", "CONTRACT_KEY": "k", "OPENAI_API_KEY": "a"}
    ready = configuration(None, {**more, **env}, AT, tmp_path)
    assert ready.settings.ledger_url.startswith("postgresql://headgate:p@")
    assert "contract" in ready.catalog.providers
    assert all(route.prices.input is not None for route in ready.catalog.virtual["fast"].routes)


def test_a_key_in_a_file_that_belongs_to_somebody_else_is_told_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "headgate.yaml").write_text(
        """
        providers:
          openai: {kind: openai, api_key: hg_5ecre7}
          anthropic: {kind: anthropic, api_key: sk-proj-5ecre7}
          groq: {kind: openai, api_key: gsk_5ecre7}
          mistral: {kind: openai, api_key: sk-5ecre7}
          other: {kind: openai, base_url: "http://127.0.0.1:4141", api_key: hg_5ecre7}
        """
    )
    told = misplaced(configuration(None, {}, AT, tmp_path).catalog)
    assert [line.partition(":")[0] for line in told] == ["providers.openai", "providers.anthropic"]
    assert "Headgate's, and OpenAI" in told[0]
    assert "OpenAI's, and Anthropic" in told[1]
    assert "5ecre7" not in "".join(told)


def test_a_model_to_chat_with_goes_before_an_embedding_model() -> None:
    assert chat_model(["nomic-embed-text", "qwen3:8b"]) == "qwen3:8b"
    assert chat_model(["nomic-embed-text"]) == "nomic-embed-text"
    assert chat_model([]) is None


def test_a_quoted_text_expands_to_itself() -> None:
    assert quoted('a$b"') == '"a$$b\\""'
