from datetime import UTC, datetime
from pathlib import Path

import pytest

from headgate.config.compile import configuration
from headgate.config.problems import ConfigError

AT = datetime(2026, 1, 15, tzinfo=UTC)


def test_keys_in_the_environment_become_providers(tmp_path: Path) -> None:
    ready = configuration(None, {"OPENAI_API_KEY": "a", "ANTHROPIC_API_KEY": " b\n"}, AT, tmp_path)
    assert set(ready.catalog.providers) == {"openai", "openai-responses", "anthropic"}
    assert ready.catalog.providers["anthropic"].provider.api_key == "b"
    assert "openai (from OPENAI_API_KEY)" in ready.found
    assert not ready.simulated
    assert ready.settings.ledger_url == f"sqlite:///{tmp_path}/headgate.db"


def test_nothing_found_means_the_simulated_upstream_and_says_so(tmp_path: Path) -> None:
    ready = configuration(None, {"OPENAI_API_KEY": "  "}, AT, tmp_path)
    assert ready.simulated
    assert ready.sim_address == ("127.0.0.1", 4190)
    assert ready.found == ()
    urls = {entry.provider.base_url for entry in ready.catalog.providers.values()}
    assert urls == {"http://127.0.0.1:4190/v1"}


def test_a_file_in_the_folder_goes_before_the_environment(tmp_path: Path) -> None:
    (tmp_path / "headgate.yaml").write_text("providers: {groq: {kind: openai}}")
    ready = configuration(None, {"OPENAI_API_KEY": "a"}, AT, tmp_path)
    assert set(ready.catalog.providers) == {"groq"}


def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"providers\.openai\.api_key") as caught:
        configuration(None, {"OPENAI_API_KEY": "sk-\u0441ecret"}, AT, tmp_path)
    assert "ecret" not in str(caught.value)
