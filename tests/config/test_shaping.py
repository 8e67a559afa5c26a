"""What is said of requests and answers at a provider, at its models and at virtual models."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from headgate.config.compile import compile_document
from headgate.config.load import document
from headgate.config.problems import ConfigError
from headgate.model.catalog import Catalog
from headgate.model.route import UNSHAPED

AT = datetime(2026, 11, 1, tzinfo=UTC)


def catalog(text: str) -> Catalog:
    return compile_document(document(text, Path("headgate.yaml"), {}), {}, AT).catalog


def test_the_nearer_word_wins_and_prompts_add_up() -> None:
    found = catalog("""
providers:
  box:
    kind: openai
    base_url: "http://127.0.0.1:9/v1"
    extra_body: {top_k: 40, min_p: 0.05}
    append_system_prompt: Provider.
    strip_thinking: true
    models:
      qwen: {extra_body: {top_k: 20}, append_system_prompt: Model., cache: auto}
      plain:
models:
  fast:
    {routes: [box/qwen, box/plain], strict: true, strip_thinking: false, append_system_prompt: Virtual., cache: "off"}
""")
    box = found.providers["box"]
    qwen, plain = box.routes["qwen"][0].shaping, box.routes["plain"][0].shaping
    assert {name: bytes(raw) for name, raw in qwen.extra_body.items()} == {"top_k": b"20", "min_p": b"0.05"}
    assert qwen.system == "Provider.\n\nModel."
    assert qwen.cache_auto
    assert plain.system == "Provider."
    assert plain.strip_thinking
    assert not plain.cache_auto
    through = found.virtual["fast"].routes[0].shaping
    assert through.system == "Provider.\n\nModel.\n\nVirtual."
    assert through.strict
    assert not through.strip_thinking
    assert not through.cache_auto
    assert not plain.strict
    assert box.shaping.system == "Provider."  # for names that are asked for and not known


def test_routes_that_nothing_is_said_of_share_one_value() -> None:
    found = catalog(
        'providers: {box: {kind: openai, base_url: "http://127.0.0.1:9/v1", models: [a]}}\n'
        "models: {m: {routes: [box/a]}}"
    )
    assert found.providers["box"].routes["a"][0].shaping is UNSHAPED
    assert found.virtual["m"].routes[0] is found.providers["box"].routes["a"][0]


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ("{extra_body: {model: x}}", "'model' is set by Headgate"),
        ("{extra_body: [1]}", "must be a mapping"),
        ('{append_system_prompt: ""}', "at least 1"),
        ("{cache: always}", "auto"),
    ],
)
def test_what_cannot_be_is_refused_with_its_line(said: str, complaint: str) -> None:
    text = f'providers: {{box: {{kind: openai, base_url: "http://127.0.0.1:9/v1", models: {{a: {said}}}}}}}'
    with pytest.raises(ConfigError) as refused:
        catalog(text)
    assert complaint in str(refused.value)


def test_parameters_keep_their_json_form() -> None:
    said = "{extra_body: {provider: {order: [a, b]}, seed: 7, flag: true}}"
    shaping = catalog(f'providers: {{box: {{kind: openai, base_url: "http://127.0.0.1:9/v1", models: {{a: {said}}}}}}}')
    raw = shaping.providers["box"].routes["a"][0].shaping.extra_body
    assert msgspec.json.decode(raw["provider"]) == {"order": ["a", "b"]}
    assert bytes(raw["flag"]) == b"true"
