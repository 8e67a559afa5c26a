from datetime import UTC, datetime
from pathlib import Path

import pytest

from headgate.config.catalog import catalog_of, neutral_name
from headgate.config.compile import compile_document, configuration, fingerprint, ledger_url, settings_of
from headgate.config.load import Document, document, parse
from headgate.config.problems import ConfigError
from headgate.config.schema import Config
from headgate.config.settings import Compiled, Overrides
from headgate.ledger.url import parse_url
from headgate.model.catalog import Catalog
from headgate.model.dialect import Endpoint, Kind
from headgate.model.price import FREE, UNKNOWN, Billing

AT = datetime(2026, 1, 15, 12, tzinfo=UTC)
EXAMPLE = Path(__file__).parents[2] / "headgate.example.yaml"


def catalog(text: str) -> Catalog:
    return catalog_of(parse(text, "f", {}), AT)


def compiled(text: str, env: dict[str, str] | None = None, overrides: Overrides | None = None) -> Compiled:
    read = document(text, Path("/srv/headgate.yaml"), env or {})
    return compile_document(read, env or {}, AT, overrides or Overrides())


def test_the_example_file_can_be_run() -> None:
    ready = configuration(EXAMPLE, {}, AT, Path("/"))
    assert set(ready.catalog.virtual) == {"fast", "writer"}
    names = [route.name for route in ready.catalog.virtual["fast"].routes]
    assert names == ["openai/gpt-5-mini", "box/qwen3:8b", "contract/small"]
    assert ready.config_path == EXAMPLE
    assert not ready.simulated


def test_settings_are_in_ns_and_bytes_and_absolute() -> None:
    settings = compiled("server: {deadline: 2m, max_body: 1KiB}").settings
    assert settings.deadline == 120_000_000_000
    assert settings.max_body == 1024
    assert settings.ledger_url == "sqlite:////srv/headgate.db"
    assert settings.state_dir == "/srv/headgate.db-locks"
    assert settings.auth_required


@pytest.mark.parametrize(
    ("given", "absolute"),
    [
        ("sqlite:///a/b.db", "sqlite:////srv/a/b.db"),
        ("sqlite:////abs.db", "sqlite:////abs.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite://", "sqlite://"),
        ("postgresql://u:p@h/d", "postgresql://u:p@h/d"),
        ("nonsense", "nonsense"),
    ],
)
def test_a_relative_ledger_lies_in_the_files_folder(given: str, absolute: str) -> None:
    assert ledger_url(given, Path("/srv")) == absolute


