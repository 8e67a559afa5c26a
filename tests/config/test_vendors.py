import pytest

from headgate.config.vendors import BASE_URLS, cut_stops_billing, default_base_url, is_loopback, normal_base_url
from headgate.model.dialect import Kind


@pytest.mark.parametrize(
    ("kind", "given", "normal"),
    [
        (Kind.OPENAI, "http://127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
        (Kind.OPENAI, "http://127.0.0.1:8000/", "http://127.0.0.1:8000/v1"),
        (Kind.OPENAI, "http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000/v1"),
        (Kind.OPENAI, "https://api.groq.com/openai/v1", "https://api.groq.com/openai/v1"),
        (Kind.OPENAI, "https://x.example/openai", "https://x.example/openai"),
        (Kind.OPENAI_RESPONSES, "https://API.OpenAI.com", "https://api.openai.com/v1"),
        (Kind.ANTHROPIC, "https://api.anthropic.com", "https://api.anthropic.com/v1"),
        (Kind.ANTHROPIC, "https://api.deepseek.com/anthropic", "https://api.deepseek.com/anthropic/v1"),
        (Kind.ANTHROPIC, "https://x.example/v1beta", "https://x.example/v1beta"),
        (Kind.OPENAI, "http://[::1]:8000", "http://[::1]:8000/v1"),
    ],
)
def test_a_base_url_ends_with_its_version(kind: Kind, given: str, normal: str) -> None:
    assert normal_base_url(given, kind) == normal
    assert normal_base_url(normal, kind) == normal


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.openai.com/v1",
        "ftp://x/v1",
        "file:///etc/passwd",
        "http://user:hunter2@x/v1",
        "http://x/v1?key=hunter2",
        "http://x/v1#hunter2",
        "http://x/v1?",
        "http://x:99999/v1",
        "http://x:0/v1",
        "http:///v1",
        "http://x/a b",
        "http://x\\@hunter2/v1",
        "https://api.openai.com/v1/chat/completions",
        "https://api.anthropic.com/v1/messages/",
        "http://[::1/v1",
    ],
)
def test_an_unusable_base_url_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(ValueError, match=r"must|is no URL") as caught:
        normal_base_url(url, Kind.OPENAI)
    assert "hunter2" not in str(caught.value)


def test_every_bundled_url_is_in_its_normal_form_and_encrypted() -> None:
    for vendor, urls in BASE_URLS.items():
        for kind, url in urls.items():
            assert normal_base_url(url, kind) == url, vendor
            assert url.startswith("https://")


def test_a_vendor_is_known_by_its_name_and_by_names_that_begin_with_it() -> None:
    assert default_base_url("openai", Kind.OPENAI) == "https://api.openai.com/v1"
    assert default_base_url("openai-eu", Kind.OPENAI_RESPONSES) == "https://api.openai.com/v1"
    assert default_base_url("anthropic", Kind.ANTHROPIC) == "https://api.anthropic.com/v1"


def test_a_name_that_is_no_vendor_sends_nothing_anywhere() -> None:
    assert default_base_url("box", Kind.OPENAI) is None
    assert default_base_url("openaix", Kind.OPENAI) is None
    assert default_base_url("openai", Kind.ANTHROPIC) is None


@pytest.mark.parametrize(
    ("url", "stops"),
    [
        ("https://api.openai.com/v1", True),
        ("https://api.anthropic.com/v1", True),
        ("https://api.openai.com:443/v1", True),
        ("https://api.groq.com/openai/v1", False),
        ("https://api.mistral.ai/v1", False),
        ("https://openrouter.ai/api/v1", False),
        ("https://api.openai.com.evil.example/v1", False),
        ("http://127.0.0.1:4190/v1", False),
    ],
)
def test_only_vendors_known_to_stop_billing_are_believed(url: str, stops: bool) -> None:
    assert cut_stops_billing(url) is stops


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("example.com", False),
        ("", False),
    ],
)
def test_loopback_hosts(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
