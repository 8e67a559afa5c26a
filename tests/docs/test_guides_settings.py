"""The settings that the clients' guides show: Headgate takes its own, the others are well-formed and point at it."""

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.docs.guides import CLIENTS, FOLDER, blocks
from tests.e2e.gateway import ALONE, SCRIPT

KEYS = {"OPENAI_API_KEY": "sk-o", "ANTHROPIC_API_KEY": "sk-a", "ANTHROPIC_SPARE_KEY": "sk-b"}
CONFIGURATIONS = [
    pytest.param(block.text, id=f"{guide}-{at}") for guide in CLIENTS for at, block in enumerate(blocks(guide, "yaml"))
]
BASE = "http://127.0.0.1:4141"


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_headgate_takes_every_configuration(configuration: str, tmp_path: Path) -> None:
    (tmp_path / "headgate.yaml").write_text(configuration, encoding="utf-8")
    env = {name: value for name, value in os.environ.items() if name not in ALONE} | KEYS
    done = subprocess.run(
        [SCRIPT, "check", "--json"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert msgspec.json.decode(done.stdout)["ok"], done.stdout
    assert done.returncode == 0


def test_codex_is_told_to_speak_responses_to_headgate() -> None:
    [block] = blocks("codex", "toml")
    settings = tomllib.loads(block.text)
    provider = settings["model_providers"][settings["model_provider"]]
    assert (provider["base_url"], provider["wire_api"]) == (f"{BASE}/v1", "responses")


def test_opencode_finds_its_models_at_headgate() -> None:
    [block] = blocks("opencode", "json")
    settings: dict[str, Any] = msgspec.json.decode(block.text)
    providers = settings["provider"]
    assert {provider["options"]["baseURL"] for provider in providers.values()} == {f"{BASE}/v1"}
    for name in (settings["model"], settings["small_model"]):
        provider, _, model = name.partition("/")
        assert model in providers[provider]["models"]


def test_claude_code_is_pointed_at_headgate_without_a_version() -> None:
    [block] = blocks("claude-code", "json")
    assert msgspec.json.decode(block.text)["env"]["ANTHROPIC_BASE_URL"] == BASE


def test_the_program_for_langchain_is_python() -> None:
    [block] = blocks("langchain", "python")
    compile(block.text, "langchain.md", "exec")


@pytest.mark.parametrize("guide", CLIENTS)
def test_links_lead_somewhere_and_no_key_is_shown_whole(guide: str) -> None:
    text = (FOLDER / f"{guide}.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+\.md)", text):
        assert (FOLDER / target).exists(), target
    assert not re.search(r"hg_[A-Za-z0-9]{16}", text)