@pytest.mark.parametrize("name", ["who?", "50%", "a%41b", "a#b", "a b", "a@b:c", "ü"])
def test_a_ledger_lies_in_its_folder_whatever_that_is_called(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    settings = settings_of(Document(Config(), None, folder), {})
    assert parse_url(settings.ledger_url).path == folder / "headgate.db"
    assert settings.state_dir == str(folder / "headgate.db-locks")


def test_two_postgresql_ledgers_have_a_state_folder_each() -> None:
    one, two = (
        compiled(f"ledger: {{url: 'postgresql://u:p@h/{name}'}}", {"XDG_STATE_HOME": "/var/x"}).settings.state_dir
        for name in ("one", "two")
    )
    assert one.startswith("/var/x/headgate/")
    assert one != two


def test_neither_token_nor_ledger_password_is_in_the_settings_repr() -> None:
    text = "server: {admin_token: token-of-sixteen}\nledger: {url: 'postgresql://u:hunter2@h/d'}"
    ready = compiled(text)
    assert ready.settings.admin_token == "token-of-sixteen"
    assert "hunter2" in ready.settings.ledger_url
    assert "hunter2" not in repr(ready)
    assert "token-of-sixteen" not in repr(ready)


def test_the_admin_token_may_come_from_the_environment() -> None:
    assert compiled("", {"HEADGATE_ADMIN_TOKEN": "from-the-environment"}).settings.admin_token
    assert compiled("").settings.admin_token is None
    assert compiled("", {"HEADGATE_ADMIN_TOKEN": " "}).settings.admin_token is None
    with pytest.raises(ConfigError, match="at least 16 characters") as caught:
        compiled("", {"HEADGATE_ADMIN_TOKEN": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_the_command_line_goes_before_the_file() -> None:
    settings = compiled("server: {port: 1}", overrides=Overrides(port=0, workers=3, log_level="debug")).settings
    assert (settings.port, settings.workers, settings.log_level) == (0, 3, "debug")


def test_an_open_door_cannot_be_moved_off_loopback_by_the_command_line() -> None:
    with pytest.raises(ConfigError, match="loopback host only"):
        compiled("server: {auth: off}", overrides=Overrides(host="0.0.0.0"))


def test_a_provider_carries_what_the_file_says() -> None:
    providers = catalog(
        "providers:\n"
        "  openai: {kind: openai, api_key: k, on_disconnect: drain, billing: subscription, headers: {X-Team: a},\n"
        "    timeouts: {connect: 1s, answer: 2s, first_token: 3s, idle: 4s}, serves: [embeddings]}\n"
        "  groq: {kind: openai}\n"
    ).providers
    openai, groq = providers["openai"].provider, providers["groq"].provider
    assert (openai.base_url, openai.api_key) == ("https://api.openai.com/v1", "k")
    assert openai.drain_on_disconnect
    assert openai.billing is Billing.SUBSCRIPTION
    assert openai.headers == (("X-Team", "a"),)
    assert openai.serves == {Endpoint.EMBEDDINGS}
    waits = openai.timeouts
    assert (waits.connect, waits.answer, waits.first_token, waits.idle) == (
        10**9,
        2 * 10**9,
        3 * 10**9,
        4 * 10**9,
    )
    assert openai.cut_stops_billing
    assert not groq.cut_stops_billing
    assert groq.api_key is None


def test_whether_a_cut_stops_the_bill_can_be_declared() -> None:
    text = "providers: {openai: {kind: openai, cut_stops_billing: false}}"
    assert not catalog(text).providers["openai"].provider.cut_stops_billing


def test_a_price_comes_from_the_model_then_the_provider_then_the_bundled_data() -> None:
    text = (
        "providers:\n"
        "  openai: {kind: openai, models: {gpt-5-mini: {price: {input: 9}}, gpt-5: {}}}\n"
        "  box: {kind: openai, base_url: 'http://127.0.0.1:1', price: free, models: {a: {price: {input: 2}}, b: {}}}\n"
        "  stranger: {kind: openai, base_url: 'https://x.example', models: [gpt-5]}\n"
    )
    providers = catalog(text).providers

    def rate(provider: str, name: str) -> int | None:
        price = providers[provider].routes[name][0].prices.input
        return None if price is None else price.base

    assert rate("openai", "gpt-5-mini") == 9_000_000_000
    assert rate("openai", "gpt-5") == 1_250_000_000
    assert rate("box", "a") == 2_000_000_000
    assert providers["box"].routes["b"][0].prices == FREE
    assert providers["stranger"].routes["gpt-5"][0].prices == UNKNOWN
    assert providers["box"].prices == FREE
    assert providers["openai"].prices == UNKNOWN


def test_a_model_is_served_by_every_provider_that_has_it_in_the_order_of_the_file() -> None:
    text = (
        "providers:\n"
        "  openrouter: {kind: openai, models: [anthropic/claude-sonnet-4.5]}\n"
        "  mirror: {kind: anthropic, base_url: 'http://127.0.0.1:1', models: {c: {model: claude-sonnet-4-5}}}\n"
    )
    found = catalog(text)
    routes = [route.name for route in found.models["claude-sonnet-4-5"].routes]
    assert routes == ["openrouter/anthropic/claude-sonnet-4.5", "mirror/c"]
    assert found.aliases["anthropic/claude-sonnet-4.5"] == "claude-sonnet-4-5"


def test_a_resellers_spelling_never_hides_the_route_of_a_provider() -> None:
    text = (
        "providers:\n"
        "  openrouter: {kind: openai, models: [anthropic/claude-sonnet-4.5]}\n"
        "  anthropic: {kind: anthropic}\n"
        "  box: {kind: openai, base_url: 'http://127.0.0.1:1', models: [anthropic/own]}\n"
    )
    found = catalog(text)
    assert "anthropic/claude-sonnet-4.5" not in found.aliases
    assert "anthropic/own" not in found.models
    assert "anthropic/own" in found.providers["box"].routes


def test_models_that_only_share_a_price_keep_their_own_names() -> None:
    found = catalog("providers: {openai: {kind: openai}}")
    assert found.models["gpt-5-codex"].routes[0].upstream_name == "gpt-5-codex"
    assert "gpt-5-codex" not in found.aliases
    assert not [name for name in found.models if name.startswith("ft:") or name.endswith("-")]


@pytest.mark.parametrize(
    ("upstream_name", "priced_as", "name"),
    [
        ("gpt-5-mini", "gpt-5-mini", "gpt-5-mini"),
        ("gpt-5-codex", "gpt-5", "gpt-5-codex"),
        ("gpt-5-mini-2025-08-07", "gpt-5-mini", "gpt-5-mini"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5", "claude-sonnet-4-5"),
        ("anthropic/claude-4.5-haiku", "claude-haiku-4-5", "claude-haiku-4-5"),
        ("library/own:7b", None, "library/own:7b"),
    ],
)
def test_a_models_neutral_name(upstream_name: str, priced_as: str | None, name: str) -> None:
    assert neutral_name(upstream_name, priced_as) == name


def test_a_closed_provider_knows_only_what_it_lists() -> None:
    entry = catalog("providers: {openai: {kind: openai, open: false, models: [gpt-5]}}").providers["openai"]
    assert not entry.open
    assert list(entry.routes) == ["gpt-5"]


def test_a_list_of_models_narrows_what_is_offered_but_keeps_prices_known() -> None:
    found = catalog("providers: {openai: {kind: openai, models: [gpt-5]}}")
    assert list(found.models) == ["gpt-5"]
    assert found.providers["openai"].routes["gpt-5-mini"][0].prices.input is not None


def test_rank_multipliers_are_exact_thousandths() -> None:
    text = "providers: {openai: {kind: openai, rank_multiplier: 1.1}, groq: {kind: openai}}"
    assert compiled(text).rank_multipliers == {"openai": 1100}


def test_the_fingerprint_tells_configurations_apart_and_holds_no_secret() -> None:
    def of(text: str) -> str:
        return fingerprint(parse(text, "f", {}))

    base = "providers: {openai: {kind: openai, api_key: one}}"
    assert of(base) == of("# a comment\nproviders:\n  openai:\n    api_key: two\n    kind: openai\n")
    assert of(base) != of("providers: {openai: {kind: openai}}")
    assert of(base) != of("providers: {openai: {kind: openai, api_key: one, price: free}}")
    assert len(of(base)) == 64


def test_a_document_without_a_file_names_no_path() -> None:
    ready = compile_document(Document(parse("", "f", {}), None, Path("/srv")), {}, AT)
    assert ready.config_path is None
    assert ready.catalog.providers == {}


def test_kinds_share_a_vendor() -> None:
    text = "providers: {openai: {kind: openai}, openai-responses: {kind: openai_responses}}"
    kinds = [route.provider.kind for route in catalog(text).models["gpt-5-mini"].routes]
    assert kinds == [Kind.OPENAI, Kind.OPENAI_RESPONSES]
